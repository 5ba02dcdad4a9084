//! The state of a node.

use crate::token::words;

words! {
    /// The states of a node. Those from `reserved` to `evicting` follow from the leases on it and
    /// are never stored: a lease of 125,000 nodes is one record, not 125,000. The others are stored
    /// in its fleet record.
    NodeState("node state") {
        /// Reports, or is listed, but not both yet.
        Registering = "registering",
        /// Listed and reporting; inventory and health are being checked.
        Verifying = "verifying",
        /// Can be let.
        Available = "available",
        /// Booked for a lease that has not begun to prepare.
        Reserved = "reserved",
        /// A grant is out and not yet acknowledged.
        Preparing = "preparing",
        /// Handed over.
        Leased = "leased",
        /// Its lease has been told to end.
        Draining = "draining",
        /// Access has ended; the agent is taking the hardware back.
        Evicting = "evicting",
        /// Being made clean.
        Sanitising = "sanitising",
        /// Being proved clean and healthy.
        Reverifying = "reverifying",
        /// A process that no lease explains is on a GPU: never placed on, never touched.
        Occupied = "occupied",
        /// Not heard of for longer than the grace.
        Unreachable = "unreachable",
        /// Heard of again; what it holds is being compared with the ledger.
        Reconciling = "reconciling",
        /// Taken out: a check failed, or its hardware or place is not what was admitted.
        Quarantined = "quarantined",
        /// Cleaning was tried and failed; only an operator moves it on.
        SanitiseFailed = "sanitise-failed",
        /// With the repair crew.
        Repair = "repair",
        /// Gone for good.
        Retired = "retired",
    }
}
