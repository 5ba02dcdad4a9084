//! The published packing experiment, and who takes part in it.
//!
//! The problem: that an engine packs well is easily said. There is a public trace of a GPU cluster
//! (1,213 nodes, 6,212 GPUs, shares of GPUs and CPU-only requests included) with published results
//! of several policies on it, so it can be shown: same fleet, same requests, same order, same
//! accounting.
//!
//! ```text
//!   nodes.csv, pods.csv ─► trace ──┬──────────► placer ─► placement, or none
//!   events.csv, ranks.csv ─┐       │          leasehold · fgd · best-fit · random
//!   seed ─► go_random ─────┴► arrivals            │
//!                                              replay ─► curve, checker, times ─► report
//! ```
//!
//! Nodes start empty, requests come one at a time and never leave, one that finds no room is dropped
//! and counts as arrived. The allocated share is noted after each.
//!
//! Invariants: the same files (or seed) give the same allocation on every machine; only the times
//! differ. The checker shares no code with any policy, and refusals are checked as well. The
//! published limit of 1,001 requests on a node is not kept: no node of the trace comes near it.
//!
//! Not here: gangs, topology, power and time, of which the trace knows nothing.

mod arrivals;
mod baseline;
mod cluster;
mod curve;
mod engine;
mod go_random;
mod placer;
mod replay;
mod report;
mod table;
mod trace;
mod vary;

pub use arrivals::Arrivals;
pub use baseline::{Baseline, BestFit, Fgd, Preference, Random};
pub use cluster::{Cluster, State};
pub use curve::Curve;
pub use engine::Engine;
pub use go_random::GoRandom;
pub use placer::Placer;
pub use replay::{Outcome, replay};
pub use report::Report;
pub use table::{Column, ReadError, Row, Table};
pub use trace::{Pod, Trace, TraceNode};
pub use vary::Variation;

use crate::rng::Rng;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The engine's fine packing.
    Leasehold,
    /// Least growth of expected fragmentation, as published.
    Fgd,
    /// Least room left over.
    BestFit,
    /// Anywhere.
    Random,
}

impl Policy {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Leasehold, Self::Fgd, Self::BestFit, Self::Random];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Leasehold => "leasehold",
            Self::Fgd => "fgd",
            Self::BestFit => "best-fit",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Policy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|policy| policy.word() == text);
        named.ok_or_else(|| format!("{text:?} is none of leasehold, fgd, best-fit and random"))
    }
}

/// Where the order of arrival comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// From files.
    Files {
        /// The events: columns `seq,name`.
        events: PathBuf,
        /// The ranks of nodes: columns `node,tie_rank`.
        ranks: PathBuf,
    },
    /// Drawn as the published experiment draws it.
    Seed(u64),
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// The fleet: columns `sn,cpu_milli,memory_mib,gpu,model`.
    pub nodes: PathBuf,
    /// The requests: columns `name,cpu_milli,memory_mib,num_gpu,gpu_milli` and, optional,
    /// `gpu_spec`.
    pub pods: PathBuf,
    /// In which order.
    pub order: Order,
    /// Who decides.
    pub policy: Policy,
    /// How often nodes and events are repeated, from 1.
    pub times: u32,
}

/// Runs one experiment.
///
/// # Errors
/// Where a file cannot be used.
pub fn run(experiment: &Experiment) -> Result<Report, ReadError> {
    let trace = Trace::read(&experiment.nodes, &experiment.pods)?;
    let (arrivals, seed) = match &experiment.order {
        Order::Files { events, ranks } => (Arrivals::read(&trace, events, ranks)?, 0),
        Order::Seed(seed) => (Arrivals::of_seed(&trace, *seed), *seed),
    };
    let arrivals = arrivals.repeated(experiment.times);
    let trace = trace.repeated(experiment.times);
    let mut placer = placer(&trace, &arrivals, experiment.policy, seed);
    let outcome = replay(&trace, &arrivals, placer.as_mut());
    let capacity = trace.capacity_milli();
    Ok(Report::new(experiment.policy, &outcome, capacity))
}

/// A policy over a trace's empty fleet. The seed is for [`Policy::Random`] alone.
pub fn placer(trace: &Trace, arrivals: &Arrivals, policy: Policy, seed: u64) -> Box<dyn Placer> {
    let shapes: Vec<_> = trace.nodes.iter().map(|node| node.shape).collect();
    let cluster = Cluster::empty(&shapes);
    let ranks = arrivals.ranks.clone();
    match policy {
        Policy::Leasehold => Box::new(Engine::new(trace, arrivals)),
        Policy::Fgd => Box::new(Baseline::new(cluster, ranks, Fgd::new(&trace.pods))),
        Policy::BestFit => Box::new(Baseline::new(cluster, ranks, BestFit)),
        Policy::Random => Box::new(Random::new(cluster, Rng::new(seed))),
    }
}
