//! What is the matter with a lease, beside its state.

use crate::node_set::NodeSet;
use crate::time::Timestamp;
use crate::token::tokens;
use serde::{Deserialize, Serialize};

tokens! {
    /// Kinds of condition. A condition is not a state: it comes and goes while the state stays.
    ConditionKind {
        /// A GPU of it is not healthy.
        Degraded = "Degraded",
        /// Not ready at its start.
        Delayed = "Delayed",
        /// Handed over with fewer nodes than asked.
        PartiallyDelivered = "PartiallyDelivered",
        /// Its holder has been told that it will be taken back.
        ReclaimNotified = "ReclaimNotified",
        /// Nodes of it have not been heard of.
        NodesUnreachable = "NodesUnreachable",
        /// Closed without every node's final meter reading.
        MeterGap = "MeterGap",
    }
}

/// One condition of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Condition {
    /// Since when it holds.
    pub since: Timestamp,
    /// In words.
    pub detail: String,
    /// The nodes it concerns; absent where it concerns the lease as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeSet>,
}
