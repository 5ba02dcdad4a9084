//! Clocks of one GPU, and why they are where they are.

use crate::board::Board;
use crate::heat::THRESHOLDS;
use crate::power::Power;
use leasehold_common::units::Celsius;
use std::ops::BitOr;

/// Clocks in MHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Graphics clock.
    pub graphics_mhz: u32,
    /// Streaming multiprocessors; the graphics clock on every GPU here.
    pub sm_mhz: u32,
    /// Memory.
    pub memory_mhz: u32,
    /// Video engines.
    pub video_mhz: u32,
}

/// The bits of `nvmlDeviceGetCurrentClocksEventReasons`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClocksEventReasons(pub u64);

impl ClocksEventReasons {
    /// The clocks are as high as they can be.
    pub const NONE: Self = Self(0);
    /// Nothing runs.
    pub const IDLE: Self = Self(0x1);
    /// The power limit holds the clocks down. Normal under a cap, never an alarm.
    pub const SW_POWER_CAP: Self = Self(0x4);
    /// The hardware has lowered the clocks by half or more.
    pub const HW_SLOWDOWN: Self = Self(0x8);
    /// Software lowers the clocks to keep the GPU below its maximum temperature.
    pub const SW_THERMAL_SLOWDOWN: Self = Self(0x20);
    /// The hardware lowers the clocks because the GPU is too hot.
    pub const HW_THERMAL_SLOWDOWN: Self = Self(0x40);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ClocksEventReasons {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

pub(crate) fn event_reasons(power: &Power, temperature: Celsius) -> ClocksEventReasons {
    let reason = |holds: bool, reason| {
        if holds {
            reason
        } else {
            ClocksEventReasons::NONE
        }
    };
    let hot = temperature >= THRESHOLDS.slowdown;
    reason(power.load_permille() == 0, ClocksEventReasons::IDLE)
        | reason(power.capped(), ClocksEventReasons::SW_POWER_CAP)
        | reason(
            temperature >= THRESHOLDS.gpu_max,
            ClocksEventReasons::SW_THERMAL_SLOWDOWN,
        )
        | reason(hot, ClocksEventReasons::HW_SLOWDOWN)
        | reason(hot, ClocksEventReasons::HW_THERMAL_SLOWDOWN)
}

pub(crate) fn max_clocks(board: &Board) -> Clocks {
    Clocks {
        graphics_mhz: board.sm_clock_max_mhz,
        sm_mhz: board.sm_clock_max_mhz,
        memory_mhz: board.memory_clock_mhz,
        video_mhz: board.sm_clock_max_mhz,
    }
}

/// Idle clocks without load; under load the highest ones, held down by half when the GPU is too hot
/// and in proportion to the limit when it is capped.
pub(crate) fn clocks(board: &Board, power: &Power, temperature: Celsius) -> Clocks {
    let reasons = event_reasons(power, temperature);
    let sm = if reasons.contains(ClocksEventReasons::IDLE) {
        board.sm_clock_idle_mhz
    } else if reasons.contains(ClocksEventReasons::HW_SLOWDOWN) {
        board.sm_clock_max_mhz / 2
    } else if reasons.contains(ClocksEventReasons::SW_POWER_CAP) {
        let limits = power.limits();
        let share = u64::from(board.sm_clock_max_mhz) * limits.enforced.0 / limits.max.0;
        u32::try_from(share)
            .unwrap_or(board.sm_clock_max_mhz)
            .max(board.sm_clock_idle_mhz)
    } else {
        board.sm_clock_max_mhz
    };
    Clocks {
        graphics_mhz: sm,
        sm_mhz: sm,
        memory_mhz: board.memory_clock_mhz,
        video_mhz: sm,
    }
}
