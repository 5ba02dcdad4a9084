//! Why a request waits, until when, and what would let it go on.

use super::earliest::earliest;
use super::rules::Cause;
use super::search::search;
use super::survey::{Seat, Survey, count};
use super::window::Window;
use crate::request::{Policy, Request};
use leasehold_common::explain::{
    Candidate, Dimension, Explanation, Outcome, RankedReason, Reason, Unblock,
};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::Shape;
use leasehold_common::time::Timestamp;
use std::collections::BTreeSet;

/// How many leases are named whose ends would help. A gang can wait for hundreds, and nobody reads
/// more than a few lines of them.
const LEASES_NAMED: usize = 8;

/// The explanation of a request that does not fit now and could.
pub(super) fn explain(survey: &Survey<'_>, policy: &Policy, now: Timestamp) -> Explanation {
    let wanted = survey.request.shape.least_nodes();
    let stand = Standing::of(survey);
    let mut why = survey.explanation(Outcome::Wait);
    if survey.fit < wanted {
        why.exhausted.insert(Dimension::Nodes, wanted - survey.fit);
    } else {
        why.exhausted
            .insert(Dimension::Unit, wanted - stand.most_fit);
    }
    why.reasons = reasons(survey, &stand, now);

    if let Some(at) = earliest(survey, policy) {
        let then = Survey::take(
            survey.cell,
            survey.request,
            Window::new(survey.request, policy, at),
        );
        if let Some(found) = search(&then) {
            why.earliest = Some(at);
            why.unblocked_by = leases_that_end(survey, &then, &found.winner);
        }
    }
    let returning = stand.alone[Cause::Cleanup as usize];
    if returning > 0 {
        why.unblocked_by
            .push(Unblock::NodesReturn { nodes: returning });
    }
    let recovering = stand.alone[Cause::Unavailable as usize];
    if recovering > 0 {
        why.unblocked_by
            .push(Unblock::NodesRecover { nodes: recovering });
    }
    why
}

/// How the nodes that could serve the request stand, cause by cause.
struct Standing {
    /// Nodes that only this keeps away.
    alone: [u32; Cause::ALL.len()],
    /// Whether this keeps any node away, be it with others.
    any: [bool; Cause::ALL.len()],
    /// Whether the request would fit if this kept nobody away.
    enough: [bool; Cause::ALL.len()],
    /// The most nodes that fit in one unit of the locality.
    most_fit: u32,
}

impl Standing {
    fn of(survey: &Survey<'_>) -> Self {
        let wanted = survey.request.shape.least_nodes();
        let mut standing = Self {
            alone: [0; Cause::ALL.len()],
            any: [false; Cause::ALL.len()],
            enough: [false; Cause::ALL.len()],
            most_fit: 0,
        };
        for unit in survey.units(survey.request.within) {
            let mut fit = 0;
            let mut alone = [0; Cause::ALL.len()];
            for Seat { verdict, .. } in unit.iter().filter(|s| s.verdict.is_eligible()) {
                fit += u32::from(verdict.fits());
                for cause in Cause::ALL {
                    alone[cause as usize] += u32::from(verdict.only(cause));
                    standing.any[cause as usize] |= verdict.causes.has(cause as u8);
                }
            }
            standing.most_fit = standing.most_fit.max(fit);
            for (at, alone) in alone.into_iter().enumerate() {
                standing.alone[at] += alone;
                standing.enough[at] |= alone > 0 && fit + alone >= wanted;
            }
        }
        standing
    }
}

/// The reasons, the primary one first: enough that is not together; then what would be enough by
/// itself if it went away; then the rest; last that its start is to come.
fn reasons(survey: &Survey<'_>, stand: &Standing, now: Timestamp) -> Vec<RankedReason> {
    let mut causes: Vec<Cause> = Cause::ALL
        .into_iter()
        .filter(|&cause| stand.alone[cause as usize] > 0)
        .collect();
    if causes.is_empty() {
        // Every node that could serve is kept away by several things at once.
        causes = Cause::ALL
            .into_iter()
            .filter(|&cause| stand.any[cause as usize])
            .collect();
    }
    causes.sort_by_key(|&cause| !stand.enough[cause as usize]);
    let not_before = survey.request.start.filter(|start| *start > now);
    fragmented(survey, stand)
        .into_iter()
        .chain(causes.into_iter().map(|cause| {
            let nodes = stand.alone[cause as usize];
            let (reason, detail) = in_words(survey, cause, nodes);
            RankedReason {
                reason,
                nodes,
                detail,
            }
        }))
        .chain(not_before.map(|start| RankedReason {
            reason: Reason::NotBefore,
            nodes: 0,
            detail: format!("it is not to start before {start}"),
        }))
        .collect()
}

/// Enough is free, but not together.
fn fragmented(survey: &Survey<'_>, stand: &Standing) -> Option<RankedReason> {
    let within = survey.request.within;
    let (nodes, detail) = match survey.request.shape {
        Shape::Nodes { count: wanted, .. } if survey.fit >= wanted => (
            survey.fit,
            format!(
                "{} nodes are free, but no {within} has more than {} of the {wanted} asked",
                survey.fit, stand.most_fit
            ),
        ),
        Shape::Gpus { count: wanted } => {
            let free = || {
                survey
                    .seats
                    .iter()
                    .filter(|seat| seat.verdict.is_eligible() && seat.verdict.lacks_only_gpus())
                    .map(|seat| u32::from(seat.verdict.free.len()))
            };
            let (all, most) = (free().sum::<u32>(), free().max().unwrap_or(0));
            if all < wanted {
                return None;
            }
            (
                count(free().filter(|gpus| *gpus > 0).count()),
                format!(
                    "{all} gpus are free, but no node has more than {most} of the {wanted} asked"
                ),
            )
        }
        Shape::Nodes { .. } | Shape::Unit { .. } => return None,
    };
    Some(RankedReason {
        reason: Reason::Fragmented,
        nodes,
        detail,
    })
}

fn in_words(survey: &Survey<'_>, cause: Cause, nodes: u32) -> (Reason, String) {
    let Request { shape, within, .. } = survey.request;
    let asked = match *shape {
        Shape::Nodes { count, .. } if survey.fit < count => {
            format!("{} of the {count} nodes asked are free", survey.fit)
        }
        Shape::Nodes { .. } | Shape::Unit { .. } => format!("no {within} has {shape} free"),
        Shape::Gpus { .. } => format!("no node can give {shape}"),
    };
    match cause {
        Cause::Held => (
            Reason::Capacity,
            format!("{asked}; {nodes} that would do are held or booked"),
        ),
        Cause::Draining => (
            Reason::Draining,
            format!("{asked}; {nodes} that would do are flagged"),
        ),
        Cause::Cleanup => (
            Reason::AwaitingCleanup,
            format!("{asked}; {nodes} that would do are giving hardware back"),
        ),
        Cause::Unavailable => (
            Reason::NodesUnavailable,
            format!("{asked}; {nodes} that would do are not heard of, faulty or taken out"),
        ),
    }
}

/// The leases that are in the way now, and over when the request could start where it would go.
fn leases_that_end(now: &Survey<'_>, then: &Survey<'_>, place: &Candidate) -> Vec<Unblock> {
    let account = &now.request.account;
    let mut ends: BTreeSet<(Timestamp, LeaseId)> = BTreeSet::new();
    for index in place.nodes.iter() {
        let slots = place.gpus.get(&index).copied();
        for hold in now.cell.holds(index) {
            let in_the_way = hold.holder.account != *account
                || slots.is_none_or(|slots| !slots.common(hold.slots).is_empty());
            let is_over = then
                .window
                .free_after(hold)
                .is_some_and(|free| free <= then.window.start);
            if let Some(to) = hold.to
                && in_the_way
                && is_over
                && now.window.clashes(hold)
            {
                ends.insert((to, hold.lease));
            }
        }
    }
    ends.into_iter()
        .take(LEASES_NAMED)
        .map(|(at, lease)| Unblock::LeaseEnds { lease, at })
        .collect()
}
