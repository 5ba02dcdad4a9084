//! A body that becomes a request, or a problem that says why not.

use axum::body::{Body, Bytes};
use futures::TryStreamExt as _;
use leasehold_common::api::{BODY_MAX_BYTES, Problem, ProblemCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How much of a body that is too large is read and thrown away, so that its sender gets to read
/// the answer: one whose connection is closed while it still writes sees a broken pipe instead.
const DISCARDED_MAX_BYTES: usize = 16 * BODY_MAX_BYTES;

/// Reads the whole body, up to the largest one that is taken.
pub(super) async fn collect(body: Body) -> Result<Bytes, Problem> {
    let mut pieces = body.into_data_stream();
    let mut whole = Vec::new();
    let mut size = 0_usize;
    while let Some(piece) = pieces
        .try_next()
        .await
        .map_err(|e| Problem::new(ProblemCode::InvalidBody, format!("the body broke off: {e}")))?
    {
        size += piece.len();
        if size <= BODY_MAX_BYTES {
            whole.extend_from_slice(&piece);
        } else if size > DISCARDED_MAX_BYTES {
            break;
        }
    }
    if size > BODY_MAX_BYTES {
        let detail = format!("the body is larger than {BODY_MAX_BYTES} bytes");
        let (is, allowed) = (
            format!("more than {BODY_MAX_BYTES} bytes"),
            format!("{BODY_MAX_BYTES} bytes or fewer"),
        );
        return Err(Problem::new(ProblemCode::BodyTooLarge, detail).about("body", is, allowed));
    }
    Ok(whole.into())
}

/// Reads a request. No body at all is an empty object: some requests need no field.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let problem = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(request) => match json.end() {
            Ok(()) => return Ok(request),
            Err(e) => malformed(&e),
        },
        Err(e) => {
            let path = e.path().to_string();
            let error = e.into_inner();
            if error.is_data() {
                wrong_field(&path, &error, body)
            } else {
                malformed(&error)
            }
        }
    };
    Err(problem)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(ProblemCode::InvalidBody, format!("not JSON: {error}"))
}

/// JSON, but not of the request's form.
fn wrong_field(path: &str, error: &serde_json::Error, body: &[u8]) -> Problem {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    let Some(value) = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|whole| at(&whole, path).cloned())
    else {
        return Problem::new(ProblemCode::InvalidBody, format!("{message}{place}"));
    };
    for absent_or_unknown in ["missing field `", "unknown field `", "duplicate field `"] {
        if let Some(name) = quoted(message, absent_or_unknown) {
            let field = join(path, name);
            let detail = format!("{message}{place}");
            return Problem {
                field: Some(field),
                allowed: expected(message).filter(|_| absent_or_unknown.starts_with("unknown")),
                ..Problem::new(ProblemCode::InvalidBody, detail)
            };
        }
    }
    if path == "." {
        return Problem::new(ProblemCode::InvalidBody, format!("{message}{place}"));
    }
    let (path, value) = innermost(path, value, message);
    let shown = match &value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let shown: String = shown.chars().take(80).collect();
    Problem::field(
        &path,
        shown,
        expected(message).unwrap_or_else(|| message.to_owned()),
    )
}

/// A tagged object is read whole before its fields are, and an error inside it names the object
/// alone. The field meant is the one that holds the value that serde complains of.
fn innermost(path: &str, value: Value, message: &str) -> (String, Value) {
    let Value::Object(fields) = &value else {
        return (path.to_owned(), value);
    };
    let complained_of = |value: &Value| match value {
        Value::String(text) => {
            message.contains(&format!("string {text:?}")) || message.contains(&format!("`{text}`"))
        }
        Value::Number(number) => message.contains(&format!("`{number}`")),
        Value::Bool(truth) => message.contains(&format!("boolean `{truth}`")),
        Value::Null => message.contains("null") || message.contains("unit"),
        Value::Array(_) => message.contains("sequence"),
        Value::Object(_) => message.contains("map"),
    };
    match fields.iter().find(|(_, value)| complained_of(value)) {
        Some((name, inner)) => (join(path, name), inner.clone()),
        None => (path.to_owned(), value),
    }
}

/// What is allowed, from serde's words or our own types'.
fn expected(message: &str) -> Option<String> {
    if let Some((_, rule)) = message.split_once(" is not valid: ") {
        return Some(rule.to_owned());
    }
    if let Some((_, kind)) = message.split_once(" is no ") {
        return Some(kind.to_owned());
    }
    let (_, expected) = message.rsplit_once(", expected ")?;
    Some(match expected {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => format!("a whole number from 0 to {}", u64::MAX),
        other if other.starts_with("internally tagged enum") => "an object".to_owned(),
        other => other.replace('`', ""),
    })
}

/// The name in backquotes after `before`.
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once('`').map(|(name, _)| name)
}

fn join(path: &str, name: &str) -> String {
    if path == "." {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        // An unknown field is part of the path already.
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The value at a path such as `nodes[3].sku`. An unknown field is named by its path as well, and is
/// there to be found.
fn at<'a>(whole: &'a Value, path: &str) -> Option<&'a Value> {
    if path == "." {
        return Some(whole);
    }
    path.split('.').try_fold(whole, |value, part| {
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        let value = if name.is_empty() {
            value
        } else {
            value.get(name)?
        };
        indices
            .split('[')
            .filter(|index| !index.is_empty())
            .try_fold(value, |value, index| {
                value.get(index.trim_end_matches(']').parse::<usize>().ok()?)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_common::api::{CreateLease, EndLease, ImportNodes};

    fn lease_with(field: &str, value: &str) -> Problem {
        let mut fields = vec![
            ("account", "\"acme\""),
            ("class", "\"on-demand\""),
            ("shape", r#"{"kind":"nodes","count":4}"#),
            ("sku", "\"h200\""),
        ];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let body = format!("{{{}}}", fields.join(","));
        parse::<CreateLease>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_bad_value_names_field_value_and_what_is_allowed() {
        let seen: Vec<String> = [
            ("account", "\"Acme Corp\""),
            ("account", "7"),
            ("class", "\"gold\""),
            ("within", "\"planet\""),
            ("for", "\"soon\""),
            ("until", "\"tomorrow\""),
            ("shape", r#"{"kind":"nodes","count":-1}"#),
            ("shape", r#"{"kind":"gpus","count":5000000000}"#),
            ("shape", r#"{"kind":"racks","count":1}"#),
            ("shape", "4"),
        ]
        .into_iter()
        .map(|(field, value)| {
            let p = lease_with(field, value);
            assert_eq!(p.code, ProblemCode::InvalidField, "{p}");
            let (field, value) = (p.field.unwrap(), p.value.unwrap());
            format!("{field} = {value} | {}", p.allowed.unwrap())
        })
        .collect();
        insta::assert_snapshot!(seen.join("\n"));
    }

    #[test]
    fn a_body_of_another_form_names_the_field_or_the_place() {
        let unknown = lease_with("colour", "\"red\"");
        assert_eq!(unknown.code, ProblemCode::InvalidBody);
        assert_eq!(unknown.field.as_deref(), Some("colour"));
        assert!(
            unknown
                .allowed
                .unwrap()
                .starts_with("one of account, class")
        );

        let missing = parse::<CreateLease>(b"{\"account\":\"acme\"}").unwrap_err();
        assert_eq!(missing.field.as_deref(), Some("class"));
        assert_eq!(missing.code, ProblemCode::InvalidBody);

        let twice = lease_with("name", "\"a\",\"name\":\"b\"");
        assert_eq!(twice.field.as_deref(), Some("name"), "{twice}");

        let inside = parse::<ImportNodes>(b"{\"nodes\":[{\"node\":\"a\",\"rak\":1}]}").unwrap_err();
        assert_eq!(inside.field.as_deref(), Some("nodes[0].rak"), "{inside}");

        for (body, told) in [
            ("{\n \"account\": acme}", "line 2 column 13"),
            ("[]", "at line 1"),
            ("\u{feff}{}", "line 1 column 1"),
        ] {
            let problem = parse::<CreateLease>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code, ProblemCode::InvalidBody);
            assert!(problem.detail.contains(told), "{problem}");
        }
        let more = parse::<EndLease>(b"{} {}").unwrap_err();
        assert!(
            more.detail
                .ends_with("trailing characters at line 1 column 4"),
            "{more}"
        );
    }

    #[test]
    fn no_body_is_an_empty_request() {
        assert_eq!(parse::<EndLease>(b"").unwrap(), EndLease::default());
    }
}
