//! Watts: what budgets leave, for one node and for many together.

use super::{Limits, Short};
use crate::cell::{SkuId, Stance, envelope, envelope_of_parts};
use crate::plan::ask::Need;
use crate::power::{Load, Shortage, UnitId, headroom};
use leasehold_common::ids::NodeIndex;
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::Locality;
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;

impl Limits<'_> {
    pub(super) fn lacks_watts(&mut self, node: NodeIndex, stance: &Stance) -> bool {
        if !self.is_powered {
            return false;
        }
        let need = self.envelope(stance);
        let grid = self.ask.cell.grid();
        let mut units = grid.bounded_above(grid.unit_of(node));
        if let Some(short) = &self.short
            && short.need == need
            && self.spent.is_empty()
        {
            return units.any(|unit| short.has(grid.rank(unit)));
        }
        units.any(|unit| !self.allows(unit, need))
    }

    /// Whether so much more is within the budget of a unit, with all that was taken. What draws nothing is
    /// no budget's business.
    pub(super) fn allows(&mut self, unit: UnitId, need: MilliWatts) -> bool {
        let spent = self.spent.get(&unit).copied().unwrap_or_default();
        let book = self.ask.cell.grid().book();
        let most = need + spent;
        need == MilliWatts::ZERO
            || (most <= book.surely_left(unit) && self.is_to_come())
            || (self.may_ask(unit, most) && most <= self.left_in(unit))
    }

    /// Whether it is worth asking what is left in a unit: not where even now it is less.
    pub(super) fn may_ask(&self, unit: UnitId, most: MilliWatts) -> bool {
        self.left.contains_key(&unit)
            || self
                .ask
                .cell
                .grid()
                .book()
                .may_allow(unit, most, self.minutes)
    }

    /// Whether it is asked about minutes from the present on, of which the book knows what is surely left.
    pub(super) fn is_to_come(&self) -> bool {
        self.minutes.from >= self.ask.cell.grid().book().now()
    }

    /// Where a budget is in the way of `need` more, as far as it is in the way of one node: no unit of them
    /// is in another. What was found stands for as long as nothing is taken.
    pub(in crate::plan) fn short_units(&mut self, need: MilliWatts) -> &[UnitId] {
        let known = self.short.take().filter(|short| short.need == need);
        let short = known.unwrap_or_else(|| self.find_short(need));
        &self.short.insert(short).units
    }

    /// Looks up where budgets are in the way of one node, where one node is asked for and every one would draw
    /// the same: then each that is looked at is a few bits.
    pub(in crate::plan) fn look_for_short(&mut self) {
        let draws_alike = matches!(self.ask.need, Need::Gpus(_) | Need::Slices(_));
        if let Some((sku, _)) = self.ask.sku.filter(|_| draws_alike && self.is_powered) {
            let need = self.envelope_on(sku, self.ask.largest);
            self.short_units(need);
        }
    }

    fn find_short(&self, need: MilliWatts) -> Short {
        let grid = self.ask.cell.grid();
        let mut short = Short {
            need,
            units: Vec::new(),
            is_one: vec![0; grid.bounded() as usize / 64 + 1],
        };
        if !self.is_powered || need == MilliWatts::ZERO {
            return short;
        }
        let (book, minutes) = (grid.book(), self.minutes);
        let is_much = need > book.much();
        let all = book
            .bounded()
            .filter(|unit| !book.allows(*unit, need, minutes));
        let all = is_much.then_some(all).into_iter().flatten();
        let tight = (!is_much).then(|| book.short(need, minutes));
        // Units stand behind those that they are in. Those of one size are in none of each other.
        let mut levels: Option<Locality> = None;
        for unit in all.chain(tight.into_iter().flatten()) {
            let level = grid.level(unit);
            let mut above = grid.bounded_above(unit).skip(1);
            let may_nest = levels.is_some_and(|largest| largest > level);
            if !may_nest || !above.any(|above| short.has(grid.rank(above))) {
                let rank = grid.rank(unit);
                short.is_one[rank as usize / 64] |= 1 << (rank % 64);
                short.units.push(unit);
                levels = Some(levels.map_or(level, |largest| largest.max(level)));
            }
        }
        short
    }

    /// Whether the budget of all of the cell is in the way of any node.
    pub(in crate::plan) fn is_cell_short(&mut self, least: MilliWatts) -> bool {
        let cell = self.ask.cell.grid().cell();
        self.is_powered && cell.is_some_and(|cell| !self.may_have_from(cell, least))
    }

    /// The least that the request could draw on a node.
    pub(in crate::plan) fn least_need(&self) -> MilliWatts {
        let needs = self.ask.sku.into_iter().flat_map(|(sku, _)| {
            let sizes = self.ask.sizes();
            sizes.map(move |gpus| self.envelope_on(sku, gpus))
        });
        needs.min().unwrap_or_default()
    }

    /// Whether a unit's budget allows so much.
    pub(in crate::plan) fn may_have_from(&mut self, unit: UnitId, least: MilliWatts) -> bool {
        let is_allowed = self.allows(unit, least);
        self.met |= !is_allowed;
        is_allowed
    }

    /// Of nodes that draw so much each, by the smallest unit above them that has a budget, how many budgets
    /// allow together, in any order in which they are taken: each unit allows so many, and so many are below
    /// it at most.
    pub(in crate::plan) fn most_below(
        &mut self,
        mut below: BTreeMap<UnitId, u32>,
        need: MilliWatts,
    ) -> u32 {
        let grid = self.ask.cell.grid();
        let mut all = 0;
        // Units are numbered from the top, so that the last has none below it.
        while let Some((unit, nodes)) = below.pop_last() {
            let most = self.most_in(unit, need, nodes);
            match grid.bounded_above(unit).nth(1) {
                Some(above) => *below.entry(above).or_default() += most,
                None => all += most,
            }
        }
        all
    }

    /// Whether the cell's own budget allows so many nodes that draw so much each.
    pub(in crate::plan) fn may_have_of_all(&mut self, need: MilliWatts, nodes: u32) -> bool {
        let cell = self.ask.cell.grid().cell();
        cell.is_none_or(|cell| self.most_in(cell, need, nodes) == nodes)
    }

    /// How many of so many nodes that draw so much each the budget of a unit allows.
    fn most_in(&mut self, unit: UnitId, need: MilliWatts, nodes: u32) -> u32 {
        if !self.is_powered || need == MilliWatts::ZERO {
            return nodes;
        }
        let all = MilliWatts(need.0.saturating_mul(u64::from(nodes)));
        if self.allows(unit, all) {
            return nodes;
        }
        let spent = self.spent.get(&unit).copied().unwrap_or_default();
        let allowed = self.left_in(unit).saturating_sub(spent).0 / need.0;
        nodes.min(u32::try_from(allowed).unwrap_or(u32::MAX))
    }

    /// How many nodes that draw so much could be had where a node stands, of so many.
    pub(super) fn room_for(&mut self, node: NodeIndex, need: MilliWatts, most: usize) -> u32 {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let grid = self.ask.cell.grid();
        let mut room = most;
        for unit in grid.bounded_above(grid.unit_of(node)) {
            if !self.allows(unit, MilliWatts(need.0 * u64::from(room))) {
                let spent = self.spent.get(&unit).copied().unwrap_or_default();
                let left = self.left_in(unit).saturating_sub(spent);
                room = room.min(u32::try_from(left.0 / need.0).unwrap_or(u32::MAX));
            }
        }
        room
    }

    /// Takes up to so many further leases on a node that one was taken on, and says how many. They
    /// cost nothing but watts.
    pub(in crate::plan) fn take_more(
        &mut self,
        node: NodeIndex,
        stance: &Stance,
        most: u32,
    ) -> u32 {
        let mut taken = 0;
        while taken < most && !self.lacks_watts(node, stance) {
            self.spend(node, stance);
            taken += 1;
        }
        taken
    }

    pub(super) fn spend(&mut self, node: NodeIndex, stance: &Stance) {
        if !self.is_powered {
            return;
        }
        self.spend_for(node, self.envelope(stance), 1);
    }

    /// The watts of so many nodes that draw the same below the budgets above one of them.
    pub(super) fn spend_for(&mut self, node: NodeIndex, need: MilliWatts, nodes: u32) {
        if nodes == 0 {
            return;
        }
        let grid = self.ask.cell.grid();
        for unit in grid.bounded_above(grid.unit_of(node)) {
            *self.spent.entry(unit).or_default() += MilliWatts(need.0 * u64::from(nodes));
        }
    }

    /// What keeps the watts from nodes, all together.
    pub(in crate::plan) fn shortage(&self, nodes: &NodeSet) -> Option<Shortage> {
        let grid = self.ask.cell.grid();
        let loads: Vec<Load> = nodes
            .iter()
            .map(|node| Load {
                unit: grid.unit_of(node),
                power: self.envelope(self.ask.look(node).1),
            })
            .collect();
        grid.book().fits(&loads, self.minutes).err()
    }

    /// What the lease would draw on a node at most.
    pub(in crate::plan) fn envelope(&self, stance: &Stance) -> MilliWatts {
        self.envelope_on(stance.sku, stance.gpus)
    }

    /// What the lease would draw at most on a node of a SKU with so many GPUs.
    pub(in crate::plan) fn envelope_on(&self, sku: SkuId, gpus: u8) -> MilliWatts {
        let sku = self.ask.cell.described(sku);
        let gpus = match self.ask.need {
            Need::Whole => gpus,
            Need::Gpus(count) => count,
            Need::Slices(_) => {
                let parts = self.ask.wish.map_or(0, |wish| wish.parts);
                return envelope_of_parts(sku, parts, self.ask.cap);
            }
        };
        envelope(sku, gpus, self.ask.cap)
    }

    pub(super) fn left_in(&mut self, unit: UnitId) -> MilliWatts {
        let (book, minutes) = (self.ask.cell.grid().book(), self.minutes);
        *self.left.entry(unit).or_insert_with(|| {
            let bound = book.bound(unit);
            bound
                .and_then(|(budget, profile)| headroom(profile, budget, minutes))
                .unwrap_or(MilliWatts(u64::MAX))
        })
    }
}
