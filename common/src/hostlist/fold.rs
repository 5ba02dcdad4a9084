//! From names to notation.
//!
//! Names of one *template* (the same text around their numbers) are rows of numeric columns.
//! Columns are folded from the last to the first: rows that agree in everything but the column at
//! hand become one row with a bracket there. What comes out is a set of disjoint products.
//!
//! ```text
//! r1n1 r1n2 r2n1 r2n2 r3n1   ─►  r1n[1-2] r2n[1-2] r3n1   ─►  r[1-2]n[1-2],r3n1
//! ```

use super::natural::compare_numbers;
use super::natural_order;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Writes a set of names as a hostlist, in natural order and without duplicates; empty names are
/// left out. The names have to consist of the characters of host names (letters, digits, `.`, `_`
/// and `-`): anything else is written as it is and may not expand again.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    names.sort_unstable_by(|a, b| natural_order(a, b));
    names.dedup();

    let mut templates: BTreeMap<Vec<&str>, Vec<Row<'a>>> = BTreeMap::new();
    for (rank, name) in names.iter().enumerate() {
        let (text, columns) = split(name);
        let row = Row { rank, columns };
        match templates.get_mut(&text) {
            Some(rows) => rows.push(row),
            None => drop(templates.insert(text, vec![row])),
        }
    }
    let mut patterns: Vec<(usize, String)> = Vec::new();
    for (text, mut rows) in templates {
        for column in (0..text.len() - 1).rev() {
            rows = fold_column(rows, column);
        }
        patterns.extend(rows.iter().map(|row| (row.rank, row.written(&text))));
    }
    patterns.sort_unstable();
    let patterns: Vec<String> = patterns.into_iter().map(|(_, pattern)| pattern).collect();
    patterns.join(",")
}

/// A name, or several that were folded: a number or a bracket in each column.
struct Row<'a> {
    /// The position of the row's first name in the sorted list; rows are written in this order.
    rank: usize,
    columns: Vec<Cow<'a, str>>,
}

impl Row<'_> {
    fn written(&self, text: &[&str]) -> String {
        let mut pattern = text[0].to_owned();
        for (column, after) in self.columns.iter().zip(&text[1..]) {
            pattern.push_str(column);
            pattern.push_str(after);
        }
        pattern
    }

    fn agrees_except(&self, other: &Self, column: usize) -> bool {
        let others = self.columns.iter().zip(&other.columns).enumerate();
        others
            .filter(|(at, _)| *at != column)
            .all(|(_, (mine, theirs))| mine == theirs)
    }
}

/// Cuts a name into its text and its numbers; there is always one text more than numbers.
fn split(name: &str) -> (Vec<&str>, Vec<Cow<'_, str>>) {
    let (mut text, mut numbers) = (Vec::with_capacity(4), Vec::with_capacity(4));
    let mut rest = name;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_number) = rest.split_at(begin);
        let end = from_number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(from_number.len());
        let (number, after) = from_number.split_at(end);
        text.push(before);
        numbers.push(Cow::Borrowed(number));
        rest = after;
    }
    text.push(rest);
    (text, numbers)
}

/// Makes one row of all rows that differ in nothing but `column`.
fn fold_column<'a>(mut rows: Vec<Row<'a>>, column: usize) -> Vec<Row<'a>> {
    // A stable sort by the other columns brings together what belongs together and leaves the
    // numbers of this column ascending, as the names were. Columns to the left are compared first,
    // so rows in natural order are nearly sorted already.
    rows.sort_by(|a, b| {
        let others = a.columns.iter().zip(&b.columns).enumerate();
        others
            .filter(|(at, _)| *at != column)
            .map(|(_, (a, b))| compare_numbers(a.as_bytes(), b.as_bytes()).then_with(|| a.cmp(b)))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| a.rank.cmp(&b.rank))
    });
    rows.chunk_by(|a, b| a.agrees_except(b, column))
        .map(|group| {
            let numbers: Vec<&str> = group
                .iter()
                .map(|row| row.columns[column].as_ref())
                .collect();
            let mut columns = group[0].columns.clone();
            if numbers.len() > 1 {
                columns[column] = Cow::Owned(format!("[{}]", runs(&numbers)));
            }
            Row {
                rank: group[0].rank,
                columns,
            }
        })
        .collect()
}

/// `1 2 3 7` as `1-3,7`. A run keeps one padding, so that it can be read back only one way.
fn runs(numbers: &[&str]) -> String {
    let entries: Vec<String> = numbers
        .chunk_by(|a, b| follows(a, b))
        .map(|run| match run {
            [one] => (*one).to_owned(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        })
        .collect();
    entries.join(",")
}

/// Whether `b` is the number after `a`, padded alike. Numbers of more digits than a range may have
/// follow none.
fn follows(a: &str, b: &str) -> bool {
    let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    let alike = if padded(a) {
        a.len() == b.len()
    } else {
        !padded(b)
    };
    let next = || Some(a.parse::<u64>().ok()? + 1 == b.parse::<u64>().ok()?);
    alike && a.len() <= 18 && b.len() <= 18 && next() == Some(true)
}
