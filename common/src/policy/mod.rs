//! The rules of the house that are data: what the sides keep from each other, how hardware is
//! shared and made clean, and who may be reclaimed for whom.
//!
//! ```text
//!   TOML or JSON ──► Policy ──check──► findings, all of them     (text, check)
//!                      │
//!                      └──► policy/<n>, numbered from 1          (record)
//! ```
//!
//! A policy is one object. Once stored it never changes: a change is a new number, a rollback is a
//! new number with an old content, and the highest number decides. Where none is stored, number 0
//! decides, which is built in. Every decision names the policy it was made by by digest.
//!
//! Not here: what a policy means for a placement (the packing engine), and which bookings a new one
//! would break (the core, which has the bookings).

mod check;
mod record;
mod text;

pub use check::{Finding, Fleet, POLICY_MAX_BYTES, Shapes, check};
pub use record::PolicyRecord;
pub use text::PolicyText;

use crate::class::{Class, Side};
use crate::ids::SkuName;
use crate::lease::Digest;
use crate::log::canonical;
use crate::time::Span;
use crate::token::words;
use crate::topology::Prefix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

words! {
    /// What serves one side at a time.
    Granularity("granularity") {
        /// A node.
        Node = "node",
        /// A domain of nodes that share NVLink memory.
        Domain = "domain",
        /// A GPU: a node may serve both sides at once. Accounts still never share a GPU.
        Gpu = "gpu",
    }
}

/// How the hardware of one SKU is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Isolation {
    /// What serves one side at a time.
    pub granularity: Granularity,
    /// Whether MIG slices of two tenants may be on one node.
    pub mig_colocation: bool,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            granularity: Granularity::Node,
            mig_colocation: false,
        }
    }
}

/// So much hardware of one SKU and one side, as shapes and not as counts of GPUs: a quota that the
/// topology cannot place is no promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Whose.
    pub side: Side,
    /// Of what kind.
    pub sku: SkuName,
    /// Domains: whole ones where they are kept for it, and all that it may have anything of where it is
    /// bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<u32>,
    /// Whole nodes, those of the domains included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
}

/// On what terms leases of a class may be reclaimed for a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReclaimTerms {
    /// How long it has run at least before it may be told to go.
    pub min_run: Span,
}

/// The rules of the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How long after a lease's end its hardware is kept free, to be taken back and made clean.
    pub turnaround: Span,
    /// How many nodes can be made clean in an hour below a place; no bound where none is named.
    pub sanitising_per_hour: BTreeMap<Prefix, u32>,
    /// How the hardware of a SKU is kept apart; node by node where it is not named.
    pub isolation: BTreeMap<SkuName, Isolation>,
    /// What is kept for a side, whoever asks.
    pub floors: Vec<Share>,
    /// The most a side may have.
    pub ceilings: Vec<Share>,
    /// Which classes may be reclaimed for better ones; a class that is not named is not. Committed
    /// and internal-critical can never be named.
    pub reclaim: BTreeMap<Class, ReclaimTerms>,
    /// How many waiting leases hold bookings for their earliest start.
    pub planned_ahead: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let terms = |min_run| ReclaimTerms { min_run };
        Self {
            turnaround: Span::ZERO,
            sanitising_per_hour: BTreeMap::new(),
            isolation: BTreeMap::new(),
            floors: Vec::new(),
            ceilings: Vec::new(),
            reclaim: BTreeMap::from([
                (Class::OnDemand, terms(Span::from_hours(1))),
                (Class::InternalBatch, terms(Span::from_mins(10))),
                (Class::Spot, terms(Span::ZERO)),
            ]),
            planned_ahead: 100,
        }
    }
}

impl Policy {
    /// BLAKE3 of the policy as canonical JSON: by this every decision names it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical().as_bytes())
    }

    /// The policy as canonical JSON.
    fn canonical(&self) -> String {
        let value = serde_json::to_value(self);
        canonical(&value.expect("a policy has string keys and no failing fields"))
    }

    /// How the hardware of a SKU is kept apart.
    pub fn isolation_of(&self, sku: &SkuName) -> Isolation {
        self.isolation.get(sku).copied().unwrap_or_default()
    }
}
