//! When hardware is made clean after each lease, where policy says how many nodes an hour can be.
//!
//! Each end of a booking is one pass of cleaning on each of its nodes, the same pass that a change of
//! sides needs. A pass begins in the hour of the end, or in the first hour after it that has room in
//! every place above the node that has a rate; the hardware is free again a turnaround after that. A
//! pass is counted from when the lease is booked until the booking is taken back, and once the hardware
//! has come back until its hour is over. A booking without an end has no pass until it gets one.
//!
//! What was booked keeps its hour, so nobody who comes later delays it; where its end comes sooner it
//! only ever moves to an hour before. Of the nodes of one lease those come first that somebody waits for
//! soonest. A new leader, and whoever changes the rates, counts all passes again (`recount`): by earliest
//! deadline first, which keeps every deadline that can be kept below one place (Liu and Layland, 1973).
//! Where the rates leave too little room, what is booked behind a lease is kept and the rate is not.
//!
//! Of hardware that came back under another leader nothing is written down: a new one does not know which
//! hours that had, and until they are over it may give them to others as well.

use super::beside::Party;
use super::book_error::BookError;
use super::booking::Booking;
use super::carved::Piece;
use super::node::Hold;
use super::queue::Queue;
use super::{Cell, Node};
use crate::power::{Hour, Passes, UnitId, last_hour};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::GpuSlots;
use leasehold_common::policy::{Isolation, Policy};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Prefix;
use std::collections::BTreeMap;

/// When cleaning begins, node by node.
pub(super) type Begins = BTreeMap<NodeIndex, Timestamp>;

/// The passes below every place that has a rate.
#[derive(Debug, Clone, Default)]
pub(super) struct Washing {
    pub(super) turnaround: Span,
    pub(super) places: BTreeMap<UnitId, Passes>,
    /// Passes of hardware that is back, as long as their hour is not over: nothing else knows of them. By
    /// the place the node stood in.
    pub(super) back: BTreeMap<(Hour, UnitId), u32>,
}

impl Washing {
    fn is_bounded(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether these places have these rates, and no other has one.
    fn is_as(&self, rates: impl Iterator<Item = (UnitId, u32)>) -> bool {
        let mine = self.places.iter();
        mine.map(|(unit, passes)| (*unit, passes.per_hour()))
            .eq(rates)
    }
}

/// What a lease uses of a node.
pub(super) struct Used<'a> {
    pub(super) lease: LeaseId,
    pub(super) party: Party,
    pub(super) slots: GpuSlots,
    pub(super) pieces: &'a [Piece],
}

impl Used<'_> {
    /// Whether another lease is let what this one must have been cleaned of.
    fn meets(&self, other: &Hold, apart: Isolation) -> bool {
        let theirs = other.party();
        let wanted = other.wants_of(self.slots, self.pieces, theirs.side == self.party.side);
        let is_other = other.lease != self.lease && other.holder.is_let;
        is_other && (!wanted.is_empty() || !self.party.may_share_node(theirs, apart))
    }
}

/// Whether an end comes after another; absent is never.
pub(super) fn is_later(before: Option<Timestamp>, to: Option<Timestamp>) -> bool {
    before.is_some_and(|before| to.is_none_or(|to| to > before))
}

const fn not_clean(booking: &Booking, other: &Hold, node: NodeIndex) -> BookError {
    BookError::NotClean {
        lease: booking.lease,
        other: other.lease,
        node,
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
        let places: Vec<&Passes> = self.places_above(node).collect();
        let last = last_hour(&places, Hour::containing(end), nodes);
        end.max(last.begins())
    }

    /// The smallest place with a rate above a node: where that is the same, so are all others above.
    pub(crate) fn smallest_rated(&self, node: NodeIndex) -> Option<UnitId> {
        self.rated_above(node).next()
    }

    pub(super) fn adopt_rates(&mut self, policy: &Policy) {
        let rates = &policy.sanitising_per_hour;
        let places: BTreeMap<UnitId, Passes> = rates
            .iter()
            .map(|(place, rate)| (self.grid.unit(place), Passes::new(*rate)))
            .collect();
        let is_as_before = self.washing.turnaround == policy.turnaround
            && self
                .washing
                .is_as(places.iter().map(|(unit, new)| (*unit, new.per_hour())));
        if is_as_before {
            return;
        }
        let was_bounded = self.is_washing();
        self.washing.turnaround = policy.turnaround;
        self.washing.places = places;
        if was_bounded || self.is_washing() {
            self.count_passes_again();
        }
    }

    /// When cleaning begins on each node of a booking that gets another end. Where that comes sooner no
    /// pass begins later than it did, so that nobody who waits for one waits longer.
    pub(super) fn passes_until(&self, booking: &Booking, to: Option<Timestamp>) -> Begins {
        if is_later(booking.to, to) {
            self.passes_from(booking, to, &Begins::new())
        } else {
            self.passes_sooner(booking, to)
        }
    }

    /// When cleaning begins on each node of a booking that ends then, as if the passes that it has were
    /// taken back before: nodes for which an hour is kept keep that, and of the others one after the other
    /// takes the first with room.
    pub(super) fn passes_from(
        &self,
        booking: &Booking,
        to: Option<Timestamp>,
        kept: &Begins,
    ) -> Begins {
        let mut begins = Begins::new();
        let Some(to) = to.filter(|_| self.is_washing() && booking.is_let()) else {
            return begins;
        };
        let mut queue = Queue::new(self, to);
        for index in booking.nodes.iter() {
            if let Some(own) = self.pass_of(booking.lease, index) {
                queue.give(index, own);
            }
            if let Some(pass) = kept.get(&index).filter(|pass| **pass >= to) {
                queue.take(index, *pass);
                begins.insert(index, *pass);
            }
        }
        for index in self.by_deadline(booking, to) {
            begins.entry(index).or_insert_with(|| {
                let pass = queue.first(index);
                queue.take(index, pass);
                pass
            });
        }
        begins
    }

    /// One node after the other moves to the first hour with room, if that comes before its own.
    fn passes_sooner(&self, booking: &Booking, to: Option<Timestamp>) -> Begins {
        let mut begins = Begins::new();
        let Some(to) = to.filter(|_| self.is_washing() && booking.is_let()) else {
            return begins;
        };
        let mut queue = Queue::new(self, to);
        for index in self.by_deadline(booking, to) {
            let own = self.pass_of(booking.lease, index);
            let in_own_hour = own.map(|own| to.max(Hour::containing(own).begins()));
            let first = queue.first(index);
            let pass = in_own_hour.map_or(first, |own| own.min(first));
            if let Some(own) = own.filter(|own| Hour::containing(*own) > Hour::containing(pass)) {
                queue.give(index, own);
                queue.take(index, pass);
            } else if own.is_none() {
                queue.take(index, pass);
            }
            begins.insert(index, pass);
        }
        begins
    }

    /// The nodes of a booking that ends then, first those that somebody waits for soonest.
    fn by_deadline(&self, booking: &Booking, to: Timestamp) -> Vec<NodeIndex> {
        let by = |index: NodeIndex| {
            let node = self.node(index).expect("booked nodes exist");
            // What is not there yet, or no longer, is refused elsewhere.
            let pieces = self.pieces(index, booking).unwrap_or_default();
            let next = self.next_there(node, &self.used(booking, index, &pieces), to);
            let from = next.map(|next| next.from);
            (from.is_none(), from, index)
        };
        let mut nodes: Vec<_> = booking.nodes.iter().map(by).collect();
        nodes.sort_unstable();
        nodes.into_iter().map(|(_, _, index)| index).collect()
    }

    /// Counts these passes.
    pub(super) fn count_passes(&mut self, begins: &Begins) {
        for (index, pass) in begins {
            self.count_pass(*index, *pass);
        }
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

    /// Takes the pass back that a lease has on a node.
    pub(super) fn uncount_pass_of(&mut self, lease: LeaseId, index: NodeIndex) {
        if let Some(pass) = self.pass_of(lease, index) {
            self.uncount_pass(index, pass);
        }
    }

    pub(super) fn pass_of(&self, lease: LeaseId, index: NodeIndex) -> Option<Timestamp> {
        let mut holds = self.holds(index);
        holds.find(|hold| hold.lease == lease)?.pass
    }

    /// The first that waits for the hardware that is used on a node until then.
    pub(super) fn next_there<'n>(
        &self,
        node: &'n Node,
        used: &Used<'_>,
        to: Timestamp,
    ) -> Option<&'n Hold> {
        let apart = self.isolation(node.sku);
        node.holds.iter().find(|next| {
            // What has ended waits for nothing, least of all what was ended before its start.
            !next.awaiting_return && next.from >= to && used.meets(next, apart)
        })
    }

    fn used<'p>(&self, booking: &Booking, index: NodeIndex, pieces: &'p [Piece]) -> Used<'p> {
        Used {
            lease: booking.lease,
            party: self.party(booking),
            slots: booking.slots(index),
            pieces,
        }
    }

    /// Whether a booking has hardware that is clean by its start, where a pass before has to wait.
    ///
    /// # Errors
    /// It would have it before.
    pub(super) fn check_clean_before(&self, booking: &Booking) -> Result<(), BookError> {
        if !self.is_washing() || !booking.is_let() {
            return Ok(());
        }
        for index in booking.nodes.iter() {
            let node = self.node(index).expect("booked nodes exist");
            let pieces = self.pieces(index, booking)?;
            let used = self.used(booking, index, &pieces);
            let apart = self.isolation(node.sku);
            let is_late = |hold: &&Hold| {
                let waits = hold.pass != hold.to && !hold.awaiting_return;
                let is_before = hold.from < booking.from;
                let clean = hold.pass.map(|pass| pass + self.washing.turnaround);
                waits && is_before && clean.is_some_and(|clean| clean > booking.from)
            };
            let mut holds = node.holds.iter().filter(is_late);
            if let Some(other) = holds.find(|hold| used.meets(hold, apart)) {
                return Err(not_clean(booking, other, index));
            }
        }
        Ok(())
    }

    /// Whether whoever has hardware after a booking that ends then has it clean, where its pass has to
    /// wait.
    ///
    /// # Errors
    /// Somebody would have it before.
    pub(super) fn check_clean_after(
        &self,
        booking: &Booking,
        to: Option<Timestamp>,
        begins: &Begins,
    ) -> Result<(), BookError> {
        let late = begins.iter().filter(|(_, pass)| Some(**pass) != to);
        for (index, pass) in late {
            let node = self.node(*index).expect("booked nodes exist");
            let pieces = self.pieces(*index, booking)?;
            let used = self.used(booking, *index, &pieces);
            let next = to.and_then(|to| self.next_there(node, &used, to));
            if let Some(next) = next.filter(|next| *pass + self.washing.turnaround > next.from) {
                return Err(not_clean(booking, next, *index));
            }
        }
        Ok(())
    }

    /// The places with a rate above a node, the smallest first.
    pub(super) fn rated_above(&self, node: NodeIndex) -> impl Iterator<Item = UnitId> {
        self.rated_from(self.grid.unit_of(node))
    }

    /// A unit and those above it, as far as they have a rate.
    pub(super) fn rated_from(&self, unit: UnitId) -> impl Iterator<Item = UnitId> {
        let above = self.grid.above(unit);
        above.filter(|unit| self.washing.places.contains_key(unit))
    }

    pub(super) fn places_above(&self, node: NodeIndex) -> impl Iterator<Item = &Passes> {
        let rated = self.rated_above(node);
        rated.map(|unit| &self.washing.places[&unit])
    }

    /// Hardware has come back: its pass is counted without its lease from now on.
    pub(super) fn keep_pass_of(&mut self, lease: LeaseId, index: NodeIndex) {
        if let Some(pass) = self.pass_of(lease, index) {
            let key = (Hour::containing(pass), self.grid.unit_of(index));
            *self.washing.back.entry(key).or_default() += 1;
        }
    }

    /// Counts the passes of hardware that is back.
    pub(super) fn count_back(&mut self) {
        for ((hour, unit), count) in &self.washing.back {
            for above in self.grid.above(*unit) {
                if let Some(passes) = self.washing.places.get_mut(&above) {
                    passes.book(*hour, *count);
                }
            }
        }
    }

    /// Forgets the passes of hardware that is back whose hour is over.
    pub(super) fn forget_back(&mut self) {
        let present = Hour::containing(self.now);
        while let Some(first) = self.washing.back.first_entry() {
            let (hour, unit) = *first.key();
            if hour >= present {
                return;
            }
            let count = first.remove();
            for above in self.grid.above(unit) {
                if let Some(passes) = self.washing.places.get_mut(&above) {
                    passes.unbook(hour, count);
                }
            }
        }
    }

    pub(super) fn count_pass(&mut self, node: NodeIndex, pass: Timestamp) {
        for unit in self.grid.above(self.grid.unit_of(node)) {
            if let Some(passes) = self.washing.places.get_mut(&unit) {
                passes.book(Hour::containing(pass), 1);
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
