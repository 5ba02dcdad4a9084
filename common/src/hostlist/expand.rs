//! From notation to names. First the text is parsed and counted, then names are made: what is too
//! much is refused before memory is spent on it.

use super::{EXPAND_MAX, HostlistError, NAME_LEN_MAX, is_name_char, natural_order};

/// The names a hostlist stands for, each once, in natural order. The empty text is the empty set.
///
/// # Errors
/// See [`HostlistError`]; every variant says at which character.
pub fn expand(list: &str) -> Result<Vec<String>, HostlistError> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut parser = Parser { text: list, at: 0 };
    let mut names = Vec::new();
    loop {
        let begin = parser.at;
        let pattern = parser.pattern()?;
        let room = EXPAND_MAX - names.len();
        if pattern
            .iter()
            .try_fold(1_u64, |n, part| n.checked_mul(part.count()))
            .is_none_or(|n| n > room as u64)
        {
            return Err(HostlistError::TooMany { at: begin + 1 });
        }
        if pattern.iter().map(Part::longest).sum::<usize>() > NAME_LEN_MAX {
            return Err(HostlistError::NameTooLong { at: begin + 1 });
        }
        product(&pattern, &mut String::new(), &mut names);
        if parser.peek().is_none() {
            break;
        }
        parser.at += 1;
    }
    names.sort_by(|a, b| natural_order(a, b));
    names.dedup();
    Ok(names)
}

/// A piece of a pattern: text as it stands, or a bracket.
enum Part<'a> {
    Text(&'a str),
    Bracket(Vec<Range<'a>>),
}

/// One entry of a bracket.
enum Range<'a> {
    /// A single number is kept as text: it may have any number of digits.
    One(&'a str),
    /// From the first to the last number, each padded with zeros to `width`.
    Run {
        first: u64,
        last: u64,
        width: usize,
        longest: usize,
    },
}

impl Part<'_> {
    fn count(&self) -> u64 {
        match self {
            Self::Text(_) => 1,
            Self::Bracket(ranges) => ranges.iter().map(Range::count).fold(0, u64::saturating_add),
        }
    }

    fn longest(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bracket(ranges) => ranges.iter().map(Range::longest).max().unwrap_or(0),
        }
    }
}

impl Range<'_> {
    fn count(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Run { first, last, .. } => last - first + 1,
        }
    }

    fn longest(&self) -> usize {
        match self {
            Self::One(digits) => digits.len(),
            Self::Run { longest, .. } => *longest,
        }
    }
}

/// Appends every combination of the parts' values, the last part turning fastest.
fn product(parts: &[Part<'_>], name: &mut String, names: &mut Vec<String>) {
    let Some((part, rest)) = parts.split_first() else {
        names.push(name.clone());
        return;
    };
    let mark = name.len();
    let mut with = |value: &str| {
        name.push_str(value);
        product(rest, name, names);
        name.truncate(mark);
    };
    match part {
        Part::Text(text) => with(text),
        Part::Bracket(ranges) => {
            for range in ranges {
                match range {
                    Range::One(digits) => with(digits),
                    Range::Run {
                        first, last, width, ..
                    } => {
                        (*first..=*last).for_each(|n| with(&format!("{n:0width$}")));
                    }
                }
            }
        }
    }
}

/// Reads the text from left to right. `at` counts bytes, and equals the characters read: parsing
/// stops at the first character that is not ASCII.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take_while(&mut self, wanted: fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// One name with its brackets, up to a comma or the end.
    fn pattern(&mut self) -> Result<Vec<Part<'a>>, HostlistError> {
        let mut parts = Vec::new();
        loop {
            let at = self.at + 1;
            match self.peek() {
                None | Some(',') if parts.is_empty() => {
                    return Err(HostlistError::EmptyName { at });
                }
                None | Some(',') => return Ok(parts),
                Some('[') => parts.push(self.bracket()?),
                Some(']') => return Err(HostlistError::UnopenedBracket { at }),
                Some(c) if is_name_char(c) => parts.push(Part::Text(self.take_while(is_name_char))),
                Some(found) => {
                    let place = "in a host name: A-Z, a-z, 0-9, '.', '_' and '-'";
                    return Err(HostlistError::IllegalCharacter { at, found, place });
                }
            }
        }
    }

    fn bracket(&mut self) -> Result<Part<'a>, HostlistError> {
        let opened = self.at + 1;
        let mut ranges = Vec::new();
        loop {
            // Steps over the '[' at first, over a ',' afterwards.
            self.at += 1;
            ranges.push(self.range(opened)?);
            match self.peek() {
                Some(',') => {}
                Some(']') => {
                    self.at += 1;
                    return Ok(Part::Bracket(ranges));
                }
                None => return Err(HostlistError::UnclosedBracket { at: opened }),
                Some(found) => return Err(illegal_in_bracket(self.at, found)),
            }
        }
    }

    fn range(&mut self, opened: usize) -> Result<Range<'a>, HostlistError> {
        let at = self.at + 1;
        let from = self.number(opened)?;
        if self.peek() != Some('-') {
            return Ok(Range::One(from));
        }
        self.at += 1;
        let to_at = self.at + 1;
        let to = self.number(opened)?;
        let (first, last) = (countable(from, at)?, countable(to, to_at)?);
        let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
        if first > last {
            return Err(HostlistError::Reversed {
                at,
                from: from.into(),
                to: to.into(),
            });
        }
        if (padded(from) || padded(to)) && from.len() != to.len() {
            return Err(HostlistError::Padding {
                at,
                from: from.into(),
                to: to.into(),
            });
        }
        let width = if padded(from) { from.len() } else { 1 };
        Ok(Range::Run {
            first,
            last,
            width,
            longest: to.len(),
        })
    }

    fn number(&mut self, opened: usize) -> Result<&'a str, HostlistError> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        if !digits.is_empty() {
            return Ok(digits);
        }
        match self.peek() {
            None => Err(HostlistError::UnclosedBracket { at: opened }),
            Some(',' | ']' | '-') => Err(HostlistError::EmptyRange { at: self.at + 1 }),
            Some(found) => Err(illegal_in_bracket(self.at, found)),
        }
    }
}

fn illegal_in_bracket(at: usize, found: char) -> HostlistError {
    let place = "in a bracket: digits, '-' and ','";
    HostlistError::IllegalCharacter {
        at: at + 1,
        found,
        place,
    }
}

fn countable(digits: &str, at: usize) -> Result<u64, HostlistError> {
    let number = || digits.chars().take(80).collect();
    if digits.len() > 18 {
        return Err(HostlistError::NumberTooLarge {
            at,
            number: number(),
        });
    }
    digits.parse().map_err(|_| HostlistError::NumberTooLarge {
        at,
        number: number(),
    })
}
