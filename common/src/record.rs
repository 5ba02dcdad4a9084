//! How records are stored: JSON objects that outlive the version that wrote them.
//!
//! Two rules, kept in one place:
//! - A reader ignores fields it does not know, and a writer puts them back. What a record held
//!   beyond this version's fields travels in its [`Unknown`]; objects are merged key by key at any
//!   depth, arrays element by element as far as both reach (arrays in records only grow).
//! - A record carries `min_reader`. One that asks for more than [`READER`] is refused whole, and a
//!   scheduler that meets one never leads.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The newest record form this version understands.
pub const READER: u32 = 1;

/// The head that every stored record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The form this record was written in.
    pub written: u32,
    /// The oldest form a reader must understand to act on it.
    pub min_reader: u32,
}

impl Version {
    /// What this version writes.
    pub const CURRENT: Self = Self {
        written: READER,
        min_reader: 1,
    };
}

/// Fields of a record that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown(Map<String, Value>);

/// A value under one key of the store.
pub trait Record: Serialize + DeserializeOwned {
    /// What the record is, for messages: `"lease"`, `"node report"`.
    const KIND: &'static str;
    /// The record's version.
    fn version(&self) -> Version;
    /// Where the fields this version does not know are kept.
    fn unknown(&self) -> &Unknown;
    /// The same, to be filled.
    fn unknown_mut(&mut self) -> &mut Unknown;
}

/// A stored value that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, or not of the record's form.
    #[error("{kind} does not parse")]
    Form {
        /// The record's kind.
        kind: &'static str,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer version that says older ones must not act on it.
    #[error("{kind} needs a reader of form {needs}, this is {READER}")]
    TooNew {
        /// The record's kind.
        kind: &'static str,
        /// The form it asks for.
        needs: u32,
    },
}

/// Reads a record.
///
/// # Errors
/// Bytes that are not the record's form, or one that asks for a newer reader.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, RecordError> {
    let form = |source| RecordError::Form {
        kind: R::KIND,
        source,
    };
    let stored: Value = serde_json::from_slice(bytes).map_err(form)?;
    // Asked before the record itself is read: a newer form may not parse as this one.
    let needs = stored
        .pointer("/version/min_reader")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    if needs > u64::from(READER) {
        return Err(RecordError::TooNew {
            kind: R::KIND,
            needs: u32::try_from(needs).unwrap_or(u32::MAX),
        });
    }
    let mut record = R::deserialize(&stored).map_err(form)?;
    let known = serde_json::to_value(&record).map_err(form)?;
    if let (Value::Object(stored), Value::Object(known)) = (stored, known) {
        *record.unknown_mut() = Unknown(subtract_map(stored, &known));
    }
    Ok(record)
}

/// Writes a record, with the fields it was read with and does not know.
pub fn encode<R: Record>(record: &R) -> Vec<u8> {
    if record.unknown().0.is_empty() {
        return serde_json::to_vec(record).expect("records have string keys and no failing fields");
    }
    serde_json::to_vec(&value(record)).expect("a JSON value is always writable")
}

/// The record as it is stored, as a JSON value.
pub fn value<R: Record>(record: &R) -> Value {
    let mut value =
        serde_json::to_value(record).expect("records have string keys and no failing fields");
    if let Value::Object(known) = &mut value {
        merge_map(known, &record.unknown().0);
    }
    value
}

/// What `stored` has beyond `known`.
fn subtract(stored: Value, known: &Value) -> Option<Value> {
    match (stored, known) {
        (Value::Object(stored), Value::Object(known)) => {
            let rest = subtract_map(stored, known);
            (!rest.is_empty()).then_some(Value::Object(rest))
        }
        (Value::Array(stored), Value::Array(known)) => {
            let rest: Vec<Value> = stored
                .into_iter()
                .zip(known)
                .map(|(s, k)| subtract(s, k).unwrap_or(Value::Null))
                .collect();
            rest.iter()
                .any(|v| !v.is_null())
                .then_some(Value::Array(rest))
        }
        _ => None,
    }
}

fn subtract_map(stored: Map<String, Value>, known: &Map<String, Value>) -> Map<String, Value> {
    stored
        .into_iter()
        .filter_map(|(key, value)| match known.get(&key) {
            // An explicit null of an optional field is the same as its absence.
            None => (!value.is_null()).then_some((key, value)),
            Some(known) => subtract(value, known).map(|rest| (key, rest)),
        })
        .collect()
}

fn merge(known: &mut Value, unknown: &Value) {
    match (known, unknown) {
        (Value::Object(known), Value::Object(unknown)) => merge_map(known, unknown),
        (Value::Array(known), Value::Array(unknown)) => {
            known.iter_mut().zip(unknown).for_each(|(k, u)| merge(k, u));
        }
        // What this version wrote stands.
        _ => {}
    }
}

fn merge_map(known: &mut Map<String, Value>, unknown: &Map<String, Value>) {
    for (key, rest) in unknown {
        match known.get_mut(key) {
            Some(known) => merge(known, rest),
            None => {
                known.insert(key.clone(), rest.clone());
            }
        }
    }
}

/// Implements [`Record`] for a struct with fields `version: Version` and `unknown: Unknown`.
macro_rules! record {
    ($name:ident, $kind:literal) => {
        impl $crate::record::Record for $name {
            const KIND: &'static str = $kind;
            fn version(&self) -> $crate::record::Version {
                self.version
            }
            fn unknown(&self) -> &$crate::record::Unknown {
                &self.unknown
            }
            fn unknown_mut(&mut self) -> &mut $crate::record::Unknown {
                &mut self.unknown
            }
        }
    };
}

pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        a: u32,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Sample {
        version: Version,
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<Inner>,
        list: Vec<Inner>,
        #[serde(skip)]
        unknown: Unknown,
    }
    record!(Sample, "sample");

    const TOMORROW: &str = r#"{"version":{"written":7,"min_reader":1},"name":"x","colour":"red",
        "gone":{"a":1,"b":2},"list":[{"a":1,"deep":{"z":9}},{"a":2}]}"#;

    #[test]
    fn a_field_of_tomorrow_survives_a_rewrite_by_today() {
        let mut sample: Sample = decode(TOMORROW.as_bytes()).unwrap();
        sample.name = "y".into();
        sample.list.push(Inner { a: 3 });
        let back: Value = serde_json::from_slice(&encode(&sample)).unwrap();
        assert_eq!(back["name"], "y");
        assert_eq!(back["colour"], "red");
        assert_eq!(back["list"][0]["deep"]["z"], 9);
        assert_eq!(back["list"][2]["a"], 3);
        assert_eq!(back["gone"]["b"], 2);
    }

    #[test]
    fn a_known_field_that_was_cleared_stays_cleared() {
        let text =
            r#"{"version":{"written":1,"min_reader":1},"name":"x","gone":{"a":1},"list":[]}"#;
        let mut sample: Sample = decode(text.as_bytes()).unwrap();
        sample.gone = None;
        let back: Value = serde_json::from_slice(&encode(&sample)).unwrap();
        assert!(back.get("gone").is_none());
    }

    #[test]
    fn a_record_that_asks_for_a_newer_reader_is_refused_before_it_is_read() {
        let text = r#"{"version":{"written":9,"min_reader":9},"shape":"unheard of"}"#;
        let refused = decode::<Sample>(text.as_bytes()).unwrap_err();
        assert!(matches!(refused, RecordError::TooNew { needs: 9, .. }));
    }
}
