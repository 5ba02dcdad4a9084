//! What can happen to a node from outside: load, processes, errors, faults, resets.
//!
//! Each change does one thing. A double-bit error, the XID that reports it and the reset that the
//! driver asks for are three changes, because real GPUs also show every combination of them.

use crate::ecc::{EccSeverity, RecoveryAction, RemappedRows};
use crate::fabric::Fabric;
use crate::fault::{Call, Fault};
use crate::gpu::ComputeMode;
use crate::identity::Slot;
use crate::link::NvlinkErrors;
use crate::process::ProcessKind;
use crate::wear::{Repairs, SpareRows};
use leasehold_common::units::{Bytes, Celsius, MilliWatts};
use serde::{Deserialize, Serialize};

/// One change, applied by [`crate::Node::apply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// How busy the GPU is from now on. Independent of processes, so that a test may have either
    /// without the other.
    SetLoad {
        /// Which GPU.
        gpu: Slot,
        /// 0 is idle, 1000 full load.
        permille: u32,
    },
    /// The temperature of the air that comes into the node.
    SetInlet {
        /// 0 to 80.
        celsius: Celsius,
    },
    /// A process opens the GPU.
    StartProcess {
        /// Which GPU.
        gpu: Slot,
        /// Its number on the host.
        pid: u32,
        /// How it uses the GPU; compute where absent.
        #[serde(default)]
        kind: ProcessKind,
        /// The GPU memory it takes.
        memory: Bytes,
    },
    /// A process closes the GPU.
    StopProcess {
        /// Which GPU.
        gpu: Slot,
        /// Its number on the host.
        pid: u32,
    },
    /// Somebody sets the power limit.
    SetPowerLimit {
        /// Which GPU.
        gpu: Slot,
        /// Within the GPU's constraints.
        limit: MilliWatts,
    },
    /// Somebody sets who may open a compute context.
    SetComputeMode {
        /// Which GPU.
        gpu: Slot,
        /// The new mode.
        mode: ComputeMode,
    },
    /// Somebody switches persistence mode.
    SetPersistenceMode {
        /// Which GPU.
        gpu: Slot,
        /// On or off.
        enabled: bool,
    },
    /// Somebody switches ECC; it takes effect at the next reset.
    SetEccMode {
        /// Which GPU.
        gpu: Slot,
        /// On or off.
        enabled: bool,
    },
    /// Memory errors occur.
    InjectEcc {
        /// Which GPU.
        gpu: Slot,
        /// Whether ECC puts them right.
        severity: EccSeverity,
        /// How many.
        count: u64,
    },
    /// The state of row replacement from now on.
    SetRemappedRows {
        /// Which GPU.
        gpu: Slot,
        /// The new state.
        rows: RemappedRows,
    },
    /// Errors of on-chip memory occur that cannot be put right.
    InjectSram {
        /// Which GPU.
        gpu: Slot,
        /// How many.
        count: u64,
        /// Whether these are more than the driver puts up with.
        #[serde(default)]
        threshold_exceeded: bool,
    },
    /// The spare rows of the memory banks from now on.
    SetSpareRows {
        /// Which GPU.
        gpu: Slot,
        /// How many banks have how many.
        banks: SpareRows,
    },
    /// Repairs wait for the next reset, or none do.
    SetRepairs {
        /// Which GPU.
        gpu: Slot,
        /// Which.
        repairs: Repairs,
    },
    /// `NVLink` links have errors.
    AddNvlinkErrors {
        /// Which GPU.
        gpu: Slot,
        /// So many more of each kind.
        errors: NvlinkErrors,
    },
    /// The place in the fabric from now on.
    SetFabric {
        /// Which GPU.
        gpu: Slot,
        /// The new state.
        fabric: Fabric,
    },
    /// PCIe had errors after which its link is set up again.
    AddPcieFatal {
        /// Which GPU.
        gpu: Slot,
        /// How many.
        count: u32,
    },
    /// The driver reports an error.
    RaiseXid {
        /// Which GPU.
        gpu: Slot,
        /// The XID's number.
        xid: u32,
    },
    /// The driver wants something done.
    SetRecoveryAction {
        /// Which GPU.
        gpu: Slot,
        /// What it wants.
        action: RecoveryAction,
    },
    /// PCIe packets had to be sent again.
    AddPcieReplays {
        /// Which GPU.
        gpu: Slot,
        /// How many.
        count: u32,
    },
    /// Lanes fail, or come back.
    SetPcieWidth {
        /// Which GPU.
        gpu: Slot,
        /// 1, 2, 4, 8 or 16.
        width: u32,
    },
    /// An `NVLink` link goes down or comes back.
    SetNvlink {
        /// Which GPU.
        gpu: Slot,
        /// Counted from 0.
        link: u32,
        /// Whether it carries data.
        active: bool,
    },
    /// One call about one GPU fails from now on; all others go on.
    FailCall {
        /// Which GPU.
        gpu: Slot,
        /// Which call.
        call: Call,
        /// With what.
        fault: Fault,
    },
    /// A call that failed works again.
    HealCall {
        /// Which GPU.
        gpu: Slot,
        /// Which call.
        call: Call,
    },
    /// Calls about the GPU no longer return, as with XID 119, or do so again.
    SetHung {
        /// Which GPU.
        gpu: Slot,
        /// Whether they hang.
        hung: bool,
    },
    /// The GPU falls off the bus: it is still counted, but every call about it fails.
    LoseGpu {
        /// Which GPU.
        gpu: Slot,
    },
    /// The GPU is no longer found: the driver counts one GPU less.
    RemoveGpu {
        /// Which GPU.
        gpu: Slot,
    },
    /// A lost or removed GPU is back, as after a reset.
    RestoreGpu {
        /// Which GPU.
        gpu: Slot,
    },
    /// The GPU is reset. Refused while a process has it open.
    ResetGpu {
        /// Which GPU.
        gpu: Slot,
    },
    /// The driver as a whole fails: not loaded, or not of the library's version.
    FailDriver {
        /// With what.
        fault: Fault,
    },
    /// The driver works again.
    HealDriver,
    /// The driver is unloaded and loaded: energy and volatile counters begin again, limits and
    /// modes go back to their defaults. Refused while a process has a GPU open.
    ReloadDriver,
    /// The node is rebooted: a reload that no process can hold up, with a new boot id, after which
    /// lost GPUs are back.
    Reboot,
}

/// Why a change could not be applied. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No GPU in that slot.
    #[error("gpu {gpu} does not exist: 0 to {last} are allowed")]
    NoSuchGpu {
        /// The slot as given.
        gpu: Slot,
        /// The highest slot there is.
        last: Slot,
    },
    /// A number that the field does not take.
    #[error("{field} {given} is out of range: {allowed}")]
    OutOfRange {
        /// The field of the change.
        field: &'static str,
        /// The number as given.
        given: u64,
        /// What is allowed, for people.
        allowed: String,
    },
    /// The GPU's memory does not hold so much.
    #[error("memory {wanted} is too much for gpu {gpu}: {free} are free")]
    MemoryExhausted {
        /// Which GPU.
        gpu: Slot,
        /// The memory asked for.
        wanted: Bytes,
        /// The memory left.
        free: Bytes,
    },
    /// A process of that number has the GPU open already.
    #[error("pid {pid} already has gpu {gpu} open")]
    PidTaken {
        /// Which GPU.
        gpu: Slot,
        /// The number as given.
        pid: u32,
    },
    /// No process of that number has the GPU open.
    #[error("pid {pid} does not have gpu {gpu} open")]
    NoSuchProcess {
        /// Which GPU.
        gpu: Slot,
        /// The number as given.
        pid: u32,
    },
    /// A process holds the GPU, so that it cannot be reset nor the driver unloaded.
    #[error("gpu {gpu} is held open by pid {pid}")]
    InUse {
        /// Which GPU.
        gpu: Slot,
        /// One of the holders.
        pid: u32,
    },
    /// The driver refuses what was asked of it.
    #[error("the driver refuses")]
    Refused(#[from] Fault),
}
