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

words! {
    /// What is to be done about a GPU or a node, least severe first.
    Action("action") {
        /// Nothing.
        None = "none",
        /// Its tenant's own affair: the application is to be started again.
        RestartApp = "restart-app",
        /// Its work is lost: reset it now.
        ResetGpu = "reset-gpu",
        /// Nobody new gets it; the work on it ends, and then it is reset.
        DrainAndReset = "drain-and-reset",
        /// Only a reboot of the node brings it back.
        RebootNode = "reboot-node",
        /// Links, switches, the fabric manager or an IMEX domain are to be looked at.
        CheckFabric = "check-fabric",
        /// A technician is to repair or replace it. Nothing but an operator's word ends that.
        Rma = "rma",
    }
}

impl Action {
    /// Whether it is for a tenant or for nobody, and keeps no GPU from being in order.
    pub const fn is_harmless(self) -> bool {
        match self {
            Self::None | Self::RestartApp => true,
            Self::ResetGpu
            | Self::DrainAndReset
            | Self::RebootNode
            | Self::CheckFabric
            | Self::Rma => false,
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands a reference to what says whether a field is left out"
    )]
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// What a record means that does not say.
    pub(super) const fn none() -> Self {
        Self::None
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
        /// The driver asks for an action (NVML field 230, or XID 154).
        RecoveryAction = "RecoveryAction",
        /// Hotter than its slowdown threshold.
        TooHot = "TooHot",
        /// An operator says otherwise.
        OperatorOverride = "OperatorOverride",
        /// An XID after which the GPU must be reset or replaced.
        HardwareXid = "HardwareXid",
        /// An XID that says to look closer.
        XidCheck = "XidCheck",
        /// An XID of an application: its tenant's affair.
        AppFault = "AppFault",
        /// The same fault of applications of several tenants.
        AppFaultManyTenants = "AppFaultManyTenants",
        /// An XID about NVLink or the fabric.
        FabricXid = "FabricXid",
        /// An XID about power supply or power smoothing.
        PowerXid = "PowerXid",
        /// The GPU has fallen off the bus (XID 79).
        OffTheBus = "OffTheBus",
        /// An uncorrectable memory error (XID 48, 94, 95, 140, 171, 172).
        MemoryFault = "MemoryFault",
        /// A fault of the driver or of the GPU's firmware.
        DriverFault = "DriverFault",
        /// Corrected memory errors come too often.
        CorrectedEccRate = "CorrectedEccRate",
        /// Errors of on-chip memory are above the driver's threshold.
        SramThreshold = "SramThreshold",
        /// Uncorrected errors of on-chip memory.
        SramUncorrected = "SramUncorrected",
        /// A memory row is replaced at the next reset.
        RowRemapPending = "RowRemapPending",
        /// A memory row could not be replaced.
        RowRemapFailed = "RowRemapFailed",
        /// So many rows were replaced that the GPU is worn out.
        RowsRemapped = "RowsRemapped",
        /// Memory banks have few spare rows left, or none.
        SpareRowsLow = "SpareRowsLow",
        /// A repair of a memory channel or of processors waits for a reset.
        RepairPending = "RepairPending",
        /// So many memory pages were retired that the GPU is worn out.
        PagesRetired = "PagesRetired",
        /// A memory page waits for the driver to be loaded again to be retired.
        PageRetirementPending = "PageRetirementPending",
        /// NVLinks have errors.
        NvLinkErrors = "NvLinkErrors",
        /// An NVLink could not be set up again.
        NvLinkRecoveryFailed = "NvLinkRecoveryFailed",
        /// The link between GPU and CPU has errors.
        C2cErrors = "C2cErrors",
        /// NVLinks are down.
        NvLinkDown = "NvLinkDown",
        /// It is not registered with its fabric.
        FabricNotReady = "FabricNotReady",
        /// The driver calls its place in the fabric unhealthy.
        FabricUnhealthy = "FabricUnhealthy",
        /// The driver calls its place in the fabric limited.
        FabricLimited = "FabricLimited",
        /// It has less bandwidth in its fabric than it should.
        FabricDegraded = "FabricDegraded",
        /// A route of its fabric is out of order.
        FabricRoute = "FabricRoute",
        /// Its fabric is configured wrongly.
        FabricConfiguration = "FabricConfiguration",
        /// A fatal PCIe error.
        PcieFatal = "PcieFatal",
        /// Fewer PCIe lanes than GPU and slot could have.
        PcieWidth = "PcieWidth",
        /// A lower PCIe generation at work than GPU and slot could have.
        PcieGeneration = "PcieGeneration",
        /// PCIe packets are sent again too often.
        PcieReplays = "PcieReplays",
        /// Its memory is as hot as it may be.
        MemoryTooHot = "MemoryTooHot",
        /// Close to the temperature at which it turns itself off.
        NearShutdown = "NearShutdown",
        /// The hardware slows its clocks because of heat.
        ThermalSlowdown = "ThermalSlowdown",
        /// The driver slows its clocks because of heat.
        SoftwareThermal = "SoftwareThermal",
        /// The hardware slows its clocks.
        HardwareSlowdown = "HardwareSlowdown",
        /// Something outside of the GPU brakes its power.
        PowerBrake = "PowerBrake",
        /// It draws more than its limit allows.
        PowerAboveLimit = "PowerAboveLimit",
        /// The driver is unloaded between clients, and limits are lost with it.
        PersistenceOff = "PersistenceOff",
        /// Library and kernel module are of different versions (NVML return code 18).
        DriverMismatch = "DriverMismatch",
        /// The driver is not loaded (NVML return code 9).
        DriverNotLoaded = "DriverNotLoaded",
        /// The node has fewer GPUs than it should.
        GpuCount = "GpuCount",
        /// The fabric manager does not run on a node with NVSwitches.
        FabricManagerDown = "FabricManagerDown",
        /// An NVSwitch has reported a fatal error (SXID).
        SwitchFault = "SwitchFault",
        /// The node's clock is not synchronised.
        ClockUnsynchronised = "ClockUnsynchronised",
        /// A disk of the node is full or nearly so.
        DiskFull = "DiskFull",
    }
}

/// One thing that was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub reason: HealthReason,
    /// Since when.
    pub since: Timestamp,
    /// What was seen, in words and numbers.
    pub evidence: String,
    /// What is to be done.
    #[serde(default = "Action::none", skip_serializing_if = "Action::is_none")]
    pub action: Action,
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
    /// What is to be done about it: the severest action of its findings.
    #[serde(default = "Action::none", skip_serializing_if = "Action::is_none")]
    pub action: Action,
    /// What was found on it, worst first. Also what is no fault of it, such as an application's
    /// own error: a healthy GPU can have findings, and has no reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
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

impl GpuHealth {
    /// Whether it may be given to a new lease: its verdict allows that, and nothing stands that is to
    /// be done about it first.
    pub const fn can_be_let(&self) -> bool {
        self.verdict.can_be_let() && self.action.is_harmless()
    }
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
    /// What was found on the node itself, and is no single GPU's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
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

    /// What keeps the whole node from being let: the finding on the node itself that asks for the most.
    pub fn ailment(&self) -> Option<&Finding> {
        let grave = self.findings.iter();
        let grave = grave.filter(|found| !found.action.is_harmless());
        // Of several alike the first: they come worst first.
        grave.rev().max_by_key(|found| found.action)
    }

    /// Whether a process that no lease explains is on any GPU.
    pub fn is_occupied(&self) -> bool {
        self.gpus.values().any(|gpu| !gpu.unexplained.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_record_of_yesterday_has_no_findings_and_nothing_to_do() {
        let yesterday = r#"{"verdict":"degraded","reasons":["TooHot"],"since":"2026-09-21T14:13:20Z",
            "power_mw":"unsupported","limit_mw":"unsupported","temperature":{"value":90},
            "energy_mj":"unsupported","memory_used":"unsupported","ecc_uncorrected":{"value":0}}"#;
        let read: GpuHealth = serde_json::from_str(yesterday).unwrap();
        assert_eq!((read.action, read.findings.len()), (Action::None, 0));
        let written = serde_json::to_string(&read).unwrap();
        assert!(!written.contains("action") && !written.contains("findings"));
    }

    #[test]
    fn actions_are_ordered_by_what_they_cost() {
        let mut sorted = Action::ALL.to_vec();
        sorted.sort();
        assert_eq!(sorted, Action::ALL);
        assert_eq!(Action::ALL.iter().max(), Some(&Action::Rma));
        assert!(Action::RestartApp.is_harmless() && !Action::ResetGpu.is_harmless());
    }
}
