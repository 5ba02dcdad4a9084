//! What is usually asked for: the only thing the policy knows of the future.

use super::request::{FineRequest, ModelSet};
use std::collections::BTreeMap;

/// The most groups of models that are told apart; requests of smaller groups beyond that count as
/// content with any model.
const GROUPS_MAX: usize = 64;

/// The statistics of a mix of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// Cores that GPU requests ask for with a GPU, in thousandths, at least 1.
    pub cpu_milli_per_gpu: u32,
    /// Cores that are asked for without any GPU, per GPU asked for by others, in thousandths.
    pub idle_cpu_milli_per_gpu: u32,
    /// Groups of acceptable models, and each one's share of the demand for GPUs, in millionths.
    pub groups: Vec<(ModelSet, u32)>,
}

impl Mix {
    /// Nothing is known: a mix in which all want so many cores with a GPU, and any model.
    pub fn uniform(cpu_milli_per_gpu: u32) -> Self {
        Self {
            cpu_milli_per_gpu: cpu_milli_per_gpu.max(1),
            idle_cpu_milli_per_gpu: 0,
            groups: vec![(ModelSet::ANY, 1_000_000)],
        }
    }

    /// Of requests as they were, or as they are expected. Without any for GPUs it is
    /// [`Mix::uniform`] at 12 cores a GPU, as on usual nodes of eight.
    pub fn of<'a>(requests: impl IntoIterator<Item = &'a FineRequest>) -> Self {
        let (mut gpu, mut cpu, mut idle) = (0, 0, 0);
        let mut groups: BTreeMap<ModelSet, u64> = BTreeMap::new();
        for ask in requests {
            let milli = u64::from(ask.gpus.milli());
            if milli > 0 {
                gpu += milli;
                cpu += u64::from(ask.cpu_milli);
                *groups.entry(ask.models).or_default() += milli;
            } else {
                idle += u64::from(ask.cpu_milli);
            }
        }
        if gpu == 0 {
            return Self::uniform(12_000);
        }
        Self {
            cpu_milli_per_gpu: per_gpu(cpu, gpu).max(1),
            idle_cpu_milli_per_gpu: per_gpu(idle, gpu),
            groups: shares(groups, gpu),
        }
    }
}

/// Cores per GPU, all in thousandths.
fn per_gpu(cpu: u64, gpu: u64) -> u32 {
    let ratio = u128::from(cpu) * 1000 / u128::from(gpu);
    u32::try_from(ratio).unwrap_or(u32::MAX)
}

/// Each group's share in millionths, the largest groups first.
fn shares(groups: BTreeMap<ModelSet, u64>, gpu: u64) -> Vec<(ModelSet, u32)> {
    let mut groups: Vec<(ModelSet, u64)> = groups.into_iter().collect();
    groups.sort_by_key(|(models, gpu)| (std::cmp::Reverse(*gpu), *models));
    let rest: u64 = groups.iter().skip(GROUPS_MAX).map(|(_, gpu)| gpu).sum();
    groups.truncate(GROUPS_MAX);
    if rest > 0 {
        groups.push((ModelSet::ANY, rest));
    }
    let millionths = |of: u64| {
        let share = u128::from(of) * 1_000_000 / u128::from(gpu);
        u32::try_from(share).expect("at most a million")
    };
    groups
        .into_iter()
        .map(|(models, of)| (models, millionths(of)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fine::{Gpus, ModelId};

    fn ask(cpu_milli: u32, gpus: Gpus, models: ModelSet) -> FineRequest {
        FineRequest {
            cpu_milli,
            mem_mib: 0,
            gpus,
            models,
        }
    }

    #[test]
    fn cores_are_counted_per_gpu_with_and_without() {
        let cheap = ask(4_000, Gpus::Whole { count: 3 }, ModelSet::ANY);
        let dear = ask(20_000, Gpus::Whole { count: 1 }, ModelSet::ANY);
        let idle = ask(64_000, Gpus::None, ModelSet::ANY);
        let mix = Mix::of([&dear, &cheap, &idle]);
        assert_eq!(mix.cpu_milli_per_gpu, 6_000);
        assert_eq!(mix.idle_cpu_milli_per_gpu, 16_000);
    }

    #[test]
    fn groups_share_the_demand() {
        let picky: ModelSet = ModelId::new(3).into_iter().collect();
        let any = ask(1, Gpus::Share { milli: 500 }, ModelSet::ANY);
        let one = ask(1, Gpus::Whole { count: 1 }, picky);
        let mix = Mix::of([&any, &one]);
        assert_eq!(mix.groups, [(picky, 666_666), (ModelSet::ANY, 333_333)]);
    }

    #[test]
    fn without_demand_it_is_the_usual() {
        assert_eq!(Mix::of([]), Mix::uniform(12_000));
    }
}
