//! FGD, the published policy to beat: place where expected fragmentation grows least.
//!
//! The fragment that a class of requests sees on a node is the GPU left there that it could not use.
//! A node's fragmentation is the mean over the classes, weighted by how often each is asked for.

use super::Preference;
use crate::openb::cluster::State;
use crate::openb::trace::Pod;
use leasehold_placement::fine::{FineRequest, Gpus, ModelSet, WHOLE};
use std::collections::BTreeMap;

/// The part of all requests that the kept classes must hold, in percent.
const KEPT_PCT: u64 = 95;

/// A class of requests, and how often it comes.
#[derive(Debug, Clone, Copy)]
struct Class {
    cpu_milli: u32,
    each_milli: u16,
    count: usize,
    models: ModelSet,
    probability: f64,
}

/// The policy, with the mix it was told.
#[derive(Debug, Clone)]
pub struct Fgd {
    classes: Vec<Class>,
}

impl Fgd {
    /// For a list of requests: its most frequent classes.
    pub fn new(pods: &[Pod]) -> Self {
        let mut counts: BTreeMap<(u32, u16, usize, &str), (u64, ModelSet)> = BTreeMap::new();
        for pod in pods {
            let gpus = pod.ask.gpus;
            let class = (
                pod.ask.cpu_milli,
                gpus.each(),
                gpus.count(),
                pod.spec.as_str(),
            );
            counts.entry(class).or_insert((0, pod.ask.models)).0 += 1;
        }
        let mut classes: Vec<_> = counts.into_iter().collect();
        classes.sort_by(|(a, (of_a, _)), (b, (of_b, _))| (of_b, b).cmp(&(of_a, a)));
        let all = u64::try_from(pods.len()).expect("a list far shorter than 2^64");
        let mut kept = 0;
        let mut enough = |(_, (count, _)): &(_, (u64, ModelSet))| {
            let wanted = kept * 100 < all * KEPT_PCT;
            kept += count;
            wanted
        };
        let number = classes.iter().take_while(|class| enough(class)).count();
        classes.truncate(number);
        let held: u64 = classes.iter().map(|(_, (count, _))| count).sum();
        let class = |((cpu_milli, each_milli, count, _), (of, models))| Class {
            cpu_milli,
            each_milli,
            count,
            models,
            probability: of as f64 / held as f64,
        };
        Self {
            classes: classes.into_iter().map(class).collect(),
        }
    }

    /// The expected fragment of a node, in thousandths of a GPU.
    fn fragmentation(&self, node: &State) -> f64 {
        let left = node.gpu_left_sum();
        let gpus = &node.gpu_left[..usize::from(node.shape.gpus)];
        let fragment = |class: &Class| {
            let reachable = class.count > 0
                && class.models.accepts(node.shape.model)
                && node.cpu_left >= class.cpu_milli
                && node.count_with(class.each_milli) >= class.count;
            if !reachable {
                return f64::from(left);
            }
            let useless = gpus.iter().filter(|left| **left < class.each_milli);
            f64::from(useless.map(|left| u32::from(*left)).sum::<u32>())
        };
        let weighted = self
            .classes
            .iter()
            .map(|class| class.probability * fragment(class));
        weighted.sum()
    }
}

impl Preference for Fgd {
    fn score(&self, node: &State, ask: &FineRequest) -> (i64, u16) {
        let before = self.fragmentation(node);
        let score = |slots: u16| {
            let grown = self.fragmentation(&node.with(slots, ask)) - before;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "truncated as the original's is"
            )]
            let score = (100.0 / (1.0 + (grown / f64::from(WHOLE)).exp())) as i64;
            (score, slots)
        };
        match ask.gpus {
            Gpus::None => score(0),
            Gpus::Whole { count } => score(node.first_free(usize::from(count))),
            Gpus::Share { milli } => {
                let scored = node
                    .slots_with(milli)
                    .into_iter()
                    .map(|slot| score(1 << slot));
                let best = |best: (i64, u16), this: (i64, u16)| match this.0 > best.0 {
                    true => this,
                    false => best,
                };
                scored.fold((i64::MIN, 0), best)
            }
        }
    }
}
