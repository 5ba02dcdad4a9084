//! How a node's GPUs are.

use crate::ids::{GpuUuid, NodeName};
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use crate::token::{tokens, words};
use crate::units::{Bytes, Celsius, MilliJoules, MilliWatts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// What the agent makes of a GPU, best first.
    Verdict("verdict") {
        /// Can be let.
        Healthy = "healthy",
        /// Works, with something to look at.
        Degraded = "degraded",
        /// Must not be let.
        Unhealthy = "unhealthy",
        /// Does not answer in time.
        Unresponsive = "unresponsive",
        /// Gone from the bus.
        Lost = "lost",
    }
}

impl Verdict {
    /// Whether a GPU of this verdict may be given to a new lease.
    pub const fn can_be_let(self) -> bool {
        match self {
            Self::Healthy | Self::Degraded => true,
            Self::Unhealthy | Self::Unresponsive | Self::Lost => false,
        }
    }
}

tokens! {
    /// Why a GPU has its verdict.
    HealthReason {
        /// NVML says that the GPU is gone (return code 15).
        GpuLost = "GpuLost",
        /// It was there and is missing from the list.
        GpuMissing = "GpuMissing",
        /// It did not answer within the deadline.
        Unresponsive = "Unresponsive",
        /// ECC is switched off.
        EccOff = "EccOff",
        /// Uncorrected memory errors since the driver was loaded.
        UncorrectedEcc = "UncorrectedEcc",
        /// The driver asks for an action (NVML field 230).
        RecoveryAction = "RecoveryAction",
        /// Hotter than its slowdown threshold.
        TooHot = "TooHot",
    }
}

/// A reading that can fail by itself: one failing call costs that reading, never the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// The value.
    Value(T),
    /// This GPU or driver does not have it.
    Unsupported,
    /// The call failed; NVML's words.
    Failed(String),
}

impl<T> Reading<T> {
    /// The value, where there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unsupported | Self::Failed(_) => None,
        }
    }
}

/// A process on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GpuProcess {
    /// Its pid on the host.
    pub pid: u32,
    /// Its name, where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// GPU memory it holds, where NVML says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// How one GPU is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuHealth {
    /// What the agent makes of it.
    pub verdict: Verdict,
    /// Why; empty where it is healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<HealthReason>,
    /// Since when it has this verdict.
    pub since: Timestamp,
    /// Power drawn (`nvmlDeviceGetPowerUsage`).
    pub power_mw: Reading<MilliWatts>,
    /// Power limit in force (`nvmlDeviceGetEnforcedPowerLimit`).
    pub limit_mw: Reading<MilliWatts>,
    /// Core temperature (`nvmlDeviceGetTemperature`).
    pub temperature: Reading<Celsius>,
    /// Energy since the driver was loaded (`nvmlDeviceGetTotalEnergyConsumption`).
    pub energy_mj: Reading<MilliJoules>,
    /// Memory in use (`nvmlDeviceGetMemoryInfo`).
    pub memory_used: Reading<Bytes>,
    /// Uncorrected memory errors since the driver was loaded (`nvmlDeviceGetTotalEccErrors`).
    pub ecc_uncorrected: Reading<u64>,
    /// Processes on it that no lease explains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexplained: Vec<GpuProcess>,
}

/// How the node's GPUs are (`health/<node>`, written by that agent on change, never as telemetry).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// Form of the record.
    pub version: Version,
    /// The node that reports; the same as in the key.
    pub node: NodeName,
    /// The kernel's boot id.
    pub boot_id: String,
    /// When this was read.
    pub at: Timestamp,
    /// By GPU.
    pub gpus: BTreeMap<GpuUuid, GpuHealth>,
    /// What the agent could not do at all, in words: no driver, no library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(HealthReport, "health report");

impl HealthReport {
    /// The sum of the GPUs' draw, over those that say.
    pub fn power(&self) -> MilliWatts {
        self.gpus
            .values()
            .filter_map(|gpu| gpu.power_mw.value().copied())
            .sum()
    }

    /// Whether a process that no lease explains is on any GPU.
    pub fn is_occupied(&self) -> bool {
        self.gpus.values().any(|gpu| !gpu.unexplained.is_empty())
    }
}
