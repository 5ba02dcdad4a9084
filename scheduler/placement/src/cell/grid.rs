//! What is kept by unit: what leases may draw below each budget, how many nodes are idle, and which pools
//! there are.
//!
//! Every node stands in a domain, and every domain below others. Decisions that meet budgets count idle
//! nodes below a unit and go through the pools there, rather than through nodes.
//!
//! A lease's envelope is booked from its start to its end in every unit above its nodes that has a
//! budget. What it has of a node follows from the SKU and the lease's cap alone, so what was booked
//! can be taken back without having been kept.

use super::Cell;
use super::booking::Booking;
use super::pool::PoolId;
use super::stance::SkuId;
use crate::power::{Budget, Load, Minute, Minutes, PowerBook, UnitId};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::sku::Sku;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix, TopologyPath};
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;

/// Units and what is booked in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    book: PowerBook,
    ids: BTreeMap<Prefix, UnitId>,
    /// By unit number.
    units: Vec<Place>,
    /// The domain each node stands in, by node index.
    of_node: Vec<Option<UnitId>>,
    /// By unit number: the unit itself where it has a budget, or the smallest above it that has one.
    bounded_at: Vec<Option<UnitId>>,
    /// By unit number: which of the units that have a budget it is.
    rank: Vec<u32>,
    /// How many units have a budget.
    bounded: u32,
    /// Whether any of them is a domain: then nodes of one rack need not have the same budgets above them.
    has_narrow: bool,
}

#[derive(Debug, Clone)]
struct Place {
    prefix: Prefix,
    level: Locality,
    parent: Option<UnitId>,
    /// Whole nodes below it that nobody has, by kind.
    idle: Vec<(Idle, u32)>,
    /// The pools that stand below it.
    pools: Vec<PoolId>,
}

/// What tells idle nodes apart for whoever asks for room: SKU, group and GPUs.
pub(crate) type Idle = (SkuId, usize, u8);

impl Grid {
    pub(crate) const fn book(&self) -> &PowerBook {
        &self.book
    }

    /// Whether there is any budget.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.bounded > 0
    }

    pub(crate) fn unit_of(&self, node: NodeIndex) -> UnitId {
        self.of_node[node.as_usize()].expect("every node of the cell stands in a unit")
    }

    pub(crate) fn prefix(&self, unit: UnitId) -> &Prefix {
        &self.units[unit.0 as usize].prefix
    }

    /// Of which size a unit is.
    pub(crate) fn level(&self, unit: UnitId) -> Locality {
        self.units[unit.0 as usize].level
    }

    /// Whether nodes of one rack can have different budgets above them.
    pub(crate) const fn has_narrow_budgets(&self) -> bool {
        self.has_narrow
    }

    /// The pool of a node is below the units above it, up to the hall.
    pub(super) fn add_pool(&mut self, node: NodeIndex, pool: PoolId) {
        let mut unit = self.of_node[node.as_usize()];
        while let Some(UnitId(at)) = unit {
            let place = &mut self.units[at as usize];
            if place.pools.contains(&pool) || place.prefix.level() == Locality::Cell {
                return;
            }
            if place.prefix.level() > Locality::Domain {
                place.pools.push(pool);
            }
            unit = place.parent;
        }
    }

    /// The pools below units whose budgets have come to be nearly used up, or are so no longer.
    pub(super) fn turned(&mut self) -> Vec<PoolId> {
        let mut pools: Vec<PoolId> = Vec::new();
        for UnitId(at) in self.book.turned() {
            pools.extend(&self.units[at as usize].pools);
        }
        pools.sort_unstable();
        pools.dedup();
        pools
    }

    /// The smallest unit above a node, from its rack to its hall, whose budget is nearly used up.
    pub(super) fn tight_above(&self, node: NodeIndex) -> Option<UnitId> {
        let mut above = self.above(self.unit_of(node));
        above.find(|unit| {
            let level = self.prefix(*unit).level();
            let is_between = level > Locality::Domain && level < Locality::Cell;
            is_between && self.book.is_tight(*unit)
        })
    }

    /// Whole nodes below a unit that nobody has.
    pub(crate) fn idle_below(&self, unit: UnitId, kind: Idle) -> u32 {
        let counts = self.units[unit.0 as usize].idle.iter();
        counts
            .filter(|(other, _)| *other == kind)
            .map(|(_, nodes)| *nodes)
            .sum()
    }

    /// The unit that is all of the cell; absent where there is nothing in it.
    pub(crate) fn cell(&self) -> Option<UnitId> {
        // Units are numbered from the top.
        (!self.units.is_empty()).then_some(UnitId(0))
    }

    /// Whole nodes of the cell that nobody has.
    pub(crate) fn idle(&self, kind: Idle) -> u32 {
        self.cell().map_or(0, |cell| self.idle_below(cell, kind))
    }

    /// A node has become one of its kind that nobody has, or is so no longer.
    pub(super) fn count_idle(&mut self, node: NodeIndex, kind: Idle, comes: bool) {
        let mut unit = self.of_node[node.as_usize()];
        while let Some(UnitId(at)) = unit {
            let place = &mut self.units[at as usize];
            match place.idle.iter_mut().find(|(other, _)| *other == kind) {
                Some((_, nodes)) if comes => *nodes += 1,
                Some((_, nodes)) => *nodes -= 1,
                None => place.idle.push((kind, u32::from(comes))),
            }
            unit = place.parent;
        }
    }

    /// Everything that is counted of idle nodes.
    pub(super) fn counted(&self) -> impl Iterator<Item = ((UnitId, Idle), u32)> {
        (0..)
            .map(UnitId)
            .zip(&self.units)
            .flat_map(|(unit, place)| {
                let counts = place.idle.iter();
                counts.map(move |(kind, nodes)| ((unit, *kind), *nodes))
            })
    }

    /// What one node may draw at the most, and so what is to be watched for.
    pub(super) fn heed(&mut self, much: MilliWatts) {
        self.book.heed(much);
    }

    pub(super) fn advance(&mut self, now: Timestamp) {
        self.book.advance(Minute::containing(now));
    }

    /// Whether two units stand in one and neither has a budget of its own.
    pub(crate) fn are_alike(&self, one: UnitId, other: UnitId) -> bool {
        let place = |unit: UnitId| &self.units[unit.0 as usize];
        one == other || (!self.has_narrow && place(one).parent == place(other).parent)
    }

    /// A unit and all above it that have a budget.
    pub(crate) fn bounded_above(&self, unit: UnitId) -> impl Iterator<Item = UnitId> + '_ {
        let bounded_at = |unit: UnitId| self.bounded_at[unit.0 as usize];
        std::iter::successors(bounded_at(unit), move |unit| {
            let above = self.units[unit.0 as usize].parent?;
            bounded_at(above)
        })
    }

    /// How many units have a budget.
    pub(crate) const fn bounded(&self) -> u32 {
        self.bounded
    }

    /// Which of the units that have a budget one of them is.
    pub(crate) fn rank(&self, unit: UnitId) -> u32 {
        self.rank[unit.0 as usize]
    }

    /// A unit and all above it.
    pub(crate) fn above(&self, unit: UnitId) -> impl Iterator<Item = UnitId> + use<'_> {
        std::iter::successors(Some(unit), |unit| self.units[unit.0 as usize].parent)
    }

    pub(super) fn admit(&mut self, node: NodeIndex, path: &TopologyPath) {
        let unit = self.unit(&path.unit(Locality::Domain));
        if self.of_node.len() <= node.as_usize() {
            self.of_node.resize(node.as_usize() + 1, None);
        }
        self.of_node[node.as_usize()] = Some(unit);
    }

    /// The number of a unit.
    pub(super) fn unit(&mut self, prefix: &Prefix) -> UnitId {
        if let Some(id) = self.ids.get(prefix) {
            return *id;
        }
        let parent = prefix.parent().map(|above| self.unit(&above));
        let id = self.book.add_unit(parent);
        let above = parent.and_then(|above| self.bounded_at[above.0 as usize]);
        self.bounded_at.push(above);
        self.ids.insert(prefix.clone(), id);
        self.units.push(Place {
            prefix: prefix.clone(),
            level: prefix.level(),
            parent,
            idle: Vec::new(),
            pools: Vec::new(),
        });
        id
    }

    /// Sets or takes away the budget of a unit, with everything that is booked in the cell.
    pub(super) fn set_budget(
        &mut self,
        prefix: &Prefix,
        budget: Option<Budget>,
        booked: impl IntoIterator<Item = (Load, Minutes)>,
    ) {
        let unit = self.unit(prefix);
        match budget {
            Some(budget) => self.book.set_budget(unit, budget, booked),
            None => self.book.clear_budget(unit),
        }
        // Units are numbered from the top.
        let mut ranks = 0..;
        self.rank.resize(self.units.len(), 0);
        for (at, id) in (0..self.units.len()).zip(0..) {
            let has_one = self.book.bound(UnitId(id)).is_some();
            if has_one {
                self.rank[at] = ranks.next().unwrap_or_default();
            }
            let above = self.units[at].parent;
            let above = above.and_then(|above| self.bounded_at[above.0 as usize]);
            self.bounded_at[at] = if has_one { Some(UnitId(id)) } else { above };
        }
        self.bounded = u32::try_from(self.book.bounded().count()).unwrap_or(u32::MAX);
        let mut bounded = self.book.bounded().map(|unit| self.prefix(unit));
        self.has_narrow = bounded.any(|prefix| prefix.level() == Locality::Domain);
    }

    pub(super) fn draw(&mut self, loads: &[Load], minutes: Minutes) {
        self.book.book(loads, minutes);
    }

    pub(super) fn spare(&mut self, loads: &[Load], minutes: Minutes) {
        self.book.unbook(loads, minutes);
    }
}

/// What so many parts of GPUs may draw that are let in slices; nothing where the SKU was not described.
pub(crate) fn envelope_of_parts(sku: Option<&Sku>, parts: u32, cap: Option<u32>) -> MilliWatts {
    sku.map_or(MilliWatts::ZERO, |sku| sku.envelope_parts(parts, cap))
}

/// What a lease with a cap may draw on a node of a SKU; nothing where the SKU was not described.
pub(crate) fn envelope(sku: Option<&Sku>, gpus: u8, cap: Option<u32>) -> MilliWatts {
    sku.map_or(MilliWatts::ZERO, |sku| sku.envelope_capped(gpus, cap))
}

impl Booking {
    /// The minutes for which its watts are booked.
    pub(super) fn minutes(&self) -> Minutes {
        Minutes::outward(self.from, self.to)
    }
}

impl Cell {
    /// What a booking that goes on from its end to `to` would lack in watts: the place, how many, and
    /// from when; absent where it lacks nothing, or there is no such booking.
    pub fn watts_lacking(
        &self,
        lease: LeaseId,
        to: Option<Timestamp>,
    ) -> Option<(Prefix, MilliWatts, Timestamp)> {
        let booking = &self.bookings.get(&lease)?.booking;
        // The minute in which it ends now is booked already.
        let more = Minutes {
            from: booking.minutes().to,
            to: Minutes::outward(booking.from, to).to,
        };
        if !self.grid.is_bounded() || more.is_empty() {
            return None;
        }
        let short = self.grid.book().fits(&self.loads(booking), more).err()?;
        let unit = self.grid.prefix(short.unit).clone();
        Some((unit, short.missing, short.at.begins()))
    }

    pub(super) fn draw(&mut self, booking: &Booking) {
        if self.grid.is_bounded() {
            let loads = self.loads(booking);
            self.grid.draw(&loads, booking.minutes());
            self.watch();
        }
    }

    pub(super) fn spare(&mut self, booking: &Booking) {
        if self.grid.is_bounded() {
            let loads = self.loads(booking);
            self.grid.spare(&loads, booking.minutes());
            self.watch();
        }
    }

    /// Puts pools below budgets that are nearly used up apart from the others, and back.
    pub(super) fn watch(&mut self) {
        for pool in self.grid.turned() {
            self.watch_pool(pool);
        }
    }

    pub(super) fn watch_pool(&mut self, pool: PoolId) {
        if let Some(node) = self.index.pools.get(pool).first() {
            let tight = self.grid.tight_above(node);
            self.index.set_tight(pool, tight);
        }
    }
}
