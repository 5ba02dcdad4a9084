//! What is asked over the control socket: checked first, carried out only where all of it is right.

mod account;
mod admission;
mod admit;
mod check;
mod commit;
mod create;
mod end;
mod extend;
mod flags;
mod import;
mod known;
mod maintenance;
mod plan;
mod policy;
mod power;
mod replace;
mod shrink;
mod words;

pub(crate) use admission::Admission;
pub(crate) use flags::flag_views;

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
    /// Carries a request out. `None` where the answer comes later: what concerns many nodes goes on
    /// over several batches.
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
        let known = write.idempotency.clone();
        let asked = Asked {
            actor,
            key: known.as_ref(),
            dry_run: write.dry_run,
            now,
        };
        let answer = self.carry_out_request(id, write, asked);
        // What it lifted out of the engine to be decided.
        self.put_back();
        answer
    }

    fn carry_out_request(
        &mut self,
        id: RequestId,
        write: Write,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        Some(match write.command {
            Command::CreateAccount(wish) => self.create_account(&wish, asked),
            Command::CreateLease(wish) => self.create_lease(wish, asked),
            Command::EndLease(lease, wish) => self.end_lease(lease, &wish, write.if_match, asked),
            Command::CancelLease(lease) => self.cancel_lease(lease, write.if_match, asked),
            Command::ExtendLease(lease, wish) => {
                self.extend_lease(lease, &wish, write.if_match, asked)
            }
            Command::ShrinkLease(lease, wish) => {
                self.shrink_lease(lease, &wish, write.if_match, asked)
            }
            Command::ReplaceNode(lease, wish) => {
                self.replace_node(lease, &wish, write.if_match, asked)
            }
            Command::CommitLease(lease) => self.commit_lease(lease, write.if_match, asked),
            Command::SetPolicy(wish) => self.set_policy(wish, write.if_match, asked),
            Command::RollbackPolicy(wish) => self.rollback_policy(wish, write.if_match, asked),
            Command::SetPowerBudget(wish) => self.set_power_budget(&wish, asked),
            Command::CreateMaintenance(wish) => self.create_maintenance(&wish, asked),
            Command::EndMaintenance(id) => self.end_maintenance(id, asked),
            Command::ImportNodes(wish) => return self.import_nodes(id, &wish, asked),
            Command::AdmitNodes(wish) => return self.admit_nodes(id, &wish, asked),
            Command::DrainNodes(wish) => return self.drain_nodes(id, wish, asked),
            Command::UndrainNodes(wish) => return self.undrain_nodes(id, wish, asked),
            Command::ResumeNodes(wish) => return self.resume_nodes(id, wish, asked),
            Command::SayOfGpus(says) => self.say_of_gpus(&says, asked),
            // A ledger that decides is not in need of recovery; one that is frozen never gets here.
            Command::Recover(_) => Err(Problem::new(
                ProblemCode::NotFrozen,
                "the ledger is not behind anything",
            )),
        })
    }
}

/// The longest reason that is kept.
const WHY_MAX: usize = 256;

/// Whether words for the log are fit for it.
fn check_why(field: &str, why: Option<&str>) -> Result<(), Problem> {
    match why {
        Some(why) if why.len() > WHY_MAX || why.chars().any(char::is_control) => {
            let shown: String = why.chars().filter(|c| !c.is_control()).take(80).collect();
            let allowed = format!("up to {WHY_MAX} bytes without control characters");
            Err(Problem::field(field, shown, allowed))
        }
        Some(_) | None => Ok(()),
    }
}
