//! Flags on nodes as people see them: drain, and what takes it away.

use super::BookingView;
use crate::node::{FlagKind, NodeState, StateReason};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/nodes/drain`: no new lease on these nodes; running ones go on (Slurm's drain). Checked
/// as a whole: one bad name, and nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainNodes {
    /// The nodes, as a hostlist.
    pub nodes: String,
    /// Why, for whoever meets it, up to 256 bytes.
    pub reason: String,
    /// `no-new-leases` where absent, or `maintenance` where somebody works on them. A node may have
    /// both, each with its own reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagKind>,
    /// The clock takes it away at this instant; where absent, only somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// `POST /v1/nodes/undrain`: takes one flag away, whoever set it. Others stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndrainNodes {
    /// The nodes, as a hostlist.
    pub nodes: String,
    /// Which; `no-new-leases` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagKind>,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/nodes/resume`: takes every flag away, whoever set it, and names the nodes that are out
/// of service all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeNodes {
    /// The nodes, as a hostlist.
    pub nodes: String,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A flag on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct FlagView {
    /// Which.
    pub flag: FlagKind,
    /// Who set it (uid).
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// When the clock takes it away; absent where only somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What draining nodes, or taking flags away, did or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainReport {
    /// Whether nothing was changed, because that was asked for.
    pub dry_run: bool,
    /// The nodes whose flags changed, as a hostlist; empty where none did.
    pub changed: String,
    /// Those that were as asked for already.
    pub same: String,
    /// Flags that stay: of a drain, the same flag set by somebody else; of an undrain, whatever else
    /// keeps new leases away.
    pub kept: Vec<NodeFlag>,
    /// Leases that have begun on these nodes and go on.
    pub running: Vec<BookingView>,
    /// Bookings to come that went elsewhere; of a dry run, that could, each by itself.
    pub moved: Vec<BookingView>,
    /// Bookings to come for which nothing else is free: they do not begin before these nodes may be
    /// let again, or others are free instead.
    pub staying: Vec<BookingView>,
    /// Of a dry run: bookings to come beyond the most that are tried.
    pub untried: Vec<BookingView>,
    /// Nodes that are out of service, flags or not.
    pub out_of_service: Vec<OutOfService>,
}

/// A flag that stays, with the nodes it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeFlag {
    /// The nodes, as a hostlist.
    pub nodes: String,
    /// The flag.
    #[serde(flatten)]
    pub flag: FlagView,
}

/// Nodes that no flag keeps from being let, and their state does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutOfService {
    /// The nodes, as a hostlist.
    pub nodes: String,
    /// Their state.
    pub state: NodeState,
    /// Why they are in it.
    pub reason: StateReason,
}
