//! What a lease has used: GPU time by the clock, energy by NVML's counter.
//!
//! The counter runs from the load of the driver and falls to nothing when it is loaded anew. It is
//! read as a gain since the last reading; where it has fallen, all it shows was drawn since. An
//! agent that was away goes on where it stopped: the state is kept with the grant.

use leasehold_common::grant::Meter;
use leasehold_common::ids::GpuUuid;
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliJoules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The running meter of one lease on one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunningMeter {
    /// GPU time so far, in milliseconds.
    gpu_ms: u64,
    /// Sevenths of a millisecond beyond that; slices alone have any.
    #[serde(default, skip_serializing_if = "is_zero")]
    rest: u64,
    /// Energy so far.
    energy_mj: MilliJoules,
    /// The instant up to which time is counted; absent before access began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted_to: Option<Timestamp>,
    /// What each GPU's counter showed last.
    #[serde(default)]
    counters: BTreeMap<GpuUuid, MilliJoules>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over by reference"
)]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl RunningMeter {
    /// Access begins: time and energy count from here.
    pub fn begin(&mut self, at: Timestamp) {
        self.counted_to = Some(at);
        self.counters.clear();
    }

    /// Counts time up to `at`, for `gpus` GPUs. A clock that was set back counts nothing.
    pub fn count_time(&mut self, gpus: usize, at: Timestamp) {
        self.count_sevenths(gpus as u64 * 7, at);
    }

    /// The same for slices, by their compute slices, of which a GPU has seven.
    pub fn count_sevenths(&mut self, sevenths: u64, at: Timestamp) {
        let Some(from) = self.counted_to else { return };
        let passed = at.since(from).millis().saturating_mul(sevenths);
        let passed = passed.saturating_add(self.rest);
        self.gpu_ms = self.gpu_ms.saturating_add(passed / 7);
        self.rest = passed % 7;
        self.counted_to = Some(from.max(at));
    }

    /// Counts what a GPU's energy counter has gained. The first reading of a GPU is its zero.
    pub fn count_energy(&mut self, gpu: &GpuUuid, counter: MilliJoules) {
        self.count_share(gpu, counter, 7);
    }

    /// The same for slices of a GPU: it has one counter, and what that gains is shared by compute slices.
    pub fn count_share(&mut self, gpu: &GpuUuid, counter: MilliJoules, sevenths: u64) {
        let gained = match self.counters.insert(gpu.clone(), counter) {
            None => MilliJoules::ZERO,
            Some(before) if counter >= before => counter - before,
            // The driver was loaded anew in between.
            Some(_) => counter,
        };
        self.energy_mj += MilliJoules(gained.0.saturating_mul(sevenths) / 7);
    }

    /// What was used so far.
    pub const fn total(&self) -> Meter {
        Meter {
            gpu_seconds: self.gpu_ms / 1000,
            energy_mj: self.energy_mj,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    fn gpu() -> GpuUuid {
        "GPU-1".parse().unwrap()
    }

    #[test]
    fn eight_gpus_for_an_hour_are_eight_gpu_hours() {
        let mut meter = RunningMeter::default();
        meter.begin(at(0));
        for second in 1..=3600 {
            meter.count_time(8, at(second));
        }
        assert_eq!(meter.total().gpu_seconds, 8 * 3600);
    }

    #[test]
    fn a_seventh_of_a_gpu_for_seven_seconds_is_a_second_of_a_gpu() {
        let mut meter = RunningMeter::default();
        meter.begin(at(0));
        meter.count_share(&gpu(), MilliJoules(100), 1);
        for second in 1..=7 {
            meter.count_sevenths(1, at(second));
        }
        meter.count_share(&gpu(), MilliJoules(800), 1);
        assert_eq!(meter.total().gpu_seconds, 1);
        assert_eq!(meter.total().energy_mj, MilliJoules(100));
    }

    #[test]
    fn energy_counts_from_the_first_reading_and_across_a_driver_reload() {
        let mut meter = RunningMeter::default();
        meter.begin(at(0));
        for counter in [5000, 6000, 6500, 200, 300] {
            meter.count_energy(&gpu(), MilliJoules(counter));
        }
        assert_eq!(meter.total().energy_mj, MilliJoules(1000 + 500 + 200 + 100));
    }

    #[test]
    fn an_agent_that_was_away_goes_on_where_it_stopped() {
        let mut meter = RunningMeter::default();
        meter.begin(at(0));
        meter.count_energy(&gpu(), MilliJoules(100));
        let kept = serde_json::to_string(&meter).unwrap();
        let mut back: RunningMeter = serde_json::from_str(&kept).unwrap();
        back.count_time(2, at(100));
        back.count_energy(&gpu(), MilliJoules(900));
        assert_eq!(back.total().gpu_seconds, 200);
        assert_eq!(back.total().energy_mj, MilliJoules(800));
    }

    proptest! {
        #[test]
        fn a_meter_never_falls(readings in prop::collection::vec((0..1_000_000_i64, 0..1_000_000_u64), 0..50)) {
            let mut meter = RunningMeter::default();
            meter.begin(at(0));
            let mut before = meter.total();
            for (seconds, counter) in readings {
                meter.count_time(4, at(seconds));
                meter.count_energy(&gpu(), MilliJoules(counter));
                let now = meter.total();
                prop_assert!(now.gpu_seconds >= before.gpu_seconds);
                prop_assert!(now.energy_mj >= before.energy_mj);
                before = now;
            }
        }
    }
}
