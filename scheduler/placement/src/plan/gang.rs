//! Gangs of whole nodes: the smallest unit that holds one, and which of its nodes.

use super::score::{Podium, Score};
use super::survey::{Seat, Survey, count};
use leasehold_common::explain::Candidate;
use leasehold_common::topology::{Locality, Prefix};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Nodes that fit, all in one unit.
struct Group<'s, 'a> {
    level: Locality,
    seats: Vec<&'s Seat<'a>>,
}

/// One placement for each unit of the smallest size at which any unit holds the gang.
pub(super) fn candidates(survey: &Survey<'_>, wanted: u32) -> Podium<Candidate> {
    let mut podium = Podium::new();
    if survey.fit < wanted {
        return podium;
    }
    let fit: Vec<&Seat<'_>> = survey.seats.iter().filter(|s| s.verdict.fits()).collect();
    for level in Locality::ALL {
        if level > survey.request.within {
            break;
        }
        for group in groups(survey, &fit, level, wanted) {
            let chosen = choose(survey, &group.seats, wanted as usize);
            let score = score(survey, &group, &chosen);
            podium.enter(score, || candidate(&group, &chosen));
        }
        if !podium.best.is_empty() {
            break;
        }
    }
    podium
}

/// The units of one size that hold the gang. A single node is in one domain wherever it stands, so
/// it is packed by pools: see [`Pool`](super::survey::Pool).
fn groups<'s, 'a>(
    survey: &Survey<'a>,
    fit: &[&'s Seat<'a>],
    level: Locality,
    wanted: u32,
) -> Vec<Group<'s, 'a>> {
    if wanted == 1 {
        let mut by_pool = fit.to_vec();
        by_pool.sort_by_key(|seat| seat.pool);
        return by_pool
            .chunk_by(|a, b| a.pool == b.pool)
            .map(|pool| Group {
                level: survey.pools[pool[0].pool].level,
                seats: pool.to_vec(),
            })
            .collect();
    }
    fit.chunk_by(|a, b| a.shares(b, level))
        .filter(|unit| unit.len() >= wanted as usize)
        .map(|unit| Group {
            level,
            seats: unit.to_vec(),
        })
        .collect()
}

/// Which nodes of a unit: those that serve this side already before those that would change, those
/// of broken domains before those that would break one, and as few pools as that allows.
fn choose<'s, 'a>(survey: &Survey<'a>, seats: &[&'s Seat<'a>], wanted: usize) -> Vec<&'s Seat<'a>> {
    let mut tiers: Vec<_> = seats
        .iter()
        .map(|&seat| {
            let tier = (seat.verdict.changes_side, survey.domain_is_whole(seat));
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
            pools[at].sort_by_key(|(_, _, seat)| seat.verdict.idle_minutes);
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

fn score(survey: &Survey<'_>, group: &Group<'_, '_>, chosen: &[&Seat<'_>]) -> Score {
    let mut broken: Vec<_> = chosen
        .iter()
        .filter(|seat| survey.domain_is_whole(seat))
        .map(|seat| match survey.pools[seat.pool].level {
            Locality::Domain => (seat.pool, None),
            _ => (seat.pool, Some(seat.index)),
        })
        .collect();
    broken.sort_unstable();
    broken.dedup();
    Score {
        side_changes: count(chosen.iter().filter(|s| s.verdict.changes_side).count()),
        domains_broken: count(broken.len()),
        gpus_stranded: 0,
        unit_left: count(group.seats.len() - chosen.len()),
        idle_before: chosen
            .iter()
            .map(|seat| u64::from(seat.verdict.idle_minutes))
            .sum(),
        node_index: chosen
            .iter()
            .map(|seat| seat.index)
            .min()
            .expect("a gang has a node"),
    }
}

fn candidate(group: &Group<'_, '_>, chosen: &[&Seat<'_>]) -> Candidate {
    let mut nodes: Vec<_> = chosen.iter().map(|seat| seat.index).collect();
    nodes.sort_unstable();
    Candidate {
        unit: chosen
            .first()
            .map_or_else(Prefix::cell, |seat| seat.unit(group.level)),
        nodes: nodes.into_iter().collect(),
        gpus: BTreeMap::new(),
        score: Vec::new(),
        lost_by: None,
    }
}
