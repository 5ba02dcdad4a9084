//! What an account may hold together.
//!
//! It is asked for when a lease is requested and again whenever it might get hardware: several
//! requests that wait may each be within the quota and all of them together beyond it.

use crate::state::State;
use leasehold_common::explain::{Dimension, Explanation, Outcome, RankedReason, Reason, Unblock};
use leasehold_common::ids::AccountName;
use leasehold_common::lease::{Digest, LeaseSpec, Shape};
use leasehold_placement::{Decision, Plan, Request};
use std::collections::BTreeMap;
use std::fmt;

/// A request that is more than its account's quota leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverQuota {
    account: AccountName,
    quota: u64,
    used: u64,
    wants: u64,
}

impl State {
    /// What keeps a request from its quota by its shape alone; absent where it is within it, and where
    /// its account or its SKU is gone since it was accepted.
    pub(crate) fn over_quota(&self, spec: &LeaseSpec) -> Option<OverQuota> {
        let quota = self.accounts.get(&spec.account)?.quota_gpus?;
        let sku = self.settings.skus.get(&spec.sku)?;
        let over = OverQuota {
            account: spec.account.clone(),
            quota: u64::from(quota),
            used: self.gpus_of(&spec.account),
            wants: spec.shape.least_gpus(sku.gpus),
        };
        (over.used + over.wants > over.quota).then_some(over)
    }

    /// Brings what a gang would rather have down to what its account's quota leaves, as far as it can
    /// do with less.
    pub(crate) fn fit_quota(&self, request: &mut Request) {
        let Some(quota) = self
            .accounts
            .get(&request.account)
            .and_then(|account| account.quota_gpus)
        else {
            return;
        };
        let sku = self.settings.skus.get(&request.sku);
        let per_node = sku.map_or(1, |sku| u64::from(sku.gpus));
        let per_domain = sku.map_or(1, |sku| u32::from(sku.nodes_per_domain));
        let left = u64::from(quota).saturating_sub(self.gpus_of(&request.account));
        if let Shape::Nodes {
            count,
            at_least: Some(least),
            spares,
            ..
        } = &mut request.shape
        {
            let nodes = u32::try_from(left / per_node.max(1)).unwrap_or(u32::MAX);
            let working = working_of(nodes, *spares, per_domain);
            *count = working.clamp(*least, *count);
        }
    }

    /// What keeps a request from its account's quota, now that it was decided: what it asks for, or what
    /// was planned for it. Whether it is asked what would become of it or made, this is the answer.
    pub(crate) fn decided_over_quota(
        &self,
        spec: &LeaseSpec,
        decision: &Decision,
    ) -> Option<OverQuota> {
        let over = self.over_quota(spec);
        over.or_else(|| self.plan_over_quota(spec, decision.plan()?))
    }

    /// What keeps a plan from its account's quota: how much a unit or spares come to is known only
    /// when they are planned.
    pub(crate) fn plan_over_quota(&self, spec: &LeaseSpec, plan: &Plan) -> Option<OverQuota> {
        let quota = self.accounts.get(&spec.account)?.quota_gpus?;
        let sku = self.settings.skus.get(&spec.sku)?;
        let wants = if plan.slices.is_empty() {
            let parts: u64 = plan.gpus.values().map(|slots| u64::from(slots.len())).sum();
            let whole = plan.nodes.len() - plan.gpus.len();
            parts + whole as u64 * u64::from(sku.gpus)
        } else {
            spec.shape.least_gpus(sku.gpus)
        };
        let over = OverQuota {
            account: spec.account.clone(),
            quota: u64::from(quota),
            used: self.gpus_of(&spec.account),
            wants,
        };
        (over.used + over.wants > over.quota).then_some(over)
    }
}

/// How many of so many nodes work where each domain keeps spares, in as few domains as hold them.
fn working_of(nodes: u32, spares: u32, per_domain: u32) -> u32 {
    let per_domain = per_domain.max(1);
    let in_whole = (nodes / per_domain).saturating_mul(per_domain.saturating_sub(spares));
    let in_rest = (nodes % per_domain).saturating_sub(spares);
    in_whole.saturating_add(in_rest)
}

impl OverQuota {
    /// GPUs the account may still take.
    pub const fn left(&self) -> u64 {
        self.quota.saturating_sub(self.used)
    }

    /// Why the request gets nothing.
    pub fn explanation(&self, outcome: Outcome, policy: Digest) -> Explanation {
        let gpus = self.wants - self.left();
        let missing = u32::try_from(gpus).unwrap_or(u32::MAX);
        Explanation {
            outcome,
            evaluated: 0,
            fit: 0,
            filtered: BTreeMap::new(),
            exhausted: BTreeMap::from([(Dimension::QuotaGpus, missing)]),
            winner: None,
            runners_up: Vec::new(),
            reasons: vec![RankedReason {
                reason: Reason::QuotaGpu,
                nodes: 0,
                detail: self.to_string(),
            }],
            earliest: None,
            unblocked_by: vec![Unblock::QuotaFreed { gpus }],
            reclaim: None,
            policy: Some(policy),
        }
    }
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            quota,
            used,
            wants,
        } = self;
        write!(
            f,
            "{used} of account {account}'s {quota} GPUs are in use, {wants} more are asked for"
        )
    }
}
