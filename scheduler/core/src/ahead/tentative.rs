//! Tentative bookings: in the engine, lifted out of it for a while, and put back.

use super::Rank;
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex, SkuName};
use leasehold_common::lease::LeaseState;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use leasehold_placement::{Booking, Hold};
use std::collections::BTreeSet;

impl State {
    /// Whether what somebody has in the engine is only planned: leases that wait have nothing else.
    pub(crate) fn is_tentative(&self, hold: &Hold) -> bool {
        let lease = self.leases.get(&hold.lease);
        lease.is_some_and(|lease| lease.state == LeaseState::Requested)
    }

    /// Lifts what is planned for leases after a place in the order, of one kind of node, out of the
    /// engine: whoever has the place may have that hardware.
    pub(crate) fn lift_below(&mut self, rank: Rank, sku: &SkuName) {
        let below: Vec<LeaseId> = self
            .in_engine()
            .filter(|id| {
                let is_after = self.rank_of(*id) > rank;
                is_after && self.may_be_in_the_way(*id, sku)
            })
            .collect();
        self.lift(below);
    }

    /// Lifts what is planned for a lease that waits, and for those after it, out of the engine.
    pub(crate) fn lift_from(&mut self, id: LeaseId) {
        let lease = self.leases.get(&id);
        let Some(lease) = lease.filter(|lease| lease.state == LeaseState::Requested) else {
            return;
        };
        let sku = lease.spec.sku.clone();
        self.lift_below(self.rank_of(id), &sku);
        let own: Vec<LeaseId> = self.in_engine().filter(|planned| *planned == id).collect();
        self.lift(own);
    }

    /// Whether what is planned for a lease can keep a node of a SKU from another: nodes of its own SKU, and
    /// any where watts or hours of cleaning are shared.
    fn may_be_in_the_way(&self, id: LeaseId, sku: &SkuName) -> bool {
        self.cell.shares_across_skus() || self.leases[&id].spec.sku == *sku
    }

    /// Lifts everything that is planned on these nodes out of the engine: what is decided about
    /// leases that have hardware, and about maintenance, comes before what is only planned.
    pub(crate) fn lift_on(&mut self, nodes: &NodeSet) {
        let planned = self.plans_on(self.together(nodes.iter()));
        self.lift(planned);
    }

    /// Lifts everything that is planned on nodes of a SKU: a lease that has hardware and loses a node of
    /// it comes before those that have none.
    pub(crate) fn lift_sku(&mut self, sku: &SkuName) {
        let planned = self.in_engine();
        let of_sku: Vec<LeaseId> = planned
            .filter(|id| self.may_be_in_the_way(*id, sku))
            .collect();
        self.lift(of_sku);
    }

    /// Lifts what is planned on these nodes for leases after a place in the order; for all of them
    /// where no place is given.
    pub(super) fn lift_after(&mut self, rank: Option<Rank>, nodes: &BTreeSet<NodeIndex>) {
        let mut planned = self.plans_on(self.together(nodes.iter().copied()));
        planned.retain(|id| Some(self.rank_of(*id)) > rank);
        self.lift(planned);
    }

    /// These nodes, and those that cannot serve one side while these serve the other.
    fn together(&self, nodes: impl Iterator<Item = NodeIndex>) -> impl Iterator<Item = NodeIndex> {
        nodes.flat_map(|node| self.cell.kept_together(node))
    }

    fn plans_on(&self, nodes: impl Iterator<Item = NodeIndex>) -> BTreeSet<LeaseId> {
        let holds = nodes.flat_map(|node| self.cell.holds(node));
        holds
            .map(|hold| hold.lease)
            .filter(|id| self.ahead.planned.contains_key(id))
            .collect()
    }

    /// The leases for which something is planned that is in the engine now.
    pub(crate) fn in_engine(&self) -> impl Iterator<Item = LeaseId> + '_ {
        let planned = self.ahead.planned.iter();
        planned
            .filter(|(id, booking)| booking.is_some() && !self.ahead.lifted.contains(id))
            .map(|(id, _)| *id)
    }

    fn lift(&mut self, ids: impl IntoIterator<Item = LeaseId>) {
        for id in ids {
            self.cell.unbook(id);
            self.ahead.lifted.insert(id);
        }
    }

    /// Puts back what was lifted, in order, as far as it still goes. What does not is planned again.
    pub(crate) fn put_back(&mut self) {
        if self.ahead.lifted.is_empty() {
            return;
        }
        let mut lifted: Vec<Rank> = self
            .ahead
            .lifted
            .iter()
            .map(|id| self.rank_of(*id))
            .collect();
        lifted.sort_unstable();
        for (_, _, id) in lifted {
            self.put_back_one(id);
        }
    }

    /// Puts one back; nothing happens where it is not lifted.
    pub(super) fn put_back_one(&mut self, id: LeaseId) {
        if !self.ahead.lifted.contains(&id) {
            return;
        }
        let booking = self.ahead.planned[&id].clone();
        let booking = booking.expect("only bookings are lifted");
        match self.cell.book(booking) {
            Ok(()) => drop(self.ahead.lifted.remove(&id)),
            Err(_) => self.drop_plan(id),
        }
    }

    /// Plans hardware for a lease that has none planned.
    ///
    /// Returns whether it is free.
    pub(crate) fn keep_plan(&mut self, id: LeaseId, booking: Booking) -> bool {
        let is_free = self.cell.book(booking.clone()).is_ok();
        let kept = is_free.then_some(booking);
        self.ahead.planned.insert(id, kept);
        is_free
    }

    /// Notes that no start can be named for a lease.
    pub(crate) fn plan_nothing(&mut self, id: LeaseId) {
        self.ahead.planned.insert(id, None);
    }

    /// Takes what is planned for a lease out, for it to be decided again.
    pub(crate) fn take_plan(&mut self, id: LeaseId) -> Option<Booking> {
        let booking = self.ahead.planned.remove(&id)??;
        if !self.ahead.lifted.remove(&id) {
            self.cell.unbook(id);
        }
        Some(booking)
    }

    /// Forgets what is planned for a lease. Others may have the hardware, and if the lease still
    /// waits it is planned again.
    pub(crate) fn drop_plan(&mut self, id: LeaseId) {
        let was_planned = self.ahead.planned.contains_key(&id);
        if let Some(booking) = self.take_plan(id) {
            self.stir_nodes(booking.nodes.iter());
        }
        if was_planned {
            self.stir_new();
        }
    }

    pub(super) fn drop_plans_on(&mut self, node: NodeIndex) {
        for id in self.plans_on([node].into_iter()) {
            self.drop_plan(id);
        }
    }

    /// Forgets every plan, as a scheduler does that no longer decides. Says whether there was any.
    pub(crate) fn drop_all_plans(&mut self) -> bool {
        let planned: Vec<LeaseId> = self.in_engine().collect();
        for id in &planned {
            self.cell.unbook(*id);
        }
        self.ahead = super::Ahead::unplanned();
        !planned.is_empty()
    }

    /// Whether a plan that nothing better was found for can be kept: its nodes let leases in, and if
    /// its start has come, all that it waits for is hardware on its way back.
    pub(crate) fn can_be_kept(&self, plan: &Booking, now: Timestamp) -> bool {
        let lets_in = |node| self.cell.condition(node).is_some_and(|c| c.lets_in());
        let mut nodes = plan.nodes.iter();
        let is_late = |node| {
            let mut holds = self.cell.holds(node);
            holds.any(|hold| hold.awaiting_return)
        };
        plan.to.is_none_or(|to| to > now)
            && plan.nodes.iter().all(lets_in)
            && (plan.from > now || nodes.any(is_late))
    }

    pub(super) fn rank_of(&self, id: LeaseId) -> Rank {
        let lease = &self.leases[&id];
        (lease.spec.class, lease.created, id)
    }
}
