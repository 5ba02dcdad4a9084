//! The batch that is being decided.
//!
//! Every change of a ledger record is entered under the log record that caused it, so that the
//! committed log carries everything the commit changed: the log is a redo log.

use crate::event::{Batch, Effect};
use leasehold_common::explain::Explanation;
use leasehold_common::ids::{CellName, Epoch, Seq, Term};
use leasehold_common::keys::Key;
use leasehold_common::lease::Digest;
use leasehold_common::ledger::{CommitRecord, LedgerHead};
use leasehold_common::log::{Attributes, EventName, Inputs, LogLine, LogRecord, Subject};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Ledger records one batch may change: with the head and the log entry it stays well below the
/// store's 128 operations, and a single step that changes a few more at its end still fits.
pub const BATCH_RECORDS: usize = 96;

/// Log records one batch may have, which bounds its bytes: a record with its lease is 2 to 6 KB,
/// and the store takes 1.4 MB.
pub const BATCH_ENTRIES: usize = 96;

/// What is said in one log record, before it has a number.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// What it is about.
    pub subject: Subject,
    /// The rest that is said.
    pub attributes: Attributes,
    /// What it was decided from.
    pub inputs: Option<Inputs>,
    /// Why it came out so.
    pub why: Option<Explanation>,
}

/// Everything decided since the last batch.
#[derive(Debug, Default)]
pub struct Draft {
    entries: Vec<(EventName, Entry)>,
    dirty: BTreeMap<Key, usize>,
    /// Whether what was logged last is as large as some dozens of other records.
    is_heavy: bool,
    pub(crate) effects: Vec<Effect>,
}

impl Draft {
    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether no further event should go into this batch.
    pub fn is_full(&self) -> bool {
        self.is_heavy || self.dirty.len() >= BATCH_RECORDS || self.entries.len() >= BATCH_ENTRIES
    }

    /// How many ledger records may still be changed before it is full.
    pub fn room(&self) -> usize {
        BATCH_RECORDS.saturating_sub(self.dirty.len())
    }

    /// What was logged last is large: nothing more goes into this batch, so that one commit never
    /// has two of the kind.
    pub const fn close_after_this(&mut self) {
        self.is_heavy = true;
    }

    /// Adds a log record; its number follows those before it in the batch.
    pub fn log(&mut self, event: EventName, entry: Entry) {
        self.entries.push((event, entry));
    }

    /// The number the latest log record of this draft will have, after `head`.
    pub fn seq(&self, head: &LedgerHead) -> Seq {
        Seq(head.seq.0 + self.entries.len() as u64)
    }

    /// The latest log record brings these terms.
    pub fn brings(&mut self, term: Term) {
        if let Some((_, entry)) = self.entries.last_mut() {
            entry.subject.term = Some(term);
        }
    }

    /// Enters a ledger record as changed by the latest log record.
    ///
    /// # Panics
    /// Where nothing was logged: no ledger record changes without a word in the log.
    pub fn changed(&mut self, key: Key) {
        let cause = self
            .entries
            .len()
            .checked_sub(1)
            .expect("a change follows its log record");
        self.dirty.insert(key, cause);
    }

    /// Closes the batch. `value` gives a ledger record as it is stored now, `None` where it is gone.
    pub fn close(
        self,
        cell: &CellName,
        mut head: LedgerHead,
        now: Timestamp,
        value: impl Fn(&Key) -> Option<Value>,
    ) -> (Batch, Vec<Effect>) {
        let mut writes: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new(); self.entries.len()];
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for (key, cause) in self.dirty {
            let stored = value(&key);
            writes[cause].insert(key.to_string(), stored.clone().unwrap_or(Value::Null));
            match stored {
                Some(stored) => {
                    let bytes = serde_json::to_vec(&stored).expect("a JSON value is writable");
                    puts.push((key, bytes));
                }
                None => deletes.push(key),
            }
        }
        let (first, prev) = (head.seq.next(), head.log_hash);
        let mut records = Vec::with_capacity(self.entries.len());
        for ((event_name, entry), writes) in self.entries.into_iter().zip(writes) {
            head.seq = head.seq.next();
            let record = record(cell, head.epoch, head.seq, now, event_name, entry, writes);
            let (line, hash) = LogLine::Record(Box::new(record)).seal(head.log_hash);
            head.log_hash = hash;
            records.push(line);
        }
        head.now = now;
        let commit = CommitRecord {
            version: Version::CURRENT,
            first,
            last: head.seq,
            prev,
            hash: head.log_hash,
            batch: Digest::chained(prev, head.log_hash.to_string().as_bytes()),
            records,
            unknown: Unknown::default(),
        };
        (
            Batch {
                head,
                commit,
                puts,
                deletes,
            },
            self.effects,
        )
    }
}

fn record(
    cell: &CellName,
    epoch: Epoch,
    seq: Seq,
    now: Timestamp,
    event_name: EventName,
    entry: Entry,
    writes: BTreeMap<String, Value>,
) -> LogRecord {
    LogRecord {
        seq,
        epoch,
        cell: cell.clone(),
        time_unix_nano: LogRecord::nanos(now),
        event_name,
        subject: entry.subject,
        attributes: entry.attributes,
        inputs: entry.inputs,
        why: entry.why,
        writes,
    }
}
