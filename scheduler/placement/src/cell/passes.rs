//! When hardware is made clean after each lease, where policy says how many nodes an hour can be.
//!
//! Each end of a booking is one pass of cleaning on each of its nodes, the same pass that a change of
//! sides needs. A pass begins in the hour of the end, or in the first hour after it that has room in
//! every place above the node that has a rate; the hardware is free again a turnaround after that. A
//! pass is counted from when the lease is booked until the booking is taken back, and for good once
//! the hardware has come back. A booking without an end has no pass until it gets one.
//!
//! What was booked keeps its hour, so nobody who comes later delays it. A new leader, and whoever
//! changes the rates, counts all passes again: of those that can begin in an hour the ones that
//! somebody waits for soonest, by earliest deadline first, which keeps every deadline that can be kept
//! below one place (Liu and Layland, 1973). Where the rates leave too little room, what is booked
//! behind a lease is kept and the rate is not.

use super::book_error::BookError;
use super::booking::Booking;
use super::node::Hold;
use super::{Cell, Node};
use crate::power::{Hour, Passes, UnitId};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Prefix;
use std::collections::{BTreeMap, BTreeSet};

/// The end of a lease on a node.
type End = (Timestamp, LeaseId, NodeIndex);

/// The passes below every place that has a rate.
#[derive(Debug, Clone, Default)]
pub(super) struct Washing {
    turnaround: Span,
    places: BTreeMap<UnitId, Passes>,
}

impl Washing {
    fn is_bounded(&self) -> bool {
        !self.places.is_empty()
    }
}

impl Cell {
    /// Whether there is any rate.
    pub(crate) fn is_washing(&self) -> bool {
        self.washing.is_bounded()
    }

    /// Every place with a rate, and that.
    pub(crate) fn rates(&self) -> impl Iterator<Item = (&Prefix, u32)> {
        let places = self.washing.places.iter();
        places.map(|(unit, passes)| (self.grid.prefix(*unit), passes.per_hour()))
    }

    /// When cleaning begins after each booking on each node; nothing where there is no rate.
    pub fn passes(&self) -> impl Iterator<Item = ((LeaseId, NodeIndex), Timestamp)> {
        let nodes = self.is_washing().then(|| self.in_order());
        nodes.into_iter().flatten().flat_map(|(index, node)| {
            let passes = node.holds.iter().filter(|hold| hold.holder.is_let);
            passes.filter_map(move |hold| Some(((hold.lease, index), hold.pass?)))
        })
    }

    /// The latest instant at which the pass of a lease on a node would begin that ends then and has so
    /// many nodes, whichever the others are: each hour has room for as many of them as the fullest place
    /// above this node has.
    pub(crate) fn last_pass(&self, node: NodeIndex, end: Timestamp, nodes: u32) -> Timestamp {
        let mut hour = Hour::containing(end);
        let mut left = nodes;
        loop {
            let room = self
                .places_above(node)
                .map(|passes| passes.room(hour))
                .min();
            let room = room.unwrap_or(u32::MAX);
            if room >= left {
                return end.max(hour.begins());
            }
            left -= room;
            hour = hour.next();
        }
    }

    pub(super) fn adopt_rates(&mut self, policy: &Policy) {
        let rates = &policy.sanitising_per_hour;
        let was_bounded = self.is_washing();
        let places = rates.iter().map(|(place, rate)| {
            let unit = self.grid.unit(place);
            (unit, Passes::new(*rate))
        });
        self.washing = Washing {
            places: places.collect(),
            turnaround: policy.turnaround,
        };
        if was_bounded || self.is_washing() {
            self.count_passes_again();
        }
    }

    /// Counts the passes of everything booked again, in an order that follows from what is booked and not
    /// from how it came to be. Nothing happens where there is no rate.
    pub fn recount_passes(&mut self) {
        if self.is_washing() {
            self.count_passes_again();
        }
    }

    fn count_passes_again(&mut self) {
        for passes in self.washing.places.values_mut() {
            *passes = Passes::new(passes.per_hour());
        }
        let (mut waited_for, mut others) = (Vec::new(), Vec::new());
        for (index, node) in self.in_order() {
            for hold in &node.holds {
                let Some(to) = hold.to else {
                    continue;
                };
                let end = (to, hold.lease, index);
                match self.deadline(node, hold) {
                    Some(by) if hold.holder.is_let => waited_for.push((by.max(to), end)),
                    Some(_) | None => others.push((end, hold.holder.is_let)),
                }
            }
        }
        self.index.begin_many();
        self.count_in_time(waited_for);
        others.sort_unstable();
        for ((to, lease, index), is_let) in others {
            let pass = if is_let {
                let pass = self.first_pass(index, to);
                self.count_pass(index, pass);
                pass
            } else {
                to
            };
            self.set_pass(lease, index, pass);
        }
        self.index.end_many();
    }

    /// Counts the passes that somebody waits for, each by when it must begin: hour after hour those that
    /// can begin, the most urgent first, and what can wait no longer whether there is room or not.
    fn count_in_time(&mut self, mut passes: Vec<(Timestamp, End)>) {
        passes.sort_unstable_by_key(|(_, (to, _, _))| Hour::containing(*to));
        let mut passes = passes.into_iter().peekable();
        let mut waiting: BTreeSet<(Timestamp, End)> = BTreeSet::new();
        let mut hour = Hour(0);
        while let Some(next) = passes.peek().map(|(_, (to, _, _))| Hour::containing(*to)) {
            hour = if waiting.is_empty() { next } else { hour };
            while let Some(one) = passes.next_if(|(_, (to, _, _))| Hour::containing(*to) <= hour) {
                waiting.insert(one);
            }
            self.count_in_hour(hour, &mut waiting);
            hour = hour.next();
        }
        while !waiting.is_empty() {
            self.count_in_hour(hour, &mut waiting);
            hour = hour.next();
        }
    }

    fn count_in_hour(&mut self, hour: Hour, waiting: &mut BTreeSet<(Timestamp, End)>) {
        let all = std::mem::take(waiting);
        for (by, (to, lease, index)) in all {
            let has_room = self.places_above(index).all(|place| place.room(hour) > 0);
            if has_room || Hour::containing(by) <= hour {
                let pass = to.max(hour.begins());
                self.count_pass(index, pass);
                self.set_pass(lease, index, pass);
            } else {
                waiting.insert((by, (to, lease, index)));
            }
        }
    }

    fn set_pass(&mut self, lease: LeaseId, index: NodeIndex, pass: Timestamp) {
        let node = self.node_mut(index).expect("its holds were just seen");
        for hold in node.holds.iter_mut().filter(|hold| hold.lease == lease) {
            hold.pass = Some(pass);
        }
        self.restance(index);
    }

    /// Counts a pass on each node of a booking that ends then; says when each begins that has to wait.
    ///
    /// # Errors
    /// Where that is to be asked: somebody has a node before it would be clean, or the booking would have
    /// one that is not clean yet. Nothing is counted then.
    pub(super) fn take_passes(
        &mut self,
        booking: &Booking,
        to: Option<Timestamp>,
        is_asked: bool,
    ) -> Result<BTreeMap<NodeIndex, Timestamp>, BookError> {
        let mut taken = BTreeMap::new();
        if !self.is_washing() || !booking.is_let() {
            return Ok(taken);
        }
        for index in booking.nodes.iter() {
            let pass = to.map(|to| self.first_pass(index, to));
            if is_asked && let Err(error) = self.check_clean(index, booking, to, pass) {
                for (node, pass) in taken {
                    self.uncount_pass(node, pass);
                }
                return Err(error);
            }
            if let Some(pass) = pass {
                self.count_pass(index, pass);
                taken.insert(index, pass);
            }
        }
        Ok(taken)
    }

    /// Counts the passes of a booking for another end.
    pub(super) fn move_end(
        &mut self,
        lease: LeaseId,
        to: Option<Timestamp>,
        is_asked: bool,
    ) -> Result<BTreeMap<NodeIndex, Timestamp>, BookError> {
        if !self.is_washing() {
            return Ok(BTreeMap::new());
        }
        let booking = self.bookings[&lease].booking.clone();
        self.give_passes(&booking);
        let moved = self.take_passes(&booking, to, is_asked);
        if moved.is_err() {
            for index in booking.nodes.iter() {
                self.count_pass_of(lease, index);
            }
        }
        moved
    }

    /// Takes the passes of a booking back. Its holds are as they were when those were counted.
    pub(super) fn give_passes(&mut self, booking: &Booking) {
        if !self.is_washing() || !booking.is_let() {
            return;
        }
        for index in booking.nodes.iter() {
            self.uncount_pass_of(booking.lease, index);
        }
    }

    /// Counts the passes on a node, or takes them back, as when it moves.
    pub(super) fn move_passes(&mut self, index: NodeIndex, count: bool) {
        let holds = self.node(index).map_or(&[][..], |node| &node.holds);
        let passes: Vec<_> = holds
            .iter()
            .filter(|hold| hold.holder.is_let)
            .filter_map(|hold| hold.pass)
            .collect();
        for pass in passes {
            if count {
                self.count_pass(index, pass);
            } else {
                self.uncount_pass(index, pass);
            }
        }
    }

    /// Counts the pass again that a lease has on a node.
    fn count_pass_of(&mut self, lease: LeaseId, index: NodeIndex) {
        if let Some(pass) = self.pass_of(lease, index) {
            self.count_pass(index, pass);
        }
    }

    /// Takes the pass back that a lease has on a node.
    pub(super) fn uncount_pass_of(&mut self, lease: LeaseId, index: NodeIndex) {
        if let Some(pass) = self.pass_of(lease, index) {
            self.uncount_pass(index, pass);
        }
    }

    fn pass_of(&self, lease: LeaseId, index: NodeIndex) -> Option<Timestamp> {
        let mut holds = self.holds(index);
        holds.find(|hold| hold.lease == lease)?.pass
    }

    /// By when a pass must begin for what is booked next on the hardware. Of what is on its way back nobody
    /// can say when that is.
    fn deadline(&self, node: &Node, hold: &Hold) -> Option<Timestamp> {
        let to = hold.to.filter(|_| !hold.awaiting_return)?;
        let apart = self.isolation(node.sku);
        let party = hold.party();
        let mut later = node.holds.iter().filter(|next| {
            let theirs = next.party();
            let wanted = next.wants_of(hold.slots, &hold.pieces, theirs.side == party.side);
            let meets = !wanted.is_empty() || !party.may_share_node(theirs, apart);
            // What has ended waits for nothing, least of all what was ended before its start.
            let waits = next.holder.is_let && next.lease != hold.lease && !next.awaiting_return;
            waits && next.from >= to && meets
        });
        later.next().map(|next| next.from - self.washing.turnaround)
    }

    /// Whether hardware is clean in time where a pass has to wait for its hour.
    fn check_clean(
        &self,
        index: NodeIndex,
        booking: &Booking,
        to: Option<Timestamp>,
        pass: Option<Timestamp>,
    ) -> Result<(), BookError> {
        let turnaround = self.washing.turnaround;
        let node = self.node(index).expect("booked nodes exist");
        let (party, slots) = (self.party(booking), booking.slots(index));
        let apart = self.isolation(node.sku);
        let pieces = self.pieces(index, booking)?;
        let meets = |hold: &&Hold| {
            let theirs = hold.party();
            let wanted = hold.wants_of(slots, &pieces, theirs.side == party.side);
            let other = hold.lease != booking.lease && hold.holder.is_let;
            other && (!wanted.is_empty() || !party.may_share_node(theirs, apart))
        };
        for hold in node.holds.iter().filter(meets) {
            let waits = hold.pass != hold.to && !hold.awaiting_return;
            let is_early = hold.from < booking.from
                && hold
                    .pass
                    .is_some_and(|pass| pass + turnaround > booking.from);
            let is_late = pass != to
                && to.is_some_and(|to| hold.from >= to)
                && pass.is_some_and(|pass| pass + turnaround > hold.from);
            if (waits && is_early) || is_late {
                return Err(BookError::NotClean {
                    lease: booking.lease,
                    other: hold.lease,
                    node: index,
                });
            }
        }
        Ok(())
    }

    /// When the next pass on a node can begin, from an instant on.
    fn first_pass(&self, node: NodeIndex, from: Timestamp) -> Timestamp {
        self.last_pass(node, from, 1)
    }

    fn places_above(&self, node: NodeIndex) -> impl Iterator<Item = &Passes> {
        let above = self.grid.above(self.grid.unit_of(node));
        above.filter_map(|unit| self.washing.places.get(&unit))
    }

    fn count_pass(&mut self, node: NodeIndex, pass: Timestamp) {
        for unit in self.grid.above(self.grid.unit_of(node)) {
            if let Some(passes) = self.washing.places.get_mut(&unit) {
                passes.book_over(Hour::containing(pass), 1);
            }
        }
    }

    fn uncount_pass(&mut self, node: NodeIndex, pass: Timestamp) {
        for unit in self.grid.above(self.grid.unit_of(node)) {
            if let Some(passes) = self.washing.places.get_mut(&unit) {
                passes.unbook(Hour::containing(pass), 1);
            }
        }
    }
}
