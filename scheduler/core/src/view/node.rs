//! Nodes.

use super::gpu::ailments;
use crate::maintenance::Booker;
use crate::node::{Node, Presence};
use crate::request::flag_views;
use crate::state::State;
use leasehold_common::api::NodeView;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, LeaseState};
use leasehold_common::node::{NodeState, StateReason};
use leasehold_common::time::Timestamp;

impl State {
    /// A node's state now: its stored one, or where it is available, what follows from the leases
    /// on it.
    pub(crate) fn state_of(&self, node: &Node) -> NodeState {
        if node.fleet.state != NodeState::Available {
            return node.fleet.state;
        }
        let index = node.fleet.index;
        let states = node.leases.iter().map(|id| self.state_under(*id, index));
        states
            .min_by_key(|state| rank(*state))
            .unwrap_or(NodeState::Available)
    }

    fn state_under(&self, id: LeaseId, index: NodeIndex) -> NodeState {
        let lease = &self.leases[&id];
        match lease.state {
            LeaseState::Held | LeaseState::Scheduled => NodeState::Reserved,
            LeaseState::Preparing if lease.progress.ready.contains(index) => NodeState::Leased,
            LeaseState::Preparing => NodeState::Preparing,
            LeaseState::Active => NodeState::Leased,
            LeaseState::Draining => NodeState::Draining,
            LeaseState::Releasing | LeaseState::Settling | LeaseState::Closed => {
                NodeState::Evicting
            }
            LeaseState::Requested
            | LeaseState::Rejected
            | LeaseState::Lapsed
            | LeaseState::Cancelled
            | LeaseState::Failed => NodeState::Available,
        }
    }

    pub(crate) fn node_view(&self, node: &Node, now: Timestamp) -> NodeView {
        let fleet = &node.fleet;
        let index = fleet.index;
        let versions = node.report.as_ref().map(|report| &report.versions);
        let holds: Vec<_> = self.cell.holds(index).collect();
        let first_lease = holds
            .iter()
            .find(|hold| Booker::of(hold.lease).lease().is_some() && !self.is_tentative(hold));
        let maintenance = holds
            .iter()
            .filter_map(|hold| match Booker::of(hold.lease) {
                Booker::Lease(_) => None,
                Booker::Maintenance(id) => Some(id),
            })
            .collect();
        NodeView {
            name: fleet.name.clone(),
            index: Some(index),
            state: self.state_of(node),
            since: Some(fleet.since),
            reason: fleet.reason.clone(),
            detail: fleet.detail.clone(),
            live: node.presence == Presence::Here,
            path: Some(fleet.path.clone()),
            sku: Some(fleet.sku.clone()),
            owner: Some(fleet.owner),
            side: first_lease.map(|hold| hold.holder.class.side()),
            gpus: u32::try_from(fleet.gpus.len()).unwrap_or(u32::MAX),
            gpus_free: u32::from(self.gpus_free(node, now)),
            gpus_leased: self.gpus_held(node, now),
            power_watts: node
                .health
                .as_ref()
                .map_or(0, |health| health.power().watts()),
            node_watts: node.drawn.as_ref().map_or(0, |drawn| drawn.mw / 1000),
            power_stale: node.drawn.as_ref().is_some_and(|drawn| drawn.is_stale),
            draws: Vec::new(),
            ailments: ailments(node),
            leases: node.leases.iter().copied().collect(),
            maintenance,
            flags: flag_views(&fleet.flags, |_, _| true).collect(),
            agent: versions.map(|v| v.agent.clone()),
            driver: versions.and_then(|v| v.driver.clone()),
            trouble: node
                .health
                .as_ref()
                .and_then(|health| health.trouble.clone()),
        }
    }

    pub(crate) fn gpus_held(&self, node: &Node, now: Timestamp) -> u32 {
        let holds = self.cell.holds(node.fleet.index);
        let held = holds
            .filter(|hold| Booker::of(hold.lease).lease().is_some() && hold.has_at(now))
            .filter(|hold| !self.is_tentative(hold))
            .fold(GpuSlots::NONE, |held, hold| held.union(hold.slots));
        (0_u8..)
            .zip(&node.fleet.gpus)
            .map(|(slot, _)| u32::from(held.contains(slot)))
            .sum()
    }

    /// GPUs that nobody has and that could be let, be they planned for somebody who waits or not.
    pub(crate) fn gpus_free(&self, node: &Node, now: Timestamp) -> u8 {
        let index = node.fleet.index;
        let (Some(spec), Some(condition)) = (self.cell.spec(index), self.cell.condition(index))
        else {
            return 0;
        };
        if !condition.lets_in() {
            return 0;
        }
        let holds = self.cell.holds(index);
        let held = holds
            .filter(|hold| hold.has_at(now) && !self.is_tentative(hold))
            .fold(GpuSlots::NONE, |held, hold| held.union(hold.slots));
        let all = GpuSlots::first(spec.gpus);
        condition.healthy.common(all).minus(held).len()
    }

    /// Nodes that report and were never admitted.
    pub(crate) fn stranger_views(&self) -> impl Iterator<Item = NodeView> + '_ {
        self.strangers.iter().map(|(name, stranger)| {
            let report = stranger.report.as_ref();
            NodeView {
                name: name.clone(),
                index: None,
                state: NodeState::Registering,
                since: None,
                reason: StateReason::NotAdmitted,
                detail: "reports, but is not listed: import or admit it".into(),
                live: stranger.presence == Presence::Here,
                path: report.and_then(|r| r.path.clone()),
                sku: report.and_then(|r| r.sku.clone()),
                owner: None,
                side: None,
                gpus: report.map_or(0, |r| u32::try_from(r.gpus.len()).unwrap_or(u32::MAX)),
                gpus_free: 0,
                gpus_leased: 0,
                power_watts: stranger.health.as_ref().map_or(0, |h| h.power().watts()),
                node_watts: 0,
                power_stale: false,
                draws: Vec::new(),
                ailments: Vec::new(),
                leases: Vec::new(),
                maintenance: Vec::new(),
                flags: Vec::new(),
                agent: report.map(|r| r.versions.agent.clone()),
                driver: report.and_then(|r| r.versions.driver.clone()),
                trouble: stranger.health.as_ref().and_then(|h| h.trouble.clone()),
            }
        })
    }
}

/// Of several leases on a node, the one furthest from letting it go gives it its state.
fn rank(state: NodeState) -> u8 {
    match state {
        NodeState::Leased => 0,
        NodeState::Draining => 1,
        NodeState::Evicting => 2,
        NodeState::Preparing => 3,
        NodeState::Reserved => 4,
        NodeState::Registering
        | NodeState::Verifying
        | NodeState::Available
        | NodeState::Sanitising
        | NodeState::Reverifying
        | NodeState::Occupied
        | NodeState::Unreachable
        | NodeState::Reconciling
        | NodeState::Quarantined
        | NodeState::SanitiseFailed
        | NodeState::Repair
        | NodeState::Retired => 5,
    }
}
