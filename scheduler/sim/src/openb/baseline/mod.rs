//! What others do, for comparison: every node is scored, the highest score wins, the smallest rank
//! among equals.
//!
//! They follow the published experiment, with integers where it
//! truncates to integers: that it does decides its ties, and its ties decide its results. A score
//! depends on the node's state and the request alone, so it is kept until the node changes.

mod best_fit;
mod fgd;

pub use best_fit::BestFit;
pub use fgd::Fgd;

use super::cluster::{Cluster, State};
use super::placer::Placer;
use crate::rng::Rng;
use leasehold_placement::fine::{FineRequest, Placement};
use std::collections::BTreeMap;

/// A way to compare nodes.
pub trait Preference {
    /// How good it is to give a request to a node that has room, and which GPUs it gets there.
    fn score(&self, node: &State, ask: &FineRequest) -> (i64, u16);
}

/// A baseline: a preference over a cluster.
#[derive(Debug)]
pub struct Baseline<P> {
    cluster: Cluster,
    ranks: Vec<u32>,
    preference: P,
    known: BTreeMap<FineRequest, Vec<Known>>,
}

/// What a node's score was at one of its versions; absent for one without room.
#[derive(Debug, Clone, Copy)]
struct Known {
    version: u32,
    scored: Option<(i64, u16)>,
}

/// A version that no node has.
const NEVER: u32 = u32::MAX;

impl<P: Preference> Baseline<P> {
    /// Over an empty cluster.
    pub const fn new(cluster: Cluster, ranks: Vec<u32>, preference: P) -> Self {
        Self {
            cluster,
            ranks,
            preference,
            known: BTreeMap::new(),
        }
    }
}

impl<P: Preference> Placer for Baseline<P> {
    fn place(&mut self, ask: &FineRequest) -> Option<Placement> {
        let nodes = &self.cluster.nodes;
        let unknown = Known {
            version: NEVER,
            scored: None,
        };
        let known = self.known.entry(*ask);
        let known = known.or_insert_with(|| vec![unknown; nodes.len()]);
        let mut best: Option<(i64, std::cmp::Reverse<u32>, usize, u16)> = None;
        for (at, (node, known)) in nodes.iter().zip(known).enumerate() {
            if known.version != node.version {
                known.version = node.version;
                let room = node.has_room(ask);
                known.scored = room.then(|| self.preference.score(node, ask));
            }
            let Some((score, slots)) = known.scored else {
                continue;
            };
            let this = (score, std::cmp::Reverse(self.ranks[at]), at, slots);
            if best.is_none_or(|best| this > best) {
                best = Some(this);
            }
        }
        best.map(|(_, _, at, slots)| self.cluster.take(at, slots, ask))
    }
}

/// A uniformly random node with room, and there a random GPU.
#[derive(Debug)]
pub struct Random {
    cluster: Cluster,
    rng: Rng,
}

impl Random {
    /// Over an empty cluster.
    pub const fn new(cluster: Cluster, rng: Rng) -> Self {
        Self { cluster, rng }
    }
}

impl Placer for Random {
    fn place(&mut self, ask: &FineRequest) -> Option<Placement> {
        let nodes = &self.cluster.nodes;
        let with_room = |at: &usize| nodes[*at].has_room(ask);
        let room: Vec<usize> = (0..nodes.len()).filter(with_room).collect();
        if room.is_empty() {
            return None;
        }
        let at = *self.rng.pick(&room);
        let mut fitting = nodes[at].slots_with(ask.gpus.each());
        let mut slots = 0;
        for _ in 0..ask.gpus.count() {
            let taken = self.rng.index(fitting.len());
            slots |= 1 << fitting.swap_remove(taken);
        }
        Some(self.cluster.take(at, slots, ask))
    }
}
