//! What makes one node better than another for a request.
//!
//! Every term is an integer, in millionths of a point; the highest sum wins. Terms are worked out
//! from what a node has left before and after, so a node's score changes only when the node does.
//! The one that depends on the fleet, the pressure, is the same for all nodes of a model and is
//! added outside the tournaments.

use super::board::NO_ROOM;
use super::mix::Mix;
use super::node::Live;
use super::pressure::ONE;
use super::request::{FineRequest, Gpus, WHOLE};
use super::weights::Weights;

/// A node's score for a request, by field. The highest [`FineScore::total`] wins, then the smallest
/// rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FineScore {
    /// Minus the growth of the GPUs that are stranded on the node.
    ///
    /// A node with g GPUs and c cores free, in a mix that needs k cores per GPU, can use c ÷ k of
    /// its GPUs; the excess d = g − c ÷ k is counted as d × d ÷ g, so the first GPU beyond is nearly
    /// free (there are requests that want few cores) and the last counts whole.
    pub stranded: i64,
    /// Minus the growth of the cores that the node's free GPUs lack.
    pub shortage: i64,
    /// Minus what is left over: GPUs and CPU for GPU requests, so that nodes are filled one by one;
    /// free GPUs and CPU for CPU-only requests, so that they go where CPU alone is left.
    pub left: i64,
    /// Minus the price of an untouched node.
    pub opened: i64,
    /// Minus what is left on the chosen GPU.
    pub remainder: i64,
    /// Minus the pressure on the node's model.
    pub pressure: i64,
    /// The node's rank.
    pub rank: u32,
}

impl FineScore {
    /// The sum of the terms.
    pub const fn total(&self) -> i64 {
        self.stranded + self.shortage + self.left + self.opened + self.remainder + self.pressure
    }
}

/// Who appraises nodes for requests.
#[derive(Debug, Clone)]
pub(super) struct Appraiser {
    weights: Weights,
    /// What a free GPU is taken to need, in thousandths of a core.
    needed: i64,
}

impl Appraiser {
    pub(super) fn new(mix: &Mix, weights: Weights) -> Self {
        let needed = i64::from(mix.cpu_milli_per_gpu) * weights.cores_needed / 1000;
        Self {
            weights,
            needed: needed.max(1),
        }
    }

    /// The term of pressure, for a request for so many thousandths of GPUs.
    pub(super) fn of_pressure(&self, pressure: i64, milli: u32) -> i64 {
        // At most some 10^7 × 10^9 ÷ 10^6 × 16000 ÷ 1000: far from the ends of 64 bits.
        -(self.weights.pressure * pressure / ONE) * i64::from(milli) / i64::from(WHOLE)
    }

    /// The sum of all terms but the pressure; [`NO_ROOM`] where there is none.
    #[inline]
    pub(super) fn score(&self, node: &Live, ask: &FineRequest) -> i32 {
        if !node.has_room(ask) {
            return NO_ROOM;
        }
        let total = self.fields(node, ask).total();
        let most = i64::from(i32::MAX);
        i32::try_from(total.clamp(-most, most)).expect("clamped")
    }

    /// All terms but the pressure, of a node that has room.
    pub(super) fn fields(&self, node: &Live, ask: &FineRequest) -> FineScore {
        let (gpu, cpu) = (i64::from(node.gpu_sum), i64::from(node.cpu_left));
        let gpu_after = gpu - i64::from(ask.gpus.milli());
        let cpu_after = cpu - i64::from(ask.cpu_milli);
        let weights = &self.weights;
        let size = i64::from(node.shape.cpu_milli.max(1));
        let gpus = i64::from(node.shape.gpus.max(1)) * i64::from(WHOLE);
        let stranded = self.stranded(gpu_after, cpu_after) - self.stranded(gpu, cpu);
        let shortage = self.shortage(gpu_after, cpu_after, size) - self.shortage(gpu, cpu, size);
        let left = match ask.gpus {
            Gpus::None => {
                weights.gpu_left * gpu_after / gpus + weights.cores_left * cpu_after / 100_000
            }
            Gpus::Share { .. } | Gpus::Whole { count: ..=1 } => {
                weights.left * gpu_after / 8_000 + weights.cpu_left * cpu_after / size
            }
            Gpus::Whole { count: 2.. } => {
                weights.left_many * gpu_after / 8_000 + weights.cpu_left * cpu_after / size
            }
        };
        let remainder = match ask.gpus {
            Gpus::Share { milli } => {
                let left = node.tightest(milli).map_or(0, |(_, left)| left - milli);
                weights.remainder * i64::from(left) / 1000
            }
            Gpus::None | Gpus::Whole { .. } => 0,
        };
        let untouched = gpu == gpus && ask.gpus != Gpus::None;
        let eighths = if untouched { gpus / 1000 } else { 0 };
        FineScore {
            stranded: -(weights.stranded * stranded / 1_000_000),
            shortage: -(weights.shortage * shortage / 1_000_000),
            left: -left,
            opened: -(weights.opened * eighths * eighths / 64),
            remainder: -remainder,
            pressure: 0,
            rank: 0,
        }
    }

    /// Stranded GPUs, in millionths.
    fn stranded(&self, gpu: i64, cpu: i64) -> i64 {
        let excess = gpu - cpu * 1000 / self.needed;
        if excess <= 0 {
            return 0;
        }
        1000 * excess * excess / gpu
    }

    /// Cores lacked, squared, over the node's size squared, in millionths.
    fn shortage(&self, gpu: i64, cpu: i64, size: i64) -> i64 {
        let lacked = gpu * self.needed / 1000 - cpu;
        if lacked <= 0 {
            return 0;
        }
        // Ten times its size is all the same: a node with next to no cores.
        let share = (lacked * 1000 / size).min(10_000);
        share * share
    }
}
