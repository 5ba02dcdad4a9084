//! Deciding: one look over the cell, then as many more as the answer needs.
//!
//! ```text
//!   contradiction? ── Never        the request alone
//!   Survey  ─────── rules          every node judged for [start, end + turnaround)
//!   search  ─────── score          ── Placed
//!   impossible? ─── never          ── Never
//!   wait ────────── earliest       ── Wait, after a second survey at the instant found
//! ```

mod earliest;
mod gang;
mod never;
mod rules;
mod score;
mod search;
mod survey;
mod wait;
mod window;

pub use score::Score;

use crate::cell::Cell;
use crate::decision::{Decision, Plan};
use crate::request::{Policy, Request};
use leasehold_common::explain::{Explanation, Outcome, RankedReason};
use leasehold_common::time::Timestamp;
use survey::Survey;
use window::Window;

/// Decides where a lease goes, or why it goes nowhere. Nothing is changed.
///
/// A lease with a start to come is placed for then: booking its plan reserves the hardware. One
/// whose start has passed is planned from `now`.
pub fn plan(cell: &Cell, request: &Request, policy: &Policy, now: Timestamp) -> Decision {
    let start = request.start.map_or(now, |start| start.max(now));
    if let Some(reason) = never::contradiction(request, start) {
        return never(survey::uncounted(Outcome::Never), reason);
    }
    let window = Window::new(request, policy, start);
    let survey = Survey::take(cell, request, window);
    if let Some(found) = search::search(&survey) {
        let plan = Plan {
            start,
            end: window.end,
            nodes: found.winner.nodes.clone(),
            gpus: found.winner.gpus.clone(),
        };
        let why = Explanation {
            winner: Some(found.winner),
            runners_up: found.runners_up,
            ..survey.explanation(Outcome::Placed)
        };
        return Decision::Placed { plan, why };
    }
    if let Some(reason) = never::impossible(&survey) {
        return never(survey.explanation(Outcome::Never), reason);
    }
    let why = wait::explain(&survey, policy, now);
    Decision::Wait {
        earliest: why.earliest,
        why,
    }
}

fn never(counted: Explanation, reason: RankedReason) -> Decision {
    Decision::Never {
        why: Explanation {
            reasons: vec![reason],
            ..counted
        },
    }
}
