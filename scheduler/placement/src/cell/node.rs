//! One node: what it is, what is the matter with it, who has it when.

use super::carved::Piece;
use super::stance::{AccountId, SkuId};
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::{AccountName, LeaseId, NodeIndex, SkuName};
use leasehold_common::lease::{GpuSlots, HostShare};
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::TopologyPath;
use std::sync::Arc;

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Where it stands.
    pub path: TopologyPath,
    /// What it is sold as.
    pub sku: SkuName,
    /// How many GPUs it has, at most 16.
    pub gpus: u8,
    /// Whose work it is meant for.
    pub owner: Owner,
}

impl NodeSpec {
    /// All its GPUs.
    pub const fn slots(&self) -> GpuSlots {
        GpuSlots::first(self.gpus)
    }

    /// Whether it may serve that side at all. Spares and nodes in repair serve nobody.
    pub const fn may_serve(&self, side: Side) -> bool {
        match self.owner {
            Owner::Sellable => true,
            Owner::Internal => matches!(side, Side::Internal),
            Owner::Spare | Owner::Repair => false,
        }
    }
}

/// What is the matter with a node now, as its life cycle, its flags and its agent say. It holds for
/// bookings to come as well: what is broken today is not promised for tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeCondition {
    /// Its stored state. The states that follow from leases let leases in, because here it is the
    /// holds that say who has the node.
    pub state: NodeState,
    /// Whether any flag is on it.
    pub flagged: bool,
    /// Whether its agent has not been heard of lately.
    pub silent: bool,
    /// Its healthy GPUs.
    pub healthy: GpuSlots,
    /// The side it served last, before the holds on it now; absent before the first lease.
    pub last_side: Option<Side>,
}

impl NodeCondition {
    /// Of a node that nothing has been said about yet: it lets nobody in.
    pub const UNKNOWN: Self = Self {
        state: NodeState::Registering,
        flagged: false,
        silent: true,
        healthy: GpuSlots::NONE,
        last_side: None,
    };

    /// Whether leases may be put on it, health of single GPUs aside.
    pub const fn lets_in(&self) -> bool {
        self.state_lets_in() && !self.flagged && !self.silent
    }

    pub(crate) const fn state_lets_in(&self) -> bool {
        match self.state {
            NodeState::Available
            | NodeState::Reserved
            | NodeState::Preparing
            | NodeState::Leased
            | NodeState::Draining
            | NodeState::Evicting => true,
            NodeState::Registering
            | NodeState::Verifying
            | NodeState::Sanitising
            | NodeState::Reverifying
            | NodeState::Occupied
            | NodeState::Unreachable
            | NodeState::Reconciling
            | NodeState::Quarantined
            | NodeState::SanitiseFailed
            | NodeState::Repair
            | NodeState::Retired => false,
        }
    }

    /// Whether its state ends by itself when the hardware is clean.
    pub(crate) const fn is_being_cleaned(&self) -> bool {
        matches!(self.state, NodeState::Sanitising | NodeState::Reverifying)
    }
}

/// Who holds: the same for every node of a lease, and kept once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose lease it is.
    pub account: AccountName,
    /// What it was promised.
    pub class: Class,
    /// Whether it is let at all; a maintenance is not, and serves no side.
    pub is_let: bool,
}

/// A lease's hold on one node.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The lease.
    pub lease: LeaseId,
    /// Whose it is.
    pub holder: Arc<Holder>,
    /// That account's number.
    pub(crate) account: AccountId,
    /// The side its class serves: kept here because every decision asks for it.
    pub(crate) side: Side,
    /// From this instant.
    pub from: Timestamp,
    /// Until this one, when access ends or ended; absent for an open end.
    pub to: Option<Timestamp>,
    /// When hardware is begun to be made clean after it: at its end, or in an hour after it that has room;
    /// absent for an open end.
    pub pass: Option<Timestamp>,
    /// Which GPUs; all sixteen slots where it holds the whole node, however many that has.
    pub slots: GpuSlots,
    /// Which slices of those GPUs, where it has slices; none where it has the GPUs whole.
    pub(crate) pieces: Vec<Piece>,
    /// CPU and memory; absent for the share that goes with its GPUs.
    pub host: Option<HostShare>,
    /// Whether the lease is over and the hardware not back: it is nobody's until then.
    pub awaiting_return: bool,
}

/// As records have it: an account's number is a matter of this cell's own.
impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        let all = |hold: &Self| {
            (
                hold.lease,
                hold.from,
                hold.to,
                hold.slots,
                hold.awaiting_return,
            )
        };
        let rest = |hold: &Self| (hold.host, hold.holder.clone());
        all(self) == all(other) && rest(self) == rest(other) && self.pieces == other.pieces
    }
}

impl Eq for Hold {}

impl Hold {
    /// What a hold on a whole node has.
    pub const WHOLE: GpuSlots = GpuSlots(u16::MAX);

    /// Whether the hardware is its lease's, or not back from it, at that instant.
    pub fn has_at(&self, at: Timestamp) -> bool {
        self.from <= at && (self.awaiting_return || self.to.is_none_or(|to| at < to))
    }

    /// Whether this and a booking for `[from, to)` are of one instant, as the ledger has them: the
    /// time it takes to get the hardware back does not count. A lease that was ended before its
    /// start has no instant.
    pub(super) fn meets(&self, from: Timestamp, to: Option<Timestamp>) -> bool {
        let first = self.from.max(from);
        to.is_none_or(|to| first < to) && self.to.is_none_or(|end| first < end)
    }
}

/// A node of the cell.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) index: NodeIndex,
    pub(crate) spec: NodeSpec,
    pub(crate) sku: SkuId,
    pub(crate) condition: NodeCondition,
    /// By start, then lease.
    pub(crate) holds: Vec<Hold>,
}

impl Node {
    pub(super) const fn new(
        index: NodeIndex,
        spec: NodeSpec,
        sku: SkuId,
        condition: NodeCondition,
        holds: Vec<Hold>,
    ) -> Self {
        Self {
            index,
            spec,
            sku,
            condition,
            holds,
        }
    }

    /// How many parts of their paths both share, from the hall on.
    pub(super) fn shared_with(&self, other: &Self) -> u8 {
        let (mine, theirs) = (self.spec.path.parts(), other.spec.path.parts());
        (0..)
            .zip(mine.iter().zip(theirs))
            .find(|(_, (mine, theirs))| *mine != theirs)
            .map_or(4, |(part, _)| part)
    }

    /// When every lease on it has ended and is cleaned up after; absent where there is none, or one without an end or whose
    /// hardware is late.
    pub(super) fn tail(&self) -> Option<Timestamp> {
        let ends = self
            .holds
            .iter()
            .map(|hold| hold.pass.filter(|_| !hold.awaiting_return));
        ends.reduce(|last, end| Some(last?.max(end?)))?
    }

    /// Puts a hold in its place among the others.
    pub(super) fn add(&mut self, hold: Hold) {
        let key = (hold.from, hold.lease);
        let at = self.holds.partition_point(|h| (h.from, h.lease) < key);
        self.holds.insert(at, hold);
    }

    /// Takes the hold of a lease off.
    pub(super) fn drop_hold(&mut self, lease: LeaseId) -> Option<Hold> {
        let at = self.holds.iter().position(|h| h.lease == lease)?;
        Some(self.holds.remove(at))
    }
}
