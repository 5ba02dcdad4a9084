//! Gangs of whole nodes: the smallest unit that holds one, and which of its nodes.

use super::score::{Podium, Score};
use super::survey::{Seat, Survey, count};
use leasehold_common::explain::Candidate;
use leasehold_common::topology::{Locality, Prefix};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Nodes that fit, all in one unit.
struct Group<'s> {
    level: Locality,
    seats: Vec<&'s Seat>,
}

/// One placement for each unit of the smallest size at which any unit holds the gang.
pub(super) fn candidates(survey: &Survey<'_>, wanted: u32) -> Podium<Candidate> {
    let mut podium = Podium::new();
    if survey.tally.fit < wanted {
        return podium;
    }
    let fit: Vec<&Seat> = survey.seats.iter().filter(|s| s.faults.fits()).collect();
    for level in Locality::ALL {
        if level > survey.ask.request.within {
            break;
        }
        let units = fit.chunk_by(|a, b| a.shares(b, level));
        for unit in units.filter(|unit| unit.len() >= wanted as usize) {
            let group = Group {
                level,
                seats: unit.to_vec(),
            };
            let chosen = choose(&group.seats, wanted as usize);
            let score = score(survey, &group, &chosen);
            podium.enter(score, || candidate(survey, &group, &chosen));
        }
        if !podium.best.is_empty() {
            break;
        }
    }
    podium
}

/// Which nodes of a unit: those that serve this side already before those that would change, those
/// of broken domains before those that would break one, and as few pools as that allows.
fn choose<'s>(seats: &[&'s Seat], wanted: usize) -> Vec<&'s Seat> {
    let mut tiers: Vec<_> = seats
        .iter()
        .map(|&seat| {
            let tier = (seat.changes_side, seat.breaks_domain);
            (tier, seat.pool, seat)
        })
        .collect();
    tiers.sort_by_key(|(tier, pool, _)| (*tier, *pool));
    let mut chosen = Vec::with_capacity(wanted);
    for tier in tiers.chunk_by_mut(|a, b| a.0 == b.0) {
        if chosen.len() == wanted {
            break;
        }
        let mut pools: Vec<_> = tier.chunk_by_mut(|a, b| a.1 == b.1).collect();
        // Stable, so that equal pools stay in topology order.
        pools.sort_by_key(|pool| Reverse(pool.len()));
        let mut first = 0;
        while chosen.len() < wanted && first < pools.len() {
            let left = wanted - chosen.len();
            let at = first + best_fit(&pools[first..], left);
            pools[at].sort_by_key(|(_, _, seat)| seat.idle_minutes);
            chosen.extend(pools[at].iter().take(left).map(|(_, _, seat)| *seat));
            // Unless it was the first, it held all that was left, and this was the last turn.
            first += 1;
        }
    }
    chosen
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

fn score(survey: &Survey<'_>, group: &Group<'_>, chosen: &[&Seat]) -> Score {
    let mut broken: Vec<_> = chosen
        .iter()
        .filter(|seat| seat.breaks_domain)
        .map(
            |seat| match survey.ask.cell.index().pools.of(seat.index).1.level {
                Locality::Domain => (seat.pool, None),
                _ => (seat.pool, Some(seat.index)),
            },
        )
        .collect();
    broken.sort_unstable();
    broken.dedup();
    Score {
        side_changes: count(chosen.iter().filter(|s| s.changes_side).count()),
        domains_broken: count(broken.len()),
        gpus_stranded: 0,
        unit_left: count(group.seats.len() - chosen.len()),
        idle_before: chosen.iter().map(|seat| u64::from(seat.idle_minutes)).sum(),
        node_index: chosen
            .iter()
            .map(|seat| seat.index)
            .min()
            .expect("a gang has a node"),
    }
}

fn candidate(survey: &Survey<'_>, group: &Group<'_>, chosen: &[&Seat]) -> Candidate {
    let mut nodes: Vec<_> = chosen.iter().map(|seat| seat.index).collect();
    nodes.sort_unstable();
    Candidate {
        unit: chosen
            .first()
            .map_or_else(Prefix::cell, |seat| survey.unit(seat, group.level)),
        nodes: nodes.into_iter().collect(),
        gpus: BTreeMap::new(),
        score: Vec::new(),
        lost_by: None,
    }
}
