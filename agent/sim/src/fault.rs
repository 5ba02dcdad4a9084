//! What a call to the driver can fail with, and which calls there are to fail.

use serde::{Deserialize, Serialize};

/// Why the driver gave no answer. The names and codes are those of `nvmlReturn_t`; codes that no
/// model of a node produces, such as a buffer that is too small, belong to the C face.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The argument makes no sense for this GPU.
    #[error("invalid argument")]
    InvalidArgument,
    /// This kind of GPU does not have what was asked for.
    #[error("not supported")]
    NotSupported,
    /// The caller may not do this.
    #[error("no permission")]
    NoPermission,
    /// Nothing of this name exists.
    #[error("not found")]
    NotFound,
    /// An auxiliary power cable is not plugged in.
    #[error("insufficient external power")]
    InsufficientPower,
    /// The kernel module is not loaded: a fault of the node, not of a GPU.
    #[error("driver not loaded")]
    DriverNotLoaded,
    /// The driver gave up waiting for the GPU.
    #[error("timeout")]
    Timeout,
    /// The kernel found an interrupt problem with the GPU.
    #[error("interrupt request issue")]
    IrqIssue,
    /// The persistent configuration memory on the board is corrupt.
    #[error("corrupted inforom")]
    CorruptedInforom,
    /// The GPU has fallen off the bus.
    #[error("gpu is lost")]
    GpuIsLost,
    /// The GPU must be reset before it can be used again.
    #[error("reset required")]
    ResetRequired,
    /// The operating system blocked the device node.
    #[error("operating system call failed")]
    OperatingSystem,
    /// The library and the kernel module are of different versions, as after an upgrade without a
    /// reboot.
    #[error("driver and library version mismatch")]
    LibRmVersionMismatch,
    /// Somebody still holds the GPU open.
    #[error("in use")]
    InUse,
    /// The GPU is not ready yet.
    #[error("not ready")]
    NotReady,
    /// Anything else.
    #[error("unknown error")]
    Unknown,
}

impl Fault {
    /// The `nvmlReturn_t` of this fault.
    pub const fn code(self) -> u32 {
        match self {
            Self::InvalidArgument => 2,
            Self::NotSupported => 3,
            Self::NoPermission => 4,
            Self::NotFound => 6,
            Self::InsufficientPower => 8,
            Self::DriverNotLoaded => 9,
            Self::Timeout => 10,
            Self::IrqIssue => 11,
            Self::CorruptedInforom => 14,
            Self::GpuIsLost => 15,
            Self::ResetRequired => 16,
            Self::OperatingSystem => 17,
            Self::LibRmVersionMismatch => 18,
            Self::InUse => 19,
            Self::NotReady => 27,
            Self::Unknown => 999,
        }
    }
}

/// A call to the driver about one GPU, as something that can be made to fail by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// The product name.
    Name,
    /// The UUID.
    Uuid,
    /// The board's serial number.
    Serial,
    /// The number in `/dev/nvidiaN`.
    MinorNumber,
    /// Where the GPU sits on the PCI bus.
    Pci,
    /// Version of the video BIOS.
    VbiosVersion,
    /// The NUMA node the GPU is nearest to.
    NumaNode,
    /// Memory in total, reserved, used and free.
    Memory,
    /// Present power draw.
    PowerDraw,
    /// All power limits.
    PowerLimits,
    /// Changing the power limit.
    SetPowerLimit,
    /// Energy since the driver was loaded.
    Energy,
    /// GPU temperature.
    Temperature,
    /// Temperatures at which the GPU slows down or shuts down.
    Thresholds,
    /// Present and maximum clocks.
    Clocks,
    /// Why the clocks are where they are.
    ClocksEventReasons,
    /// How busy the GPU was.
    Utilization,
    /// P-state.
    PerformanceState,
    /// Whether ECC is on.
    EccMode,
    /// ECC error counters.
    EccErrors,
    /// Memory rows replaced by spare ones.
    RemappedRows,
    /// Errors of on-chip memory.
    SramErrors,
    /// Memory banks by their spare rows.
    SpareRows,
    /// Repairs that wait for a reset.
    Repairs,
    /// The place in an `NVSwitch` fabric.
    Fabric,
    /// The counters of `NVLink` errors.
    NvlinkErrors,
    /// The counter of fatal PCIe errors.
    PcieFatal,
    /// The temperature of the memory.
    MemoryTemperature,
    /// What the driver wants done with the GPU.
    RecoveryAction,
    /// Compute, graphics and MPS processes.
    Processes,
    /// Present and maximum PCIe generation and width.
    PcieLink,
    /// The PCIe replay counter.
    PcieReplays,
    /// State and generation of the `NVLink` links.
    Nvlink,
    /// Who may open a compute context.
    ComputeMode,
    /// Whether the driver stays loaded between clients.
    PersistenceMode,
    /// Whether the GPU is divided.
    MigMode,
    /// Registering for events.
    Events,
}
