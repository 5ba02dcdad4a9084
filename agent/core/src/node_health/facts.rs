//! One look at a node.

use crate::kernel_log::SXid;
use leasehold_common::time::Span;

/// What the driver answers when it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriverContact {
    /// It answers.
    Answers,
    /// Library and kernel module are of different versions (`NVML_ERROR_LIB_RM_VERSION_MISMATCH`, 18).
    Mismatch,
    /// The kernel module is not loaded (`NVML_ERROR_DRIVER_NOT_LOADED`, 9).
    NotLoaded,
    /// Its library is not installed. A fault only where the PCI bus has GPUs.
    NoLibrary,
    /// Nothing that says which of these it is.
    #[default]
    Unknown,
}

/// The kernel's clock (`adjtimex`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockFacts {
    /// Whether something disciplines it (`STA_UNSYNC` is clear).
    pub synchronised: bool,
    /// How far it may be off at most (`maxerror`), rounded up to milliseconds.
    pub max_error: Span,
}

/// How full one filesystem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFill {
    /// What lies on it: the folder that was asked about.
    pub of: String,
    /// Used blocks of those that may be used, in percent, rounded up as `df` does.
    pub percent: u8,
}

/// A fatal error of an NVSwitch since the node was booted, as the kernel log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchFault(pub SXid);

/// What was seen of a node. What could not be read is absent, and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFacts {
    /// What the driver answers.
    pub driver: DriverContact,
    /// GPUs on the PCI bus that are the driver's to find.
    pub pci_gpus: Option<u32>,
    /// GPUs that NVML counts.
    pub nvml_gpus: Option<u32>,
    /// GPUs that this agent has seen since it started.
    pub seen_gpus: u32,
    /// NVSwitches on the PCI bus.
    pub switches: Option<u32>,
    /// Whether a process of the fabric manager runs.
    pub fabric_manager: Option<bool>,
    /// The clock.
    pub clock: Option<ClockFacts>,
    /// The filesystems that the agent and the system's logs need.
    pub disks: Vec<DiskFill>,
    /// Fatal errors of NVSwitches since boot; absent where the kernel log is not followed.
    pub switch_faults: Option<Vec<SwitchFault>>,
}
