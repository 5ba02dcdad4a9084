//! Deciding: one look at the cell, then as many more as the answer needs.
//!
//! ```text
//!   contradiction? ── Never          the request alone
//!   small   one node: looked up      ── Placed      small · tally
//!   gang    many: every node judged  ── Placed      survey · gang
//!   impossible? ───── never          ── Never
//!   wait ──────────── earliest       ── Wait
//! ```

mod alike;
mod ask;
mod bars;
mod classes;
mod cleaned;
mod earliest;
mod faults;
mod gang;
mod hope;
mod limits;
mod missing;
mod never;
mod openings;
mod powered;
mod reclaim;
mod replace;
mod rules;
mod score;
mod shrink;
mod slices;
mod small;
mod surplus;
mod survey;
mod tally;
mod together;
mod trim;
mod wait;
mod whole;
mod window;

pub use hope::{any_fits, could_hold, first_fit};
pub use reclaim::victims;
pub use replace::{replace, spare_for};
pub use score::Score;
pub use shrink::{Gang, Shrunk, drop_nodes, shape_of, shrink};
pub use surplus::surplus;
pub use trim::{Part, Trimmed, trim_gpus, trim_slices};

use crate::cell::Cell;
use crate::checker::{Violation, violations};
use crate::decision::{Decision, Plan};
use crate::request::Request;
use ask::Ask;
use gang::Size;
use leasehold_common::explain::{Candidate, Explanation, Outcome, RankedReason};
use leasehold_common::lease::Shape;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use limits::Limits;
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
    let decision = if ask.is_small() {
        plan_small(&ask, policy)
    } else {
        plan_gang(ask, policy)
    };
    debug_assert_eq!(
        broken(cell, request, policy, now, &decision),
        [],
        "{request:?} is placed by the rules: {decision:?}"
    );
    decision
}

/// The hard rules that a decision breaks, by the checker.
fn broken(
    cell: &Cell,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    decision: &Decision,
) -> Vec<Violation> {
    let plan = decision.plan();
    plan.map_or_else(Vec::new, |plan| {
        violations(&cell.plain(), request, policy, now, plan)
    })
}

fn plan_small(ask: &Ask<'_>, policy: &Policy) -> Decision {
    let mut tally = Tally::take(ask);
    let mut limits = Limits::new(*ask, policy);
    limits.look_for_short();
    let found = small_place(ask, &tally, &mut limits);
    bars::count(ask, &mut limits, &mut tally);
    debug_assert_eq!(
        tally.counts(),
        Tally::barred(ask, &mut Limits::new(*ask, policy)).counts(),
        "what is in the way of nodes is counted"
    );
    if let Some(found) = found {
        return found.placed(ask, &tally);
    }
    match never::impossible_small(ask, &tally) {
        Some(reason) => never(tally.explanation(Outcome::Never), reason),
        None => waits(wait::small(ask, &tally, policy)),
    }
}

/// Of what is asked of one node, the best place, where any node fits and is large enough as asked.
fn small_place(ask: &Ask<'_>, tally: &Tally, limits: &mut Limits<'_>) -> Option<Found> {
    if tally.fit == 0 || tally.eligible == 0 {
        return None;
    }
    if ask.wish.is_some() {
        let spots = slices::spots(ask, tally, limits);
        return Found::of(spots, |spot| spot.candidate(ask));
    }
    Found::of(small::spots(ask, tally, limits), |spot| spot.candidate(ask))
}

/// Where a lease would go, if anywhere: what [`plan`] says, without why.
fn room(cell: &Cell, request: &Request, policy: &Policy, now: Timestamp) -> Option<Plan> {
    let now = now.max(cell.now());
    let start = request.start.map_or(now, |start| start.max(now));
    if never::contradiction(request, start).is_some() {
        return None;
    }
    let ask = Ask::new(cell, request, policy, now, start);
    let mut limits = Limits::new(ask, policy);
    let found = if ask.is_small() {
        small_place(&ask, &Tally::take(&ask), &mut limits)
    } else {
        let (places, _) = gang_places(&Survey::take(ask), &limits);
        Found::of(places, |candidate| candidate)
    };
    found.map(|found| found.plan(&ask))
}

fn plan_gang(ask: Ask<'_>, policy: &Policy) -> Decision {
    // Where it goes is found among the nodes that fit; why it goes nowhere is told of all.
    let counted = ask.is_counted().then(|| Tally::take(&ask));
    // Where too few fit it goes nowhere, and there is nothing to look for first.
    let least = ask.request.shape.least_nodes();
    let is_brief = counted.as_ref().is_some_and(|tally| tally.fit >= least);
    let mut survey = match counted {
        Some(tally) if is_brief => Survey::of_fitting(ask, tally),
        Some(tally) => Survey::of_counted(ask, tally),
        None => Survey::take(ask),
    };
    let limits = Limits::new(ask, policy);
    let (places, least) = gang_places(&survey, &limits);
    survey.count_bars(&limits);
    debug_assert!(
        ask.whole().is_some()
            || survey.tally.counts() == Tally::barred(&ask, &mut limits.clone()).counts(),
        "what is in the way of nodes is counted"
    );
    if let Some(found) = Found::of(places, |candidate| candidate) {
        return found.placed(&ask, &survey.tally);
    }
    if is_brief {
        survey = Survey::of_counted(ask, survey.tally);
    }
    match never::impossible_gang(&survey, least) {
        Some(reason) => never(survey.tally.explanation(Outcome::Never), reason),
        None => waits(wait::gang(&survey, least, &limits, policy)),
    }
}

/// Of nodes that may be fewer than wished for, as many as fit; of everything below a place, all of
/// it or nothing. And the least that would have done.
fn gang_places(survey: &Survey<'_>, limits: &Limits<'_>) -> (Podium<Candidate>, Size) {
    let ask = survey.ask;
    let (wanted, least) = match &ask.request.shape {
        Shape::Nodes {
            count, at_least, ..
        } => (*count, at_least.unwrap_or(*count)),
        Shape::Gpus { .. } | Shape::Slices { .. } => (1, 1),
        Shape::Unit { .. } => {
            let all = survey::count(survey.in_service().count()).max(1);
            (all, all)
        }
    };
    let size = |nodes| Size::of(&ask.request.shape, nodes);
    let mut places = gang::candidates(survey, size(wanted), limits);
    if places.best.is_empty() && least < wanted {
        let most = gang::most(survey, size(wanted), limits).min(wanted);
        if most >= least {
            places = gang::candidates(survey, size(most), limits);
        }
    }
    (places, size(least))
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
            score: best.fields(),
            ..candidate(first)
        };
        let runners_up = ranked
            .map(|(score, other)| Candidate {
                score: score.fields(),
                lost_by: score.lost_by(&best),
                ..candidate(other)
            })
            .collect();
        Some(Self { winner, runners_up })
    }

    fn plan(&self, ask: &Ask<'_>) -> Plan {
        Plan {
            start: ask.window.start,
            end: ask.window.end,
            nodes: self.winner.nodes.clone(),
            gpus: self.winner.gpus.clone(),
            slices: self.winner.slices.clone(),
            spares: self.winner.spares.clone(),
        }
    }

    fn placed(self, ask: &Ask<'_>, tally: &Tally) -> Decision {
        let plan = self.plan(ask);
        let why = Explanation {
            winner: Some(self.winner),
            runners_up: self.runners_up,
            ..tally.explanation(Outcome::Placed)
        };
        Decision::Placed { plan, why }
    }
}
