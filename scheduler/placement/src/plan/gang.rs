//! Gangs of whole nodes: the smallest unit that holds one, and which of its nodes.

use super::limits::Limits;
use super::score::{Podium, Score};
use super::survey::{Seat, Survey, count};
use leasehold_common::explain::Candidate;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::{Locality, Prefix};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many nodes a gang takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Nodes that work.
    pub(super) nodes: u32,
    /// Nodes kept besides in each domain it goes to.
    pub(super) spares: u32,
    /// Whether every pool it goes to is all its own.
    pub(super) whole: bool,
}

impl Size {
    /// So many nodes that work, and the spares that the shape asks for.
    pub(super) const fn of(shape: &Shape, nodes: u32) -> Self {
        let spares = match shape {
            Shape::Nodes { spares, .. } => *spares,
            Shape::Gpus { .. } | Shape::Slices { .. } | Shape::Unit { .. } => 0,
        };
        Self {
            nodes,
            spares,
            whole: shape.whole_units().is_some(),
        }
    }

    /// Of nodes in topology order, how many could work with the others of their pools as spares.
    pub(super) fn most_working<'s>(self, seats: impl Iterator<Item = &'s Seat>) -> u32 {
        if self.spares == 0 {
            return count(seats.count());
        }
        let mut pools: BTreeMap<u32, usize> = BTreeMap::new();
        // A node that is its own domain has none beside it.
        for seat in seats.filter(|seat| !seat.is_domain) {
            *pools.entry(seat.pool).or_default() += 1;
        }
        count(pools.into_values().map(|nodes| self.working(nodes)).sum())
    }

    /// Of so many nodes of one pool, those that could work.
    const fn working(self, nodes: usize) -> usize {
        nodes.saturating_sub(self.spares as usize)
    }
}

/// Nodes chosen from one unit.
struct Choice<'s> {
    level: Locality,
    nodes: Vec<&'s Seat>,
    spares: Vec<&'s Seat>,
    /// Nodes of the unit that fit and were not chosen.
    left: usize,
}

/// One placement for each unit of the smallest size at which any unit holds the gang.
pub(super) fn candidates(
    survey: &Survey<'_>,
    size: Size,
    limits: &Limits<'_>,
) -> Podium<Candidate> {
    let mut podium = Podium::new();
    let fit: Vec<&Seat> = survey.seats.iter().filter(|s| s.faults.fits()).collect();
    let of_unit = survey.of_whole_unit();
    let is_multiple = of_unit.is_none_or(|nodes| size.nodes.is_multiple_of(nodes.max(1)));
    if fit.len() < size.nodes as usize || !is_multiple {
        return podium;
    }
    let smallest = survey.ask.whole().unwrap_or(Locality::Domain);
    for level in Locality::ALL {
        if level < smallest {
            continue;
        }
        if level > survey.ask.within() {
            break;
        }
        let units = fit.chunk_by(|a, b| a.shares(b, level));
        for unit in units.filter(|unit| unit.len() >= size.nodes as usize) {
            if podium.is_beyond(&at_best(unit, size)) {
                continue;
            }
            if let Some(choice) = choose(unit, level, size, limits) {
                let score = score(&choice);
                podium.enter(score, || candidate(survey, &choice));
            }
        }
        if !podium.best.is_empty() {
            break;
        }
    }
    podium
}

/// A score that no choice from a unit beats, without choosing: most units of a large cell are passed
/// over by it. Spares and limits only make a choice worse.
fn at_best(unit: &[&Seat], size: Size) -> Score {
    // By whether they change sides, then by what they break: nothing, themselves, a larger domain.
    let mut tiers = [[0_usize; 3]; 2];
    let mut first = NodeIndex(u32::MAX);
    for seat in unit {
        let breaks = match (seat.breaks_domain, seat.is_domain) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        };
        tiers[usize::from(seat.changes_side)][breaks] += 1;
        first = first.min(seat.index);
    }
    let mut left = size.nodes as usize;
    let (mut changes, mut broken) = (0, 0);
    for (side, tier) in tiers.into_iter().enumerate() {
        let taken = left.min(tier.iter().sum());
        left -= taken;
        changes += side * taken;
        let breaking = taken.saturating_sub(tier[0]);
        // One larger domain may hold all that are not domains of their own.
        broken += breaking.saturating_sub(tier[2]);
    }
    Score {
        side_changes: count(changes),
        domains_broken: count(broken),
        slices: None,
        gpus_stranded: 0,
        unit_left: match size.spares {
            0 => count(unit.len() - size.nodes as usize),
            // How many more are kept depends on how many pools it goes to.
            _ => 0,
        },
        idle_before: 0,
        node_index: first,
    }
}

/// The nodes, spares too, that a gang would have if nothing but other leases were in the way: of all of
/// it, or where that fits nowhere, of as much as the unit with the most has.
pub(super) fn would_have(survey: &Survey<'_>, size: Size) -> NodeSet {
    let limits = Limits::none(survey.ask);
    let best = candidates(survey, size, &limits).best.into_iter().next();
    if let Some((_, candidate)) = best {
        return candidate.nodes;
    }
    let within = survey.ask.within();
    let fit: Vec<&Seat> = survey.seats.iter().filter(|s| s.faults.fits()).collect();
    let units = fit.chunk_by(|a, b| a.shares(b, within));
    let Some(unit) = units.max_by_key(|unit| unit.len()) else {
        return NodeSet::new();
    };
    let (nodes, spares) = pick_most(unit, size, &limits);
    nodes.iter().chain(&spares).map(|seat| seat.index).collect()
}

/// The most nodes of a gang that one unit of the locality could have now.
pub(super) fn most(survey: &Survey<'_>, size: Size, limits: &Limits<'_>) -> u32 {
    let within = survey.ask.within();
    let fit: Vec<&Seat> = survey.seats.iter().filter(|s| s.faults.fits()).collect();
    fit.chunk_by(|a, b| a.shares(b, within))
        .map(|unit| {
            let most = Size {
                nodes: count(unit.len()),
                ..size
            };
            count(pick_most(unit, most, limits).0.len())
        })
        .max()
        .unwrap_or(0)
}

fn choose<'s>(
    unit: &[&'s Seat],
    level: Locality,
    size: Size,
    limits: &Limits<'_>,
) -> Option<Choice<'s>> {
    let (nodes, spares) = pick_most(unit, size, limits);
    (nodes.len() == size.nodes as usize).then(|| Choice {
        level,
        left: unit.len() - nodes.len() - spares.len(),
        nodes,
        spares,
    })
}

/// Which nodes of a unit, by score, and where that is too few because domains run out, by how many each
/// domain gives.
fn pick_most<'s>(
    seats: &[&'s Seat],
    size: Size,
    limits: &Limits<'_>,
) -> (Vec<&'s Seat>, Vec<&'s Seat>) {
    let chosen = pick(seats, size, limits, Order::Score);
    if chosen.0.len() == size.nodes as usize || !limits.may_keep_domains(size.nodes) {
        return chosen;
    }
    let more = pick(seats, size, limits, Order::Domains);
    if more.0.len() > chosen.0.len() {
        more
    } else {
        chosen
    }
}

/// By what nodes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// What the score likes best.
    Score,
    /// The domains that floors and ceilings do not count, then those that give most.
    Domains,
}

/// Which nodes of a unit, as many of the size as it has: those that serve this side already before
/// those that would change, those of broken domains before those that would break one, and as few
/// pools as that allows. Every pool gives its spares before it gives a node that works.
fn pick<'s>(
    seats: &[&'s Seat],
    size: Size,
    limits: &Limits<'_>,
    order: Order,
) -> (Vec<&'s Seat>, Vec<&'s Seat>) {
    let wanted = size.nodes as usize;
    let kept = limits;
    let mut limits = limits.are_any().then(|| limits.clone());
    let mut tiers: Vec<Placed<'s>> = seats
        .iter()
        // A node that is its own domain has no place for a spare in it.
        .filter(|seat| size.spares == 0 || !seat.is_domain)
        .map(|&seat| match order {
            Order::Score => ((seat.changes_side, seat.breaks_domain), seat.pool, seat),
            Order::Domains => {
                let is_counted = kept.price_of(seat.index).domains > 0;
                // A node that is its own domain gives one.
                let pool = if seat.is_domain && !size.whole {
                    u32::MAX - seat.index.0
                } else {
                    seat.pool
                };
                ((is_counted, false), pool, seat)
            }
        })
        .collect();
    if size.spares > 0 || size.whole {
        // Spares are kept with the nodes they are for, whatever else tells those apart, and so are all of
        // a whole unit.
        let mut worst = BTreeMap::new();
        for (tier, pool, _) in &tiers {
            let entry = worst.entry(*pool).or_insert(*tier);
            *entry = (*entry).max(*tier);
        }
        for (tier, pool, _) in &mut tiers {
            *tier = worst[pool];
        }
    }
    // Seats stand in topology order, so that in each tier the pools mostly stand in theirs.
    let mut tiers = by_tier(&tiers);
    if !tiers.is_sorted_by_key(|(tier, pool, _)| (*tier, *pool)) {
        tiers.sort_by_key(|(tier, pool, _)| (*tier, *pool));
    }
    let (mut nodes, mut spares) = (Vec::with_capacity(wanted), Vec::new());
    for tier in tiers.chunk_by_mut(|a, b| a.0 == b.0) {
        if nodes.len() == wanted {
            break;
        }
        let mut pools: Vec<_> = tier.chunk_by_mut(|a, b| a.1 == b.1).collect();
        // Stable, so that equal pools stay in topology order.
        pools.sort_by_key(|pool| Reverse(pool.len()));
        let mut first = 0;
        while nodes.len() < wanted && first < pools.len() {
            let left = wanted - nodes.len();
            let at = first + best_fit(&pools[first..], left + size.spares as usize);
            let pool = &mut pools[at];
            if size.working(pool.len()) == 0 {
                // The largest that is left has no node besides its spares.
                break;
            }
            pool.sort_by_key(|(_, _, seat)| seat.idle_minutes);
            let most = left + size.spares as usize;
            // What is no whole unit in the end is not taken from.
            let untouched = if size.whole { limits.clone() } else { None };
            let all = pool.len();
            let of_pool = pool.iter().map(|(_, _, seat)| *seat);
            let mut free: Vec<&'s Seat> = match limits.as_mut() {
                // A unit can have racks below several budgets.
                Some(limits) if size.whole => limits.take_each(of_pool, |seat| seat.index),
                Some(limits) => limits.take_some(of_pool, |seat| seat.index, most),
                None => of_pool.take(most).collect(),
            };
            if size.whole && free.len() < all {
                free.clear();
                limits = untouched;
            }
            let working = size.working(free.len());
            if working > 0 {
                spares.extend(free.drain(working.min(left)..).take(size.spares as usize));
                nodes.extend(free);
            }
            // The pool is done with, wherever it stood: what follows keeps its order.
            pools[first..=at].rotate_right(1);
            first += 1;
        }
    }
    (nodes, spares)
}

/// Whether it changes sides and whether it breaks a domain, its pool, and the node.
type Placed<'s> = ((bool, bool), u32, &'s Seat);

/// The same by tier, in the order in which they stood.
fn by_tier<'s>(seats: &[Placed<'s>]) -> Vec<Placed<'s>> {
    let mut sorted = Vec::with_capacity(seats.len());
    for tier in [(false, false), (false, true), (true, false), (true, true)] {
        sorted.extend(seats.iter().filter(|(other, _, _)| *other == tier));
    }
    sorted
}

/// Of pools that stand by size, largest first: the first of the smallest that hold what is left,
/// or the largest where none does.
fn best_fit<T>(pools: &[&mut [T]], left: usize) -> usize {
    let holding = pools.partition_point(|pool| pool.len() >= left);
    match holding.checked_sub(1) {
        Some(last) => pools.partition_point(|pool| pool.len() > pools[last].len()),
        None => 0,
    }
}

fn score(choice: &Choice<'_>) -> Score {
    let taken = || choice.nodes.iter().chain(&choice.spares);
    let breaking = || taken().filter(|seat| seat.breaks_domain);
    let themselves = breaking().filter(|seat| seat.is_domain).count();
    let larger = breaking().filter(|seat| !seat.is_domain);
    let mut larger: Vec<u32> = larger.map(|seat| seat.pool).collect();
    larger.sort_unstable();
    larger.dedup();
    Score {
        side_changes: count(taken().filter(|s| s.changes_side).count()),
        domains_broken: count(themselves + larger.len()),
        slices: None,
        gpus_stranded: 0,
        unit_left: count(choice.left),
        idle_before: taken().map(|seat| u64::from(seat.idle_minutes)).sum(),
        node_index: taken()
            .map(|seat| seat.index)
            .min()
            .expect("a gang has a node"),
    }
}

fn candidate(survey: &Survey<'_>, choice: &Choice<'_>) -> Candidate {
    let set = |seats: &[&Seat]| {
        let mut nodes: Vec<_> = seats.iter().map(|seat| seat.index).collect();
        nodes.sort_unstable();
        nodes
    };
    let all: Vec<&Seat> = choice.nodes.iter().chain(&choice.spares).copied().collect();
    Candidate {
        unit: choice
            .nodes
            .first()
            .map_or_else(Prefix::cell, |seat| survey.unit(seat, choice.level)),
        nodes: set(&all).into_iter().collect(),
        gpus: BTreeMap::new(),
        slices: BTreeMap::new(),
        spares: set(&choice.spares).into_iter().collect(),
        score: Vec::new(),
        lost_by: None,
    }
}
