//! What one GPU holds.

use leasehold_common::mig::MigProfile;
use std::fmt;

/// A kind of instance, by its number in the family's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub(super) u8);

impl Kind {
    pub(super) const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// One instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// The memory slice it begins at, 0 to 7.
    pub start: u8,
    /// What it is.
    pub kind: Kind,
}

/// Memory slices at which instances of one kind begin; slice 0 is the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Starts(pub u8);

impl Starts {
    /// How many.
    pub const fn len(self) -> u8 {
        // At most 8.
        self.0.count_ones().to_le_bytes()[0]
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |start| self.0 >> start & 1 == 1)
    }
}

/// The instances of one GPU in MIG mode. It means something together with the geometry that made
/// it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    /// Four bits for each slice: 1 + the kind of the instance that begins there.
    begins: u32,
    /// The slices that are part of an instance; slice 0 is the lowest bit.
    taken: u8,
    /// Whether it holds the one instance of the kind of which a GPU has a single one.
    single: bool,
}

impl Layout {
    /// In MIG mode, and without instances.
    pub const EMPTY: Self = Self {
        begins: 0,
        taken: 0,
        single: false,
    };

    /// As far as others are concerned: memory slices that cannot be had, and whether the one instance
    /// can be of which a GPU has a single one. It names no instances.
    pub(crate) const fn blocked(taken: u8, single: bool) -> Self {
        Self {
            begins: 0,
            taken,
            single,
        }
    }

    /// Whether it holds the one instance of the kind of which a GPU has a single one.
    pub(crate) const fn has_single(self) -> bool {
        self.single
    }

    /// The memory slices that are part of an instance; slice 0 is the lowest bit.
    pub const fn taken(self) -> u8 {
        self.taken
    }

    /// Whether it holds no instance.
    pub const fn is_empty(self) -> bool {
        self.taken == 0
    }

    /// Its instances, by where they begin.
    pub fn instances(self) -> impl Iterator<Item = Instance> {
        (0..8).filter_map(move |start| {
            let kind = self.kind_at(start)?;
            Some(Instance { start, kind })
        })
    }

    /// The kind of the instance that begins at `start`; absent where none does.
    pub const fn kind_at(self, start: u8) -> Option<Kind> {
        if start >= 8 {
            return None;
        }
        // Four bits.
        match (self.begins >> (4 * start) & 0xf).to_le_bytes()[0] {
            0 => None,
            kind => Some(Kind(kind - 1)),
        }
    }

    /// What it can still hold depends on this alone: a number below [`super::table::STATES`].
    pub(super) const fn state(self) -> usize {
        self.taken as usize | (self.single as usize) << 8
    }

    pub(super) const fn with(self, instance: Instance, slices: u8, single: bool) -> Self {
        Self {
            begins: self.begins | (instance.kind.0 as u32 + 1) << (4 * instance.start),
            taken: self.taken | slices,
            single: self.single || single,
        }
    }

    pub(super) const fn without(self, instance: Instance, slices: u8, single: bool) -> Self {
        Self {
            begins: self.begins & !(0xf << (4 * instance.start)),
            taken: self.taken & !slices,
            single: self.single && !single,
        }
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |one: Instance| (one.start, one.kind.0);
        f.debug_map().entries(self.instances().map(at)).finish()
    }
}

/// An instance that cannot be put where it was to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The kind may not begin there.
    #[error("{profile} cannot begin at memory slice {start}, only at {allowed:?}")]
    Start {
        /// The profile.
        profile: MigProfile,
        /// Where it was to begin.
        start: u8,
        /// Where it may.
        allowed: Vec<u8>,
    },
    /// It would share slices with an instance that is there.
    #[error("{profile} at memory slice {start} would overlap an instance that is there")]
    Overlap {
        /// The profile.
        profile: MigProfile,
        /// Where it was to begin.
        start: u8,
    },
    /// A GPU has one of it, and has it.
    #[error("a gpu has one {profile} only, and has it")]
    Single {
        /// The profile.
        profile: MigProfile,
    },
    /// No instance begins there.
    #[error("no instance begins at memory slice {start}")]
    Absent {
        /// The slice.
        start: u8,
    },
}
