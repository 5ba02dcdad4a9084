//! Nodes as people see them.

use super::{Ailment, FlagView, GpuDraw};
use crate::class::Side;
use crate::ids::{LeaseId, MaintenanceId, NodeIndex, NodeName, SkuName};
use crate::node::{NodeState, Owner, StateReason};
use crate::time::Timestamp;
use crate::topology::TopologyPath;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// Its number; absent for a node that reports but is not admitted.
    pub index: Option<NodeIndex>,
    /// Its state now.
    pub state: NodeState,
    /// Since when it is in its stored state; absent for a node that is not admitted.
    pub since: Option<Timestamp>,
    /// Why it is in that state.
    pub reason: StateReason,
    /// The same in words.
    pub detail: String,
    /// Whether its agent has been heard of lately.
    pub live: bool,
    /// Where it stands; absent where nobody has said.
    pub path: Option<TopologyPath>,
    /// What it is sold as; absent where nobody has said.
    pub sku: Option<SkuName>,
    /// Whose work it is meant for.
    pub owner: Option<Owner>,
    /// The side it serves; absent where it serves none.
    pub side: Option<Side>,
    /// GPUs it has.
    pub gpus: u32,
    /// GPUs that could be let now.
    pub gpus_free: u32,
    /// GPUs that leases hold now.
    pub gpus_leased: u32,
    /// Power its GPUs draw together, whole watts, as last reported.
    pub power_watts: u64,
    /// The same with what its SKU allows for the rest of the node.
    #[serde(default)]
    pub node_watts: u64,
    /// Whether that is old: its agent is silent.
    #[serde(default)]
    pub power_stale: bool,
    /// What each GPU draws, in order of slot; of one node that is asked for, not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draws: Vec<GpuDraw>,
    /// What its agent finds on it and on its GPUs that is not in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailments: Vec<Ailment>,
    /// Leases on it, booked ones too.
    pub leases: Vec<LeaseId>,
    /// Maintenance on it, running or to come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<MaintenanceId>,
    /// Flags on it; any of them keeps new leases away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagView>,
    /// The agent's version; absent before its first report.
    pub agent: Option<String>,
    /// The driver's version; absent where none answers.
    pub driver: Option<String>,
    /// What the agent could not do at all.
    pub trouble: Option<String>,
}

/// One line of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    /// The line of the file, for messages; 0 where there is no file.
    #[serde(default)]
    pub line: u32,
    /// The node, as written.
    pub node: String,
    /// `hall/row/rack/domain`, as written.
    pub path: String,
    /// What it is sold as, as written.
    pub sku: String,
    /// `sellable`, `internal`, `spare` or `repair`, as written; sellable where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// `POST /v1/nodes/import`. Checked as a whole: one bad line, and nothing is admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportNodes {
    /// The lines.
    pub nodes: Vec<ImportLine>,
}

/// What an import does to one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum NodeChange {
    /// It is new.
    Add,
    /// It is there, as the line says.
    Same,
    /// It is there, somewhere or as something else.
    Move {
        /// What changes, as `path a/b/c/d -> a/b/c/e`.
        what: Vec<String>,
    },
    /// The line is wrong.
    Error {
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong with it, and what is allowed.
        detail: String,
    },
}

/// What an import does, or would do, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Whether nothing was changed, because that was asked for or because of errors.
    pub dry_run: bool,
    /// Nodes added.
    pub added: u32,
    /// Nodes moved or changed.
    pub moved: u32,
    /// Nodes that were as their line says.
    pub same: u32,
    /// Lines that are wrong.
    pub errors: u32,
    /// Line by line, in the order given.
    pub lines: Vec<ImportedLine>,
}

/// One line of an import, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedLine {
    /// The line of the file.
    pub line: u32,
    /// The node, as written.
    pub node: String,
    /// What it does.
    pub outcome: NodeChange,
}

/// `POST /v1/nodes/admit`: takes nodes as they report themselves. For nodes that are not listed
/// (they report place and SKU from their configuration), and for quarantined ones whose hardware
/// was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmitNodes {
    /// A hostlist.
    pub nodes: String,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
