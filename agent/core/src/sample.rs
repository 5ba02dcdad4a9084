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

/// Memory rows that the driver has replaced by spare ones (`nvmlDeviceGetRemappedRows`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RemappedRows {
    /// After correctable errors.
    pub corrected: u32,
    /// After uncorrectable errors.
    pub uncorrected: u32,
    /// Whether a replacement waits for a reset.
    pub pending: bool,
    /// Whether a replacement failed: there is no spare left.
    pub failed: bool,
}

/// Errors of on-chip memory (`nvmlDeviceGetSramEccErrorStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SramErrors {
    /// Uncorrectable, by parity and by SEC-DED, since the driver was loaded.
    pub uncorrected: u64,
    /// The same over the life of the GPU.
    pub uncorrected_ever: u64,
    /// Whether the driver's threshold is exceeded: the GPU is to be replaced.
    pub threshold_exceeded: bool,
}

/// A PCIe link, now and at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PcieLink {
    /// Generation; lower at rest.
    pub generation: u32,
    /// The generation that GPU and slot could have.
    pub max_generation: u32,
    /// Lanes.
    pub width: u32,
    /// The lanes that GPU and slot could have.
    pub max_width: u32,
}

/// How many NVLinks of a GPU are up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct NvLinks {
    /// Links that are up.
    pub active: u32,
    /// Links that are there and down.
    pub inactive: u32,
}

/// How far a GPU is registered with its NVSwitch fabric (`nvmlDeviceGetGpuFabricInfoV`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FabricState {
    /// It has none.
    None,
    /// Nobody has begun to register it.
    NotStarted,
    /// It is being registered.
    InProgress,
    /// It is registered.
    Completed,
}

/// A GPU in its fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fabric {
    /// How far it is registered.
    pub state: FabricState,
    /// The `nvmlReturn_t` of the registration; 0 is success.
    pub status: u32,
    /// The summary of its health: 1 healthy, 2 unhealthy, 3 limited; 0 where that is not said.
    pub health: u32,
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
    /// The power limit that it has unless told otherwise.
    pub default_limit_mw: Reading<MilliWatts>,
    /// Temperature of its memory.
    pub memory_temperature: Reading<Celsius>,
    /// Temperature at which the hardware turns itself off.
    pub shutdown: Reading<Celsius>,
    /// Why the clocks are where they are, by the bits of `nvmlDeviceGetCurrentClocksEventReasons`.
    pub clock_events: Reading<u64>,
    /// Corrected memory errors since the driver was loaded.
    pub ecc_corrected: Reading<u64>,
    /// Memory rows that were replaced.
    pub remapped: Reading<RemappedRows>,
    /// Errors of on-chip memory.
    pub sram: Reading<SramErrors>,
    /// Its PCIe link.
    pub pcie: Reading<PcieLink>,
    /// PCIe packets that were sent again, since the driver was loaded.
    pub pcie_replays: Reading<u64>,
    /// Its NVLinks.
    pub nvlinks: Reading<NvLinks>,
    /// Its place in an NVSwitch fabric.
    pub fabric: Reading<Fabric>,
    /// Whether it is divided.
    pub mig: Reading<bool>,
    /// Whether the driver stays loaded between clients.
    pub persistence: Reading<bool>,
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
            default_limit_mw: failed(words),
            memory_temperature: failed(words),
            shutdown: failed(words),
            clock_events: failed(words),
            remapped: failed(words),
            sram: failed(words),
            pcie: failed(words),
            pcie_replays: failed(words),
            nvlinks: failed(words),
            fabric: failed(words),
            mig: failed(words),
            persistence: failed(words),
            ecc_corrected: failed(words),
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
            default_limit_mw: Reading::Value(MilliWatts::from_watts(700)),
            memory_temperature: Reading::Value(Celsius(40)),
            shutdown: Reading::Value(Celsius(92)),
            clock_events: Reading::Value(1),
            ecc_corrected: Reading::Value(0),
            remapped: Reading::Value(RemappedRows::default()),
            sram: Reading::Value(SramErrors::default()),
            pcie: Reading::Value(PcieLink {
                generation: 5,
                max_generation: 5,
                width: 16,
                max_width: 16,
            }),
            pcie_replays: Reading::Value(0),
            nvlinks: Reading::Value(NvLinks {
                active: 18,
                inactive: 0,
            }),
            fabric: Reading::Value(Fabric {
                state: FabricState::Completed,
                status: 0,
                health: 1,
            }),
            mig: Reading::Value(false),
            persistence: Reading::Value(true),
        }
    }
}
