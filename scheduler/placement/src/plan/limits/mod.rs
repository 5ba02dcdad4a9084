//! What a node that fits may still not be had for: watts, and what is kept for the other side.
//!
//! Both are about many nodes at once, and shrink while a gang is put together: a node taken is
//! watts gone in every unit above it, and may be one of the last that a floor keeps.
//!
//! Floors and ceilings count a node, or a domain, as a side's from the first booking to the last on
//! it. That is stricter than they need to be where leases follow each other, and never less strict.
//!
//! `watts` is about budgets, `shares` about floors and ceilings.

mod shares;
mod watts;

pub(super) use shares::{Kept, Price};

use super::ask::Ask;
use super::faults::{Cause, Faults, Rule};
use crate::cell::{PoolId, Stance, other};
use crate::power::{Minutes, UnitId};
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::{Policy, Share};
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
        let rule = match self {
            Self::Reserved => Rule::Reserved,
            Self::Power => Rule::Power,
        };
        faults.with(rule, self.cause())
    }

    /// The same as what keeps a node away.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Reserved => Cause::Reserved,
            Self::Power => Cause::Power,
        }
    }
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
    /// Units that are short of this for one node, where that was looked up.
    short: Option<Short>,
    /// Whether anything was in the way of anybody.
    pub(super) met: bool,
}

/// Units whose budgets are in the way of one node.
#[derive(Debug, Clone)]
struct Short {
    /// That draws so much.
    need: MilliWatts,
    /// Those that stand in none of the others, in order.
    units: Vec<UnitId>,
    /// The same, by their ranks among the units that have a budget: a bit each.
    is_one: Vec<u64>,
}

impl Short {
    fn has(&self, rank: u32) -> bool {
        self.is_one[rank as usize / 64] >> (rank % 64) & 1 == 1
    }
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
            short: None,
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
            short: None,
            ..self.clone()
        }
    }

    /// The same for other minutes than those of the request.
    pub(super) fn during(self, minutes: Minutes) -> Self {
        Self {
            minutes,
            left: BTreeMap::new(),
            short: None,
            ..self
        }
    }

    /// The same without any power budget.
    pub(super) fn without_watts(&self) -> Self {
        Self {
            is_powered: false,
            ..self.clone()
        }
    }

    /// The same without floors and ceilings.
    pub(super) fn without_shares(&self) -> Self {
        Self {
            fresh_nodes: None,
            floor_nodes: None,
            fresh_domains: None,
            floor_domains: None,
            ..self.clone()
        }
    }

    /// Whether there is any power budget.
    pub(super) const fn are_powered(&self) -> bool {
        self.is_powered
    }

    /// Whether anything can be in the way at all.
    pub(super) fn are_any(&self) -> bool {
        self.is_powered || self.keep_anything()
    }

    /// Whether anything can be in the way of so many nodes together.
    pub(super) fn may_bind(&self, wanted: u32) -> bool {
        self.is_powered || self.may_keep(wanted)
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

    /// Whether anything may be in the way of a single node.
    pub(super) fn may_bar(&self) -> bool {
        let book = self.ask.cell.grid().book();
        let most = |(sku, _)| self.envelope_on(sku, self.ask.largest);
        let is_tight =
            || book.tight().next().is_some() || self.ask.sku.map(most) > Some(book.much());
        self.may_reserve() || (self.is_powered && (is_tight() || !self.is_to_come()))
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

    /// Takes nodes one by one, in this order, as far as nothing is in the way.
    pub(super) fn take_each<'s, T>(
        &mut self,
        nodes: impl Iterator<Item = &'s T>,
        index: impl Fn(&T) -> NodeIndex,
    ) -> Vec<&'s T> {
        let mut taken = Vec::new();
        for one in nodes {
            let node = index(one);
            let stance = self.ask.stance(node);
            if self.bar(node, stance).is_none() {
                self.take(node, stance);
                taken.push(one);
            }
        }
        taken
    }

    /// Takes a node.
    pub(super) fn take(&mut self, node: NodeIndex, stance: &Stance) {
        self.spend(node, stance);
        self.take_share(node, stance);
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
            short: None,
            met: self.met,
        }
    }
}
