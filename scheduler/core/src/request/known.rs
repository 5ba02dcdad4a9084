//! Retries: a write that was carried out is answered again and not carried out again.

use super::Answer;
use crate::command::{View, Write, Written};
use crate::state::{Changed, State};
use leasehold_common::api::{Problem, ProblemCode};
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
