//! The model's own grid of time.
//!
//! The model moves in ticks of 100 ms counted from its creation, whatever spans it is advanced by.
//! Two short advances are therefore exactly one long one, and a run is repeatable however its clock
//! was sampled. NVML's own sensors are no finer.

use leasehold_common::time::Span;

/// A whole number of ticks, and the time that did not fill one yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tick {
    rest_ms: u64,
}

impl Tick {
    pub const MILLIS: u64 = 100;

    /// Takes in `by` and returns how many ticks are now complete.
    pub fn take(&mut self, by: Span) -> u64 {
        let total = self.rest_ms.saturating_add(by.millis());
        self.rest_ms = total % Self::MILLIS;
        total / Self::MILLIS
    }
}

/// One step of a first-order lag: a `lag`-th of the distance, but at least `least`, so that the
/// target is met exactly and a settled quantity can be carried forward without stepping.
pub(crate) fn approach(from: u64, to: u64, lag: u64, least: u64) -> u64 {
    let part = |distance: u64| (distance / lag).max(least).min(distance);
    if from < to {
        from + part(to - from)
    } else {
        from - part(from - to)
    }
}
