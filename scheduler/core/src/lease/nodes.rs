//! Leases whose nodes change while they go on.
//!
//! A lease that gives a node up has a new segment without it, and new terms. The node is told to end
//! it, and its hardware stays booked until it is back: under a number of its own, for the engine
//! knows a lease only as a whole. Where no node has heard of the lease yet, nothing has to come back.
//!
//! One that gives up GPUs or slices of a node it keeps does the same: they stay booked under that number
//! until the node says that it follows terms without them.

use crate::draft::Entry;
use crate::event::Effect;
use crate::maintenance::leaving;
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, LeaseRecord, Segment, SegmentReason, Slices};
use leasehold_common::log::EventName;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliWatts;
use leasehold_placement::Booking;
use std::collections::BTreeMap;

/// What a lease has from now on.
#[derive(Debug, Clone)]
pub(crate) struct Having {
    pub nodes: NodeSet,
    pub gpus: BTreeMap<NodeIndex, GpuSlots>,
    pub slices: Slices,
    pub spares: NodeSet,
    /// A node that took another's place, and that other.
    pub stands_for: Option<(NodeIndex, NodeIndex)>,
    pub reason: SegmentReason,
}

impl State {
    /// Gives a lease other nodes from now on, by new terms that say so.
    ///
    /// # Panics
    /// Where the nodes that come are not free: every caller has planned them on this very state.
    pub(crate) fn change_nodes(
        &mut self,
        id: LeaseId,
        having: Having,
        event: EventName,
        mut entry: Entry,
        now: Timestamp,
    ) {
        let before = self.leases[&id].clone();
        let booked = self.cell.as_booked(id);
        self.unbook(&before);
        let envelope = self.envelope_of(&before, &having.nodes, &having.gpus, &having.slices);
        let lease = self.leases.get_mut(&id).expect("it was there above");
        let last = lease.placement.last_mut().expect("it has hardware");
        let gone = last.nodes.minus(&having.nodes);
        let come = having.nodes.minus(&last.nodes);
        let from = last.from.max(now);
        last.to = Some(from);
        let mut stands_for = last.stands_for.clone();
        if let Some((new, old)) = having.stands_for {
            let place = stands_for.get(&old).copied().unwrap_or(old);
            stands_for.insert(new, place);
        }
        stands_for.retain(|new, _| having.nodes.contains(*new));
        let was_told = lease.state.has_grants();
        let gives_parts_up = last.nodes.iter().any(|node| {
            having.nodes.contains(node)
                && (last.gpus.get(&node) != having.gpus.get(&node)
                    || last.slices.get(&node) != having.slices.get(&node))
        });
        if was_told && gives_parts_up {
            let at = u32::try_from(lease.placement.len() - 1).unwrap_or(u32::MAX);
            lease.progress.shedding.get_or_insert(at);
        }
        for node in gone.iter() {
            lease.progress.ready.remove(node);
            if !was_told {
                // It has never heard of the lease.
                lease.progress.returned.insert(node);
            }
        }
        for node in come.iter() {
            lease.progress.returned.remove(node);
        }
        lease.placement.push(Segment {
            from,
            to: lease.access_end,
            nodes: having.nodes,
            gpus: having.gpus,
            slices: having.slices,
            spares: having.spares,
            stands_for,
            envelope_mw: envelope,
            reason: having.reason,
        });
        let lease = lease.clone();
        self.book_instead(&lease, booked.as_ref())
            .expect("the plan was made on this state");
        entry.subject.nodes = Some(gone.clone());
        self.log_lease(id, event, entry);
        self.renew_term(id);
        self.reindex_lease(id);
        if was_told {
            self.regrant(id);
            come.iter().for_each(|node| self.want_judgement(node));
        }
        self.draft.effects.extend(gone.iter().map(Effect::Grants));
        self.refresh_unreachable(id, now);
        self.refresh_degraded(id, now);
        self.stir_lease(&before);
        self.progressed.insert(id);
    }

    /// The watts a lease may draw on these nodes.
    pub(crate) fn envelope_of(
        &self,
        lease: &LeaseRecord,
        nodes: &NodeSet,
        gpus: &BTreeMap<NodeIndex, GpuSlots>,
        slices: &Slices,
    ) -> MilliWatts {
        let sku = self.settings.skus.get(&lease.spec.sku);
        let watts = nodes.iter().filter_map(|node| {
            let sku = sku?;
            if let Some(slices) = slices.get(&node) {
                return Some(sku.envelope_slices(slices, lease.spec.gpu_cap_watts));
            }
            let taken = gpus.get(&node).map_or(sku.gpus, |slots| slots.len());
            Some(sku.envelope_capped(taken, lease.spec.gpu_cap_watts))
        });
        watts.sum()
    }

    /// Books what is on its way back from a lease that goes on without it, or did when it ended.
    pub(crate) fn book_leaving(&mut self, lease: &LeaseRecord) {
        let parts = lease.leaving();
        let (Some(last), false) = (lease.segment(), parts.is_empty()) else {
            return;
        };
        let at = last.from;
        let nodes: NodeSet = parts.keys().copied().collect();
        let (mut gpus, mut slices) = (BTreeMap::new(), Slices::new());
        for (node, left) in parts {
            gpus.extend(left.gpus.map(|slots| (node, slots)));
            if !left.slices.is_empty() {
                slices.insert(node, left.slices);
            }
        }
        let booking = Booking {
            lease: leaving(lease.id),
            account: lease.spec.account.clone(),
            class: lease.spec.class,
            from: at,
            to: Some(at),
            gpus,
            slices,
            host: lease.spec.host,
            gpu_cap_watts: lease.spec.gpu_cap_watts,
            nodes: nodes.clone(),
        };
        for node in nodes.iter() {
            if let Some(node) = self.nodes.get_mut(&node) {
                node.leases.insert(lease.id);
            }
        }
        self.cell
            .book_ended(booking, at)
            .expect("what is not back is nobody else's");
    }
}
