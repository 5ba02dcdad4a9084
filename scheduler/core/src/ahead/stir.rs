//! What has changed that pending leases may have waited for.

use crate::state::State;
use leasehold_common::ids::{AccountName, LeaseId, NodeIndex};
use leasehold_common::lease::LeaseRecord;
use std::collections::BTreeSet;

/// Changes, gathered until pending leases are gone through.
#[derive(Debug, Default)]
pub(crate) struct Stir {
    /// Rules have changed: whoever waits is decided again.
    pub(super) all: bool,
    /// Somebody new waits, or a plan was lost: there may be somebody to plan.
    pub(super) arrived: bool,
    /// Nodes of which something has become free, now or for a time to come.
    pub(super) freed: BTreeSet<NodeIndex>,
    /// Accounts with a quota that have less than before.
    pub(super) accounts: BTreeSet<AccountName>,
    /// Leases for which an instant has come that was named to them.
    pub(super) due: BTreeSet<LeaseId>,
}

impl Stir {
    pub(super) fn everything() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.arrived && self.concerns_nobody()
    }

    /// Whether nobody who has been decided before needs to be decided again.
    pub(super) fn concerns_nobody(&self) -> bool {
        !self.all && self.freed.is_empty() && self.accounts.is_empty() && self.due.is_empty()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.all |= other.all;
        self.arrived |= other.arrived;
        self.freed.extend(other.freed);
        self.accounts.extend(other.accounts);
        self.due.extend(other.due);
    }
}

impl State {
    /// Rules have changed.
    pub(crate) fn stir_all(&mut self) {
        self.ahead.stir.all = true;
    }

    /// A lease waits that has not been planned.
    pub(crate) fn stir_new(&mut self) {
        self.ahead.stir.arrived = true;
    }

    /// An instant has come that was named to a lease that waits.
    pub(crate) fn stir_due(&mut self, id: LeaseId) {
        self.ahead.stir.due.insert(id);
    }

    /// Something of these nodes is free that was not.
    pub(crate) fn stir_nodes(&mut self, nodes: impl IntoIterator<Item = NodeIndex>) {
        self.ahead.stir.freed.extend(nodes);
    }

    /// A lease has less than before, or has it for a shorter time.
    pub(crate) fn stir_lease(&mut self, lease: &LeaseRecord) {
        self.stir_nodes(lease.nodes());
        let account = lease.spec.account.clone();
        let known = self.accounts.get(&account);
        if known.is_some_and(|account| account.quota_gpus.is_some()) {
            self.ahead.stir.accounts.insert(account);
        }
    }

    /// A node is another than it was: what is planned on it is planned again, and what waits for it
    /// is looked at where it lets anybody in.
    pub(crate) fn stir_node(&mut self, index: NodeIndex) {
        self.drop_plans_on(index);
        if self.cell.condition(index).is_some_and(|c| c.lets_in()) {
            self.stir_nodes([index]);
        }
    }
}
