//! What is left of one node, and what every kind of request wants to know of it.

use super::request::{FineNode, FineRequest, GPUS_MAX, Gpus, Placement, WHOLE};

/// A node of the pool, live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    /// What it has when empty.
    pub(super) shape: FineNode,
    /// Whether it takes new work.
    pub(super) up: bool,
    /// CPU left, in thousandths of a core.
    pub(super) cpu_left: u32,
    /// Memory left, in MiB.
    pub(super) mem_left: u32,
    /// What is left of each GPU, in thousandths; 0 beyond its last.
    pub(super) gpu_left: [u16; GPUS_MAX],
    /// The sum of these.
    pub(super) gpu_sum: u32,
    /// The largest of these.
    pub(super) gpu_most: u16,
    /// How many are untouched.
    pub(super) gpu_free: u8,
}

impl Live {
    /// An empty node.
    pub(super) fn empty(shape: FineNode) -> Self {
        let gpus = usize::from(shape.gpus);
        let mut live = Self {
            shape,
            up: true,
            cpu_left: shape.cpu_milli,
            mem_left: shape.mem_mib,
            gpu_left: std::array::from_fn(|slot| if slot < gpus { WHOLE } else { 0 }),
            gpu_sum: 0,
            gpu_most: 0,
            gpu_free: 0,
        };
        live.sum_up();
        live
    }

    /// Whether it can take a request of an acceptable model.
    #[inline]
    pub(super) fn has_room(&self, ask: &FineRequest) -> bool {
        self.up
            && self.cpu_left >= ask.cpu_milli
            && self.mem_left >= ask.mem_mib
            && match ask.gpus {
                Gpus::None => true,
                Gpus::Share { milli } => self.gpu_most >= milli,
                Gpus::Whole { count } => self.gpu_free >= count,
            }
    }

    /// The GPU with the least sufficient room, the first among equals, and what it has left.
    #[inline]
    pub(super) fn tightest(&self, milli: u16) -> Option<(usize, u16)> {
        let gpus = self.gpu_left[..usize::from(self.shape.gpus)].iter();
        let fitting = gpus.copied().enumerate().filter(|(_, left)| *left >= milli);
        fitting.min_by_key(|(_, left)| *left)
    }

    /// The GPUs a request would get here. Only of a node that has room.
    pub(super) fn slots(&self, ask: &FineRequest) -> u16 {
        match ask.gpus {
            Gpus::None => 0,
            Gpus::Share { milli } => self.tightest(milli).map_or(0, |(slot, _)| 1 << slot),
            Gpus::Whole { count } => {
                let free = (0..GPUS_MAX).filter(|slot| self.gpu_left[*slot] == WHOLE);
                free.take(usize::from(count))
                    .fold(0, |mask, slot| mask | 1 << slot)
            }
        }
    }

    /// Takes what a placement says. False, with nothing changed, where there is not as much.
    pub(super) fn take(&mut self, given: &Placement) -> bool {
        let gpus = usize::from(self.shape.gpus);
        let enough = self.cpu_left >= given.cpu_milli
            && self.mem_left >= given.mem_mib
            && given
                .slots()
                .all(|slot| slot < gpus && self.gpu_left[slot] >= given.each_milli);
        if enough {
            self.cpu_left -= given.cpu_milli;
            self.mem_left -= given.mem_mib;
            given
                .slots()
                .for_each(|slot| self.gpu_left[slot] -= given.each_milli);
            self.sum_up();
        }
        enough
    }

    /// Gives back what a placement says. False, with nothing changed, where less is taken.
    pub(super) fn give_back(&mut self, given: &Placement) -> bool {
        let gpus = usize::from(self.shape.gpus);
        let taken = self.shape.cpu_milli - self.cpu_left >= given.cpu_milli
            && self.shape.mem_mib - self.mem_left >= given.mem_mib
            && given
                .slots()
                .all(|slot| slot < gpus && WHOLE - self.gpu_left[slot] >= given.each_milli);
        if taken {
            self.cpu_left += given.cpu_milli;
            self.mem_left += given.mem_mib;
            given
                .slots()
                .for_each(|slot| self.gpu_left[slot] += given.each_milli);
            self.sum_up();
        }
        taken
    }

    fn sum_up(&mut self) {
        let gpus = &self.gpu_left[..usize::from(self.shape.gpus)];
        self.gpu_sum = gpus.iter().map(|left| u32::from(*left)).sum();
        self.gpu_most = gpus.iter().copied().max().unwrap_or(0);
        self.gpu_free = gpus.iter().map(|left| u8::from(*left == WHOLE)).sum();
    }
}
