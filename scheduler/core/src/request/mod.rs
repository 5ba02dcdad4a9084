//! What is asked over the control socket: checked first, carried out only where all of it is right.

mod account;
mod admission;
mod admit;
mod check;
mod create;
mod end;
mod import;
mod known;

pub(crate) use admission::Admission;

use crate::command::{Command, Write, Written};
use crate::event::RequestId;
use crate::state::State;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::IdempotencyKey;
use leasehold_common::lease::{Digest, Idempotency};
use leasehold_common::log::Actor;
use leasehold_common::time::Timestamp;

/// What becomes of a request.
pub(crate) type Answer = Result<Written, Problem>;

/// A request that is being carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub actor: &'a Actor,
    pub key: Option<&'a (IdempotencyKey, Digest)>,
    pub dry_run: bool,
    pub now: Timestamp,
}

impl Asked<'_> {
    /// What the changed record remembers of the write.
    pub fn remembered(&self, status: u16) -> Option<Idempotency> {
        self.key.map(|(key, body)| Idempotency {
            uid: self.actor.uid,
            key: key.clone(),
            body: *body,
            at: self.now,
            status,
        })
    }
}

impl State {
    /// Carries a request out. `None` where the answer comes later: an admission goes on over several
    /// batches.
    pub(crate) fn request(
        &mut self,
        id: RequestId,
        actor: &Actor,
        write: Write,
        now: Timestamp,
    ) -> Option<Answer> {
        if let Some(answer) = self.known_write(actor, &write) {
            return Some(answer);
        }
        let asked = Asked {
            actor,
            key: write.idempotency.as_ref(),
            dry_run: write.dry_run,
            now,
        };
        Some(match write.command {
            Command::CreateAccount(wish) => self.create_account(&wish, asked),
            Command::CreateLease(wish) => self.create_lease(wish, asked),
            Command::EndLease(lease, wish) => self.end_lease(lease, &wish, write.if_match, asked),
            Command::CancelLease(lease) => self.cancel_lease(lease, write.if_match, asked),
            Command::ImportNodes(wish) => return self.import_nodes(id, &wish, asked),
            Command::AdmitNodes(wish) => return self.admit_nodes(id, &wish, asked),
            // A ledger that decides is not in need of recovery; one that is frozen never gets here.
            Command::Recover(_) => Err(Problem::new(
                ProblemCode::NotFrozen,
                "the ledger is not behind anything",
            )),
        })
    }
}
