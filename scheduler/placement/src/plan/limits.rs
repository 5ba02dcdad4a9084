//! What a node that fits may still not be had for: watts, and what is kept for the other side.
//!
//! Both are about many nodes at once, and shrink while a gang is put together: a node taken is
//! watts gone in every unit above it, and may be one of the last that a floor keeps.
//!
//! Floors and ceilings count a node, or a domain, as a side's from the first booking to the last on
//! it. That is stricter than they need to be where leases follow each other, and never less strict.

use super::ask::{Ask, Need};
use super::faults::{Cause, Faults, Rule};
use crate::cell::{Group, PoolId, SkuId, Stance, envelope, envelope_of_parts, other};
use crate::power::{Load, Minutes, Shortage, UnitId, headroom};
use leasehold_common::ids::NodeIndex;
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::{Policy, Share};
use leasehold_common::topology::Locality;
use leasehold_common::units::MilliWatts;
use std::collections::{BTreeMap, BTreeSet};

/// Why a node that fits may not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bar {
    /// It is kept for the other side, or this side has all it may have.
    Reserved,
    /// A power budget above it would be exceeded.
    Power,
}

impl Bar {
    /// Adds what is in the way to what a node fails.
    pub(super) const fn fault(self, faults: Faults) -> Faults {
        let (rule, cause) = match self {
            Self::Reserved => (Rule::Reserved, Cause::Reserved),
            Self::Power => (Rule::Power, Cause::Power),
        };
        faults.with(rule, cause)
    }
}

/// What taking nodes uses up of what floors and ceilings leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Price {
    /// Domains, where domains are counted.
    pub(super) domains: u32,
    /// Nodes, where nodes are counted, once for each count that they fall under.
    pub(super) nodes: u32,
}

/// How much may still be taken.
#[derive(Debug, Clone)]
pub(super) struct Limits<'a> {
    ask: Ask<'a>,
    minutes: Minutes,
    /// Whether there is any power budget.
    is_powered: bool,
    /// Nodes this side has nothing of yet, and those of them that a floor of the other side counts.
    fresh_nodes: Option<u32>,
    floor_nodes: Option<u32>,
    fresh_domains: Option<u32>,
    floor_domains: Option<u32>,
    /// Domains taken from since.
    entered: BTreeSet<PoolId>,
    /// Watts taken since, in units that have a budget.
    spent: BTreeMap<UnitId, MilliWatts>,
    /// Watts left before that, in units where more than what is surely left was asked about.
    left: BTreeMap<UnitId, MilliWatts>,
    /// Whether anything was in the way of anybody.
    pub(super) met: bool,
}

impl<'a> Limits<'a> {
    /// None at all, whatever is booked and kept.
    pub(super) fn none(ask: Ask<'a>) -> Self {
        Self {
            is_powered: false,
            minutes: Minutes::outward(ask.window.start, ask.window.end),
            fresh_nodes: None,
            floor_nodes: None,
            fresh_domains: None,
            floor_domains: None,
            entered: BTreeSet::new(),
            spent: BTreeMap::new(),
            left: BTreeMap::new(),
            met: false,
            ask,
        }
    }

    pub(super) fn new(ask: Ask<'a>, policy: &Policy) -> Self {
        let mut limits = Self {
            is_powered: ask.cell.grid().is_bounded(),
            ..Self::none(ask)
        };
        let Some((_, index)) = ask.sku else {
            return limits;
        };
        let of_sku = |share: &&Share| share.sku == ask.request.sku;
        let least = |left: &mut Option<u32>, bound: Option<u32>| {
            *left = left.iter().copied().chain(bound).min();
        };
        let theirs = other(ask.side);
        for floor in policy
            .floors
            .iter()
            .filter(of_sku)
            .filter(|f| f.side == theirs)
        {
            let open = index.count_of(theirs);
            let nodes = floor.nodes.map(|n| open.open_nodes.saturating_sub(n));
            let domains = floor.domains.map(|n| open.open_domains.saturating_sub(n));
            least(&mut limits.floor_nodes, nodes);
            least(&mut limits.floor_domains, domains);
        }
        for ceiling in policy
            .ceilings
            .iter()
            .filter(of_sku)
            .filter(|c| c.side == ask.side)
        {
            let used = index.count_of(ask.side);
            let nodes = ceiling.nodes.map(|n| n.saturating_sub(used.used_nodes));
            let domains = ceiling.domains.map(|n| n.saturating_sub(used.used_domains));
            least(&mut limits.fresh_nodes, nodes);
            least(&mut limits.fresh_domains, domains);
        }
        limits
    }

    /// The same with a lower cap on every GPU.
    pub(super) fn capped(&self, cap: u32) -> Self {
        let mut ask = self.ask;
        ask.cap = Some(cap);
        Self {
            ask,
            ..self.clone()
        }
    }

    /// The same for other minutes than those of the request.
    pub(super) fn during(self, minutes: Minutes) -> Self {
        Self {
            minutes,
            left: BTreeMap::new(),
            ..self
        }
    }

    /// Whether anything can be in the way at all.
    pub(super) fn are_any(&self) -> bool {
        self.is_powered || self.keep_anything()
    }

    fn keep_anything(&self) -> bool {
        let kept = [
            self.fresh_nodes,
            self.floor_nodes,
            self.fresh_domains,
            self.floor_domains,
        ];
        kept.iter().any(Option::is_some)
    }

    const fn counts_domains(&self) -> bool {
        self.fresh_domains.is_some() || self.floor_domains.is_some()
    }

    /// What is in the way of taking a node.
    pub(super) fn bar(&mut self, node: NodeIndex, stance: &Stance) -> Option<Bar> {
        let bar = if self.is_reserved(node, stance) {
            Some(Bar::Reserved)
        } else if self.lacks_watts(node, stance) {
            Some(Bar::Power)
        } else {
            None
        };
        self.met |= bar.is_some();
        bar
    }

    /// Whether it is kept from this side.
    pub(super) fn is_reserved(&self, node: NodeIndex, stance: &Stance) -> bool {
        let side = self.ask.side;
        if !self.keep_anything() || stance.serves(side) {
            return false;
        }
        let none = |left: Option<u32>| left == Some(0);
        let is_open = stance.is_open_to(other(side));
        if none(self.fresh_nodes) || (none(self.floor_nodes) && is_open) {
            return true;
        }
        if !self.counts_domains() {
            return false;
        }
        let domain = self.domain(node, stance);
        (none(self.fresh_domains) && domain.is_fresh)
            || (none(self.floor_domains) && domain.is_open)
    }

    fn lacks_watts(&mut self, node: NodeIndex, stance: &Stance) -> bool {
        if !self.is_powered {
            return false;
        }
        let need = self.envelope(stance);
        let grid = self.ask.cell.grid();
        let mut units = grid.bounded_above(grid.unit_of(node));
        units.any(|unit| !self.allows(unit, need))
    }

    /// Whether so much more is within the budget of a unit, with all that was taken. What draws nothing is
    /// no budget's business.
    fn allows(&mut self, unit: UnitId, need: MilliWatts) -> bool {
        let spent = self.spent.get(&unit).copied().unwrap_or_default();
        let book = self.ask.cell.grid().book();
        let most = need + spent;
        need == MilliWatts::ZERO
            || (most <= book.surely_left(unit) && self.is_to_come())
            || (self.may_ask(unit, most) && most <= self.left_in(unit))
    }

    /// Whether it is worth asking what is left in a unit: not where even now it is less.
    fn may_ask(&self, unit: UnitId, most: MilliWatts) -> bool {
        self.left.contains_key(&unit)
            || self
                .ask
                .cell
                .grid()
                .book()
                .may_allow(unit, most, self.minutes)
    }

    /// Whether it is asked about minutes from the present on, of which the book knows what is surely left.
    fn is_to_come(&self) -> bool {
        self.minutes.from >= self.ask.cell.grid().book().now()
    }

    /// Where a budget is in the way of `need` more, as far as it is in the way of one node: no unit of them
    /// is in another.
    pub(super) fn short_units(&mut self, need: MilliWatts) -> Vec<UnitId> {
        let grid = self.ask.cell.grid();
        let mut short: Vec<UnitId> = Vec::new();
        if !self.is_powered || need == MilliWatts::ZERO {
            return short;
        }
        let all = (need > grid.book().much()).then(|| grid.book().bounded());
        let tight = all.is_none().then(|| grid.book().tight());
        // Units stand behind those that they are in.
        for unit in all.into_iter().flatten().chain(tight.into_iter().flatten()) {
            if !grid.book().allows(unit, need, self.minutes) {
                let mut above = grid.above(unit);
                if !above.any(|above| short.binary_search(&above).is_ok()) {
                    short.push(unit);
                }
            }
        }
        short
    }

    /// Whether the budget of all of the cell is in the way of any node.
    pub(super) fn is_cell_short(&mut self, least: MilliWatts) -> bool {
        let cell = self.ask.cell.grid().cell();
        self.is_powered && cell.is_some_and(|cell| !self.may_have_from(cell, least))
    }

    /// The least that the request could draw on a node.
    pub(super) fn least_need(&self) -> MilliWatts {
        let needs = self.ask.sku.into_iter().flat_map(|(sku, _)| {
            let sizes = self.ask.sizes();
            sizes.map(move |gpus| self.envelope_on(sku, gpus))
        });
        needs.min().unwrap_or_default()
    }

    /// Whether a unit's budget allows so much.
    pub(super) fn may_have_from(&mut self, unit: UnitId, least: MilliWatts) -> bool {
        let is_allowed = self.allows(unit, least);
        self.met |= !is_allowed;
        is_allowed
    }

    /// Whether nodes that nobody has are all kept from this side, those of an owner that lets in the other
    /// side, or of any.
    pub(super) fn keeps_all(&self, group: Group) -> bool {
        let none = |left: Option<u32>| left == Some(0);
        none(self.fresh_nodes) || (none(self.floor_nodes) && group.may_serve(other(self.ask.side)))
    }

    /// Whether domains may be kept from this side one by one.
    pub(super) fn keeps_domains(&self) -> bool {
        let none = |left: Option<u32>| left == Some(0);
        none(self.fresh_domains) || none(self.floor_domains)
    }

    /// Whether floors or ceilings may be in the way of a single node.
    pub(super) fn may_reserve(&self) -> bool {
        let none = |left: Option<u32>| left == Some(0);
        none(self.fresh_nodes) || none(self.floor_nodes) || self.keeps_domains()
    }

    /// Whether anything may be in the way of a single node.
    pub(super) fn may_bar(&self) -> bool {
        let book = self.ask.cell.grid().book();
        let most = |(sku, _)| self.envelope_on(sku, self.ask.largest);
        let is_tight =
            || book.tight().next().is_some() || self.ask.sku.map(most) > Some(book.much());
        self.may_reserve() || (self.is_powered && (is_tight() || !self.is_to_come()))
    }

    /// How many of these nodes budgets allow together, in any order in which they are taken: each unit
    /// allows so many, and so many are below it at most. Absent where nodes would not draw the same.
    pub(super) fn most_of(&mut self, nodes: impl Iterator<Item = NodeIndex>) -> Option<u32> {
        let grid = self.ask.cell.grid();
        let mut need: Option<MilliWatts> = None;
        let mut direct: BTreeMap<UnitId, u32> = BTreeMap::new();
        let (mut free, mut last) = (0, None);
        for node in nodes {
            let (_, stance) = self.ask.look(node);
            let more = self.envelope(stance);
            if *need.get_or_insert(more) != more {
                return None;
            }
            // Neighbours mostly stand below one unit.
            let unit = grid.unit_of(node);
            let above = match last {
                Some((known, above)) if grid.are_alike(known, unit) => above,
                Some(_) | None => grid.bounded_above(unit).next(),
            };
            last = Some((unit, above));
            match above {
                Some(above) => *direct.entry(above).or_default() += 1,
                None => free += 1,
            }
        }
        let need = need.filter(|need| *need > MilliWatts::ZERO);
        // Units are numbered from the top, so that the last has none below it.
        while let Some((unit, below)) = direct.pop_last() {
            let allowed = need.map_or(u64::MAX, |need| {
                let spent = self.spent.get(&unit).copied().unwrap_or_default();
                self.left_in(unit).saturating_sub(spent).0 / need.0
            });
            let most = below.min(u32::try_from(allowed).unwrap_or(u32::MAX));
            match grid.bounded_above(unit).nth(1) {
                Some(above) => *direct.entry(above).or_default() += most,
                None => free += most,
            }
        }
        Some(free)
    }

    /// What floors and ceilings leave of whole nodes that this side has nothing of, and of those of them
    /// that could be the other side's; absent where that is `wanted` or more.
    pub(super) fn shares_below(&self, wanted: u32) -> Option<(u32, u32)> {
        let left = |left: Option<u32>| left.unwrap_or(u32::MAX);
        let (fresh, open) = (left(self.fresh_nodes), left(self.floor_nodes));
        (fresh < wanted || open < wanted).then_some((fresh, open))
    }

    /// Whether floors and ceilings might leave fewer nodes than `wanted`.
    pub(super) fn may_keep(&self, wanted: u32) -> bool {
        let kept = [
            self.fresh_nodes,
            self.floor_nodes,
            self.fresh_domains,
            self.floor_domains,
        ];
        kept.into_iter().flatten().any(|left| left < wanted)
    }

    /// Takes nodes of one pool, up to so many and in this order, as far as nothing is in the way.
    pub(super) fn take_some<'s, T>(
        &mut self,
        nodes: impl Iterator<Item = &'s T>,
        index: impl Fn(&T) -> NodeIndex,
        most: usize,
    ) -> Vec<&'s T> {
        let mut taken: Vec<&'s T> = Vec::with_capacity(most.min(64));
        let is_alike = !self.ask.cell.grid().has_narrow_budgets();
        // Of nodes below the same budgets that draw the same, so many at most.
        let mut known: Option<(MilliWatts, u32, NodeIndex)> = None;
        let mut drawing = 0;
        for one in nodes {
            if taken.len() == most {
                break;
            }
            let node = index(one);
            let (_, stance) = self.ask.look(node);
            if self.is_reserved(node, stance) {
                continue;
            }
            if self.is_powered && is_alike {
                let need = self.envelope(stance);
                let room = match known {
                    Some((same, room, _)) if same == need => room,
                    Some((other, _, first)) => {
                        self.spend_for(first, other, drawing);
                        drawing = 0;
                        self.room_for(node, need, most)
                    }
                    None => self.room_for(node, need, most),
                };
                if known.is_none_or(|(same, _, _)| same != need) {
                    known = Some((need, room, node));
                }
                if drawing == room {
                    continue;
                }
                drawing += 1;
            } else if self.lacks_watts(node, stance) {
                continue;
            } else {
                self.spend(node, stance);
            }
            self.take_share(node, stance);
            taken.push(one);
        }
        if let Some((need, _, first)) = known {
            self.spend_for(first, need, drawing);
        }
        taken
    }

    /// How many nodes that draw so much could be had where a node stands, of so many.
    fn room_for(&mut self, node: NodeIndex, need: MilliWatts, most: usize) -> u32 {
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

    /// Takes a node.
    pub(super) fn take(&mut self, node: NodeIndex, stance: &Stance) {
        self.spend(node, stance);
        self.take_share(node, stance);
    }

    /// Takes a node, as far as floors and ceilings go.
    fn take_share(&mut self, node: NodeIndex, stance: &Stance) {
        let side = self.ask.side;
        if !self.keep_anything() || stance.serves(side) {
            return;
        }
        let take = |left: &mut Option<u32>| *left = left.map(|n| n.saturating_sub(1));
        take(&mut self.fresh_nodes);
        if stance.is_open_to(other(side)) {
            take(&mut self.floor_nodes);
        }
        if !self.counts_domains() {
            return;
        }
        let domain = self.domain(node, stance);
        if domain.is_fresh {
            take(&mut self.fresh_domains);
        }
        if domain.is_open {
            take(&mut self.floor_domains);
        }
        if let Some(id) = domain.shared {
            self.entered.insert(id);
        }
    }

    /// Takes up to so many further leases on a node that one was taken on, and says how many. They
    /// cost nothing but watts.
    pub(super) fn take_more(&mut self, node: NodeIndex, stance: &Stance, most: u32) -> u32 {
        let mut taken = 0;
        while taken < most && !self.lacks_watts(node, stance) {
            self.spend(node, stance);
            taken += 1;
        }
        taken
    }

    fn spend(&mut self, node: NodeIndex, stance: &Stance) {
        if !self.is_powered {
            return;
        }
        self.spend_for(node, self.envelope(stance), 1);
    }

    /// The watts of so many nodes that draw the same below the budgets above one of them.
    fn spend_for(&mut self, node: NodeIndex, need: MilliWatts, nodes: u32) {
        if nodes == 0 {
            return;
        }
        let grid = self.ask.cell.grid();
        for unit in grid.bounded_above(grid.unit_of(node)) {
            *self.spent.entry(unit).or_default() += MilliWatts(need.0 * u64::from(nodes));
        }
    }

    /// What taking a node would use up.
    pub(super) fn price(&self, node: NodeIndex, stance: &Stance) -> Price {
        if !self.keep_anything() || stance.serves(self.ask.side) {
            return Price {
                domains: 0,
                nodes: 0,
            };
        }
        let counted = |left: Option<u32>, falls: bool| u32::from(left.is_some() && falls);
        let domain = self.domain(node, stance);
        let is_open = stance.is_open_to(other(self.ask.side));
        Price {
            domains: counted(self.fresh_domains, domain.is_fresh)
                + counted(self.floor_domains, domain.is_open),
            nodes: counted(self.fresh_nodes, true) + counted(self.floor_nodes, is_open),
        }
    }

    /// What nodes have in common whose domain is counted once: their pool, or each its own.
    pub(super) fn domain_of(&self, node: NodeIndex) -> (PoolId, Option<NodeIndex>) {
        let (id, pool) = self.ask.cell.index().pools.of(node);
        (id, (pool.level != Locality::Domain).then_some(node))
    }

    /// The same as far as these nodes are concerned: a try that costs no more than they do.
    pub(super) fn around(&self, nodes: impl Iterator<Item = NodeIndex>) -> Self {
        let (mut entered, mut left) = (BTreeSet::new(), BTreeMap::new());
        let mut spent = BTreeMap::new();
        let grid = self.ask.cell.grid();
        for node in nodes {
            let (id, _) = self.domain_of(node);
            entered.extend(self.entered.get(&id));
            for unit in grid.bounded_above(grid.unit_of(node)) {
                left.extend(self.left.get_key_value(&unit));
                spent.extend(self.spent.get_key_value(&unit));
            }
        }
        Self {
            is_powered: self.is_powered,
            ask: self.ask,
            minutes: self.minutes,
            fresh_nodes: self.fresh_nodes,
            floor_nodes: self.floor_nodes,
            fresh_domains: self.fresh_domains,
            floor_domains: self.floor_domains,
            entered,
            spent,
            left,
            met: self.met,
        }
    }

    /// The domain of a node that this side has nothing of, as far as it is not entered yet.
    fn domain(&self, node: NodeIndex, stance: &Stance) -> Domain {
        let (id, pool) = self.ask.cell.index().pools.of(node);
        let theirs = other(self.ask.side);
        if pool.level != Locality::Domain {
            return Domain {
                is_fresh: true,
                is_open: stance.is_open_to(theirs),
                shared: None,
            };
        }
        let is_new = !self.entered.contains(&id);
        Domain {
            is_fresh: is_new && !pool.is_used_by(self.ask.side, stance.sku),
            is_open: is_new && pool.is_open_to(theirs, stance.sku),
            shared: Some(id),
        }
    }

    /// What keeps the watts from nodes, all together.
    pub(super) fn shortage(&self, nodes: &NodeSet) -> Option<Shortage> {
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
    pub(super) fn envelope(&self, stance: &Stance) -> MilliWatts {
        self.envelope_on(stance.sku, stance.gpus)
    }

    /// What the lease would draw at most on a node of a SKU with so many GPUs.
    pub(super) fn envelope_on(&self, sku: SkuId, gpus: u8) -> MilliWatts {
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

    fn left_in(&mut self, unit: UnitId) -> MilliWatts {
        let (book, minutes) = (self.ask.cell.grid().book(), self.minutes);
        *self.left.entry(unit).or_insert_with(|| {
            let bound = book.bound(unit);
            bound
                .and_then(|(budget, profile)| headroom(profile, budget, minutes))
                .unwrap_or(MilliWatts(u64::MAX))
        })
    }
}

struct Domain {
    /// This side has nothing of it yet.
    is_fresh: bool,
    /// All of it could be the other side's.
    is_open: bool,
    /// Its pool, where it has several nodes.
    shared: Option<PoolId>,
}
