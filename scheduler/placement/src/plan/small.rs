//! Leases on one node: which node, and which of its GPUs.
//!
//! For the present the index has every node that could do in the order of the score, in a handful of
//! ordered sets; the best four are the first entries of those. Only nodes in several hands, and those
//! with bookings to come of which the account has something, are judged one by one. For a start to
//! come every node of the SKU is.
//!
//! Of the whole nodes of one pool that served the same side before, the first stands for all: they
//! differ in nothing but their number.

use super::ask::{Ask, Need};
use super::limits::Limits;
use super::rules::{Verdict, judge};
use super::score::{Podium, RUNNERS_UP, Score};
use super::tally::Tally;
use crate::cell::{ByNext, Group, PoolKey, Stance, number, other};
use leasehold_common::explain::Candidate;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::GpuSlots;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A node, and what of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) node: NodeIndex,
    /// Absent where it is taken whole.
    slots: Option<GpuSlots>,
}

/// The best few places.
pub(super) fn spots(ask: &Ask<'_>, tally: &Tally, limits: &mut Limits<'_>) -> Podium<Spot> {
    if !ask.is_present() {
        return of_fitting(ask, &tally.fitting, limits);
    }
    let mut podium = Podium::new();
    enter_idle(ask, limits, &mut podium);
    if let Need::Gpus(count) = ask.need {
        enter_parts(ask, count, limits, &mut podium);
    }
    enter_booked(ask, limits, &mut podium);
    for (node, verdict) in &tally.fitting {
        let (_, stance) = ask.look(*node);
        enter(ask, *node, stance, verdict, limits, &mut podium);
    }
    debug_assert_eq!(
        podium.best,
        of_fitting(ask, &every_fitting(ask), &mut limits.clone()).best,
        "the index has the best places"
    );
    podium
}

/// Every node that fits, from a look at all of them.
fn every_fitting(ask: &Ask<'_>) -> Vec<(NodeIndex, Verdict)> {
    let verdicts = ask.nodes().map(|(index, stance)| {
        let (node, _) = ask.look(index);
        (index, judge(node, stance, ask))
    });
    verdicts
        .filter(|(_, verdict)| verdict.faults.fits())
        .collect()
}

/// The best few places of all that fit, in the order of their numbers.
fn of_fitting(
    ask: &Ask<'_>,
    fitting: &[(NodeIndex, Verdict)],
    limits: &mut Limits<'_>,
) -> Podium<Spot> {
    let mut podium = Podium::new();
    let mut seen = BTreeSet::new();
    for (node, verdict) in fitting {
        let (_, stance) = ask.look(*node);
        if stance.is_whole() {
            let (pool, _) = ask.cell.index().pools.of(*node);
            let twin = (pool, stance.condition.owner, stance.last_side, stance.gpus);
            if limits.bar(*node, stance).is_some() || !seen.insert(twin) {
                continue;
            }
        }
        enter(ask, *node, stance, verdict, limits, &mut podium);
    }
    podium
}

/// Whole nodes that nobody has, by pools.
pub(super) fn enter_idle(ask: &Ask<'_>, limits: &mut Limits<'_>, podium: &mut Podium<Spot>) {
    let Some((_, index)) = ask.sku else {
        return;
    };
    let least = limits.least_need();
    if limits.is_cell_short(least) {
        return;
    }
    for group in Group::ALL.into_iter().filter(|g| g.may_serve(ask.side)) {
        if limits.keeps_all(group) {
            continue;
        }
        let idle = &index.groups[group.number()];
        enter_pools(ask, group, &idle.pools, limits, podium);
        for (unit, pools) in &idle.tight {
            if !pools.is_empty() && limits.may_have_from(*unit, least) {
                enter_pools(ask, group, pools, limits, podium);
            }
        }
    }
}

/// The best few of some pools.
fn enter_pools(
    ask: &Ask<'_>,
    group: Group,
    pools: &BTreeSet<PoolKey>,
    limits: &mut Limits<'_>,
    podium: &mut Podium<Spot>,
) {
    let Some((sku, _)) = ask.sku.filter(|_| !pools.is_empty()) else {
        return;
    };
    let is_narrow = ask.cell.grid().has_narrow_budgets();
    for (breaks_domain, gpus) in ask.sizes().flat_map(|gpus| [(false, gpus), (true, gpus)]) {
        let (mut entered, mut last) = (0, 0);
        for key in keys(pools, breaks_domain, gpus) {
            // Where something is in the way, the first that can be had of a pool need not come in the
            // order of pools.
            if entered > RUNNERS_UP && (!limits.met || key.left > last) {
                break;
            }
            last = key.left;
            let pool = ask.cell.index().pools.get(key.pool);
            // What is in the way of one of them is in the way of all, mostly.
            let tried = if is_narrow { usize::MAX } else { 1 };
            let mut tried = pool.alike(sku, group, gpus).take(tried);
            let Some(node) = tried.find(|n| limits.bar(*n, ask.look(*n).1).is_none()) else {
                continue;
            };
            let score = Score {
                side_changes: u32::from(group.changes_side(ask.side)),
                domains_broken: u32::from(breaks_domain),
                slices: None,
                gpus_stranded: stranded(ask, GpuSlots::first(gpus)),
                unit_left: key.left,
                idle_before: 0,
                node_index: node,
            };
            podium.enter(score, || spot(ask, node, GpuSlots::first(gpus), gpus));
            entered += 1;
        }
    }
}

/// The pools with whole nodes of one size, in the order in which they are broken into.
fn keys(
    pools: &BTreeSet<PoolKey>,
    breaks_domain: bool,
    gpus: u8,
) -> impl Iterator<Item = &PoolKey> {
    let first = PoolKey {
        breaks_domain,
        gpus,
        ..PoolKey::FIRST
    };
    let alike = pools.range(first..);
    alike.take_while(move |key| (key.breaks_domain, key.gpus) == (breaks_domain, gpus))
}

/// Room beside other leases of the account, beside those of the other side where policy lets both be
/// there, and nodes with sick GPUs that nobody has.
pub(super) fn enter_parts(
    ask: &Ask<'_>,
    count: u8,
    limits: &mut Limits<'_>,
    podium: &mut Podium<Spot>,
) {
    let Some((_, index)) = ask.sku else {
        return;
    };
    let beside = ask.account.and_then(|account| index.beside.get(&account));
    let frail = Group::ALL
        .into_iter()
        .filter(|group| group.may_serve(ask.side))
        .map(|group| &index.groups[group.number()].frail);
    // Empty where both sides are kept off one node.
    let across = &index.across[number(other(ask.side))];
    let rooms = beside.map(|own| &own.room).into_iter().chain([across]);
    for room in rooms.chain(frail) {
        let enough = room.range((count, NodeIndex(0))..);
        // The account's room may be of the other side's, or not to be had by this one: an account
        // has one side, but what its nodes are meant for can change under it.
        let mut entered = 0;
        for (_, node) in enough {
            let (known, stance) = ask.look(*node);
            if limits.bar(*node, stance).is_some() {
                continue;
            }
            let verdict = judge(known, stance, ask);
            entered += u32::from(enter(ask, *node, stance, &verdict, limits, podium));
            if entered as usize > RUNNERS_UP {
                break;
            }
        }
    }
}

/// Nodes that nobody has until after the window, by when they are booked.
pub(super) fn enter_booked(ask: &Ask<'_>, limits: &mut Limits<'_>, podium: &mut Podium<Spot>) {
    let (Some((_, index)), Some(until)) = (ask.sku, ask.window.until()) else {
        return;
    };
    if !ask.stands_alone() {
        return;
    }
    for group in Group::ALL.into_iter().filter(|g| g.may_serve(ask.side)) {
        for (size, nodes) in &index.ahead.idle[group.number()] {
            let is_enough = match ask.need {
                Need::Whole => size.free == size.gpus,
                Need::Gpus(count) => size.free >= count,
                Need::Slices(_) => false,
            };
            if is_enough {
                enter_by_next(ask, nodes, until, limits, podium);
            }
        }
    }
}

/// The first of nodes that differ in nothing but when they are booked.
fn enter_by_next(
    ask: &Ask<'_>,
    nodes: &ByNext,
    until: Timestamp,
    limits: &mut Limits<'_>,
    podium: &mut Podium<Spot>,
) {
    let minutes = |next: Timestamp| next.since(until).millis() / 60_000;
    let (mut entered, mut last) = (0, 0);
    let mut from = until;
    while let Some((next, _)) = nodes.range((from, NodeIndex(0))..).next() {
        // Only whole minutes are compared, and then the nodes' numbers.
        if entered > RUNNERS_UP && minutes(*next) > last {
            return;
        }
        last = minutes(*next);
        let mut alike = 0;
        for (_, node) in nodes.range((*next, NodeIndex(0))..=(*next, NodeIndex(u32::MAX))) {
            let (known, stance) = ask.look(*node);
            let verdict = judge(known, stance, ask);
            alike += usize::from(enter(ask, *node, stance, &verdict, limits, podium));
            if alike > RUNNERS_UP {
                break;
            }
        }
        entered += alike;
        from = *next + Span::from_millis(1);
    }
}

/// Enters a node, if it can be had.
fn enter(
    ask: &Ask<'_>,
    node: NodeIndex,
    stance: &Stance,
    verdict: &Verdict,
    limits: &mut Limits<'_>,
    podium: &mut Podium<Spot>,
) -> bool {
    if !verdict.faults.fits() || limits.bar(node, stance).is_some() {
        return false;
    }
    let (_, pool) = ask.cell.index().pools.of(node);
    let is_whole = stance.is_whole();
    let score = Score {
        side_changes: u32::from(verdict.changes_side),
        domains_broken: u32::from(is_whole && pool.breaks_domain()),
        slices: None,
        gpus_stranded: stranded(ask, verdict.free),
        unit_left: if is_whole { pool.whole - 1 } else { 0 },
        idle_before: u64::from(verdict.idle_minutes),
        node_index: node,
    };
    podium.enter(score, || spot(ask, node, verdict.free, stance.gpus));
    true
}

fn stranded(ask: &Ask<'_>, free: GpuSlots) -> u32 {
    match ask.need {
        Need::Whole => 0,
        Need::Gpus(count) | Need::Slices(count) => u32::from(free.len() - count),
    }
}

fn spot(ask: &Ask<'_>, node: NodeIndex, free: GpuSlots, gpus: u8) -> Spot {
    let slots = match ask.need {
        Need::Whole => None,
        Need::Gpus(count) | Need::Slices(count) => Some(closest(free, count, gpus)),
    };
    Spot { node, slots }
}

/// `count` of the free GPUs, close together: within one half of the node where a half has enough,
/// the half with the fewest that do, because the halves hang on different CPUs and NICs; otherwise
/// the lowest.
pub(super) fn closest(free: GpuSlots, count: u8, gpus: u8) -> GpuSlots {
    let low = GpuSlots::first(gpus / 2);
    let halves = [free.common(low), free.minus(low)];
    let from = halves
        .into_iter()
        .filter(|half| half.len() >= count)
        .min_by_key(|half| half.len())
        .unwrap_or(free);
    from.iter()
        .take(usize::from(count))
        .fold(GpuSlots::NONE, GpuSlots::with)
}

impl Spot {
    pub(super) fn candidate(self, ask: &Ask<'_>) -> Candidate {
        let (_, pool) = ask.cell.index().pools.of(self.node);
        let (known, _) = ask.look(self.node);
        Candidate {
            unit: known.spec.path.unit(pool.level),
            nodes: [self.node].into_iter().collect(),
            gpus: self
                .slots
                .map_or_else(BTreeMap::new, |slots| BTreeMap::from([(self.node, slots)])),
            slices: BTreeMap::new(),
            spares: NodeSet::new(),
            score: Vec::new(),
            lost_by: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_taken_within_one_half_of_a_node() {
        let free = |slots: &[u8]| slots.iter().copied().fold(GpuSlots::NONE, GpuSlots::with);
        assert_eq!(closest(free(&[0, 1, 2, 3, 6, 7]), 2, 8), free(&[6, 7]));
        assert_eq!(closest(free(&[3, 4, 5, 6]), 2, 8), free(&[4, 5]));
        assert_eq!(closest(free(&[1, 2, 5]), 3, 8), free(&[1, 2, 5]));
        assert_eq!(closest(GpuSlots::first(8), 4, 8), GpuSlots::first(4));
    }
}
