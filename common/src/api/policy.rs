//! Policies as people see them.

use crate::ids::{AccountName, LeaseId};
use crate::lease::{Digest, LeaseState};
use crate::policy::Policy;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/policies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPolicy {
    /// The rules. A field that is left out has the value of the built-in policy, not that of the
    /// policy there is: what was sent is what is in force.
    pub policy: Policy,
    /// Why, for those who read the list; up to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `POST /v1/policies/rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackPolicy {
    /// The number of the policy that is to hold again; 0 for the built-in one.
    pub to: u64,
    /// Why, for those who read the list; up to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// One version in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicySummary {
    /// Its number; 0 is built in.
    pub number: u64,
    /// Whether it is the one that decides.
    pub current: bool,
    /// What decisions name it by.
    pub digest: Digest,
    /// Who set it (uid); absent for the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
    /// When it was set; absent for the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The number whose content this is again; absent where it was set anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u64>,
}

/// A policy, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Which one.
    pub version: PolicySummary,
    /// The rules.
    pub policy: Policy,
}

/// A booking that a rule of a policy would not have allowed. It stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokenRule {
    /// The rule, as in the policy's own text: `ceilings[0].nodes`.
    pub rule: String,
    /// The lease.
    pub lease: LeaseId,
    /// Who holds it.
    pub account: AccountName,
    /// How far it has come.
    pub state: LeaseState,
    /// Its nodes, as a hostlist.
    pub nodes: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; absent for an open end.
    pub to: Option<Timestamp>,
    /// How it breaks the rule, in words.
    pub detail: String,
}

/// What setting a policy did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyChange {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The new version.
    pub version: PolicySummary,
    /// Leases, not over, that its rules would not have allowed. They stay as they are.
    pub breaks: Vec<BrokenRule>,
}
