//! Accounts and leases as people see them.

use crate::class::{Class, Side};
use crate::explain::{Explanation, Reason};
use crate::ids::{AccountName, Epoch, Generation, GpuUuid, LeaseId, NodeName, SkuName};
use crate::lease::{ConditionKind, GpuSlots, HostShare, LeaseState, SegmentReason, Shape, Slice};
use crate::mig::MigProfile;
use crate::time::{Span, Timestamp};
use crate::topology::Locality;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `POST /v1/accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    /// Its name.
    pub name: AccountName,
    /// Which side of the house.
    pub side: Side,
    /// The most GPUs its live leases may hold together; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_gpus: Option<u32>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Its name.
    pub name: AccountName,
    /// Which side of the house.
    pub side: Side,
    /// Its quota; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_gpus: Option<u32>,
    /// GPUs its live leases hold now, counted from the ledger.
    pub used_gpus: u64,
    /// Live leases.
    pub leases: u64,
    /// When it was created.
    pub created: Timestamp,
}

/// `POST /v1/leases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLease {
    /// Who asks.
    pub account: AccountName,
    /// What is to be promised.
    pub class: Class,
    /// How much: `{"kind":"nodes","count":4}`, `{"kind":"gpus","count":2}`,
    /// `{"kind":"slices","profiles":{"1g.18gb":3}}` or `{"kind":"unit","prefix":"hall-a"}`.
    pub shape: Shape,
    /// Of what kind.
    pub sku: SkuName,
    /// How close together; anywhere in the cell where absent.
    #[serde(default)]
    pub within: Locality,
    /// Not before this instant; as soon as possible where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// For how long. Exactly one of `for` and `until` for tenants; at most one for internal
    /// accounts, whose leases may have an open end.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Until this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// CPU and memory on each of its nodes; the share that goes with its GPUs where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<WantedHost>,
    /// The most one of its GPUs may draw, in watts; the SKU's default limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_cap_watts: Option<u32>,
    /// Hold the hardware for this long instead of booking it: it is booked by
    /// `POST /v1/leases/{id}/commit`, and free again where that does not come in time. Up to a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// What its holder calls it, up to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// CPU and memory that a request names; one of both at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedHost {
    /// Thousandths of a hardware thread; the share that goes with its GPUs where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u64>,
    /// Memory in MiB; the share that goes with its GPUs where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
}

impl From<HostShare> for WantedHost {
    fn from(share: HostShare) -> Self {
        Self {
            cpu_milli: Some(share.cpu_milli),
            memory_mib: Some(share.memory_mib),
        }
    }
}

/// `POST /v1/leases/{id}/end`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndLease {
    /// End access at once instead of after the class's notice.
    #[serde(default)]
    pub now: bool,
    /// The number of GPUs of the lease; needed with `now` on more than 64 nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_gpus: Option<u64>,
}

/// `POST /v1/leases/{id}/extend`. Exactly one of both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendLease {
    /// For so long beyond its present end.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Until this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// `POST /v1/leases/{id}/shrink`. Exactly one of all: `nodes` or `drop` for a lease of whole nodes,
/// `gpus` or `slices` for one that has those.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShrinkLease {
    /// So many nodes that work are to stay; which ones is decided by the packing engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// These nodes are to go, as a hostlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<String>,
    /// So many GPUs are to stay; which ones is decided by the packing engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// So many slices of each profile are to stay, and none of those not named; which ones is decided by
    /// the packing engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, u32>>, example = json!({"1g.18gb": 2}))]
    pub slices: Option<BTreeMap<MigProfile, u32>>,
}

/// `POST /v1/leases/{id}/replace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceNode {
    /// The node that is to be replaced.
    pub node: NodeName,
    /// Why, in words for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a lease was, is or will be from one instant to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentView {
    /// From this instant.
    pub from: Timestamp,
    /// Until this one; absent for an open end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// On these nodes, as a hostlist.
    pub nodes: String,
    /// Those of them kept as spares, as a hostlist; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spares: String,
    /// Which GPUs, on nodes of which it has only some; such as `0-3`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub gpus: BTreeMap<NodeName, GpuSlots>,
    /// Why it begins.
    pub reason: SegmentReason,
}

/// A condition of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConditionView {
    /// What kind.
    pub kind: ConditionKind,
    /// Since when.
    pub since: Timestamp,
    /// In words.
    pub detail: String,
    /// The nodes it concerns, as a hostlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaseView {
    /// Its number.
    pub id: LeaseId,
    /// Who holds it.
    pub account: AccountName,
    /// That account's side.
    pub side: Side,
    /// What is promised.
    pub class: Class,
    /// How far it has come.
    pub state: LeaseState,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// What is the matter with it.
    pub conditions: Vec<ConditionView>,
    /// The ledger's epoch when its terms last changed.
    pub epoch: Epoch,
    /// How often its terms have changed.
    pub generation: Generation,
    /// How much.
    pub shape: Shape,
    /// Of what kind.
    pub sku: SkuName,
    /// How close together.
    pub within: Locality,
    /// When it was requested.
    pub created: Timestamp,
    /// When it starts; absent while that is not decided.
    pub start: Option<Timestamp>,
    /// When access ends; absent while that is not decided, and for an open end.
    pub end: Option<Timestamp>,
    /// When it was over.
    pub closed: Option<Timestamp>,
    /// Its nodes, as a hostlist; empty while it has none.
    pub nodes: String,
    /// Those of them kept as spares, as a hostlist; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spares: String,
    /// Nodes it has no longer and that have not given its hardware back, as a hostlist.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nodes_leaving: String,
    /// GPUs, or GPUs with slices, that it has given up on nodes it still has, as long as those have not said
    /// that they follow; such as `4-7`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub gpus_leaving: BTreeMap<NodeName, GpuSlots>,
    /// Where it was before and is, in order of time; only where its nodes have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentView>,
    /// How many nodes.
    pub node_count: u64,
    /// Nodes that serve it.
    pub nodes_ready: u64,
    /// Nodes that have given its hardware back.
    pub nodes_returned: u64,
    /// Its GPUs by node, in slot order. Lists leave it empty for leases of more than 256 nodes;
    /// `GET /v1/leases/{id}` always has it.
    pub gpus: BTreeMap<NodeName, Vec<GpuUuid>>,
    /// Its slices, where it has slices of those GPUs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: BTreeMap<NodeName, Vec<Slice>>,
    /// How many GPUs.
    pub gpu_count: u64,
    /// The watts it may draw, whole watts; 0 while it has no hardware.
    pub envelope_watts: u64,
    /// Energy used, as far as nodes have said, in watt-hours.
    pub energy_wh: u64,
    /// Why it is not running; absent where it is.
    pub reason: Option<Reason>,
    /// When it could start if nothing but time went on; absent where it runs or nobody can say.
    pub earliest: Option<Timestamp>,
    /// Until when it is held for its holder to commit; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// The most one of its GPUs may draw, in watts; absent for the SKU's default limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_cap_watts: Option<u32>,
    /// CPU and memory it asked for on each of its nodes; absent for the share that goes with its GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostShare>,
    /// What its holder calls it.
    pub name: Option<String>,
}

/// `GET /v1/leases/{id}/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainView {
    /// The lease.
    pub lease: LeaseView,
    /// The latest decision about it; absent before the first.
    pub explanation: Option<Explanation>,
    /// Names of the nodes that the explanation mentions by number, as `"17": "h001"`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub node_names: BTreeMap<u32, NodeName>,
}
