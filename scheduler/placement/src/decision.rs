//! What the engine answers.

use crate::cell::Booking;
use crate::request::Request;
use leasehold_common::explain::Explanation;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Slices};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// Where and when a lease will be. It leaves nothing to be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From this instant.
    pub start: Timestamp,
    /// Until this one, when access ends; absent for an open end.
    pub end: Option<Timestamp>,
    /// On these nodes.
    pub nodes: NodeSet,
    /// Which GPUs, on nodes of which it takes only some; a node not named here is taken whole.
    pub gpus: BTreeMap<NodeIndex, GpuSlots>,
    /// Which slices, on nodes of which it takes slices of GPUs; `gpus` names the GPUs they are on.
    pub slices: Slices,
    /// Those of its nodes that are kept as spares.
    pub spares: NodeSet,
}

impl Plan {
    /// What to book in the cell to make it so.
    pub fn booking(&self, lease: LeaseId, request: &Request) -> Booking {
        Booking {
            lease,
            account: request.account.clone(),
            class: request.class,
            from: self.start,
            to: self.end,
            nodes: self.nodes.clone(),
            gpus: self.gpus.clone(),
            slices: self.slices.clone(),
            host: request.host,
            gpu_cap_watts: request.gpu_cap_watts,
        }
    }
}

/// The answer to a request. Nothing is changed by it: book the plan, or do not.
#[must_use = "a decision that nobody carries out was not needed"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// There is room.
    Placed {
        /// Where.
        plan: Plan,
        /// Why there.
        why: Explanation,
    },
    /// Not now, but the cell could hold it.
    Wait {
        /// When it could start if nothing but time went on; absent where that is not enough.
        earliest: Option<Timestamp>,
        /// Why not now.
        why: Explanation,
    },
    /// This cell could not hold it even if it were empty and healthy.
    Never {
        /// Why not.
        why: Explanation,
    },
}

impl Decision {
    /// Why it came out so.
    pub const fn why(&self) -> &Explanation {
        match self {
            Self::Placed { why, .. } | Self::Wait { why, .. } | Self::Never { why } => why,
        }
    }

    /// Where it goes, if it does.
    pub const fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Placed { plan, .. } => Some(plan),
            Self::Wait { .. } | Self::Never { .. } => None,
        }
    }
}
