//! What was asked for.

use super::Shape;
use crate::class::Class;

use crate::ids::{AccountName, SkuName};
use crate::time::{Span, Timestamp};
use crate::topology::Locality;
use serde::{Deserialize, Serialize};

/// A request for hardware, checked: everything a decision depends on besides the state of the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseSpec {
    /// Who asks.
    pub account: AccountName,
    /// What is promised.
    pub class: Class,
    /// How much.
    pub shape: Shape,
    /// Of what kind.
    pub sku: SkuName,
    /// How close together.
    pub within: Locality,
    /// Not before this instant; absent for as soon as possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// For how long from its start; absent where `until` is given or the end is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// Until this instant, however late it starts; absent where `length` is given or the end is
    /// open. The end may be open for internal classes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// CPU and memory on each of its nodes; absent for the share that goes with its GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostShare>,
    /// The most one of its GPUs may draw, in watts; absent for the SKU's default limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_cap_watts: Option<u32>,
    /// What its holder calls it; says nothing to the scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// CPU and memory of a node.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct HostShare {
    /// Thousandths of a hardware thread.
    pub cpu_milli: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl LeaseSpec {
    /// When it would end if it started at `start`; absent for an open end.
    pub fn end_if_started(&self, start: Timestamp) -> Option<Timestamp> {
        self.until
            .or_else(|| self.length.map(|length| start + length))
    }
}
