//! Leases and accounts, counted.

use super::{AccountTally, Count, LeaseTally, Tally, Waiting};
use crate::state::State;
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

impl State {
    pub(super) fn count_lease(&self, count: &mut Count, lease: &LeaseRecord, now: Timestamp) {
        if lease.state.is_over() {
            return;
        }
        let tally = &mut count.tally;
        *tally.leases.entry((lease.side, lease.state)).or_insert(0) += 1;
        if lease.state == LeaseState::Requested {
            wait(tally, lease);
        }
        if lease.state == LeaseState::Releasing {
            let oldest = tally.releasing.entry(lease.side).or_insert(lease.since);
            *oldest = lease.since.min(*oldest);
        }
        if count.with_tenants {
            self.count_holder(&mut count.tally, lease);
        }
        let begun = lease.segment().is_some_and(|segment| segment.from <= now);
        if begun && lease.state.holds_hardware() {
            for (index, mw) in self.shares(lease) {
                if let Some(node) = self.nodes.get(&index) {
                    count.below(&node.fleet.path, |watts| watts.committed_mw += mw);
                }
            }
        }
    }

    fn count_holder(&self, tally: &mut Tally, lease: &LeaseRecord) {
        let Some(account) = tally.accounts.get_mut(&lease.spec.account) else {
            return;
        };
        *account.leases.entry(lease.state).or_insert(0) += 1;
        if lease.state.holds_hardware() {
            let gpus = lease.gpus(self.gpus_per_node(lease));
            account.gpus += gpus;
            tally.holding.push(LeaseTally {
                lease: lease.id,
                account: lease.spec.account.clone(),
                class: lease.spec.class,
                sku: lease.spec.sku.clone(),
                gpus,
            });
        }
    }

    pub(super) fn count_accounts(&self, tally: &mut Tally) {
        tally.accounts = self
            .accounts
            .values()
            .map(|account| {
                let none = AccountTally {
                    side: account.side,
                    quota_gpus: account.quota_gpus,
                    gpus: 0,
                    leases: BTreeMap::new(),
                };
                (account.name.clone(), none)
            })
            .collect();
    }
}

fn wait(tally: &mut Tally, lease: &LeaseRecord) {
    let reason = lease.explanation.as_ref().and_then(|why| why.reason());
    let reason = reason.map_or("NotEvaluated", |reason| reason.as_str());
    let waiting = tally
        .pending
        .entry((lease.side, reason.to_owned()))
        .or_insert(Waiting {
            requests: 0,
            oldest: lease.created,
        });
    waiting.requests += 1;
    waiting.oldest = waiting.oldest.min(lease.created);
}
