//! JSON as the scheduler sent it, laid out for people or cut into lines.
//!
//! The text is never parsed into values and written again: fields of a newer scheduler, their order
//! and the digits of large numbers all stay.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Indents a JSON text by two spaces a level.
pub fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().filter(|c| *c != '\r').peekable();
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                out.push(c);
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// One line per item of a list envelope; the whole text as one line where it is no list.
pub fn lines(json: &str) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
    }
    match serde_json::from_str::<Envelope<'_>>(json) {
        Ok(list) => list
            .items
            .into_iter()
            .map(|item| one_line(item.get()))
            .collect(),
        Err(_) => vec![one_line(json.trim())],
    }
}

/// A line break in JSON only ever stands between tokens.
fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains('\n') {
        json.replace(['\n', '\r'], "").into()
    } else {
        json.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        r#"{"apiVersion":"v1","items":[{"id":2,"text":"a \"b\": {,}\\"},{}],"no":[]}"#;

    #[test]
    fn indenting_keeps_order_and_strings() {
        insta::assert_snapshot!(indented(LIST), @r#"
        {
          "apiVersion": "v1",
          "items": [
            {
              "id": 2,
              "text": "a \"b\": {,}\\"
            },
            {}
          ],
          "no": []
        }
        "#);
        assert_eq!(indented(&indented(LIST)), indented(LIST));
    }

    #[test]
    fn a_list_becomes_a_line_per_item_and_anything_else_one_line() {
        assert_eq!(lines(LIST), [r#"{"id":2,"text":"a \"b\": {,}\\"}"#, "{}"]);
        assert_eq!(lines("{\n \"a\": 1}\n"), ["{ \"a\": 1}"]);
    }
}
