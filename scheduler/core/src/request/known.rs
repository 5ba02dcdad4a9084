//! Retries: a write that was carried out is answered again and not carried out again.

use super::Answer;
use crate::command::{Command, View, Write, Written};
use crate::state::{Changed, State};
use leasehold_common::api::{PolicyChange, Problem, ProblemCode};
use leasehold_common::lease::Idempotency;
use leasehold_common::log::Actor;

impl State {
    /// The answer to a write that was carried out before; `None` for a new one.
    pub(crate) fn known_write(&self, actor: &Actor, write: &Write) -> Option<Answer> {
        let (key, body) = write.idempotency.as_ref()?;
        let changed = self.by_key.get(&(actor.uid, key.clone()))?;
        let is_it = |known: &&Idempotency| known.uid == actor.uid && known.key == *key;
        let (known, view) = match changed {
            Changed::Lease(id) => {
                let lease = &self.leases[id];
                let view = View::Lease(Box::new(self.lease_view(lease, true)));
                (lease.idempotency.iter().find(is_it)?, view)
            }
            Changed::Account(name) => {
                let account = &self.accounts[name];
                let view = View::Account(self.account_view(account));
                (account.idempotency.iter().find(is_it)?, view)
            }
            Changed::Policy(number) => {
                let known = self.policies.record(*number)?.idempotency.as_ref();
                let change = PolicyChange {
                    dry_run: false,
                    version: self.policy_summary(*number),
                    breaks: self.broken_by(self.policies.get(*number)?),
                };
                let view = View::PolicyChange(Box::new(change));
                (known.filter(is_it)?, view)
            }
            Changed::Power(prefix) => {
                let record = self.power.get(prefix)?;
                let view = self.power_view(record, self.head.now);
                let view = View::PowerBudget(Box::new(view));
                (record.idempotency.as_ref().filter(is_it)?, view)
            }
            Changed::Maintenance(id) => {
                let record = self.maintenance.get(id)?;
                let view = self.maintenance_view(record, self.head.now);
                let known = record.idempotency.iter().find(is_it)?;
                (known, View::Maintenance(Box::new(view)))
            }
            Changed::Flags(index) => {
                let fleet = &self.nodes[index].fleet;
                let known = fleet.idempotency.iter().find(is_it)?;
                let view = match &write.command {
                    Command::SayOfGpus(says) => self.worded_before(says),
                    command => self.reflagged_before(command, actor.uid),
                };
                (known, view)
            }
        };
        if known.body != *body {
            return Some(Err(Problem::new(
                ProblemCode::IdempotencyMismatch,
                format!("key {key} was used at {} for another request", known.at),
            )
            .about("Idempotency-Key", key, "a new key for a new request")));
        }
        Some(Ok(Written {
            status: known.status,
            replayed: true,
            view,
        }))
    }
}
