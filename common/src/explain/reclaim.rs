//! Whose leases would be taken back for a request that waits.

use crate::class::Class;
use crate::ids::LeaseId;
use crate::node_set::NodeSet;
use crate::time::{Span, Timestamp};
use crate::token::tokens;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

tokens! {
    /// What harm sets of leases are compared by, in the order in which it decides.
    HarmField {
        /// Leases of the best class that may be taken back.
        OnDemand = "on_demand",
        /// Leases of the next.
        InternalBatch = "internal_batch",
        /// All leases.
        Leases = "leases",
        /// Domains that leases are taken out of.
        DomainsBroken = "domains_broken",
        /// GPU minutes of their terms that the leases lose.
        GpuMinutesLost = "gpu_minutes_lost",
        /// The leases' numbers, so that a decision is always the same.
        LeaseIds = "lease_ids",
    }
}

/// A lease that would be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Victim {
    /// The lease.
    pub lease: LeaseId,
    /// What it was promised.
    pub class: Class,
    /// The notice that its class is given.
    pub notice: Span,
    /// When its access would end, if it were told now.
    pub ends: Timestamp,
}

/// Another set of leases that would have done, and does more harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReclaimLoser {
    /// Its leases.
    pub leases: Vec<LeaseId>,
    /// The harm it would do, in the order in which fields decide.
    #[schema(value_type = Vec<(String, i64)>)]
    pub harm: Vec<(HarmField, i64)>,
    /// The first field on which it lost.
    pub lost_by: HarmField,
}

/// The least harmful leases to take back so that a request could be placed. It is only said: nothing
/// is taken back by saying it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reclaim {
    /// From when the request could be placed, if the leases were told now.
    pub from: Timestamp,
    /// On these nodes.
    pub nodes: NodeSet,
    /// The leases.
    pub victims: Vec<Victim>,
    /// The harm of it, in the order in which fields decide.
    #[schema(value_type = Vec<(String, i64)>)]
    pub harm: Vec<(HarmField, i64)>,
    /// Up to two other sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runners_up: Vec<ReclaimLoser>,
}
