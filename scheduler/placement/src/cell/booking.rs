//! What a lease has of the cell, and every change of it.

use super::Cell;
use super::beside::{LOOSEST, may_share_domain};
use super::book_error::BookError;
use super::carved::Piece;
use super::grid::envelope;
use super::node::{Hold, Holder, Node};
use super::passes::{Begins, is_later};
use crate::power::{Load, Minutes};
use leasehold_common::class::Class;
use leasehold_common::ids::{AccountName, LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, HostShare, Slices};
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::{Granularity, Isolation};
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hardware for a lease, from one instant to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// The lease.
    pub lease: LeaseId,
    /// Whose it is.
    pub account: AccountName,
    /// What it was promised.
    pub class: Class,
    /// From this instant.
    pub from: Timestamp,
    /// Until this one, when access ends; absent for an open end.
    pub to: Option<Timestamp>,
    /// On these nodes.
    pub nodes: NodeSet,
    /// Which GPUs, on nodes of which it has only some; a node not named here is its whole.
    pub gpus: BTreeMap<NodeIndex, GpuSlots>,
    /// Which slices, on nodes of which it has slices of GPUs; `gpus` names the GPUs they are on.
    pub slices: Slices,
    /// CPU and memory on each node; absent for the share that goes with its GPUs.
    pub host: Option<HostShare>,
    /// The most one of its GPUs may draw, in watts; absent for the SKU's default limit. Where they may
    /// draw nothing they are not let: that is a maintenance, and serves no side.
    pub gpu_cap_watts: Option<u32>,
}

/// A booking as the cell keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// What is booked. Nodes whose hardware is back are no longer in it; once the lease has ended,
    /// `to` is when it did.
    pub booking: Booking,
    /// Whether the lease is over and the hardware still in it is not back.
    pub awaiting_return: bool,
}

impl Cell {
    /// Books hardware for a lease. Whether nodes are healthy, clean or of the right kind is not
    /// asked. Hardware that is late back does not stand in the way of a booking, though
    /// [`plan`](crate::plan()) makes none on it.
    ///
    /// # Errors
    /// A GPU would be in two leases at one time, or a node or a domain in hands that the policy keeps
    /// apart, or the booking contradicts itself or the cell.
    pub fn book(&mut self, booking: Booking) -> Result<(), BookError> {
        check_times(&booking, booking.to)?;
        let booked = Booked {
            booking,
            awaiting_return: false,
        };
        self.add(booked, None, &Begins::new())
    }

    /// Books again what was decided and stored, in whatever order it is read, as when a scheduler
    /// starts: the same as booking it, except that whoever is beside whom may have been allowed by a
    /// policy that decides no longer.
    ///
    /// # Errors
    /// As for [`Cell::book`], where no policy could have allowed it.
    pub fn book_again(&mut self, booking: Booking) -> Result<(), BookError> {
        self.add_again(booking, &Begins::new())
    }

    pub(super) fn add_again(&mut self, booking: Booking, kept: &Begins) -> Result<(), BookError> {
        check_times(&booking, booking.to)?;
        let booked = Booked {
            booking,
            awaiting_return: false,
        };
        self.add(booked, Some(LOOSEST), kept)
    }

    /// Books hardware for a lease that ended at `at`, as when a scheduler starts: the same as
    /// booking it again and then ending it, except that what it was to have after `at` is not asked for.
    ///
    /// # Errors
    /// As for [`Cell::book_again`].
    pub fn book_ended(&mut self, mut booking: Booking, at: Timestamp) -> Result<(), BookError> {
        booking.end(at);
        let booked = Booked {
            booking,
            awaiting_return: true,
        };
        self.add(booked, Some(LOOSEST), &Begins::new())
    }

    /// Takes a whole booking away; nothing happens where there is none.
    pub fn unbook(&mut self, lease: LeaseId) {
        if let Some(booked) = self.bookings.remove(&lease) {
            self.spare(&booked.booking);
            self.give_passes(&booked.booking);
            self.index.begin_many();
            for index in booked.booking.nodes.iter() {
                self.held(index).drop_hold(lease);
                self.restance(index);
            }
            self.index.end_many();
        }
    }

    /// Moves the end of a booking. One that comes sooner is always free; a later one where the hardware is
    /// free from the end that was booked until then, and whoever has it next has it clean.
    ///
    /// # Errors
    /// There is no such booking, it has ended, it would end before it begins, or other bookings are in the way.
    pub fn set_end(&mut self, lease: LeaseId, to: Option<Timestamp>) -> Result<(), BookError> {
        let begins = self.at_end(lease, to)?;
        self.move_end(lease, &begins, |booking| booking.to = to);
        Ok(())
    }

    /// Whether a booking could get that end: what [`Cell::set_end`] would say.
    ///
    /// # Errors
    /// As for that.
    pub fn can_end(&self, lease: LeaseId, to: Option<Timestamp>) -> Result<(), BookError> {
        self.at_end(lease, to).map(drop)
    }

    /// When cleaning would begin after a booking with that end.
    fn at_end(&self, lease: LeaseId, to: Option<Timestamp>) -> Result<Begins, BookError> {
        let booked = self
            .bookings
            .get(&lease)
            .ok_or(BookError::NotBooked { lease })?;
        if booked.awaiting_return {
            return Err(BookError::Ended { lease });
        }
        let booking = &booked.booking;
        check_times(booking, to)?;
        if let Some(from) = booking.to {
            for index in booking.nodes.iter() {
                let own = self.holds(index).find(|hold| hold.lease == lease);
                let pieces = own.map_or(&[][..], |hold| &hold.pieces);
                self.check_beside(index, booking, pieces, (from, to), None)?;
            }
        }
        let begins = self.passes_until(booking, to);
        if is_later(booking.to, to) {
            self.check_clean_after(booking, to, &begins)?;
        }
        Ok(begins)
    }

    /// The lease has ended at `at`: its hardware is nobody's until each node gives it back, however
    /// long that takes. Nothing happens where there is no booking.
    pub fn end(&mut self, lease: LeaseId, at: Timestamp) {
        let Some(booked) = self.bookings.get(&lease) else {
            return;
        };
        let booking = &booked.booking;
        let begins = self.passes_until(booking, Some(booking.over_at(at)));
        let booked = self.bookings.get_mut(&lease).expect("looked at above");
        booked.awaiting_return = true;
        self.move_end(lease, &begins, |booking| booking.end(at));
    }

    /// The hardware of one node is back from a lease. The booking is gone with its last node.
    /// Nothing happens where the lease does not have the node.
    pub fn release_node(&mut self, lease: LeaseId, node: NodeIndex) {
        let Some(booked) = self.bookings.get_mut(&lease) else {
            return;
        };
        if !booked.booking.nodes.remove(node) {
            return;
        }
        let (is_over, is_let) = (booked.awaiting_return, booked.booking.is_let());
        let minutes = booked.booking.minutes();
        let load = self.load(node, &self.bookings[&lease].booking);
        let booked = self.bookings.get_mut(&lease).expect("looked at above");
        booked.booking.gpus.remove(&node);
        booked.booking.slices.remove(&node);
        if booked.booking.nodes.is_empty() {
            self.bookings.remove(&lease);
        }
        self.grid.spare(&[load], minutes);
        self.watch();
        if self.is_washing() && is_let {
            // What has come back was cleaned or is about to be; what was never used is not.
            if is_over {
                self.keep_pass_of(lease, node);
            } else {
                self.uncount_pass_of(lease, node);
            }
        }
        self.held(node).drop_hold(lease);
        self.restance(node);
    }

    /// Changes when a booking is, and with it when its watts are and when it is cleaned after.
    fn move_end(&mut self, lease: LeaseId, begins: &Begins, change: impl FnOnce(&mut Booking)) {
        if self.is_washing() {
            let booking = self.bookings[&lease].booking.clone();
            self.give_passes(&booking);
            self.count_passes(begins);
        }
        self.change_times(lease, change);
        let booked = &self.bookings[&lease];
        let awaiting_return = booked.awaiting_return;
        let (from, to) = (booked.booking.from, booked.booking.to);
        self.change_holds(lease, |node, hold| {
            hold.from = from;
            hold.to = to;
            hold.pass = begins.get(&node).copied().or(to);
            hold.awaiting_return = awaiting_return;
        });
    }

    /// Changes when a booking is, and with it when its watts are.
    fn change_times(&mut self, lease: LeaseId, change: impl FnOnce(&mut Booking)) {
        let mut booked = self.bookings.remove(&lease).expect("callers looked");
        self.spare(&booked.booking);
        change(&mut booked.booking);
        self.draw(&booked.booking);
        self.bookings.insert(lease, booked);
    }

    /// What a booking may draw, node by node.
    pub(super) fn loads(&self, booking: &Booking) -> Vec<Load> {
        let nodes = booking.nodes.iter();
        nodes.map(|node| self.load(node, booking)).collect()
    }

    /// What the bookings on a node may draw there, and when; nothing where it is not known.
    pub(super) fn loads_on(&self, node: NodeIndex) -> Vec<(Load, Minutes)> {
        let holds = self.node(node).map_or(&[][..], |node| &node.holds);
        let loads = holds.iter().map(|hold| {
            let booking = &self.bookings[&hold.lease].booking;
            (self.load(node, booking), booking.minutes())
        });
        loads.collect()
    }

    fn load(&self, node: NodeIndex, booking: &Booking) -> Load {
        let known = self.node(node).expect("booked nodes exist");
        let (sku, cap) = (self.described(known.sku), booking.gpu_cap_watts);
        let power = match booking.slices.get(&node) {
            Some(slices) => sku.map_or(MilliWatts::ZERO, |sku| sku.envelope_slices(slices, cap)),
            None => envelope(
                sku,
                booking.slots(node).common(known.spec.slots()).len(),
                cap,
            ),
        };
        Load {
            unit: self.grid.unit_of(node),
            power,
        }
    }

    /// Enters a booking. Hardware is kept apart as it is by the policy, if nothing else is said; where
    /// hours are kept for its nodes they are cleaned in those.
    pub(super) fn add(
        &mut self,
        booked: Booked,
        apart: Option<Isolation>,
        kept: &Begins,
    ) -> Result<(), BookError> {
        let booking = &booked.booking;
        let lease = booking.lease;
        if self.bookings.contains_key(&lease) {
            return Err(BookError::AlreadyBooked { lease });
        }
        let mut named = booking.gpus.keys().chain(booking.slices.keys());
        if booking.nodes.is_empty() || named.any(|n| !booking.nodes.contains(*n)) {
            return Err(BookError::NoNodes { lease });
        }
        for index in booking.nodes.iter() {
            let node = self
                .node(index)
                .ok_or(BookError::UnknownNode { lease, node: index })?;
            check_gpus(node, index, booking)?;
            let pieces = self.pieces(index, booking)?;
            let times = (booking.from, booking.to);
            self.check_beside(index, booking, &pieces, times, apart)?;
        }
        let begins = self.passes_from(booking, booking.to, kept);
        if apart.is_none() {
            self.check_clean_before(booking)?;
            self.check_clean_after(booking, booking.to, &begins)?;
        }
        self.count_passes(&begins);
        let booking = &booked.booking;
        let holder = Arc::new(Holder {
            account: booking.account.clone(),
            class: booking.class,
            is_let: booking.is_let(),
        });
        let account = self.index.account_id(&booking.account);
        self.index.begin_many();
        for index in booking.nodes.iter() {
            let pieces = self.pieces(index, booking).expect("checked above");
            let hold = Hold {
                lease,
                holder: Arc::clone(&holder),
                account,
                side: booking.class.side(),
                from: booking.from,
                to: booking.to,
                pass: begins.get(&index).copied().or(booking.to),
                slots: booking.slots(index),
                pieces,
                host: booking.host,
                awaiting_return: booked.awaiting_return,
            };
            self.held(index).add(hold);
            self.restance(index);
        }
        self.index.end_many();
        self.draw(&booked.booking);
        self.bookings.insert(lease, booked);
        Ok(())
    }

    /// Whether the booking may have a node for a time, by the ledger and by who else has it and its
    /// domain then.
    fn check_beside(
        &self,
        index: NodeIndex,
        booking: &Booking,
        pieces: &[Piece],
        (from, to): (Timestamp, Option<Timestamp>),
        apart: Option<Isolation>,
    ) -> Result<(), BookError> {
        let node = self.node(index).expect("booked nodes exist");
        let apart = apart.unwrap_or_else(|| self.isolation(node.sku));
        if node.holds.is_empty() && apart.granularity != Granularity::Domain {
            // Nobody else is there, as on most nodes of a large lease.
            return Ok(());
        }
        let lease = booking.lease;
        let met = |hold: &&Hold| hold.lease != lease && hold.meets(from, to);
        let party = self.party(booking);
        for hold in node.holds.iter().filter(met) {
            if !party.may_share_node(hold.party(), apart) {
                return Err(BookError::OtherAccount {
                    lease,
                    account: booking.account.clone(),
                    other: hold.lease,
                    other_account: hold.holder.account.clone(),
                    node: index,
                });
            }
            let same_side = hold.party().side == party.side;
            let both = hold.wants_of(booking.slots(index), pieces, same_side);
            if !both.is_empty() {
                return Err(BookError::Taken {
                    lease,
                    other: hold.lease,
                    node: index,
                    gpus: both.common(node.spec.slots()),
                });
            }
        }
        if apart.granularity != Granularity::Domain || !booking.is_let() {
            return Ok(());
        }
        for mate in self.mates(index, node.sku) {
            let holds = self.holds(mate).filter(met);
            for (hold, other) in holds.filter_map(|hold| Some((hold, hold.serves()?))) {
                if !may_share_domain(party.side, other, apart) {
                    return Err(BookError::OtherSide {
                        lease,
                        side: party.side,
                        other: hold.lease,
                        node: index,
                    });
                }
            }
        }
        Ok(())
    }

    fn held(&mut self, index: NodeIndex) -> &mut Node {
        // Booking looks for it, and `remove_node` refuses while a lease is on it.
        self.node_mut(index).expect("booked nodes exist")
    }

    fn change_holds(&mut self, lease: LeaseId, change: impl Fn(NodeIndex, &mut Hold)) {
        // The set is taken out for the loop, so that the nodes can be changed under it uncopied.
        let booked = self.bookings.get_mut(&lease).expect("callers looked");
        let nodes = std::mem::take(&mut booked.booking.nodes);
        self.index.begin_many();
        for index in nodes.iter() {
            let node = self.held(index);
            let mut hold = node.drop_hold(lease).expect("a booked node has its hold");
            change(index, &mut hold);
            node.add(hold);
            self.restance(index);
        }
        self.index.end_many();
        let booked = self.bookings.get_mut(&lease).expect("callers looked");
        booked.booking.nodes = nodes;
    }
}

impl Booking {
    /// Is over at `at`. Where that is before its start it has had nothing, but may have been
    /// prepared for: it keeps the instant, and no time.
    fn end(&mut self, at: Timestamp) {
        self.from = self.from.min(at);
        self.to = Some(self.over_at(at));
    }

    /// When it is over where somebody ends it.
    fn over_at(&self, at: Timestamp) -> Timestamp {
        self.to.map_or(at, |to| to.min(at))
    }

    /// What it has of a node among its nodes.
    pub(super) fn slots(&self, node: NodeIndex) -> GpuSlots {
        self.gpus.get(&node).copied().unwrap_or(Hold::WHOLE)
    }
}

fn check_times(booking: &Booking, to: Option<Timestamp>) -> Result<(), BookError> {
    match to {
        Some(to) if to <= booking.from => Err(BookError::EndNotAfterStart {
            lease: booking.lease,
            from: booking.from,
            to,
        }),
        _ => Ok(()),
    }
}

fn check_gpus(node: &Node, index: NodeIndex, booking: &Booking) -> Result<(), BookError> {
    let allowed = node.spec.slots();
    match booking.gpus.get(&index) {
        Some(&gpus) if gpus.is_empty() || !gpus.minus(allowed).is_empty() => {
            Err(BookError::NoSuchGpus {
                lease: booking.lease,
                node: index,
                gpus,
                allowed,
            })
        }
        _ => Ok(()),
    }
}
