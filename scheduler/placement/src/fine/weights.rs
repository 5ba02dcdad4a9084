//! The policy, as data.

use super::mix::Mix;
use super::request::{FineNode, WHOLE};

/// What each term of a [`FineScore`](super::FineScore) is worth, in millionths of a point. The doc of
/// each says what one unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// How many cores a free GPU is taken to need, in thousandths of what the mix asks for on
    /// average.
    pub cores_needed: i64,
    /// One GPU more that is stranded.
    pub stranded: i64,
    /// The cores that a node's free GPUs lack, over its size, squared.
    pub shortage: i64,
    /// Shares and single GPUs: eight GPUs left on the node.
    pub left: i64,
    /// Two GPUs and more: eight GPUs left on the node.
    pub left_many: i64,
    /// GPU requests: a node of eight GPUs that is touched for the first time; smaller ones by the
    /// square of their size, for it is large requests that need an untouched node.
    pub opened: i64,
    /// GPU requests: all of the node's CPU left.
    pub cpu_left: i64,
    /// CPU-only requests: all of the node's GPUs left.
    pub gpu_left: i64,
    /// CPU-only requests: a hundred cores left.
    pub cores_left: i64,
    /// Shares: a whole GPU left on the chosen GPU.
    pub remainder: i64,
    /// A GPU taken where the model's pressure is 1.
    pub pressure: i64,
}

impl Weights {
    /// Where GPUs run out before cores do: nodes are filled one after another.
    pub const PLENTY: Self = Self {
        cores_needed: 950,
        stranded: 6_000_000,
        shortage: 3_000_000,
        left: 200_000,
        left_many: 700_000,
        opened: 0,
        cpu_left: 100_000,
        gpu_left: 5_500_000,
        cores_left: 1_000_000,
        remainder: 650_000,
        pressure: 8_000_000,
    };

    /// Where cores run out first: a free GPU is taken to need half as many cores again as the mix
    /// asks for, so that whoever wants many cores is sent where they are to spare, and single GPUs and
    /// shares are spread over the nodes already in use. So the cores that remain lie in pieces beside
    /// free GPUs, enough for a GPU's work and too few for work that needs none.
    pub const SCARCE: Self = Self {
        cores_needed: 1_500,
        stranded: 11_200_000,
        shortage: 2_000_000,
        left: 0,
        left_many: 1_200_000,
        opened: 300_000,
        cpu_left: 55_000,
        gpu_left: 3_300_000,
        cores_left: 880_000,
        remainder: 2_700_000,
        pressure: 12_000_000,
    };

    /// So many thousandths of the way from one to another.
    #[must_use]
    pub const fn towards(self, other: Self, permille: i64) -> Self {
        const fn between(from: i64, to: i64, permille: i64) -> i64 {
            from + (to - from) * permille / 1000
        }
        Self {
            cores_needed: between(self.cores_needed, other.cores_needed, permille),
            stranded: between(self.stranded, other.stranded, permille),
            shortage: between(self.shortage, other.shortage, permille),
            left: between(self.left, other.left, permille),
            left_many: between(self.left_many, other.left_many, permille),
            opened: between(self.opened, other.opened, permille),
            cpu_left: between(self.cpu_left, other.cpu_left, permille),
            gpu_left: between(self.gpu_left, other.gpu_left, permille),
            cores_left: between(self.cores_left, other.cores_left, permille),
            remainder: between(self.remainder, other.remainder, permille),
            pressure: between(self.pressure, other.pressure, permille),
        }
    }
}

/// Weights for every fleet and mix, by how scarce cores are.
///
/// Scarcity is what the mix would ask of cores if it were served until every GPU is taken, over the
/// cores the fleet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinePolicy {
    /// At a scarcity of `plenty_to` and below.
    pub plenty: Weights,
    /// At a scarcity of `scarce_from` and above; in between, in proportion.
    pub scarce: Weights,
    /// In thousandths.
    pub plenty_to: i64,
    /// In thousandths, above `plenty_to`.
    pub scarce_from: i64,
}

impl FinePolicy {
    /// The house's policy for all mixes, found by several hundred trials on lists and orders derived
    /// from the public trace, most of them heavier in CPU. How, and what that is worth, stands in
    /// `common/docs/fine-packing.md`.
    pub const HOUSE: Self = Self {
        plenty: Weights::PLENTY,
        scarce: Weights::SCARCE,
        plenty_to: 1_050,
        scarce_from: 1_090,
    };

    /// The weights for a fleet and a mix.
    pub fn weights(&self, nodes: &[FineNode], mix: &Mix) -> Weights {
        let beyond = scarcity(nodes, mix) - self.plenty_to;
        let ramp = (self.scarce_from - self.plenty_to).max(1);
        let permille = (beyond * 1000 / ramp).clamp(0, 1000);
        self.plenty.towards(self.scarce, permille)
    }
}

/// How scarce cores are, in thousandths; at most a hundred fold.
fn scarcity(nodes: &[FineNode], mix: &Mix) -> i64 {
    let gpus: u64 = nodes.iter().map(|node| u64::from(node.gpus)).sum();
    let cpu_milli: u64 = nodes.iter().map(|node| u64::from(node.cpu_milli)).sum();
    let each = u64::from(mix.cpu_milli_per_gpu) + u64::from(mix.idle_cpu_milli_per_gpu);
    let permille = u128::from(gpus) * u128::from(each) * u128::from(WHOLE);
    let permille = permille / u128::from(cpu_milli.max(1));
    i64::try_from(permille.min(100_000)).expect("at most 100,000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fine::ModelId;

    fn node(cores: u32, gpus: u8) -> FineNode {
        FineNode {
            model: ModelId::new(0).unwrap(),
            cpu_milli: cores * 1000,
            mem_mib: 0,
            gpus,
        }
    }

    #[test]
    fn scarcity_is_cores_wanted_over_cores_there() {
        let mix = Mix {
            idle_cpu_milli_per_gpu: 3_000,
            ..Mix::uniform(9_000)
        };
        assert_eq!(scarcity(&[node(96, 8)], &mix), 1_000);
        assert_eq!(scarcity(&[node(96, 8), node(96, 0)], &mix), 500);
        assert_eq!(scarcity(&[], &mix), 0);
        assert_eq!(scarcity(&[node(0, 8)], &mix), 100_000);
    }

    #[test]
    fn weights_go_from_one_to_the_other() {
        let policy = FinePolicy::HOUSE;
        let at = |cores| policy.weights(&[node(cores, 8)], &Mix::uniform(12_000));
        assert_eq!(at(128), Weights::PLENTY);
        assert_eq!(at(64), Weights::SCARCE);
        let between = at(90);
        assert!(between.stranded > Weights::PLENTY.stranded, "{between:?}");
        assert!(between.stranded < Weights::SCARCE.stranded, "{between:?}");
    }
}
