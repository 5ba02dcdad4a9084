//! What an agent sees of its node.

use crate::ids::{Epoch, GpuUuid, NodeName, SkuName};
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use crate::topology::TopologyPath;
use crate::units::{Bytes, MilliWatts};
use serde::{Deserialize, Serialize};

/// The CPUs of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// Brand, as the kernel names it.
    pub model: String,
    /// Logical processors.
    pub threads: u32,
    /// Physical cores, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
}

/// One GPU, by what does not change while the driver is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuInfo {
    /// Its identity (`nvmlDeviceGetUUID`).
    pub uuid: GpuUuid,
    /// Its product name (`nvmlDeviceGetName`).
    pub name: String,
    /// Its NVML index at the time; not an identity.
    pub index: u32,
    /// The number in `/dev/nvidiaN`, which is not the index (`nvmlDeviceGetMinorNumber`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// PCI address as NVML writes it (`nvmlDeviceGetPciInfo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// Board serial (`nvmlDeviceGetSerial`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Total memory (`nvmlDeviceGetMemoryInfo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Default power limit (`nvmlDeviceGetPowerManagementDefaultLimit`), in milliwatts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_limit_mw: Option<MilliWatts>,
    /// Firmware (`nvmlDeviceGetVbiosVersion`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vbios: Option<String>,
    /// NUMA node it hangs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa: Option<u32>,
}

/// What runs on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The agent.
    pub agent: String,
    /// The kernel's release.
    pub kernel: String,
    /// The NVIDIA driver (`nvmlSystemGetDriverVersion`); absent where none answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// NVML itself (`nvmlSystemGetNVMLVersion`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvml: Option<String>,
}

/// What an agent reports of its node (`nodes/<node>`, written by that agent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Form of the record.
    pub version: Version,
    /// The node that reports; the same as in the key.
    pub node: NodeName,
    /// The kernel's boot id: another one is another boot.
    pub boot_id: String,
    /// When this agent process started.
    pub started: Timestamp,
    /// What the agent is configured to be sold as; absent where the configuration is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<SkuName>,
    /// Where the agent is configured to stand; absent where the configuration is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<TopologyPath>,
    /// Its GPUs in NVML order.
    pub gpus: Vec<GpuInfo>,
    /// Its CPUs.
    pub cpu: CpuInfo,
    /// Its memory.
    pub memory: Bytes,
    /// What runs on it.
    pub versions: Versions,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(NodeReport, "node report");

/// That an agent was there lately (`live/<node>`, written by that agent and bound to a TTL). Says
/// "seen lately", never "lease over".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// Form of the record.
    pub version: Version,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The highest ledger epoch this agent has seen in a grant.
    pub epoch: Epoch,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(LiveRecord, "liveness");
