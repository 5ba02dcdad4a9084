//! Whose leases would be taken back for a request that waits: the least harmful legal set.
//!
//! ```text
//!   who may go      harm     class, policy, how long it has run        ── takings
//!   from when       mod      the shortest notice first: each is a start to plan for
//!   which           nodes    nodes alone are short: unit by unit       ── sets
//!                   trial    watts or floors are short too: the planner is asked
//!   where           trial    the planner places the request without them
//! ```
//!
//! A set suffices for a start if the planner would place the request there were the leases not in
//! the cell. Leases that need a longer notice make for a later start, so starts are tried one after
//! the other, and the first for which any set suffices decides. Of the sets for that start the one
//! of least harm is chosen, field by field as [`Harm`] says; fewest of the better classes first.
//!
//! Invariants:
//! - Nothing of a class as good as the request's or better is ever in a set, nor of one that policy
//!   does not name, nor anything committed or internal-critical, nor what has run too short a time.
//! - No lease of a set is needless. Among up to twelve leases in the way the set is the best there
//!   is; among more it was put together greedily.
//! - The cell is copied at most once for each start, to see that the set does suffice. What is taken back
//!   is taken to need no cleaning before its turnaround is over, whatever the rate.
//!
//! Not here: telling anybody. What is found is shown and logged, and nothing is ended.

mod harm;
mod nodes;
mod subsets;
mod trial;

use super::ask::Ask;
use super::limits::Limits;
use super::never;
use super::room;
use super::survey::{Survey, count};
use crate::cell::Cell;
use crate::power::Minute;
use crate::request::Request;
use harm::{Least, Taking};
use leasehold_common::class::Class;
use leasehold_common::explain::{Reclaim, ReclaimLoser, Victim};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Granularity, Policy};
use leasehold_common::time::{Span, Timestamp};
use nodes::Takings;
use std::collections::BTreeSet;
use trial::Trial;

/// Whose leases would be taken back so that a request that waits could be placed; absent where it
/// does not wait, where no legal set would help, or where none is needed because the request can
/// start as soon by itself.
pub fn victims(cell: &Cell, request: &Request, policy: &Policy, now: Timestamp) -> Option<Reclaim> {
    let now = now.max(cell.now());
    let all = Taking::all(cell, request, policy, now);
    if all.is_empty() || room(cell, request, policy, now).is_some() {
        return None;
    }
    // Every notice there is: what is given up on a short one may be enough only by the time that a
    // longer one would be over, because something else has ended by itself.
    let classes = [Class::OnDemand, Class::InternalBatch, Class::Spot];
    let notices: BTreeSet<Span> = classes.into_iter().map(Class::notice).collect();
    for notice in notices {
        // Watts are booked by whole minutes, and are free when the minute is over.
        let gone = Minute::not_before(now + notice + policy.turnaround).begins();
        let start = request.start.map_or(gone, |start| start.max(gone));
        if never::contradiction(request, start).is_some() {
            return None;
        }
        let takings: Takings<'_> = all
            .iter()
            .filter(|taking| taking.class.notice() <= notice)
            .filter(|taking| cell.is_washing() || taking.lasts_into(start, policy))
            .map(|taking| (taking.lease, taking))
            .collect();
        let mut trial = Trial::new(cell, request, policy, now, start);
        let sets = sets(cell, request, policy, now, start, &takings, &mut trial);
        match sets.0.first() {
            None => {}
            Some(none) if none.ids.is_empty() => return None,
            Some(_) => return told(&sets, &takings, &mut trial, start),
        }
    }
    None
}

/// The sets that suffice for one start.
fn sets(
    cell: &Cell,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    start: Timestamp,
    takings: &Takings<'_>,
    trial: &mut Trial<'_>,
) -> Least {
    let gone: BTreeSet<LeaseId> = takings.keys().copied().collect();
    let ask = Ask {
        without: Some(&gone),
        ..Ask::new(cell, request, policy, now, start)
    };
    let is_together = match &request.shape {
        Shape::Nodes { spares, whole, .. } => *spares > 0 || whole.is_some(),
        Shape::Gpus { .. } | Shape::Slices { .. } | Shape::Unit { .. } => false,
    };
    // Nor is a node a matter of the leases on it where a lease elsewhere keeps all of its domain away, or
    // has the hour in which it would be cleaned.
    let is_elsewhere = ask.apart.granularity == Granularity::Domain || cell.is_washing();
    if is_together || is_elsewhere || Limits::new(ask, policy).are_any() {
        return trial.sets(takings);
    }
    if ask.is_small() {
        return nodes::for_one(&ask, takings);
    }
    let survey = Survey::take(ask);
    let wanted = match &request.shape {
        Shape::Unit { .. } => count(survey.in_service().count()).max(1),
        Shape::Nodes { .. } | Shape::Gpus { .. } | Shape::Slices { .. } => {
            request.shape.least_nodes()
        }
    };
    nodes::for_gang(&survey, takings, wanted)
}

/// What is said of the best set.
fn told(
    sets: &Least,
    takings: &Takings<'_>,
    trial: &mut Trial<'_>,
    from: Timestamp,
) -> Option<Reclaim> {
    let (best, others) = sets.0.split_first()?;
    let placed = trial.plan_without(&best.ids.iter().copied().collect())?;
    let victims = best.ids.iter().map(|lease| {
        let taking = takings[lease];
        Victim {
            lease: *lease,
            class: taking.class,
            notice: taking.class.notice(),
            ends: taking.ends,
        }
    });
    let runners_up = others.iter().map(|other| ReclaimLoser {
        leases: other.ids.clone(),
        harm: other.fields().to_vec(),
        lost_by: other.lost_by(best),
    });
    Some(Reclaim {
        from,
        nodes: placed.nodes,
        victims: victims.collect(),
        harm: best.fields().to_vec(),
        runners_up: runners_up.collect(),
    })
}
