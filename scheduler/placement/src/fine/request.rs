//! What is asked of one node, in thousandths.

use std::fmt;

/// The whole of a GPU, in thousandths.
pub const WHOLE: u16 = 1000;

/// The most GPUs one node may have: what a [`Placement`]'s mask holds.
pub const GPUS_MAX: usize = 16;

/// A GPU model (or a SKU): a number below 64 that the caller gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(u8);

impl ModelId {
    /// How many there may be: what a [`ModelSet`] holds.
    pub const COUNT_MAX: usize = 64;

    /// This one; absent for 64 and above.
    pub const fn new(index: usize) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "it is below 64")]
        if index < Self::COUNT_MAX {
            Some(Self(index as u8))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which models are acceptable. The empty set means any: a request that names none is not picky.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelSet(u64);

impl ModelSet {
    /// Any model.
    pub const ANY: Self = Self(0);

    /// Whether nothing is named, so that every model will do.
    pub const fn is_any(self) -> bool {
        self.0 == 0
    }

    /// Names one more.
    pub const fn insert(&mut self, model: ModelId) {
        self.0 |= 1 << model.0;
    }

    /// Whether this model will do.
    pub const fn accepts(self, model: ModelId) -> bool {
        self.is_any() || self.0 >> model.0 & 1 == 1
    }
}

impl ModelSet {
    /// The models named, in order; none where any will do.
    pub fn iter(self) -> impl Iterator<Item = ModelId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = usize::try_from(left.trailing_zeros())
                .ok()
                .and_then(ModelId::new)?;
            left &= left - 1;
            Some(next)
        })
    }
}

impl FromIterator<ModelId> for ModelSet {
    fn from_iter<I: IntoIterator<Item = ModelId>>(models: I) -> Self {
        let mut set = Self::ANY;
        models.into_iter().for_each(|model| set.insert(model));
        set
    }
}

/// The GPUs a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gpus {
    /// None: CPU and memory alone (shape `cpu`).
    None,
    /// A part of one GPU (shape `share`).
    Share {
        /// How much of it, 1 to 999 thousandths.
        milli: u16,
    },
    /// Whole GPUs of one node.
    Whole {
        /// How many, from 1.
        count: u8,
    },
}

impl Gpus {
    /// How much GPU it is in all, in thousandths.
    pub fn milli(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Share { milli } => u32::from(milli),
            Self::Whole { count } => u32::from(count) * u32::from(WHOLE),
        }
    }

    /// How many GPUs it touches.
    pub const fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Share { .. } => 1,
            Self::Whole { count } => count as usize,
        }
    }

    /// What it takes of each of them, in thousandths.
    pub const fn each(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Share { milli } => milli,
            Self::Whole { .. } => WHOLE,
        }
    }
}

/// What is asked of one node. All of it is a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FineRequest {
    /// CPU, in thousandths of a core.
    pub cpu_milli: u32,
    /// Memory, in MiB.
    pub mem_mib: u32,
    /// GPUs.
    pub gpus: Gpus,
    /// Acceptable models.
    pub models: ModelSet,
}

/// A node as it is when nothing is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FineNode {
    /// The model of its GPUs, or its SKU.
    pub model: ModelId,
    /// CPU, in thousandths of a core.
    pub cpu_milli: u32,
    /// Memory, in MiB.
    pub mem_mib: u32,
    /// GPUs, at most [`GPUS_MAX`].
    pub gpus: u8,
}

/// A node's position in the pool it was given to, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot(pub u32);

impl Spot {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a request gets. It leaves nothing to be chosen, and it is all that is needed to give it
/// back.
#[must_use = "what was placed must be remembered to be released"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placement {
    /// Where.
    pub spot: Spot,
    /// CPU taken, in thousandths of a core.
    pub cpu_milli: u32,
    /// Memory taken, in MiB.
    pub mem_mib: u32,
    /// Which GPUs, bit 0 for the node's first.
    pub slots: u16,
    /// What is taken of each of them, in thousandths.
    pub each_milli: u16,
}

impl Placement {
    /// How much GPU it is in all, in thousandths.
    pub fn gpu_milli(&self) -> u32 {
        self.slots.count_ones() * u32::from(self.each_milli)
    }

    /// The numbers of its GPUs, from 0.
    pub fn slots(&self) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots;
        (0..GPUS_MAX).filter(move |slot| mask >> slot & 1 == 1)
    }
}
