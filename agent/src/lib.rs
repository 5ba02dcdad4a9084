//! The agent: the part of Leasehold on every node, without privilege.
//!
//! ```text
//!        NVML, or a simulated node                    store: grants/<node>
//!                 │ gpu::Reader                              │ NodeChannel
//!                 ▼                                          ▼
//!   sampler ── readings ──► agent: one task owns the state ◄── grants
//!                              │  desk: decide (leasehold-agent-core)
//!                              ├─► disk: grants, synced       before anything is said of them
//!                              ├─► env:  leases/<N>.env
//!                              ├─► outbox ─► nodes/ health/ acks/ live/
//!                              └─► metrics ─► whoever scrapes
//! ```
//!
//! Invariants:
//! - Nothing is acknowledged before it is on disk; what is on disk is served again after a crash,
//!   whether or not the store can be reached.
//! - Losing the store ends nothing. A lease ends by newer terms, or at `access_end` by this node's
//!   own clock, also while it is cut off.
//! - A GPU that hangs costs its own verdict: NVML is called on threads of its own, and one that does
//!   not come back is left alone.
//! - A process on a GPU that no lease explains keeps new leases away. It is reported, never touched.
//!
//! The agent observes: it changes no device, limit or process.
//!
//! Not here: what is decided (`leasehold-agent-core`), and whatever needs privilege.

pub mod agent;
pub mod channel;
pub mod check;
pub mod clock;
pub mod disk;
pub mod gpu;
pub mod host;
pub mod kernel_log;
pub mod metrics;
pub mod opening;
pub mod probe;
pub mod settings;
pub mod store_channel;

pub use agent::{AgentError, Progress, Surroundings, run};
pub use settings::NodeSettings;
