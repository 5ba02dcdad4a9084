//! Power and energy of one GPU: the draw follows the load and never passes the enforced limit.

use crate::board::Board;
use crate::tick::{Tick, approach};
use leasehold_common::units::{MilliJoules, MilliWatts};

/// All of a GPU's power limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerLimits {
    /// The lowest limit that can be set.
    pub min: MilliWatts,
    /// The highest limit that can be set.
    pub max: MilliWatts,
    /// The limit after the driver was loaded.
    pub default: MilliWatts,
    /// The limit last asked for.
    pub requested: MilliWatts,
    /// The limit that holds.
    pub enforced: MilliWatts,
}

/// A tenth of the way to the target in each tick: 63 % after a second, all of it after a few. Real
/// boards are quicker; a sampler at 1 Hz must still see the slope.
const LAG: u64 = 10;

/// A watt in each tick at least: the tail of the curve is below what anybody acts on.
const LEAST: u64 = 1000;

#[derive(Debug, Clone)]
pub(crate) struct Power {
    idle: MilliWatts,
    min: MilliWatts,
    max: MilliWatts,
    limit: MilliWatts,
    draw: MilliWatts,
    load_permille: u32,
    /// Millionths of a joule, because that is what a milliwatt yields in a millisecond: nothing is
    /// lost to rounding. 64 bits last centuries at a kilowatt.
    energy_uj: u64,
}

impl Power {
    pub fn new(board: &Board, spread: u64) -> Self {
        // Boards of one kind differ by a few watts at idle.
        let idle = board.idle + MilliWatts(spread % 6000);
        Self {
            idle,
            min: board.limit_min,
            max: board.limit_max,
            limit: board.limit_max,
            draw: idle,
            load_permille: 0,
            energy_uj: 0,
        }
    }

    /// What the load would draw if nothing held it back.
    fn wanted(&self) -> MilliWatts {
        let span = (self.max - self.idle).0;
        self.idle + MilliWatts(span * u64::from(self.load_permille) / 1000)
    }

    fn target(&self) -> MilliWatts {
        self.wanted().min(self.limit)
    }

    pub fn settled(&self) -> bool {
        self.draw == self.target()
    }

    /// One tick's move towards the target.
    pub fn step(&mut self) {
        self.draw = MilliWatts(approach(self.draw.0, self.target().0, LAG, LEAST));
    }

    /// Counts the energy of `ticks` at the present draw.
    pub fn meter(&mut self, ticks: u64) {
        self.energy_uj += self.draw.0 * Tick::MILLIS * ticks;
    }

    pub fn draw(&self) -> MilliWatts {
        self.draw
    }

    pub fn energy(&self) -> MilliJoules {
        MilliJoules(self.energy_uj / 1000)
    }

    pub fn limits(&self) -> PowerLimits {
        PowerLimits {
            min: self.min,
            max: self.max,
            default: self.max,
            requested: self.limit,
            enforced: self.limit,
        }
    }

    pub fn load_permille(&self) -> u32 {
        self.load_permille
    }

    pub fn set_load(&mut self, permille: u32) {
        self.load_permille = permille;
    }

    /// Takes effect at once: a board's own capping is faster than anybody samples.
    pub fn set_limit(&mut self, limit: MilliWatts) {
        self.limit = limit;
        self.draw = self.draw.min(limit);
    }

    /// Whether the limit, and not the load, decides the draw.
    pub fn capped(&self) -> bool {
        self.wanted() > self.limit
    }

    /// The driver forgets what it was told and begins to count again.
    pub fn reload(&mut self) {
        self.limit = self.max;
        self.energy_uj = 0;
    }
}
