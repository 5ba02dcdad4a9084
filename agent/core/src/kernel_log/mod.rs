//! The kernel's log as a source of what happens to GPUs.
//!
//! ```text
//!   bytes of /dev/kmsg ─► RecordStream ─► KernelRecord ─► GpuMessage ─► XidSighting ─┐
//!                          lines           who, when       Xid, SXid …               ├─► XidIncidents
//!                                                                  NVML's events ────┘
//! ```
//!
//! NVML alone loses XIDs: of several between two waits only the last is told, none from before the
//! agent began, and none of a GPU that hangs its calls. The driver prints every one of them.
//!
//! Nothing in it is trusted. A record can be malformed, cut off or huge; a message can be written by
//! a program and not by the kernel, and the name of a process in a genuine one is its owner's choice.
//! What cannot be read is counted or is nothing, and never more than what is kept.
//!
//! Not here: opening the device and following it (`leasehold-agent`), and what an XID means for a
//! lease. The lines are those of the driver's open sources (`kernel_rc.c`, `osinit.c`, `nvlink_linux.c`)
//! and of the Fabric Manager User Guide; what only the closed driver prints is known from reports.

mod incident;
mod message;
mod nvlink;
mod pci;
mod record;
mod recovery;
mod sequence;
mod severity;
mod stream;
mod sxid;
mod text;
mod xid;

pub use incident::{
    KEPT_EACH, KEPT_PAIRS, Seen, WINDOW, Witness, XidIncident, XidIncidents, XidSighting,
};
pub use message::{GpuMessage, KernelModule};
pub use nvlink::NvlinkError;
pub use pci::{InvalidPciAddress, PciAddress};
pub use record::{KernelRecord, LONGEST_RECORD, MalformedRecord};
pub use recovery::{DriverAction, RecoveryChange};
pub use sequence::{Sequence, Turn};
pub use severity::Severity;
pub use stream::{Cut, RecordStream};
pub use sxid::SXid;
pub use xid::{MigInstance, Xid};
