//! One look over every node of a SKU, in topology order: what gangs are planned from.

use super::ask::Ask;
use super::earliest::free_from;
use super::faults::{Cause, Faults};
use super::limits::Limits;
use super::rules::{WholeNodes, judge};
use super::tally::Tally;
use crate::cell::PoolId;
use leasehold_common::ids::NodeIndex;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix};
use std::collections::BTreeMap;

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
    /// Its pool, counted through the survey: pools stand by their first node.
    pub(super) pool: u32,
    /// The hall, row, rack and domain it stands in, counted through the cell.
    units: [u32; 4],
}

impl Seat {
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
        let mut units = [0; 4];
        let mut pool_ids = Numbers::default();
        let mut alike: Vec<(Alike, u32)> = Vec::new();
        let mut known = WholeNodes::default();
        let pools = &ask.cell.index().pools;
        for (index, shared) in ask.cell.steps() {
            for number in &mut units[usize::from(shared)..] {
                *number += 1;
            }
            let (node, stance) = ask.look(index);
            if ask.sku.is_none_or(|(sku, _)| sku != stance.sku) {
                continue;
            }
            if !ask.reaches(node) {
                tally.count(Faults::ELSEWHERE, 1);
                continue;
            }
            let verdict = known.judge(node, stance, &ask);
            count_alike(
                &mut alike,
                Alike {
                    faults: verdict.faults,
                    gpus: stance.gpus,
                    free: verdict.free.len(),
                },
            );
            let (id, packed) = pools.of(index);
            seats.push(Seat {
                index,
                faults: verdict.faults,
                changes_side: verdict.changes_side,
                breaks_domain: stance.is_whole() && packed.breaks_domain(),
                is_domain: packed.level != Locality::Domain,
                idle_minutes: verdict.idle_minutes,
                pool: pool_ids.of(id),
                units,
            });
        }
        for (kind, nodes) in alike {
            tally.enter(kind.faults, kind.gpus, kind.free, nodes, &ask);
        }
        Self { ask, seats, tally }
    }

    /// Only the nodes that fit, with all of them counted, where what nodes are now decides: a node
    /// that somebody has, and that nothing is booked on, is passed over without being judged.
    pub(super) fn of_fitting(ask: Ask<'a>, tally: Tally) -> Self {
        let mut seats = Vec::with_capacity(tally.fit as usize);
        let mut units = [0; 4];
        let mut pool_ids = Numbers::default();
        let mut known = WholeNodes::default();
        let pools = &ask.cell.index().pools;
        for (index, shared) in ask.cell.steps() {
            for number in &mut units[usize::from(shared)..] {
                *number += 1;
            }
            let stance = ask.cell.index().stance(index);
            let stance = stance.expect("every node of the cell stands");
            let is_taken = stance.tenant.is_some() && !stance.is_involved;
            if is_taken || ask.sku.is_none_or(|(sku, _)| sku != stance.sku) {
                continue;
            }
            let (node, _) = ask.look(index);
            let verdict = known.judge(node, stance, &ask);
            if !verdict.faults.fits() {
                continue;
            }
            let (id, packed) = pools.of(index);
            seats.push(Seat {
                index,
                faults: verdict.faults,
                changes_side: verdict.changes_side,
                breaks_domain: stance.is_whole() && packed.breaks_domain(),
                is_domain: packed.level != Locality::Domain,
                idle_minutes: verdict.idle_minutes,
                pool: pool_ids.of(id),
                units,
            });
        }
        Self { ask, seats, tally }
    }

    /// The nodes of it that fit at a later start; only they are counted.
    pub(super) fn at(&self, start: Timestamp) -> Self {
        let ask = self.ask.at(start);
        let seats = self.seats.iter().filter_map(|seat| {
            let (node, stance) = ask.look(seat.index);
            let is_simple = !stance.is_involved && stance.tenant.is_some();
            let is_taken = || is_simple && free_from(&ask, stance).is_none_or(|free| free > start);
            if !seat.faults.may_fit_later() || is_taken() {
                return None;
            }
            let verdict = judge(node, stance, &ask);
            verdict.faults.fits().then_some(Seat {
                faults: verdict.faults,
                changes_side: verdict.changes_side,
                idle_minutes: verdict.idle_minutes,
                ..*seat
            })
        });
        let seats: Vec<_> = seats.collect();
        Self {
            ask,
            tally: Tally::of_fitting(count(seats.len())),
            seats,
        }
    }

    /// As if these nodes fitted; only they are counted.
    pub(super) fn hoping(ask: Ask<'a>, seats: impl Iterator<Item = Seat>) -> Self {
        let seats = seats.map(|seat| Seat {
            faults: Faults::default(),
            ..seat
        });
        let seats: Vec<_> = seats.collect();
        Self {
            ask,
            tally: Tally::of_fitting(count(seats.len())),
            seats,
        }
    }

    /// Nodes that may serve the request and are in service, whoever has them.
    pub(super) fn in_service(&self) -> impl Iterator<Item = &Seat> {
        self.seats
            .iter()
            .filter(|s| s.faults.is_eligible() && !s.faults.causes.has(Cause::Unavailable as u8))
    }

    /// Counts again, with what is in the way of nodes that fit, each alone.
    pub(super) fn count_bars(&mut self, limits: &Limits<'_>) {
        self.tally = Tally::barred(&self.ask, &mut limits.clone());
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
struct Alike {
    faults: Faults,
    gpus: u8,
    free: u8,
}

fn count_alike(counts: &mut Vec<(Alike, u32)>, node: Alike) {
    match counts.iter_mut().find(|(other, _)| *other == node) {
        Some((_, nodes)) => *nodes += 1,
        None => counts.push((node, 1)),
    }
}

/// Pools counted through a survey, in the order in which they came up.
#[derive(Debug, Default)]
struct Numbers {
    known: BTreeMap<PoolId, u32>,
    /// Neighbours are mostly of one pool.
    last: Option<(PoolId, u32)>,
}

impl Numbers {
    fn of(&mut self, id: PoolId) -> u32 {
        if let Some((last, number)) = self.last
            && last == id
        {
            return number;
        }
        let next = count(self.known.len());
        let number = *self.known.entry(id).or_insert(next);
        self.last = Some((id, number));
        number
    }
}

/// A number of nodes. A cell has at most a million, so it always fits.
pub(super) fn count(nodes: usize) -> u32 {
    u32::try_from(nodes).unwrap_or(u32::MAX)
}
