//! The state that the baselines decide on: plain, and scanned.

use leasehold_placement::fine::{FineNode, FineRequest, GPUS_MAX, Placement, Spot, WHOLE};

/// What is left of one node.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// What it has when empty.
    pub shape: FineNode,
    /// CPU left, in thousandths of a core.
    pub cpu_left: u32,
    /// Memory left, in MiB.
    pub mem_left: u32,
    /// What is left of each GPU, in thousandths; 0 beyond its last.
    pub gpu_left: [u16; GPUS_MAX],
    /// How often it has changed.
    pub version: u32,
}

impl State {
    /// An empty node.
    pub fn empty(shape: FineNode) -> Self {
        let gpus = usize::from(shape.gpus);
        Self {
            shape,
            cpu_left: shape.cpu_milli,
            mem_left: shape.mem_mib,
            gpu_left: std::array::from_fn(|slot| if slot < gpus { WHOLE } else { 0 }),
            version: 0,
        }
    }

    /// All that is left of its GPUs, in thousandths.
    pub fn gpu_left_sum(&self) -> u32 {
        self.gpu_left.iter().map(|left| u32::from(*left)).sum()
    }

    /// Its GPUs that have so much left.
    pub fn slots_with(&self, milli: u16) -> Vec<usize> {
        let gpus = 0..usize::from(self.shape.gpus);
        gpus.filter(|slot| self.gpu_left[*slot] >= milli).collect()
    }

    /// How many of its GPUs have so much left.
    pub fn count_with(&self, milli: u16) -> usize {
        let gpus = &self.gpu_left[..usize::from(self.shape.gpus)];
        gpus.iter().filter(|left| **left >= milli).count()
    }

    /// Whether it can take a request.
    pub fn has_room(&self, ask: &FineRequest) -> bool {
        self.cpu_left >= ask.cpu_milli
            && self.mem_left >= ask.mem_mib
            && ask.models.accepts(self.shape.model)
            && self.count_with(ask.gpus.each()) >= ask.gpus.count()
    }

    /// As it would be with a request on these GPUs.
    #[must_use]
    pub fn with(mut self, slots: u16, ask: &FineRequest) -> Self {
        self.cpu_left -= ask.cpu_milli;
        self.mem_left -= ask.mem_mib;
        for (slot, left) in self.gpu_left.iter_mut().enumerate() {
            *left -= if slots >> slot & 1 == 1 {
                ask.gpus.each()
            } else {
                0
            };
        }
        self
    }

    /// The lowest-numbered wholly free GPUs, as many as that.
    pub fn first_free(&self, count: usize) -> u16 {
        let free = self.slots_with(WHOLE).into_iter().take(count);
        free.fold(0, |mask, slot| mask | 1 << slot)
    }
}

/// All nodes.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// In the trace's order.
    pub nodes: Vec<State>,
}

impl Cluster {
    /// Of empty nodes.
    pub fn empty(shapes: &[FineNode]) -> Self {
        Self {
            nodes: shapes.iter().copied().map(State::empty).collect(),
        }
    }

    /// Gives a request room on a node that has it.
    pub fn take(&mut self, at: usize, slots: u16, ask: &FineRequest) -> Placement {
        let node = &mut self.nodes[at];
        *node = node.with(slots, ask);
        node.version += 1;
        Placement {
            spot: Spot(u32::try_from(at).expect("a fleet far smaller than 2^32")),
            cpu_milli: ask.cpu_milli,
            mem_mib: ask.mem_mib,
            slots,
            each_milli: ask.gpus.each(),
        }
    }
}
