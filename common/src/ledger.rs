//! The head of the ledger, and what one commit is.

use crate::ids::{Epoch, LeaseId, MaintenanceId, NodeIndex, Seq};
use crate::lease::Digest;
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The head of the ledger (`ledger/head`, written by the leader with every commit and compared by
/// every commit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Form of the record; its `min_reader` is the newest of all records in the cell.
    pub version: Version,
    /// Raised by `ledger recover`.
    pub epoch: Epoch,
    /// The last placement-log record that is committed.
    pub seq: Seq,
    /// The time of that commit. Ledger time never runs backwards.
    pub now: Timestamp,
    /// The next lease's number.
    pub next_lease: LeaseId,
    /// The next node's number.
    pub next_node: NodeIndex,
    /// The next maintenance's number. Not written before there was one, as older heads are.
    #[serde(
        default = "first_maintenance",
        skip_serializing_if = "is_first_maintenance"
    )]
    pub next_maintenance: MaintenanceId,
    /// Hash of the last record, so that a log file can be held against it.
    pub log_hash: Digest,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(LedgerHead, "ledger head");

const fn first_maintenance() -> MaintenanceId {
    MaintenanceId(1)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over by reference"
)]
fn is_first_maintenance(id: &MaintenanceId) -> bool {
    *id == first_maintenance()
}

impl LedgerHead {
    /// The head of a cell in which nothing has been decided yet.
    pub fn genesis() -> Self {
        Self {
            version: Version::CURRENT,
            epoch: Epoch(1),
            seq: Seq(0),
            now: Timestamp::EPOCH,
            next_lease: LeaseId(1),
            next_node: NodeIndex(0),
            next_maintenance: first_maintenance(),
            log_hash: Digest::ZERO,
            unknown: Unknown::default(),
        }
    }
}

/// All placement-log records of one commit (`log/<seq>`, `seq` being the last one's). Trimmed once
/// they have been on the leader's disk for an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Form of the record.
    pub version: Version,
    /// The first record's number.
    pub first: Seq,
    /// The last record's number.
    pub last: Seq,
    /// Hash of the record before the first.
    pub prev: Digest,
    /// Hash of the last record.
    pub hash: Digest,
    /// Digest of leader and batch: tells whether a commit of unknown outcome was this one.
    pub batch: Digest,
    /// The records as they stand in the log, in order.
    pub records: Vec<Value>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(CommitRecord, "commit");
