//! One look over every node of a SKU, in topology order: what gangs are planned from.

use super::ask::Ask;
use super::limits::Limits;
use super::rules::{Cause, Faults, judge};
use super::tally::Tally;
use crate::cell::PoolId;
use leasehold_common::ids::NodeIndex;
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
        let mut pool_ids: BTreeMap<PoolId, u32> = BTreeMap::new();
        let pools = &ask.cell.index().pools;
        for (index, node) in ask.cell.in_order() {
            for number in &mut units[usize::from(node.shared)..] {
                *number += 1;
            }
            if ask.sku.is_none_or(|(sku, _)| sku != node.sku) {
                continue;
            }
            if !ask.reaches(node) {
                tally.count(Faults::ELSEWHERE, 1);
                continue;
            }
            let (_, stance) = ask.look(index);
            let verdict = judge(node, stance, &ask);
            tally.enter(verdict.faults, stance.gpus, verdict.free.len(), 1, &ask);
            let (id, packed) = pools.of(index);
            let next = count(pool_ids.len());
            let pool = *pool_ids.entry(id).or_insert(next);
            seats.push(Seat {
                index,
                faults: verdict.faults,
                changes_side: verdict.changes_side,
                breaks_domain: stance.is_whole() && packed.breaks_domain(),
                idle_minutes: verdict.idle_minutes,
                pool,
                units,
            });
        }
        Self { ask, seats, tally }
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

/// A number of nodes. A cell has at most a million, so it always fits.
pub(super) fn count(nodes: usize) -> u32 {
    u32::try_from(nodes).unwrap_or(u32::MAX)
}
