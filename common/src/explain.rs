//! Why a decision came out as it did: one value for the placement log, `leasectl explain` and the
//! tests.
//!
//! It counts *all* nodes by *every* rule they fail, never only the first found, and separates what
//! can never be from what waits. Words are stable: the same token stands in the log, on the command
//! line and as a metric's label.

mod reclaim;

pub use reclaim::{HarmField, Reclaim, ReclaimLoser, Victim};

use crate::class::Side;
use crate::ids::{LeaseId, MaintenanceId, NodeIndex, SkuName};
use crate::lease::{Digest, GpuSlots, Slices};
use crate::node_set::NodeSet;
use crate::time::Timestamp;
use crate::token::{tokens, words};
use crate::topology::Prefix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

words! {
    /// What was decided.
    Outcome("outcome") {
        /// Hardware is booked.
        Placed = "placed",
        /// Not now; it waits.
        Wait = "wait",
        /// Not on this cell, whatever ends or is freed.
        Never = "never",
    }
}

tokens! {
    /// Why a request is not running, ranked: what can never be, what is held, what waits.
    Reason {
        /// The request contradicts itself.
        Invalid = "Invalid",
        /// No node of that SKU is in the cell.
        NoSuchSku = "NoSuchSku",
        /// No unit of the cell could hold it even if it were empty.
        NeverFits = "NeverFits",
        /// Its start is to come.
        NotBefore = "NotBefore",
        /// The account's quota is used up.
        QuotaGpu = "QuotaGpu",
        /// A power budget above the nodes that would do is used up.
        PowerBudget = "PowerBudget",
        /// What is left is kept for the other side, or this side has all it may have.
        ReservationOnly = "ReservationOnly",
        /// Too few GPUs are free.
        Capacity = "Capacity",
        /// Enough GPUs are free, but not together.
        Fragmented = "Fragmented",
        /// Nodes that would do are being drained or are flagged.
        Draining = "Draining",
        /// Nodes that would do are giving hardware back.
        AwaitingCleanup = "AwaitingCleanup",
        /// Nodes that would do are not heard of, faulty or taken out.
        NodesUnavailable = "NodesUnavailable",
        /// Nodes that would do are planned for leases that wait too and go first.
        Priority = "Priority",
        /// No decision has been made yet.
        NotEvaluated = "NotEvaluated",
    }
}

tokens! {
    /// Hard rules a node can fail.
    Filter {
        /// Its state lets nobody on it.
        NodeState = "NodeState",
        /// A flag keeps new leases away.
        Flagged = "Flagged",
        /// Its agent has not been heard of lately.
        Silent = "Silent",
        /// It is of another SKU.
        OtherSku = "OtherSku",
        /// It stands somewhere else than where everything is asked for.
        OtherPlace = "OtherPlace",
        /// It is kept for other work.
        Owner = "Owner",
        /// It serves, or is booked for, the other side at that time.
        OtherSide = "OtherSide",
        /// It serves, or is booked for, another account at that time.
        OtherAccount = "OtherAccount",
        /// Too few of its GPUs are free at some instant of that time.
        GpusTaken = "GpusTaken",
        /// Too few of its GPUs are healthy.
        GpusUnhealthy = "GpusUnhealthy",
        /// A lease on it has ended and its hardware is not back yet.
        AwaitingReturn = "AwaitingReturn",
        /// Too little of its CPU or memory is free at some instant of that time.
        HostTaken = "HostTaken",
        /// A power budget above it would be exceeded at some instant of that time.
        PowerBudget = "PowerBudget",
        /// It is kept for the other side, or this side has all it may have.
        Reserved = "Reserved",
        /// Only whole units are asked for, and another node of its unit cannot be had.
        UnitBroken = "UnitBroken",
    }
}

tokens! {
    /// What runs out.
    Dimension {
        /// Nodes that fit, over the whole cell.
        Nodes = "nodes",
        /// Nodes that fit, inside one unit of the locality asked for.
        Unit = "unit",
        /// Watts, under the budget that is shortest.
        Watts = "watts",
        /// GPUs, on the node that has the most free.
        Gpus = "gpus",
        /// Memory slices, on the node that has the most free.
        MemorySlices = "memory_slices",
        /// Thousandths of a hardware thread, on the node where the fewest are missing.
        CpuMilli = "cpu_milli",
        /// Memory in MiB, on the node where the least is missing.
        MemoryMib = "memory_mib",
        /// Nodes that a floor keeps for the other side, or a ceiling from this one.
        KeptNodes = "kept_nodes",
        /// Whole domains that a floor or a ceiling keeps.
        KeptDomains = "kept_domains",
        /// GPUs that are more than the account's quota leaves.
        QuotaGpus = "quota_gpus",
    }
}

tokens! {
    /// What placements are compared by, in the order in which it decides.
    ScoreField {
        /// Nodes that would change sides.
        SideChanges = "side_changes",
        /// Domains that are whole before and not after.
        DomainsBroken = "domains_broken",
        /// GPUs that would be partitioned for it; slices alone have it.
        GpusCarved = "gpus_carved",
        /// Memory slices left free on the GPUs it uses; slices alone have it.
        SlicesLeft = "slices_left",
        /// GPUs left free on the nodes it uses.
        GpusStranded = "gpus_stranded",
        /// Free nodes left over in the unit it goes to.
        UnitLeft = "unit_left",
        /// Minutes wasted before the next booking, where there is one.
        IdleBefore = "idle_before",
        /// The first node's number, so that a decision is always the same.
        NodeIndex = "node_index",
    }
}

/// A placement that could have been, and what it scored. Lower is better, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// The unit it stands in.
    pub unit: Prefix,
    /// Its nodes.
    pub nodes: NodeSet,
    /// Which GPUs, where it takes only some of a node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub gpus: BTreeMap<NodeIndex, GpuSlots>,
    /// Which slices, where it takes slices of GPUs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<crate::lease::Slice>>)]
    pub slices: Slices,
    /// Those of its nodes that are kept as spares.
    #[serde(default, skip_serializing_if = "NodeSet::is_empty")]
    pub spares: NodeSet,
    /// Its score, in the order in which fields decide.
    #[schema(value_type = Vec<(String, i64)>)]
    pub score: Vec<(ScoreField, i64)>,
    /// The first field on which it lost to the winner; absent for the winner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_by: Option<ScoreField>,
}

/// One reason, with how much it weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RankedReason {
    /// The word.
    pub reason: Reason,
    /// Nodes it concerns, of those that would otherwise do; 0 where it concerns none in particular.
    pub nodes: u32,
    /// In words, with the numbers.
    pub detail: String,
}

/// Something that, if it happened, would let the request go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Unblock {
    /// A lease ends.
    LeaseEnds {
        /// The lease.
        lease: LeaseId,
        /// When it will, as booked.
        at: Timestamp,
    },
    /// A lease that waits too and goes first has been and is over.
    LeaseGoesFirst {
        /// The lease.
        lease: LeaseId,
        /// When it will be over, as planned.
        at: Timestamp,
    },
    /// A maintenance is over.
    MaintenanceEnds {
        /// The maintenance.
        maintenance: MaintenanceId,
        /// When it will be, as booked.
        at: Timestamp,
    },
    /// Nodes give back the hardware of leases that have ended.
    NodesReturn {
        /// How many.
        nodes: u32,
    },
    /// Nodes come back or are repaired.
    NodesRecover {
        /// How many.
        nodes: u32,
    },
    /// Flags are taken from nodes that would do.
    NodesUndrained {
        /// How many.
        nodes: u32,
        /// When the clock takes the first of those flags away; absent where only somebody does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// A power budget is raised.
    PowerFreed {
        /// Below this place.
        unit: Prefix,
        /// Watts missing.
        watts: u64,
    },
    /// A floor of the other side is lowered, or leases give back what it counts.
    FloorLowered {
        /// The side it keeps hardware for.
        side: Side,
        /// Of this SKU.
        sku: SkuName,
        /// Nodes missing, where it is of nodes.
        #[serde(default, skip_serializing_if = "is_none_of")]
        nodes: u32,
        /// Domains missing, where it is of domains.
        #[serde(default, skip_serializing_if = "is_none_of")]
        domains: u32,
    },
    /// A ceiling of this side is raised, or its leases give back what it counts.
    CeilingRaised {
        /// The side it bounds.
        side: Side,
        /// For this SKU.
        sku: SkuName,
        /// Nodes missing, where it is of nodes.
        #[serde(default, skip_serializing_if = "is_none_of")]
        nodes: u32,
        /// Domains missing, where it is of domains.
        #[serde(default, skip_serializing_if = "is_none_of")]
        domains: u32,
    },
    /// The request asks for a lower power cap for each GPU.
    LowerCap {
        /// The highest cap that would fit now, in watts.
        gpu_cap_watts: u32,
    },
    /// The account's quota is raised, or its other leases end.
    QuotaFreed {
        /// GPUs missing.
        gpus: u64,
    },
    /// Something that a later version knows of.
    #[serde(other)]
    Unknown,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_none_of(amount: &u32) -> bool {
    *amount == 0
}

/// Why a decision came out as it did.
#[must_use = "an unread explanation explains nothing"]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// What was decided.
    pub outcome: Outcome,
    /// Nodes of the cell that were looked at: all of them.
    pub evaluated: u32,
    /// Nodes that pass every rule.
    pub fit: u32,
    /// Nodes that fail each rule; a node that fails several is counted by each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, u32>)]
    pub filtered: BTreeMap<Filter, u32>,
    /// What runs out of all that a request needs, and by how much.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, u32>)]
    pub exhausted: BTreeMap<Dimension, u32>,
    /// The placement chosen; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<Candidate>,
    /// Up to three placements that lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runners_up: Vec<Candidate>,
    /// Why not, the primary reason first; empty where it is placed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<RankedReason>,
    /// When it could start if nothing but time went on; absent where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Timestamp>,
    /// What would let it go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unblocked_by: Vec<Unblock>,
    /// What would be taken back for it; absent where nothing may be, where it would not help, or
    /// where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim: Option<Reclaim>,
    /// The policy it was decided by; absent before there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
}

impl Explanation {
    /// The primary reason; absent where it is placed.
    pub fn reason(&self) -> Option<&Reason> {
        self.reasons.first().map(|r| &r.reason)
    }

    /// Whether a change from `before` is worth a new record in the log: the outcome, the primary
    /// reason or the earliest start is another.
    pub fn differs_from(&self, before: &Self) -> bool {
        self.outcome != before.outcome
            || self.reason() != before.reason()
            || self.earliest != before.earliest
    }
}
