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
    /// Energy so far.
    energy_mj: MilliJoules,
    /// The instant up to which time is counted; absent before access began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted_to: Option<Timestamp>,
    /// What each GPU's counter showed last.
    #[serde(default)]
    counters: BTreeMap<GpuUuid, MilliJoules>,
}

impl RunningMeter {
    /// Access begins: time and energy count from here.
    pub fn begin(&mut self, at: Timestamp) {
        self.counted_to = Some(at);
        self.counters.clear();
    }

    /// Counts time up to `at`, for `gpus` GPUs. A clock that was set back counts nothing.
    pub fn count_time(&mut self, gpus: usize, at: Timestamp) {
        let Some(from) = self.counted_to else { return };
        let passed = at.since(from).millis();
        self.gpu_ms = self
            .gpu_ms
            .saturating_add(passed.saturating_mul(gpus as u64));
        self.counted_to = Some(from.max(at));
    }

    /// Counts what a GPU's energy counter has gained. The first reading of a GPU is its zero.
    pub fn count_energy(&mut self, gpu: &GpuUuid, counter: MilliJoules) {
        let gained = match self.counters.insert(gpu.clone(), counter) {
            None => MilliJoules::ZERO,
            Some(before) if counter >= before => counter - before,
            // The driver was loaded anew in between.
            Some(_) => counter,
        };
        self.energy_mj += gained;
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
