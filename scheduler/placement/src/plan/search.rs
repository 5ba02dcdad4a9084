//! The best placement made of nodes that fit, and those that nearly were.

use super::gang;
use super::score::{Podium, Score};
use super::survey::{Seat, Survey};
use leasehold_common::explain::Candidate;
use leasehold_common::lease::{GpuSlots, Shape};
use std::collections::BTreeMap;

/// Placements that could be.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) winner: Candidate,
    pub(super) runners_up: Vec<Candidate>,
}

/// The best placement; absent where there is none.
pub(super) fn search(survey: &Survey<'_>) -> Option<Found> {
    let podium = match survey.request.shape {
        Shape::Nodes { .. } | Shape::Unit { .. } => {
            gang::candidates(survey, survey.request.shape.least_nodes())
        }
        Shape::Gpus { count } => gpu_candidates(survey, count),
    };
    let mut ranked = podium.best.into_iter();
    let (best, mut winner) = ranked.next()?;
    winner.score = best.fields().to_vec();
    let runners_up = ranked
        .map(|(score, candidate)| Candidate {
            score: score.fields().to_vec(),
            lost_by: score.lost_by(&best),
            ..candidate
        })
        .collect();
    Some(Found { winner, runners_up })
}

/// GPUs of one node: every node that fits is a placement, with its lowest free slots.
fn gpu_candidates(survey: &Survey<'_>, wanted: u32) -> Podium<Candidate> {
    let mut podium = Podium::new();
    let holds =
        |seat: &&Seat<'_>| seat.verdict.fits() && u32::from(seat.verdict.free.len()) >= wanted;
    for seat in survey.seats.iter().filter(holds) {
        let pool = &survey.pools[seat.pool];
        let score = Score {
            side_changes: u32::from(seat.verdict.changes_side),
            domains_broken: u32::from(survey.domain_is_whole(seat)),
            gpus_stranded: u32::from(seat.verdict.free.len()) - wanted,
            unit_left: pool.whole - u32::from(seat.verdict.whole),
            idle_before: u64::from(seat.verdict.idle_minutes),
            node_index: seat.index,
        };
        podium.enter(score, || Candidate {
            unit: seat.unit(pool.level),
            nodes: [seat.index].into_iter().collect(),
            gpus: BTreeMap::from([(seat.index, lowest(seat, wanted))]),
            score: Vec::new(),
            lost_by: None,
        });
    }
    podium
}

fn lowest(seat: &Seat<'_>, wanted: u32) -> GpuSlots {
    seat.verdict
        .free
        .iter()
        .zip(0..wanted)
        .fold(GpuSlots::NONE, |slots, (slot, _)| slots.with(slot))
}
