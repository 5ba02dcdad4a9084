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

/// Memory banks by how many spare rows they have left (`nvmlDeviceGetRowRemapperHistogram`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SpareRows {
    /// Banks with all of theirs.
    pub all: u32,
    /// Banks with most, or with some.
    pub some: u32,
    /// Banks with few.
    pub few: u32,
    /// Banks with none: the next row that goes bad there cannot be replaced.
    pub none: u32,
}

/// Repairs that wait for a reset (`nvmlDeviceGetRepairStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Repairs {
    /// Of a memory channel.
    pub channel: bool,
    /// Of a cluster of processors (TPC).
    pub tpc: bool,
}

/// Memory pages that the driver has retired: how GPUs before Ampere do without rows to replace
/// (`nvmlDeviceGetRetiredPages`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RetiredPages {
    /// So many, for single-bit and double-bit errors.
    pub count: u32,
    /// Whether one waits for the driver to be loaded again.
    pub pending: bool,
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

/// Errors of a GPU's NVLinks since the driver was loaded, over all of its links. What a generation of
/// links does not count is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct NvLinkErrors {
    /// Packets with a wrong check sum (fields 38 and 45); until NVLink 4.
    pub crc: Option<u64>,
    /// Packets sent again (field 52); until NVLink 4.
    pub replays: Option<u64>,
    /// Links that had to be set up again (field 59); until NVLink 4.
    pub recoveries: Option<u64>,
    /// Links that could not be set up again (field 214 of each link); from NVLink 5 on.
    pub failed_recoveries: Option<u64>,
}

impl NvLinkErrors {
    /// Whether any of them is counted at all.
    pub const fn are_counted(&self) -> bool {
        self.crc.is_some()
            || self.replays.is_some()
            || self.recoveries.is_some()
            || self.failed_recoveries.is_some()
    }
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
    /// What the driver says of it one by one; also where there is no summary.
    pub faults: FabricFaults,
}

/// What can be wrong with a GPU's place in its fabric (`healthMask`). What a driver does not say is not
/// wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FabricFaults {
    /// It has less bandwidth than it should.
    pub degraded_bandwidth: bool,
    /// Its routes are being set up again.
    pub route_recovery: bool,
    /// A route of it is out of order.
    pub route_unhealthy: bool,
    /// It recovers from an access that took too long.
    pub access_timeout: bool,
    /// Its configuration is wrong: 2 system GUID, 3 chassis serial number, 4 no partition, 5 too few
    /// NVLinks; 0 where none of that is said.
    pub wrong_configuration: u32,
}

impl FabricFaults {
    /// From the bits of `healthMask` (nvml.h, `NVML_GPU_FABRIC_HEALTH_MASK_*`): two for each question, of
    /// which 1 is yes, and four for the configuration, of which 0 and 1 are that nothing is wrong.
    pub const fn of_mask(mask: u32) -> Self {
        const fn yes(mask: u32, shift: u32) -> bool {
            (mask >> shift) & 0b11 == 1
        }
        let configuration = (mask >> 8) & 0b1111;
        Self {
            degraded_bandwidth: yes(mask, 0),
            route_recovery: yes(mask, 2),
            route_unhealthy: yes(mask, 4),
            access_timeout: yes(mask, 6),
            wrong_configuration: if configuration > 1 { configuration } else { 0 },
        }
    }
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
    /// Temperature above which its memory slows down.
    pub memory_max: Reading<Celsius>,
    /// Banks by the spare rows they have left.
    pub spare_rows: Reading<SpareRows>,
    /// Repairs that wait for a reset.
    pub repairs: Reading<Repairs>,
    /// Pages that were retired, on GPUs before Ampere.
    pub retired: Reading<RetiredPages>,
    /// Errors of its NVLinks.
    pub nvlink_errors: Reading<NvLinkErrors>,
    /// Errors of the link between GPU and Grace CPU, since the driver was loaded.
    pub c2c_errors: Reading<u64>,
    /// Fatal PCIe errors since the driver was loaded.
    pub pcie_fatal: Reading<u64>,
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
            memory_max: failed(words),
            spare_rows: failed(words),
            repairs: failed(words),
            retired: failed(words),
            nvlink_errors: failed(words),
            c2c_errors: failed(words),
            pcie_fatal: failed(words),
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
                faults: FabricFaults::default(),
            }),
            memory_max: Reading::Value(Celsius(95)),
            spare_rows: Reading::Value(SpareRows {
                all: 640,
                ..SpareRows::default()
            }),
            repairs: Reading::Value(Repairs::default()),
            retired: Reading::Unsupported,
            nvlink_errors: Reading::Value(NvLinkErrors {
                crc: Some(0),
                replays: Some(0),
                recoveries: Some(0),
                failed_recoveries: None,
            }),
            c2c_errors: Reading::Value(0),
            pcie_fatal: Reading::Value(0),
            mig: Reading::Value(false),
            persistence: Reading::Value(true),
        }
    }
}
