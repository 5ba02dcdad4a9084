//! Memory errors: the counters, the rows replaced because of them, and what the driver wants done.

use crate::event::EventKind;
use serde::{Deserialize, Serialize};

/// Whether ECC is on, and whether it will be after the next reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EccMode {
    /// Now.
    pub current: bool,
    /// After the next reset.
    pub pending: bool,
}

/// Whether ECC could put an error right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EccSeverity {
    /// Single-bit: put right, no data lost.
    Corrected,
    /// Double-bit: data lost.
    Uncorrected,
}

impl EccSeverity {
    pub(crate) const fn event(self) -> EventKind {
        match self {
            Self::Corrected => EventKind::SingleBitEcc,
            Self::Uncorrected => EventKind::DoubleBitEcc,
        }
    }
}

/// Since when an ECC counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EccSince {
    /// Since the driver was loaded or the GPU was reset.
    Volatile,
    /// Since the board was made.
    Aggregate,
}

/// ECC errors of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EccCounts {
    /// Single-bit errors.
    pub corrected: u64,
    /// Double-bit errors.
    pub uncorrected: u64,
}

impl EccCounts {
    /// The errors of one severity.
    pub const fn of(self, severity: EccSeverity) -> u64 {
        match severity {
            EccSeverity::Corrected => self.corrected,
            EccSeverity::Uncorrected => self.uncorrected,
        }
    }

    fn add(&mut self, severity: EccSeverity, count: u64) {
        let counter = match severity {
            EccSeverity::Corrected => &mut self.corrected,
            EccSeverity::Uncorrected => &mut self.uncorrected,
        };
        *counter = counter.saturating_add(count);
    }
}

/// Memory rows replaced by spare ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemappedRows {
    /// Because of errors that were corrected.
    pub corrected: u32,
    /// Because of errors that were not.
    pub uncorrected: u32,
    /// A replacement waits for the next reset.
    pub pending: bool,
    /// A replacement failed: no spare rows are left.
    pub failure: bool,
}

/// What the driver wants done with the GPU (field 230).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryAction {
    /// Nothing.
    None,
    /// Reset the GPU.
    GpuReset,
    /// Reboot the node.
    NodeReboot,
    /// Stop the work that uses peer access.
    DrainP2p,
    /// Let the work end, then reset the GPU.
    DrainAndReset,
}

impl RecoveryAction {
    /// The number NVML has for it.
    pub const fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::GpuReset => 1,
            Self::NodeReboot => 2,
            Self::DrainP2p => 3,
            Self::DrainAndReset => 4,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Ecc {
    pub mode: EccMode,
    pub rows: RemappedRows,
    pub action: RecoveryAction,
    volatile: EccCounts,
    aggregate: EccCounts,
}

impl Ecc {
    pub fn new() -> Self {
        Self {
            mode: EccMode {
                current: true,
                pending: true,
            },
            rows: RemappedRows::default(),
            action: RecoveryAction::None,
            volatile: EccCounts::default(),
            aggregate: EccCounts::default(),
        }
    }

    pub fn inject(&mut self, severity: EccSeverity, count: u64) {
        self.volatile.add(severity, count);
        self.aggregate.add(severity, count);
    }

    pub fn counts(&self, since: EccSince) -> EccCounts {
        match since {
            EccSince::Volatile => self.volatile,
            EccSince::Aggregate => self.aggregate,
        }
    }

    /// The volatile counters begin again.
    pub fn reload(&mut self) {
        self.volatile = EccCounts::default();
    }

    /// What a reset heals: pending modes and rows take effect, the driver wants nothing more. A row
    /// that could not be replaced stays a failure.
    pub fn reset(&mut self) {
        self.reload();
        self.mode.current = self.mode.pending;
        self.rows.pending = false;
        self.action = RecoveryAction::None;
    }
}
