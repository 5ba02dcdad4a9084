//! Best fit: the node on which least CPU and GPU is left over.

use super::Preference;
use crate::openb::cluster::State;
use leasehold_placement::fine::{FineRequest, Gpus};

/// `int(100 × (1 - 0.5 × CPU left / 128 cores - 0.5 × GPU left / 8 GPUs))`, and of a node's GPUs the
/// one with the least sufficient room.
///
/// The original then stretches the scores of the nodes with room to 0..100, which changes nothing
/// that can be measured.
#[derive(Debug, Clone, Copy)]
pub struct BestFit;

impl Preference for BestFit {
    fn score(&self, node: &State, ask: &FineRequest) -> (i64, u16) {
        let cpu = f64::from(node.cpu_left - ask.cpu_milli) / 128_000.0;
        let gpu = f64::from(node.gpu_left_sum() - ask.gpus.milli()) / 8_000.0;
        let score = 100.0 * (1.0 - 0.5 * cpu - 0.5 * gpu);
        let slots = match ask.gpus {
            Gpus::None => 0,
            Gpus::Whole { count } => node.first_free(usize::from(count)),
            Gpus::Share { milli } => {
                let fitting = node.slots_with(milli).into_iter();
                let least = fitting.min_by_key(|slot| (node.gpu_left[*slot], *slot));
                least.map_or(0, |slot| 1 << slot)
            }
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a score: truncated on purpose"
        )]
        (score as i64, slots)
    }
}
