//! One run: every request once, in order, placed or dropped, never retried.

use super::arrivals::Arrivals;
use super::curve::Curve;
use super::placer::Placer;
use super::trace::Trace;
use leasehold_placement::fine::FineNode;
use leasehold_placement::fine::checker::{Books, Broken};
use std::time::{Duration, Instant};

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Allocation over arrival.
    pub curve: Curve,
    /// How long each decision took, its bookkeeping included. The only thing the clock is asked for.
    pub took: Vec<Duration>,
    /// Hard rules broken, as the checker found them.
    pub violations: Vec<Broken>,
    /// How many were placed.
    pub placed: usize,
}

/// Replays a trace through a policy. The checker reads every answer; its time is not counted.
pub fn replay(trace: &Trace, arrivals: &Arrivals, placer: &mut dyn Placer) -> Outcome {
    let nodes: Vec<FineNode> = trace.nodes.iter().map(|node| node.shape).collect();
    let mut books = Books::new(&nodes);
    let mut outcome = Outcome {
        curve: Curve::new(trace.capacity_milli()),
        took: Vec::with_capacity(arrivals.pods.len()),
        violations: Vec::new(),
        placed: 0,
    };
    for at in &arrivals.pods {
        let ask = &trace.pods[*at].ask;
        let begun = Instant::now();
        let answer = placer.place(ask);
        outcome.took.push(begun.elapsed());
        outcome
            .violations
            .extend(books.enter(ask, answer.as_ref()).err());
        outcome.curve.enter(ask.gpus.milli(), answer.is_some());
        outcome.placed += usize::from(answer.is_some());
    }
    outcome
}
