//! One look over every node of a SKU, in topology order: what gangs are planned from.

use super::alike::Alike;
use super::ask::Ask;
use super::bars;
use super::earliest::free_from;
use super::faults::{Cause, Faults, Rule};
use super::limits::Limits;
use super::rules::{Verdict, judge};
use super::tally::Tally;
use super::whole;
use crate::cell::Stance;
use leasehold_common::ids::NodeIndex;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix};

/// A node, judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) index: NodeIndex,
    pub(super) faults: Faults,
    pub(super) changes_side: bool,
    /// Whether taking it breaks a whole domain.
    pub(super) breaks_domain: bool,
    /// Whether it is a domain of its own.
    pub(super) is_domain: bool,
    pub(super) idle_minutes: u32,
    /// Its pool: pools stand by the first node of their domain or rack.
    pub(super) pool: u32,
    /// The hall, row, rack and domain it stands in, by the places of their first nodes.
    units: [u32; 4],
}

impl Seat {
    /// The unit of that size it stands in, by the place of its first node.
    pub(super) const fn unit(&self, level: Locality) -> u32 {
        match level {
            Locality::Cell => 0,
            Locality::Hall => self.units[0],
            Locality::Row => self.units[1],
            Locality::Rack => self.units[2],
            Locality::Domain => self.units[3],
        }
    }

    /// Whether both stand in one unit of that size.
    pub(super) const fn shares(&self, other: &Self, level: Locality) -> bool {
        match level {
            Locality::Cell => true,
            Locality::Hall => self.units[0] == other.units[0],
            Locality::Row => self.units[1] == other.units[1],
            Locality::Rack => self.units[2] == other.units[2],
            Locality::Domain => self.units[3] == other.units[3],
        }
    }
}

/// The nodes of a SKU as one request sees them at one start.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub(super) ask: Ask<'a>,
    /// In topology order: a unit is a slice.
    pub(super) seats: Vec<Seat>,
    pub(super) tally: Tally,
}

impl<'a> Survey<'a> {
    pub(super) fn take(ask: Ask<'a>) -> Self {
        let mut tally = Tally::of_others(&ask);
        let mut seats = Vec::with_capacity(ask.sku.map_or(0, |(_, index)| index.nodes as usize));
        let mut counts: Vec<(Counted, u32)> = Vec::new();
        let mut known = Alike::new(&ask);
        for (stance, place) in places(ask, |_| true) {
            let (node, _) = ask.look(place.index);
            if !ask.reaches(node) {
                tally.count(Faults::ELSEWHERE, 1);
                continue;
            }
            let verdict = known.judge(node, stance, &ask);
            seats.push(place.seat(&ask, stance, verdict.faults, &verdict));
            if ask.whole().is_none() {
                let faults = verdict.faults;
                count_alike(&mut counts, Counted::of(faults, stance, verdict.loose));
            }
        }
        if let Some(level) = ask.whole() {
            whole::keep(&ask, level, &mut seats);
            for seat in &seats {
                count_alike(
                    &mut counts,
                    Counted::of(seat.faults, ask.stance(seat.index), 0),
                );
            }
        }
        for (kind, nodes) in counts {
            tally.enter(kind.faults, kind.gpus, kind.free, nodes, &ask);
        }
        Self { ask, seats, tally }
    }

    /// Only the nodes that fit, with all of them counted, where what nodes are now decides and all of a
    /// node is asked for: one that somebody has, or will before the end, is passed over without being
    /// judged.
    pub(super) fn of_fitting(ask: Ask<'a>, tally: Tally) -> Self {
        let mut seats = Vec::with_capacity(tally.fit as usize);
        let mut known = Alike::new(&ask);
        for (stance, place) in places(ask, |node| ask.cell.index().is_vacant(node)) {
            if is_booked(&ask, stance) && !ask.cell.is_washing() {
                continue;
            }
            let (node, _) = ask.look(place.index);
            let verdict = known.judge(node, stance, &ask);
            if verdict.faults.fits() {
                seats.push(place.seat(&ask, stance, verdict.faults, &verdict));
            }
        }
        Self { ask, seats, tally }
    }

    /// Every node of the SKU, with all of them counted, where what nodes are now decides and all of a node
    /// is asked for. Of a node that is booked before the end it is told that it is taken, and not by whom.
    pub(super) fn of_counted(ask: Ask<'a>, tally: Tally) -> Self {
        let mut seats = Vec::with_capacity(ask.sku.map_or(0, |(_, index)| index.nodes as usize));
        let mut known = Alike::new(&ask);
        for (stance, place) in places(ask, |_| true) {
            let (node, _) = ask.look(place.index);
            // A cell that was not told the time may have bookings that have begun since.
            let is_to_come = stance.next.is_some_and(|next| next > ask.window.now);
            let is_plain = is_to_come && !stance.is_mixed && !ask.cell.is_washing();
            let is_booked = is_plain && is_booked(&ask, stance);
            let unbooked = Stance {
                next: stance.next.filter(|_| !is_booked),
                ..*stance
            };
            let verdict = known.judge(node, &unbooked, &ask);
            let faults = if is_booked {
                verdict.faults.with(Rule::Taken, Cause::Held)
            } else {
                verdict.faults
            };
            debug_assert!(
                faults.weighs_as(judge(node, stance, &ask).faults),
                "what is booked is in the way as what is taken: {faults:?}, {:?}",
                judge(node, stance, &ask).faults
            );
            seats.push(place.seat(&ask, stance, faults, &verdict));
        }
        Self { ask, seats, tally }
    }

    /// The nodes of it that fit at a later start; only they are counted.
    pub(super) fn at(&self, start: Timestamp) -> Self {
        let ask = self.ask.at(start);
        let mut known = Alike::new(&ask);
        let seats = self.seats.iter().filter_map(|seat| {
            let (node, stance) = ask.look(seat.index);
            let is_simple = !stance.is_involved && stance.tenant.is_some();
            let is_taken = || is_simple && free_from(&ask, stance).is_none_or(|free| free > start);
            if !seat.faults.may_fit_later() || is_taken() {
                return None;
            }
            let verdict = known.judge(node, stance, &ask);
            verdict.faults.fits().then_some(Seat {
                faults: verdict.faults,
                changes_side: verdict.changes_side,
                idle_minutes: verdict.idle_minutes,
                ..*seat
            })
        });
        let mut seats: Vec<_> = seats.collect();
        if let Some(level) = ask.whole() {
            whole::keep_full(&self.seats, level, &mut seats);
        }
        Self {
            ask,
            tally: Tally::of_fitting(count(seats.len())),
            seats,
        }
    }

    /// How many nodes a whole unit has, where only whole ones are asked for.
    pub(super) fn of_whole_unit(&self) -> Option<u32> {
        let level = self.ask.whole()?;
        Some(whole::size_of(&self.ask, level, &self.seats))
    }

    /// Nodes that may serve the request and are in service, whoever has them.
    pub(super) fn in_service(&self) -> impl Iterator<Item = &Seat> {
        self.seats
            .iter()
            .filter(|s| s.faults.is_eligible() && !s.faults.causes.has(Cause::Unavailable as u8))
    }

    /// Counts what is in the way of nodes that fit, each alone.
    pub(super) fn count_bars(&mut self, limits: &Limits<'_>) {
        let mut limits = limits.clone();
        if self.ask.is_counted() {
            bars::count(&self.ask, &mut limits, &mut self.tally);
            return;
        }
        if !limits.may_bar() {
            return;
        }
        for seat in self.seats.iter().filter(|seat| seat.faults.fits()) {
            let (_, stance) = self.ask.look(seat.index);
            if let Some(bar) = limits.bar(seat.index, stance) {
                self.tally.bar(bar, 1);
            }
        }
    }

    /// The units of one size: slices of the seats.
    pub(super) fn units(&self, level: Locality) -> impl Iterator<Item = &[Seat]> {
        self.seats.chunk_by(move |a, b| a.shares(b, level))
    }

    /// The unit of one size that a seat is in.
    pub(super) fn unit(&self, seat: &Seat, level: Locality) -> Prefix {
        let (node, _) = self.ask.look(seat.index);
        node.spec.path.unit(level)
    }
}

/// What nodes are counted by: most of a cell is one of a dozen of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    faults: Faults,
    gpus: u8,
    free: u8,
}

impl Counted {
    const fn of(faults: Faults, stance: &Stance, free: u8) -> Self {
        Self {
            faults,
            gpus: stance.gpus,
            free,
        }
    }
}

fn count_alike(counts: &mut Vec<(Counted, u32)>, node: Counted) {
    match counts.iter_mut().find(|(other, _)| *other == node) {
        Some((_, nodes)) => *nodes += 1,
        None => counts.push((node, 1)),
    }
}

/// Where a node stands: every unit by the place, in topology order, of its first node.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: NodeIndex,
    units: [u32; 4],
}

impl Place {
    fn seat(self, ask: &Ask<'_>, stance: &Stance, faults: Faults, verdict: &Verdict) -> Seat {
        let (_, pool) = ask.cell.index().pools.of(self.index);
        let [_, _, rack, domain] = self.units;
        let is_domain = pool.level != Locality::Domain;
        Seat {
            index: self.index,
            faults,
            changes_side: verdict.changes_side,
            breaks_domain: stance.is_whole() && pool.breaks_domain(),
            is_domain,
            idle_minutes: verdict.idle_minutes,
            // A rack can have both kinds of pools.
            pool: if is_domain { 2 * rack + 1 } else { 2 * domain },
            units: self.units,
        }
    }
}

/// The nodes of the SKU that is asked for, of those that are wanted, in topology order.
fn places<'a>(
    ask: Ask<'a>,
    is_wanted: impl Fn(NodeIndex) -> bool,
) -> impl Iterator<Item = (&'a Stance, Place)> {
    let sku = ask.sku.map(|(sku, _)| sku);
    let mut units = [0; 4];
    let steps = (0..).zip(ask.cell.steps());
    steps.filter_map(move |(place, (index, shared))| {
        if shared < 4 {
            for unit in &mut units[usize::from(shared)..] {
                *unit = place;
            }
        }
        if !is_wanted(index) {
            return None;
        }
        let stance = ask.cell.index().stance(index);
        let stance = stance.expect("every node of the cell stands");
        (Some(stance.sku) == sku).then_some((stance, Place { index, units }))
    })
}

/// Whether a booking to come begins while the request would want the node.
fn is_booked(ask: &Ask<'_>, stance: &Stance) -> bool {
    let until = ask.window.until();
    let begins_before = |next| until.is_none_or(|until| next < until);
    stance.next.is_some_and(begins_before)
}

/// A number of nodes. A cell has at most a million, so it always fits.
pub(super) fn count(nodes: usize) -> u32 {
    u32::try_from(nodes).unwrap_or(u32::MAX)
}
