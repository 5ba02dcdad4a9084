//! What was asked for.

use crate::class::Class;
use crate::ids::{AccountName, SkuName};
use crate::time::{Span, Timestamp};
use crate::topology::Locality;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much hardware, in what form.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// A gang of whole nodes: all of them or none.
    Nodes {
        /// How many.
        count: u32,
    },
    /// GPUs of one node.
    Gpus {
        /// How many.
        count: u32,
    },
}

impl Shape {
    /// How many GPUs that is on nodes with `per_node` of them.
    pub fn gpus(self, per_node: u8) -> u64 {
        match self {
            Self::Nodes { count } => u64::from(count) * u64::from(per_node),
            Self::Gpus { count } => u64::from(count),
        }
    }

    /// How many nodes it takes.
    pub const fn nodes(self) -> u32 {
        match self {
            Self::Nodes { count } => count,
            Self::Gpus { .. } => 1,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes { count: 1 } => f.write_str("1 node"),
            Self::Nodes { count } => write!(f, "{count} nodes"),
            Self::Gpus { count: 1 } => f.write_str("1 gpu"),
            Self::Gpus { count } => write!(f, "{count} gpus"),
        }
    }
}

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
    /// What its holder calls it; says nothing to the scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl LeaseSpec {
    /// When it would end if it started at `start`; absent for an open end.
    pub fn end_if_started(&self, start: Timestamp) -> Option<Timestamp> {
        self.until
            .or_else(|| self.length.map(|length| start + length))
    }
}
