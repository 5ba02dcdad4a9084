//! One reading of one GPU: what is judged, published and metered.

use leasehold_common::node::{GpuProcess, Reading};
use leasehold_common::units::{Bytes, Celsius, MilliJoules, MilliWatts};
use serde::Serialize;

/// Whether the GPU could be spoken to at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// It answered, though single calls may have failed.
    Answered,
    /// The driver says that it has fallen off the bus.
    Lost,
    /// The driver does not know it any more.
    Missing,
    /// It did not answer within the deadline.
    Unresponsive,
}

/// One reading of one GPU. Each value can fail by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuSample {
    /// Whether it answered.
    pub contact: Contact,
    /// Power drawn.
    pub power_mw: Reading<MilliWatts>,
    /// Power limit in force.
    pub limit_mw: Reading<MilliWatts>,
    /// Core temperature.
    pub temperature: Reading<Celsius>,
    /// Temperature at which the hardware slows itself down.
    pub slowdown: Reading<Celsius>,
    /// Energy since the driver was loaded.
    pub energy_mj: Reading<MilliJoules>,
    /// Memory in use.
    pub memory_used: Reading<Bytes>,
    /// Whether ECC is on.
    pub ecc_enabled: Reading<bool>,
    /// Uncorrected memory errors since the driver was loaded.
    pub ecc_uncorrected: Reading<u64>,
    /// What the driver wants done (field 230): 0 is nothing.
    pub recovery_action: Reading<u32>,
    /// Processes that have it open.
    pub processes: Reading<Vec<GpuProcess>>,
}

impl GpuSample {
    /// Of a GPU that could not be spoken to.
    pub fn silent(contact: Contact, words: &str) -> Self {
        fn failed<T>(words: &str) -> Reading<T> {
            Reading::Failed(words.to_owned())
        }
        Self {
            contact,
            power_mw: failed(words),
            limit_mw: failed(words),
            temperature: failed(words),
            slowdown: failed(words),
            energy_mj: failed(words),
            memory_used: failed(words),
            ecc_enabled: failed(words),
            ecc_uncorrected: failed(words),
            recovery_action: failed(words),
            processes: failed(words),
        }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A GPU at rest, in order.
    pub fn idle() -> GpuSample {
        GpuSample {
            contact: Contact::Answered,
            power_mw: Reading::Value(MilliWatts::from_watts(100)),
            limit_mw: Reading::Value(MilliWatts::from_watts(700)),
            temperature: Reading::Value(Celsius(35)),
            slowdown: Reading::Value(Celsius(89)),
            energy_mj: Reading::Value(MilliJoules(1_000_000)),
            memory_used: Reading::Value(Bytes::ZERO),
            ecc_enabled: Reading::Value(true),
            ecc_uncorrected: Reading::Value(0),
            recovery_action: Reading::Value(0),
            processes: Reading::Value(Vec::new()),
        }
    }
}
