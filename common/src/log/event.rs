//! What can happen.

use crate::token::tokens;

tokens! {
    /// Kinds of record.
    EventName {
        /// A lease changed its state.
        LeaseState = "lease.state",
        /// A lease's terms changed.
        LeaseTerms = "lease.terms",
        /// A lease gave up some of its nodes by request and goes on with the others.
        LeaseShrunk = "lease.shrunk",
        /// Another node took the place of one of a lease's nodes.
        LeaseNodeReplaced = "lease.node-replaced",
        /// A condition of a lease came or went.
        LeaseCondition = "lease.condition",
        /// Hardware was given to a request.
        PlacementDecided = "placement.decided",
        /// A request waits; logged again only when why or until when changes.
        PlacementWaits = "placement.waits",
        /// A request can never be placed.
        PlacementRefused = "placement.refused",
        /// Agents said how far they are with a lease.
        LeaseProgress = "lease.progress",
        /// A node was admitted, moved or taken out.
        NodeAdmitted = "node.admitted",
        /// A node changed its stored state.
        NodeState = "node.state",
        /// Nodes fell silent, or were heard of again.
        NodeLiveness = "node.liveness",
        /// Health of a node's GPUs changed what can be let of it.
        NodeHealth = "node.health",
        /// An operator has said something of GPUs of a node: acknowledged, overridden, withdrawn.
        GpuWord = "gpu.word",
        /// Nodes were flagged: no new lease begins on them.
        NodeFlagged = "node.flagged",
        /// Flags were taken from nodes, by somebody or by the clock.
        NodeUnflagged = "node.unflagged",
        /// An account was created or changed.
        AccountChanged = "account.changed",
        /// A new policy was set; what it writes is the whole of it.
        PolicySet = "policy.set",
        /// An earlier policy was set again under a new number.
        PolicyRolledBack = "policy.rolled-back",
        /// The power budget of a place was set.
        PowerBudgetSet = "power.budget-set",
        /// Nodes were booked for maintenance.
        MaintenanceBooked = "maintenance.booked",
        /// A maintenance is over, or was ended.
        MaintenanceEnded = "maintenance.ended",
        /// A new leader took over.
        LeaderElected = "leader.elected",
        /// Automatic consequences were frozen or thawed.
        BrakeChanged = "brake.changed",
        /// A report contradicted what was admitted and was dropped.
        InvalidReport = "report.invalid",
        /// The store was restored from the past and has been recovered.
        LedgerRecovered = "ledger.recovered",
    }
}
