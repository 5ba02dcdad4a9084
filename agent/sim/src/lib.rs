//! A model of a GPU node, for everything that must run without one: tests, the demo, a laptop.
//!
//! ```text
//!            NodeSpec (name, sku, driver)
//!               │ new                                   ┌─ the agent's trait, many nodes in a process
//!   Change ───▶ Node ◀── advance(Span)      read ──▶ Gpu┤
//!   (apply)     ├ Gpu × 4 or 8                          └─ libnvidia-ml, the C face in tests/nvml-sim
//!               │   power ─▶ heat ─▶ clocks
//!               │   memory, processes, ECC, PCIe, NVLink
//!               └ events (XID …), read by number
//! ```
//!
//! There is one model and it has two faces, so that what a test learns through one holds for the
//! other. Both ask the same accessors of [`Gpu`], and get the same value or the same [`Fault`].
//!
//! Invariants:
//! - **Pure.** No clock, no thread, no randomness: time is an argument of [`Node::advance`], and
//!   everything that looks random follows from the node's name. Only [`state`] touches a disk.
//! - **Two short advances are exactly one long one.** The model moves in whole ticks of 100 ms.
//! - A GPU draws at least its idle power and at most its enforced limit; its energy counter falls
//!   only when the driver is loaded anew; its temperature goes straight to where power and inlet
//!   put it.
//! - A change is applied wholly or refused with a reason. One call that fails costs that answer.
//! - Numbers that careless code mixes up differ: minor numbers are not slots, the GPUs of a GB200
//!   tray share one PCI bus number, the PCIe generation falls at idle, ECC counters are not
//!   supported while ECC is off.
//!
//! # The state file
//!
//! A process that has the model inside, such as an agent on the C face, is steered through a file
//! that holds a [`Scenario`]: the node, and what happens to it.
//!
//! ```
//! # use leasehold_gpu_sim::Scenario;
//! # let text = r#"
//! {
//!   "node": { "name": "h001", "sku": "h200", "driver": "580.95.05" },
//!   "loaded_at": "2026-11-22T09:00:00Z",
//!   "changes": [
//!     { "change": { "set_load": { "gpu": 0, "permille": 900 } } },
//!     { "change": { "start_process": { "gpu": 0, "pid": 4711, "memory": 8589934592 } } },
//!     { "at": "2026-11-22T09:14:02Z", "change": { "raise_xid": { "gpu": 0, "xid": 79 } } },
//!     { "at": "2026-11-22T09:14:02Z", "change": { "lose_gpu": { "gpu": 0 } } },
//!     { "change": { "fail_call": { "gpu": 3, "call": "power_draw", "fault": "timeout" } } }
//!   ]
//! }
//! # "#;
//! # let scenario: Scenario = serde_json::from_str(text).unwrap();
//! # assert_eq!(scenario.changes.len(), 5);
//! ```
//!
//! `driver`, `loaded_at` and `changes` may be absent. The changes happen in their order, each at its
//! `at` or, without one, as soon as it is read. Whoever wants something to happen appends a change
//! and puts the new file in the old one's place by a rename ([`state::write`] does). A file that
//! continues the old one is continued: energy, temperature and everything set through a face go on.
//! Any other file is another node, made anew. With `loaded_at` every process that reads the file
//! has the same energy counter, as all clients of one driver have.
//!
//! Not here: MIG layouts, the fabric manager, the kernel log, and anything that a scheduler or an
//! agent decides.

mod board;
mod change;
mod clock;
mod ecc;
mod event;
mod fabric;
mod fault;
mod gpu;
mod heat;
mod identity;
mod link;
mod node;
mod power;
mod process;
mod scenario;
pub mod state;
mod tick;
mod wear;

pub use board::{Architecture, UnknownSku};
pub use change::{Change, ChangeError};
pub use clock::{Clocks, ClocksEventReasons};
pub use ecc::{EccCounts, EccMode, EccSeverity, EccSince, RecoveryAction, RemappedRows};
pub use event::{Event, EventKind, SUPPORTED_EVENTS};
pub use fabric::Fabric;
pub use fault::{Call, Fault};
pub use gpu::{ComputeMode, Gpu, MigMode, Utilization};
pub use heat::Thresholds;
pub use identity::{Identity, Slot};
pub use link::{NvlinkErrors, NvlinkState, PciAddress, PcieLink};
pub use node::{Host, Node, NodeSpec};
pub use power::PowerLimits;
pub use process::{MemoryInfo, Process, ProcessKind};
pub use scenario::{Followed, Refused, Replay, Scenario, Step};
pub use wear::{Repairs, SpareRows, SramErrors};
