//! What the agent decides, as plain functions.
//!
//! ```text
//!   grants/<node> ─┐                         ┌─► steps: keep, write env, remove env, forget
//!   clock ─────────┼─► grants::decide(book) ─┤
//!   GPUs in use ───┘                         └─► acknowledgements
//!
//!   readings, XIDs, resets ─► verdict::health ─► publish::due ─► health/<node>, or silence
//!                          └► meter           ─► GPU time and energy of each lease
//!
//!   driver, bus, clock, disks ─► node_health ─► findings of the node, beside those of its GPUs
//!
//!   bytes of the kernel's log ─► kernel_log ─► XIDs, each once, also where NVML saw it too
//! ```
//!
//! Invariants, each with a property test:
//! - Two leases never have one GPU at the same time, whatever arrives in whatever order.
//! - A lease that has ended never serves again.
//! - Terms never go backwards, and the same grants decided twice change nothing the second time.
//! - Absence of a grant orders nothing. Only a newer term or the clock ends a lease.
//! - A meter never falls.
//! - No GPU is healthy while an action on it stands; the same observations give the same verdict.
//!
//! Nothing here reads a clock, a file, a socket or a GPU: `now` and what was read are arguments.
//! Not here: how GPUs are read and how a step is carried out (`leasehold-agent`).

pub mod environment;
pub mod grants;
pub mod kernel_log;
pub mod meter;
pub mod node_health;
pub mod publish;
pub mod sample;
pub mod verdict;
