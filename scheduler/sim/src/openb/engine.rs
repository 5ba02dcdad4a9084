//! The engine's fine packing, as one of the policies.

use super::arrivals::Arrivals;
use super::placer::Placer;
use super::trace::Trace;
use leasehold_placement::fine::{FineNode, FinePolicy, FineRequest, Mix, Placement, Pool};

/// A pool of the trace's nodes that knows the trace's mix, as FGD knows its classes.
#[derive(Debug)]
pub struct Engine {
    pool: Pool,
}

impl Engine {
    /// Over an empty fleet.
    pub fn new(trace: &Trace, arrivals: &Arrivals) -> Self {
        let nodes: Vec<FineNode> = trace.nodes.iter().map(|node| node.shape).collect();
        let mix = Mix::of(trace.pods.iter().map(|pod| &pod.ask));
        Self {
            pool: Pool::new(&nodes, &arrivals.ranks, &mix, &FinePolicy::HOUSE),
        }
    }
}

impl Placer for Engine {
    fn place(&mut self, ask: &FineRequest) -> Option<Placement> {
        self.pool.place(ask).map(|choice| choice.placement)
    }
}
