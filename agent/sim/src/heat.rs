//! Heat of one GPU: the temperature follows the power drawn and the air that comes in.

use crate::board::Board;
use crate::tick::approach;
use leasehold_common::units::{Celsius, MilliWatts};

/// Temperatures at which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// The GPU switches itself off.
    pub shutdown: Celsius,
    /// The hardware lowers the clocks.
    pub slowdown: Celsius,
    /// The highest temperature the memory may have.
    pub memory_max: Celsius,
    /// The highest temperature the GPU may have; above it software lowers the clocks.
    pub gpu_max: Celsius,
}

/// The same for all boards here.
pub(crate) const THRESHOLDS: Thresholds = Thresholds {
    shutdown: Celsius(92),
    slowdown: Celsius(89),
    memory_max: Celsius(95),
    gpu_max: Celsius(87),
};

/// Air as it comes into a node in a hall that is well.
pub(crate) const INLET: Celsius = Celsius(28);

/// A hundredth of the way in each tick: 63 % after ten seconds, all of it within a minute or so.
const LAG: u64 = 100;

/// A hundredth of a degree in each tick at least.
const LEAST: u64 = 10;

#[derive(Debug, Clone)]
pub(crate) struct Heat {
    per_watt: u64,
    /// Thousandths of a degree by which this board runs hotter than the best of its kind.
    offset: u64,
    inlet: u64,
    milli_celsius: u64,
}

impl Heat {
    pub fn new(board: &Board, spread: u64, draw: MilliWatts) -> Self {
        let mut heat = Self {
            per_watt: board.heat_per_watt,
            offset: spread % 4000,
            inlet: 0,
            milli_celsius: 0,
        };
        heat.set_inlet(INLET);
        heat.milli_celsius = heat.target(draw);
        heat
    }

    fn target(&self, draw: MilliWatts) -> u64 {
        self.inlet + self.offset + draw.0 * self.per_watt / 1000
    }

    pub fn settled(&self, draw: MilliWatts) -> bool {
        self.milli_celsius == self.target(draw)
    }

    pub fn step(&mut self, draw: MilliWatts) {
        self.milli_celsius = approach(self.milli_celsius, self.target(draw), LAG, LEAST);
    }

    /// Air below freezing is taken for freezing: no hall is colder.
    pub fn set_inlet(&mut self, inlet: Celsius) {
        self.inlet = u64::try_from(inlet.0).unwrap_or(0) * 1000;
    }

    pub fn temperature(&self) -> Celsius {
        let degrees = (self.milli_celsius + 500) / 1000;
        Celsius(i32::try_from(degrees).unwrap_or(i32::MAX))
    }
}
