//! Deciding: one look at the cell, then as many more as the answer needs.
//!
//! ```text
//!   contradiction? ── Never          the request alone
//!   small   one node: looked up      ── Placed      small · tally
//!   gang    many: every node judged  ── Placed      survey · gang
//!   impossible? ───── never          ── Never
//!   wait ──────────── earliest       ── Wait
//! ```

mod ask;
mod earliest;
mod gang;
mod never;
mod rules;
mod score;
mod small;
mod survey;
mod tally;
mod wait;
mod window;

pub use score::Score;

use crate::cell::Cell;
use crate::decision::{Decision, Plan};
use crate::request::{Policy, Request};
use ask::Ask;
use leasehold_common::explain::{Candidate, Explanation, Outcome, RankedReason};
use leasehold_common::time::Timestamp;
use score::Podium;
use survey::Survey;
use tally::Tally;

/// Decides where a lease goes, or why it goes nowhere. Nothing is changed.
///
/// A lease with a start to come is placed for then: booking its plan reserves the hardware. One
/// whose start has passed is planned from `now`.
pub fn plan(cell: &Cell, request: &Request, policy: &Policy, now: Timestamp) -> Decision {
    let now = now.max(cell.now());
    let start = request.start.map_or(now, |start| start.max(now));
    if let Some(reason) = never::contradiction(request, start) {
        return never(tally::uncounted(Outcome::Never), reason);
    }
    let ask = Ask::new(cell, request, policy, now, start);
    if ask.is_small() {
        plan_small(&ask)
    } else {
        plan_gang(Survey::take(ask))
    }
}

fn plan_small(ask: &Ask<'_>) -> Decision {
    let tally = Tally::take(ask);
    if tally.fit > 0 && tally.eligible > 0 {
        let places = small::spots(ask);
        if let Some(found) = Found::of(places, |spot| spot.candidate(ask)) {
            return found.placed(ask, &tally);
        }
    }
    match never::impossible_small(ask, &tally) {
        Some(reason) => never(tally.explanation(Outcome::Never), reason),
        None => waits(wait::small(ask, &tally)),
    }
}

fn plan_gang(survey: Survey<'_>) -> Decision {
    let wanted = survey.ask.request.shape.least_nodes();
    let places = gang::candidates(&survey, wanted);
    if let Some(found) = Found::of(places, |candidate| candidate) {
        return found.placed(&survey.ask, &survey.tally);
    }
    match never::impossible_gang(&survey, wanted) {
        Some(reason) => never(survey.tally.explanation(Outcome::Never), reason),
        None => waits(wait::gang(&survey, wanted)),
    }
}

const fn waits(why: Explanation) -> Decision {
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

/// Placements that could be.
struct Found {
    winner: Candidate,
    runners_up: Vec<Candidate>,
}

impl Found {
    fn of<T>(podium: Podium<T>, candidate: impl Fn(T) -> Candidate) -> Option<Self> {
        let mut ranked = podium.best.into_iter();
        let (best, first) = ranked.next()?;
        let winner = Candidate {
            score: best.fields().to_vec(),
            ..candidate(first)
        };
        let runners_up = ranked
            .map(|(score, other)| Candidate {
                score: score.fields().to_vec(),
                lost_by: score.lost_by(&best),
                ..candidate(other)
            })
            .collect();
        Some(Self { winner, runners_up })
    }

    fn placed(self, ask: &Ask<'_>, tally: &Tally) -> Decision {
        let plan = Plan {
            start: ask.window.start,
            end: ask.window.end,
            nodes: self.winner.nodes.clone(),
            gpus: self.winner.gpus.clone(),
        };
        let why = Explanation {
            winner: Some(self.winner),
            runners_up: self.runners_up,
            ..tally.explanation(Outcome::Placed)
        };
        Decision::Placed { plan, why }
    }
}
