//! A node: what the operator admitted, what its agent sees, and what state follows from both.
//!
//! [`FleetRecord`] is the scheduler's word; [`NodeReport`], [`HealthReport`] and [`LiveRecord`] are
//! the agent's, and are checked against it, never believed.

mod flag;
mod fleet;
mod health;
mod report;
mod standing;
mod state;

pub use flag::{Flag, FlagKind};
pub use fleet::{CleanState, FleetGpu, FleetRecord, Owner, StateReason};
pub use health::{
    Action, Finding, GpuHealth, GpuProcess, HealthReason, HealthReport, Reading, Verdict,
};
pub use report::{CpuInfo, GpuInfo, LiveRecord, NodeReport, Versions};
pub use standing::{Standing, Word, WordKind};
pub use state::NodeState;
