//! Flags that operators set on nodes.

use crate::time::Timestamp;
use crate::token::tokens;
use serde::{Deserialize, Serialize};

tokens! {
    /// Flags on a node, beside its state. Any of them keeps new leases away.
    FlagKind {
        /// Hands off: somebody is working on it.
        Maintenance = "maintenance",
        /// No new leases; running ones go on (Slurm's drain, Kubernetes' cordon).
        NoNewLeases = "no-new-leases",
    }
}

/// A flag on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Who set it (uid of the caller).
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// When the clock takes it away; absent where only somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
