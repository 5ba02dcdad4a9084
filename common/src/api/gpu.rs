//! GPUs as people see them, and what people say of them.

use crate::ids::{GpuUuid, LeaseId, NodeName, SkuName};
use crate::node::{Action, Finding, HealthReason, NodeState, Verdict, Word};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GpuView {
    /// Its node.
    pub node: NodeName,
    /// Its slot on the node, for life.
    pub slot: u32,
    /// Its identity.
    pub uuid: GpuUuid,
    /// What it is sold as.
    pub sku: SkuName,
    /// The state of its node.
    pub node_state: NodeState,
    /// What the agent makes of it; absent before its first report.
    pub verdict: Option<Verdict>,
    /// Since when; absent before its first report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why, in words; empty where it is healthy.
    pub reasons: Vec<String>,
    /// What is to be done about it; absent before its first report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Whether its health lets it be given to a new lease: by its report, by what the ledger has of it,
    /// by what is found on its node and by what operators say.
    #[serde(default)]
    pub can_be_let: bool,
    /// Until when it stays out although nothing is found any more: it came and went too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_until: Option<Timestamp>,
    /// What was found on it, worst first, also what is no fault of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingView>,
    /// What operators say of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
    /// The lease that holds it now.
    pub lease: Option<LeaseId>,
    /// Power it draws, whole watts; absent where it does not say.
    pub power_watts: Option<u64>,
    /// Its limit, whole watts; absent where it does not say.
    pub limit_watts: Option<u64>,
    /// Its temperature in degrees Celsius; absent where it does not say.
    pub celsius: Option<i32>,
    /// Memory in use, whole MiB; absent where it does not say.
    pub memory_used_mib: Option<u64>,
    /// Uncorrected memory errors since its driver was loaded; absent where it does not say.
    pub ecc_uncorrected: Option<u64>,
}

/// One thing that was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// What it is.
    pub reason: HealthReason,
    /// Since when.
    pub since: Timestamp,
    /// What was seen, in words and numbers.
    pub evidence: String,
    /// What is to be done.
    pub action: Action,
}

impl From<&Finding> for FindingView {
    fn from(found: &Finding) -> Self {
        Self {
            reason: found.reason.clone(),
            since: found.since,
            evidence: found.evidence.clone(),
            action: found.action,
        }
    }
}

/// A GPU that is not in order, or a node that is not in itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Ailment {
    /// The GPU's slot; absent where it is the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<HealthReason>,
    /// What is to be done.
    pub action: Action,
    /// Since when.
    pub since: Timestamp,
    /// What was seen, in words and numbers.
    pub evidence: String,
    /// Whether it can be given to a new lease all the same.
    pub can_be_let: bool,
}

/// What a GPU draws, as last reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GpuDraw {
    /// Its slot.
    pub slot: u32,
    /// Whole watts; absent where it does not say.
    pub watts: Option<u64>,
    /// Its limit, whole watts; absent where it does not say.
    pub limit_watts: Option<u64>,
}

/// `POST /v1/gpus/acknowledge`: what was found on these GPUs has been dealt with. Their agents forget
/// it when its signal is gone, if that is before the word expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeGpus {
    /// The GPUs, as `h001:0`, `h001:0-3,5` or `h[001-004]:0`.
    pub gpus: Vec<String>,
    /// Why, up to 256 bytes.
    pub reason: String,
    /// Only what has this reason; everything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<HealthReason>,
    /// For how long it holds; a day where neither this nor `until` is given.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Until when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// `POST /v1/gpus/override`: the verdict on these GPUs is another one, whatever is found. A GPU that
/// does not answer stays what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideGpus {
    /// The GPUs, as `h001:0`, `h001:0-3,5` or `h[001-004]:0`.
    pub gpus: Vec<String>,
    /// `healthy`, `degraded` or `unhealthy`.
    pub verdict: Verdict,
    /// Why, up to 256 bytes.
    pub reason: String,
    /// For how long it holds; this or `until`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Until when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// `POST /v1/gpus/withdraw`: the verdict on these GPUs is their agents' again, whoever overrode it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawGpus {
    /// The GPUs, as `h001:0`, `h001:0-3,5` or `h[001-004]:0`.
    pub gpus: Vec<String>,
    /// Why, up to 256 bytes.
    pub reason: String,
}
