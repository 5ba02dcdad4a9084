//! Nodes: what is known of each, and how it moves from state to state.
//!
//! [`report`] holds what agents say against what was admitted, [`liveness`] decides when silence
//! means loss, [`judge`] what can be let of a node that is there, [`health`] records that and tells its
//! leases, [`flags`] and [`words`] are what operators say of it and of its GPUs.

mod condition;
mod flags;
mod health;
mod judge;
mod liveness;
mod report;
mod words;

pub(crate) use flags::{FlagChange, Flags};
pub(crate) use judge::Seen;
pub(crate) use liveness::{Brake, Presence};

use crate::power::NodeDraw;
use leasehold_common::grant::{AckRecord, AckState};
use leasehold_common::ids::LeaseId;
use leasehold_common::node::{FleetRecord, HealthReport, NodeReport, NodeState};
use std::collections::BTreeSet;

/// An admitted node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub fleet: FleetRecord,
    pub report: Option<Box<NodeReport>>,
    pub health: Option<Box<HealthReport>>,
    pub acks: Option<Box<AckRecord>>,
    pub presence: Presence,
    /// What it draws, as it counts in the sums above it.
    pub drawn: Option<NodeDraw>,
    /// Leases with hardware on it, booked ones and ones not yet returned too.
    pub leases: BTreeSet<LeaseId>,
}

/// A node that reports but was never admitted: it is shown, and waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stranger {
    pub report: Option<Box<NodeReport>>,
    pub health: Option<Box<HealthReport>>,
    pub acks: Option<Box<AckRecord>>,
    pub presence: Presence,
}

impl Node {
    /// As admitted, with what it has said so far.
    pub fn new(fleet: FleetRecord, said: Stranger) -> Self {
        let Stranger {
            report,
            health,
            acks,
            presence,
        } = said;
        Self {
            fleet,
            report,
            health,
            acks,
            presence,
            drawn: None,
            leases: BTreeSet::new(),
        }
    }

    /// Leases that its agent says it has, whatever the ledger says.
    pub fn serves(&self) -> impl Iterator<Item = LeaseId> + '_ {
        let leases = self.acks.iter().flat_map(|acks| &acks.leases);
        leases
            .filter(|(_, ack)| matches!(ack.state, AckState::Accepted | AckState::Serving))
            .map(|(id, _)| *id)
    }

    /// Whether silence can make it unreachable.
    pub const fn can_be_lost(&self) -> bool {
        match self.fleet.state {
            NodeState::Available | NodeState::Occupied | NodeState::Reconciling => true,
            // Not let anyway, or already where it belongs.
            NodeState::Registering
            | NodeState::Verifying
            | NodeState::Reserved
            | NodeState::Preparing
            | NodeState::Leased
            | NodeState::Draining
            | NodeState::Evicting
            | NodeState::Sanitising
            | NodeState::Reverifying
            | NodeState::Unreachable
            | NodeState::Quarantined
            | NodeState::SanitiseFailed
            | NodeState::Repair
            | NodeState::Retired => false,
        }
    }
}
