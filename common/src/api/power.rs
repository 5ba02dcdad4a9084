//! Power budgets as people see them.

use crate::power::PowerStep;
use crate::time::Timestamp;
use crate::topology::Prefix;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One step of a budget as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedStep {
    /// From this instant; from now on where absent, which only the first may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The most that may be promised, in watts; null for no limit. It must be said: a budget that is
    /// lifted by leaving a field out is lifted by mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub watts: Option<u64>,
}

/// `POST /v1/power`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPowerBudget {
    /// The place; empty for the whole cell.
    pub prefix: Prefix,
    /// What the budget is from the first step on, in order of time. What was set for the time
    /// before it stands; what was set for after it is replaced.
    pub steps: Vec<WantedStep>,
    /// Why, up to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// More is booked than a budget allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverBudget {
    /// From this instant, the first.
    pub from: Timestamp,
    /// By so many watts, at its worst.
    pub watts: u64,
    /// When it is at its worst.
    pub worst: Timestamp,
}

/// A place, its budget, and what is promised and drawn below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PowerView {
    /// The place; empty for the whole cell.
    pub prefix: Prefix,
    /// The budget now, in watts; null for no limit.
    pub budget_watts: Option<u64>,
    /// When it changes next, and to what; null where it does not.
    pub next: Option<PowerStep>,
    /// All its steps, the one in force first; empty where no budget was ever set.
    pub steps: Vec<PowerStep>,
    /// Nodes below the place.
    pub nodes: u32,
    /// What the nodes could draw with every GPU at its default limit, in watts.
    pub installed_watts: u64,
    /// What leases may draw now, in watts.
    pub booked_watts: u64,
    /// The most that leases will ever be able to draw as booked, in watts.
    pub booked_max_watts: u64,
    /// When that is; null where it is now.
    pub booked_max_at: Option<Timestamp>,
    /// What the nodes draw together, in watts: their GPUs as last reported, and what their SKUs allow
    /// for the rest of a node.
    pub drawn_watts: u64,
    /// How much of that is old: of nodes whose agents are silent.
    #[serde(default)]
    pub stale_watts: u64,
    /// Nodes that have reported what they draw.
    #[serde(default)]
    pub nodes_reporting: u32,
    /// By how much and from when more is booked than the budget allows; null where it holds.
    pub over: Option<OverBudget>,
    /// Who set the budget last (uid).
    pub by: Option<u32>,
    /// When.
    pub at: Option<Timestamp>,
    /// Why, in words.
    pub why: Option<String>,
}
