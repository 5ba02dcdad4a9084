//! The cell as a whole, as people see it.

use crate::ids::{CellName, Epoch, NodeName, Seq};
use crate::lease::{Digest, LeaseState};
use crate::node::NodeState;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `GET /v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// `v1`.
    pub api: String,
    /// The daemon's version.
    pub build: String,
    /// What it can do beyond the first version of this API.
    pub features: Vec<String>,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The cell.
    pub cell: CellName,
    /// The host that answers.
    pub host: String,
    /// The host that leads; absent while nobody does.
    pub leader: Option<String>,
    /// Whether this host leads.
    pub leading: bool,
    /// What an operator must know first: frozen, brake, old store, simulated hardware.
    pub alerts: Vec<String>,
    /// Why nothing is decided; absent where decisions are made.
    pub frozen: Option<String>,
    /// Whether automatic consequences of lost nodes are held back.
    pub brake: bool,
    /// What the ledger is kept in, in words.
    pub store: String,
    /// The ledger's epoch.
    pub epoch: Epoch,
    /// The last committed record.
    pub seq: Seq,
    /// Hash of that record.
    pub log_hash: Digest,
    /// Ledger time of the last commit.
    pub now: Timestamp,
    /// Nodes by state.
    pub nodes: BTreeMap<NodeState, u64>,
    /// All nodes.
    pub node_count: u64,
    /// Nodes whose agents have been heard of lately.
    pub nodes_live: u64,
    /// GPUs admitted.
    pub gpus: u64,
    /// GPUs that could be let now.
    pub gpus_free: u64,
    /// GPUs that leases hold now.
    pub gpus_leased: u64,
    /// Power all GPUs draw, whole watts, as last reported.
    pub power_watts: u64,
    /// The envelopes of all leases that hold hardware now, whole watts.
    pub envelope_watts: u64,
    /// Leases by state; those that are over are not counted.
    pub leases: BTreeMap<LeaseState, u64>,
    /// Leases that wait, by primary reason.
    pub pending: BTreeMap<String, u64>,
}

/// `POST /v1/ledger/recover`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What `ledger recover` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoverReport {
    /// Whether nothing was changed because only the differences were asked for.
    pub dry_run: bool,
    /// The epoch before.
    pub epoch_before: Epoch,
    /// The epoch after.
    pub epoch: Epoch,
    /// The last record the restored store had.
    pub store_seq: Seq,
    /// The last record this host's log has.
    pub log_seq: Seq,
    /// The record that closes the recovery.
    pub seq: Seq,
    /// Ledger records brought back from the log, by key.
    pub restored: Vec<String>,
    /// Nodes that serve a lease which neither the store nor the log knows; they are quarantined.
    pub unknown_leases: Vec<NodeName>,
    /// Differences in words.
    pub differences: Vec<String>,
}
