//! A sealed record as a link of the chain: what is compared, and the line that is written.

use super::error::LogFileError;
use leasehold_common::ids::{Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::log::{EventName, canonical};
use serde::Deserialize;
use serde_json::Value;

/// One record of a commit.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) seq: Seq,
    pub(super) epoch: Epoch,
    pub(super) hash: Digest,
    /// Hash of the record before it.
    pub(super) prev: Digest,
    /// Whether it may leave out numbers: a recovery skips those that were seen elsewhere.
    pub(super) may_skip: bool,
    /// Its line, without an end.
    pub(super) text: String,
}

/// The fields of a record that make it a link.
#[derive(Deserialize)]
struct Fields {
    seq: Seq,
    epoch: Epoch,
    hash: Digest,
    prev: Digest,
    event_name: EventName,
}

/// The records of a commit, held against their own hashes and each other. A record that is wrong
/// here would be written well and refuse the whole file at the next start.
pub(super) fn links(commit: &CommitRecord) -> Result<Vec<Link>, LogFileError> {
    let unsealed = |problem: String| LogFileError::Unsealed {
        first: commit.first,
        last: commit.last,
        problem,
    };
    let links = commit
        .records
        .iter()
        .map(link)
        .collect::<Result<Vec<_>, _>>()
        .map_err(unsealed)?;
    let mut prev = commit.prev;
    let mut last: Option<Seq> = None;
    for link in &links {
        if link.prev != prev {
            let (seq, names) = (link.seq, link.prev);
            return Err(unsealed(format!(
                "record {seq} follows {names}, not {prev}"
            )));
        }
        let wanted = last.map_or(commit.first, Seq::next);
        if link.seq != wanted && !(link.may_skip && link.seq > wanted) {
            let found = link.seq;
            return Err(unsealed(format!(
                "record {found} stands where {wanted} should"
            )));
        }
        (prev, last) = (link.hash, Some(link.seq));
    }
    if last != Some(commit.last) || prev != commit.hash {
        return Err(unsealed(format!("it ends with {last:?} and {prev}")));
    }
    Ok(links)
}

fn link(record: &Value) -> Result<Link, String> {
    let Fields {
        seq,
        epoch,
        hash,
        prev,
        event_name,
    } = Fields::deserialize(record).map_err(|e| e.to_string())?;
    let text = canonical(record);
    // What was hashed is the line without its own hash. No other field can hold the same hash, so
    // the text is found once; `line` and `prev` sort after it, so a comma follows.
    let body = text.replacen(&format!("\"hash\":\"{hash}\","), "", 1);
    let computed = Digest::chained(prev, body.as_bytes());
    if computed != hash {
        return Err(format!(
            "record {seq} has hash {hash}, computed is {computed}"
        ));
    }
    Ok(Link {
        seq,
        epoch,
        hash,
        prev,
        may_skip: event_name == EventName::LedgerRecovered,
        text,
    })
}
