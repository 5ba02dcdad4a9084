//! What wears out in a GPU besides its memory rows: on-chip memory, spare rows, channels and processors.

use serde::{Deserialize, Serialize};

/// Errors of on-chip memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SramErrors {
    /// That could not be put right, since the driver was loaded or the GPU was reset.
    pub uncorrected: u64,
    /// The same over the board's life.
    pub uncorrected_ever: u64,
    /// Whether there are more of them than the driver puts up with.
    pub threshold_exceeded: bool,
}

/// Memory banks by how many spare rows they have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpareRows {
    /// All of them.
    pub max: u32,
    /// Most.
    #[serde(default)]
    pub high: u32,
    /// Some.
    #[serde(default)]
    pub partial: u32,
    /// Few.
    #[serde(default)]
    pub low: u32,
    /// None.
    #[serde(default)]
    pub none: u32,
}

/// Repairs that wait for a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repairs {
    /// Of a memory channel.
    #[serde(default)]
    pub channel: bool,
    /// Of a cluster of processors.
    #[serde(default)]
    pub tpc: bool,
}

/// Banks of the GPUs here: what an H200 says of itself.
const BANKS: u32 = 3072;

#[derive(Debug, Clone)]
pub(crate) struct Wear {
    pub sram: SramErrors,
    pub spare_rows: SpareRows,
    pub repairs: Repairs,
}

impl Wear {
    pub fn new() -> Self {
        Self {
            sram: SramErrors::default(),
            spare_rows: SpareRows {
                max: BANKS,
                high: 0,
                partial: 0,
                low: 0,
                none: 0,
            },
            repairs: Repairs::default(),
        }
    }

    pub fn inject_sram(&mut self, count: u64, threshold_exceeded: bool) {
        let sram = &mut self.sram;
        sram.uncorrected = sram.uncorrected.saturating_add(count);
        sram.uncorrected_ever = sram.uncorrected_ever.saturating_add(count);
        sram.threshold_exceeded |= threshold_exceeded;
    }

    /// The volatile counters begin again.
    pub fn reload(&mut self) {
        self.sram.uncorrected = 0;
    }

    /// What a reset heals: repairs take effect. What is worn out stays so.
    pub fn reset(&mut self) {
        self.reload();
        self.repairs = Repairs::default();
    }
}
