//! The control API's types: what stands on the wire between the daemon's socket and its clients.
//!
//! Requests refuse fields they do not know; answers may gain fields, and clients ignore those they
//! do not know. Instants are RFC 3339, lengths of time are `2h` or `1h30m`, sets of nodes are
//! hostlists: this is the side people see.

mod flag;
mod gpu;
mod lease;
mod list;
mod maintenance;
mod node;
mod policy;
mod power;
mod problem;
mod status;
mod surplus;

pub use flag::{
    DrainNodes, DrainReport, FlagView, NodeFlag, OutOfService, ResumeNodes, UndrainNodes,
};
pub use gpu::{
    AcknowledgeGpus, Ailment, FindingView, GpuDraw, GpuView, OverrideGpus, WithdrawGpus,
};
pub use lease::{
    AccountView, ConditionView, CreateAccount, CreateLease, EndLease, ExplainView, ExtendLease,
    LeaseView, ReplaceNode, SegmentView, ShrinkLease, WantedHost,
};
pub use list::List;
pub use maintenance::{BookingView, CreateMaintenance, MaintenanceView};
pub use node::{
    AdmitNodes, ImportLine, ImportNodes, ImportReport, ImportedLine, NodeChange, NodeView,
};
pub use policy::{BrokenRule, PolicyChange, PolicySummary, PolicyView, RollbackPolicy, SetPolicy};
pub use power::{OverBudget, PowerView, SetPowerBudget, WantedStep};
pub use problem::{Problem, ProblemCode};
pub use status::{Recover, RecoverReport, Status, VersionView};
pub use surplus::{Longer, Surplus, SurplusRow, SurplusShape};

/// The largest body a request may have.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;

/// The version of this API, as it stands in paths and envelopes.
pub const API_VERSION: &str = "v1";
