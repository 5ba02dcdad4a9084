//! A policy as it is stored.

use super::Policy;
use crate::lease::Idempotency;
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A numbered policy (`policy/<n>`, written by the leader from the API and never again).
///
/// The record tolerates fields of a newer version, the policy in it does not: a rule that this
/// version does not know must not be passed over in silence, so it decides nothing by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Form of the record.
    pub version: Version,
    /// Its number, from 1.
    pub number: u64,
    /// The rules.
    pub policy: Policy,
    /// Who set it (uid of the caller).
    pub by: u32,
    /// When it was set.
    pub at: Timestamp,
    /// Why, in words; absent where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The number whose content this is again; absent where it was set anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u64>,
    /// The write that set it, so that a retry is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(PolicyRecord, "policy");
