//! What could be let now, beside everything that is let and promised.

use crate::ids::SkuName;
use crate::mig::MigProfile;
use crate::time::{Span, Timestamp};
use crate::token::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// In what form hardware is counted.
    SurplusShape("shape") {
        /// Whole nodes, wherever they stand.
        Nodes = "nodes",
        /// Gangs of as many nodes as the largest rack of the SKU has, each in one rack.
        Racks = "racks",
        /// Whole domains of nodes that share NVLink memory.
        Domains = "domains",
        /// GPUs of one node.
        Gpus = "gpus",
        /// One slice of a partitioned GPU.
        Slices = "slices",
    }
}

/// How many leases of one form could be let.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SurplusRow {
    /// Of what kind.
    pub sku: SkuName,
    /// In what form.
    pub shape: SurplusShape,
    /// Nodes in one lease, or GPUs where it is GPUs of one node, or slices.
    pub size: u32,
    /// Which slice, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<MigProfile>,
    /// How many such leases, if nothing else were let.
    pub leases: u32,
    /// How many of them could go on for longer, shortest first; only times beyond the one asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub longer: Vec<Longer>,
}

/// How many leases of one form could be let for a longer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Longer {
    /// For so long.
    #[serde(rename = "for")]
    pub length: Span,
    /// How many such leases, if nothing else were let.
    pub leases: u32,
}

/// `GET /v1/surplus`: what a tenant who has nothing yet could have, from now until an instant.
///
/// Each row stands alone: a node that is counted as one is counted again as a part of a rack, as GPUs,
/// and as slices of each profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Surplus {
    /// From this instant.
    pub from: Timestamp,
    /// Until this one.
    pub until: Timestamp,
    /// By SKU, then form, then size.
    pub rows: Vec<SurplusRow>,
}
