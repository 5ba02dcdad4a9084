//! What must never be, read off what is stored and what is served.
//!
//! The checker keeps its own picture of the ledger, from the bytes in the store and the redo log in
//! the commits, and shares no code with the state or the packing engine. [`ledger`] follows every
//! commit, [`overlap`] looks for hardware that is given twice, [`unfit`] for GPUs that are given although
//! their agents say that they cannot be let.

mod drained;
mod ledger;
mod overlap;
mod unfit;

pub use ledger::Ledger;
pub use unfit::{Delivered, nobody_gets_them};

use crate::inventory::TOLERANCE;
use crate::store::Store;
use leasehold_common::ids::{LeaseId, NodeName};
use leasehold_common::keys::Key;
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::node::FleetRecord;
use leasehold_common::record;
use leasehold_common::time::Timestamp;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which, as it should be.
    pub invariant: &'static str,
    /// What is.
    pub facts: String,
}

impl Broken {
    /// This one, with the facts.
    pub const fn new(invariant: &'static str, facts: String) -> Self {
        Self { invariant, facts }
    }
}

/// A node has just ended a lease: the ledger must have ended it too, or its time is over.
pub fn not_ended_early(
    store: &Store,
    node: &NodeName,
    lease: LeaseId,
    clock: Timestamp,
) -> Result<(), Broken> {
    let Some(stored) = store.get(&Key::Lease(lease)) else {
        // Trimmed, or lost in a restore: nothing to hold it against.
        return Ok(());
    };
    let record: LeaseRecord = record::decode(&stored.value).expect("leaders write leases");
    let runs = matches!(
        record.state,
        LeaseState::Preparing | LeaseState::Active | LeaseState::Draining
    );
    let is_due = record
        .access_end
        .is_some_and(|end| end <= clock + TOLERANCE);
    if runs && !is_due && has_node(store, &record, node) {
        let (state, end) = (record.state, record.access_end);
        return Err(Broken::new(
            "no lease is ended early",
            format!("{node} ended lease {lease} at {clock}; it is {state} until {end:?}"),
        ));
    }
    Ok(())
}

/// Whether the lease still has the node: what it has given up ends there, and goes on elsewhere.
fn has_node(store: &Store, lease: &LeaseRecord, node: &NodeName) -> bool {
    let Some(stored) = store.get(&Key::Fleet(node.clone())) else {
        return true;
    };
    let fleet: FleetRecord = record::decode(&stored.value).expect("leaders write nodes");
    lease.nodes().any(|its| its == fleet.index)
}
