//! When a request could start if nothing but time went on.
//!
//! Of each node it is computed at which starts it fits, from the ends of the holds on it and, for
//! leases of fixed length, the starts. Sweeping those spans unit by unit finds the first instant at
//! which enough nodes of one unit fit together. That is exact, and costs one more look at each
//! node and its holds, where trying the instants one after another would cost a look at the cell for
//! each of thousands.

use super::rules::judge;
use super::survey::{Seat, Survey};
use super::window::Window;
use crate::request::{End, Policy};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Locality;

/// The first start after the survey's at which the request fits; absent where only something other
/// than time would help. Nodes that are flagged, silent or out of service are taken to stay so.
pub(super) fn earliest(survey: &Survey<'_>, policy: &Policy) -> Option<Timestamp> {
    let wanted = i64::from(survey.request.shape.least_nodes());
    // One node is in one unit of any size, and small units are swept sooner.
    let level = match wanted {
        1 => Locality::Domain,
        _ => survey.request.within,
    };
    let mut best: Option<Timestamp> = None;
    let mut changes: Vec<(Timestamp, i64)> = Vec::new();
    let mut instants: Vec<Timestamp> = Vec::new();
    for unit in survey.units(level) {
        changes.clear();
        for seat in unit.iter().filter(|seat| seat.verdict.may_fit_later()) {
            starts(survey, policy, seat, &mut instants, &mut changes);
        }
        changes.sort_unstable_by_key(|(at, _)| *at);
        if let Some(at) = first_with(&changes, wanted) {
            best = Some(best.map_or(at, |best| best.min(at)));
        }
    }
    best
}

/// Adds the instants from which a node fits, and those from which it no longer does.
fn starts(
    survey: &Survey<'_>,
    policy: &Policy,
    seat: &Seat<'_>,
    instants: &mut Vec<Timestamp>,
    changes: &mut Vec<(Timestamp, i64)>,
) {
    let Survey {
        request,
        window,
        largest,
        ..
    } = survey;
    let from = window.start;
    instants.clear();
    for hold in &seat.node.holds {
        let turns = window.turns(request.end, hold);
        instants.extend(turns.filter(|at| *at > from));
    }
    if let End::At(until) = request.end {
        instants.retain(|at| *at < until);
    }
    instants.sort_unstable();
    instants.dedup();
    let mut fitted = seat.verdict.fits();
    if fitted {
        changes.push((from, 1));
    }
    for &at in instants.iter() {
        let fits = judge(
            seat.node,
            request,
            *largest,
            &Window::new(request, policy, at),
        )
        .fits();
        if fits != fitted {
            changes.push((at, if fits { 1 } else { -1 }));
            fitted = fits;
        }
    }
}

/// The first instant at which the changes up to it, all of that instant included, sum to `wanted`.
fn first_with(changes: &[(Timestamp, i64)], wanted: i64) -> Option<Timestamp> {
    let mut fit = 0;
    for moment in changes.chunk_by(|a, b| a.0 == b.0) {
        fit += moment.iter().map(|(_, change)| change).sum::<i64>();
        if fit >= wanted {
            return moment.first().map(|(at, _)| *at);
        }
    }
    None
}
