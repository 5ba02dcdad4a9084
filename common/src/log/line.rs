//! A line of the log, sealed and read.

use super::{EventName, canonical};
use crate::explain::Explanation;
use crate::ids::{
    AccountName, CellName, Epoch, IdempotencyKey, LeaseId, MaintenanceId, NodeName, Seq, Term,
};
use crate::lease::{Digest, LeaseSpec};
use crate::node_set::NodeSet;
use crate::time::Timestamp;
use crate::topology::Prefix;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Who asked for what a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Uid of the caller on the control socket.
    pub uid: u32,
    /// The role that uid has.
    pub role: String,
    /// The daemon's number for the request.
    pub request_id: String,
    /// What the client called the write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// The terms it has after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<Term>,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeSet>,
    /// The number of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<u64>,
    /// The place whose power budget it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Prefix>,
    /// The maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceId>,
}

/// The rest that is said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attributes {
    /// State before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// State after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked; absent where time or a report did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
}

/// What a decision was made from, besides the cell as the log leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The request.
    pub request: LeaseSpec,
    /// The clock.
    pub now: Timestamp,
    /// The policy; absent before there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
}

/// One numbered record, before it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number.
    pub seq: Seq,
    /// The ledger's epoch.
    pub epoch: Epoch,
    /// The cell.
    pub cell: CellName,
    /// Ledger time, as nanoseconds since 1970 in decimal (OpenTelemetry's log model; a string
    /// because JSON readers cut large numbers).
    pub time_unix_nano: String,
    /// What happened.
    pub event_name: EventName,
    /// To what.
    pub subject: Subject,
    /// The rest of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// What it was decided from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// Why it came out so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Explanation>,
    /// The ledger records it leaves behind, by the end of their key; null where it removed one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub writes: BTreeMap<String, Value>,
}

impl LogRecord {
    /// Ledger time as records write it.
    pub fn nanos(at: Timestamp) -> String {
        format!("{}000000", at.unix_ms())
    }

    /// The record's ledger time; absent where the text is no number.
    pub fn at(&self) -> Option<Timestamp> {
        let nanos: i64 = self.time_unix_nano.parse().ok()?;
        Some(Timestamp::from_unix_ms(nanos / 1_000_000))
    }
}

/// A process opened the file here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The cell.
    pub cell: CellName,
    /// The host.
    pub host: String,
    /// When, by that host's clock.
    pub opened: Timestamp,
    /// The last record before.
    pub after: Seq,
    /// What was mended when the file was opened, in words: a torn last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<String>,
}

/// This file lacks records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first record that is missing.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
    /// Hash of the last missing record: what the next line is chained to.
    pub resumes_at: Digest,
    /// Why, in words.
    pub reason: String,
}

/// A line of a log file, with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// A numbered record.
    Record(Box<LogRecord>),
    /// A process opened the file.
    Segment(Segment),
    /// Records are missing.
    Gap(Gap),
}

/// A line that was read and found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub line: LogLine,
    /// Hash of the record it follows.
    pub prev: Digest,
    /// Its own hash.
    pub hash: Digest,
}

/// A line that is not what a log writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not JSON, or not of a known kind.
    #[error("does not parse: {0}")]
    Form(String),
    /// Parses, but is not spelled as a log spells it.
    #[error("is not canonical JSON: a byte was changed")]
    NotCanonical,
    /// Its hash is not that of its content.
    #[error("its hash {stands} does not fit its content and the record before it ({computed})")]
    Hash {
        /// What the line says.
        stands: Digest,
        /// What it should say.
        computed: Digest,
    },
    /// It is chained to another line than the one before it.
    #[error("it follows {names}, but the record before it has hash {before}")]
    Prev {
        /// What the line says it follows.
        names: Digest,
        /// What it follows.
        before: Digest,
    },
}

impl LogLine {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Segment(_) => "segment",
            Self::Gap(_) => "gap",
        }
    }

    /// The line as it is written after a record of hash `prev`, and its own hash.
    pub fn seal(&self, prev: Digest) -> (Value, Digest) {
        let body = match self {
            Self::Record(record) => serde_json::to_value(record),
            Self::Segment(segment) => serde_json::to_value(segment),
            Self::Gap(gap) => serde_json::to_value(gap),
        };
        let mut body = body.expect("log lines have string keys and no failing fields");
        let map = body.as_object_mut().expect("a struct becomes an object");
        map.insert("line".into(), self.kind().into());
        map.insert("prev".into(), prev.to_string().into());
        let hash = Digest::chained(prev, canonical(&body).as_bytes());
        body.as_object_mut()
            .expect("it is still an object")
            .insert("hash".into(), hash.to_string().into());
        (body, hash)
    }

    /// Reads a line and checks its spelling, its hash, and, where `before` is known, that it follows
    /// the record of that hash.
    ///
    /// # Errors
    /// Text that is no line, or one that was changed or moved.
    pub fn open(text: &str, before: Option<Digest>) -> Result<Opened, LineError> {
        let form = |e: serde_json::Error| LineError::Form(e.to_string());
        let mut value: Value = serde_json::from_str(text).map_err(form)?;
        if canonical(&value) != text {
            return Err(LineError::NotCanonical);
        }
        let map = value
            .as_object_mut()
            .ok_or(LineError::Form("not an object".into()))?;
        let stands = digest(map.remove("hash"), "hash")?;
        let names = digest(map.get("prev").cloned(), "prev")?;
        let kind = map
            .get("line")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let computed = Digest::chained(names, canonical(&value).as_bytes());
        if computed != stands {
            return Err(LineError::Hash { stands, computed });
        }
        if let Some(before) = before
            && before != names
        {
            return Err(LineError::Prev { names, before });
        }
        let line = match kind.as_str() {
            "record" => Self::Record(Box::new(serde_json::from_value(value).map_err(form)?)),
            "segment" => Self::Segment(serde_json::from_value(value).map_err(form)?),
            "gap" => Self::Gap(serde_json::from_value(value).map_err(form)?),
            other => {
                return Err(LineError::Form(format!(
                    "line {other:?} is of no known kind"
                )));
            }
        };
        Ok(Opened {
            line,
            prev: names,
            hash: stands,
        })
    }
}

fn digest(value: Option<Value>, field: &'static str) -> Result<Digest, LineError> {
    let value = value.ok_or_else(|| LineError::Form(format!("no field {field}")))?;
    serde_json::from_value(value).map_err(|e| LineError::Form(e.to_string()))
}
