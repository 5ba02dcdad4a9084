//! Ending and withdrawing leases.

use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::api::{EndLease, Problem, ProblemCode};
use leasehold_common::ids::{Generation, LeaseId};
use leasehold_common::lease::{LeaseRecord, LeaseState, SUPERSEDED_KEPT};
use leasehold_common::log::{Actor, Attributes, EventName};
use leasehold_common::time::Timestamp;

/// Ending a lease of more nodes than this at once must be confirmed by its number of GPUs.
const CONFIRM_ABOVE: u64 = 64;

impl State {
    pub(super) fn end_lease(
        &mut self,
        id: LeaseId,
        wish: &EndLease,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        match lease.state {
            LeaseState::Preparing | LeaseState::Active | LeaseState::Draining => {}
            LeaseState::Requested | LeaseState::Held | LeaseState::Scheduled => {
                let detail = format!("lease {id} is {}: it has not begun, cancel it", lease.state);
                return Err(illegal(lease, detail));
            }
            LeaseState::Releasing
            | LeaseState::Settling
            | LeaseState::Closed
            | LeaseState::Rejected
            | LeaseState::Lapsed
            | LeaseState::Cancelled
            | LeaseState::Failed => {
                let detail = format!("lease {id} is {}: it has ended", lease.state);
                return Err(illegal(lease, detail));
            }
        }
        // A lease that is still preparing has no holder to be told.
        let at_once = wish.now || lease.state == LeaseState::Preparing;
        if at_once {
            self.check_confirmation(lease, wish)?;
        }
        if !asked.dry_run {
            let actor = Some(asked.actor.clone());
            if at_once {
                self.end_now(id, "ended by request", actor, asked.now);
            } else {
                self.end_after_notice(id, actor, asked.now)?;
            }
            self.remember(id, asked);
        }
        Ok(self.written(id, 200))
    }

    pub(super) fn cancel_lease(
        &mut self,
        id: LeaseId,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        if !lease.state.may_become(LeaseState::Cancelled) {
            let hint = if lease.state.is_over() {
                "it is over"
            } else {
                "end it"
            };
            let detail = format!(
                "lease {id} is {}: it cannot be cancelled, {hint}",
                lease.state
            );
            return Err(illegal(lease, detail));
        }
        if !asked.dry_run {
            let attributes = Attributes {
                reason: Some("cancelled by request".into()),
                actor: Some(asked.actor.clone()),
                ..Attributes::default()
            };
            let entry = Entry {
                attributes,
                ..Entry::default()
            };
            let booked = self.leases[&id].clone();
            self.move_lease(
                id,
                LeaseState::Cancelled,
                entry,
                EventName::LeaseState,
                asked.now,
            );
            self.unbook(&booked);
            self.stir_lease(&booked);
            self.remember(id, asked);
        }
        Ok(self.written(id, 200))
    }

    pub(super) fn find(
        &self,
        id: LeaseId,
        if_match: Option<Generation>,
    ) -> Result<&LeaseRecord, Problem> {
        let lease = self.known_lease(id)?;
        match if_match {
            Some(wanted) if wanted != lease.term.generation => {
                let is = lease.term.generation;
                let detail = format!("lease {id} has generation {is}, not {wanted}");
                Err(Problem::new(ProblemCode::StaleGeneration, detail)
                    .about("If-Match", wanted, is.to_string())
                    .in_state(lease.state))
            }
            Some(_) | None => Ok(lease),
        }
    }

    fn check_confirmation(&self, lease: &LeaseRecord, wish: &EndLease) -> Result<(), Problem> {
        let nodes = lease.nodes().count() as u64;
        if nodes <= CONFIRM_ABOVE {
            return Ok(());
        }
        let gpus = lease.gpus(self.gpus_per_node(lease));
        if wish.confirm_gpus == Some(gpus) {
            return Ok(());
        }
        let given = wish
            .confirm_gpus
            .map_or("absent".to_owned(), |n| n.to_string());
        let detail = format!(
            "lease {} has {nodes} nodes: ending it at once wants its number of GPUs",
            lease.id
        );
        Err(Problem::new(ProblemCode::ConfirmationNeeded, detail)
            .about("confirm_gpus", given, "the lease's number of GPUs")
            .in_state(lease.state))
    }

    /// Ends access now, by new terms that say so.
    pub(crate) fn end_now(
        &mut self,
        id: LeaseId,
        reason: &str,
        actor: Option<Actor>,
        now: Timestamp,
    ) {
        self.set_access_end(id, now);
        let attributes = Attributes {
            reason: Some(reason.into()),
            actor,
            ..Attributes::default()
        };
        let entry = Entry {
            attributes,
            ..Entry::default()
        };
        self.move_lease(id, LeaseState::Releasing, entry, EventName::LeaseState, now);
        self.renew_term(id);
        self.cell.end(id, now);
        self.progressed.insert(id);
    }

    /// Ends access after the notice of its class, or at its own end where that is sooner.
    fn end_after_notice(
        &mut self,
        id: LeaseId,
        actor: Option<Actor>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let lease = &self.leases[&id];
        let told = now + lease.spec.class.notice();
        let end = lease.access_end.map_or(told, |end| end.min(told));
        // Hardware is always free for less; only a clock that is behind names an end before the start.
        self.cell
            .set_end(id, Some(end))
            .map_err(|e| illegal(lease, format!("lease {id} cannot end at {end}: {e}")))?;
        self.set_access_end(id, end);
        let attributes = Attributes {
            reason: Some(format!("ended by request, access ends {end}")),
            actor,
            ..Attributes::default()
        };
        let entry = Entry {
            attributes,
            ..Entry::default()
        };
        if self.leases[&id].state == LeaseState::Active {
            self.move_lease(id, LeaseState::Draining, entry, EventName::LeaseState, now);
        } else {
            self.log_lease(id, EventName::LeaseTerms, entry);
            self.reindex_lease(id);
        }
        self.renew_term(id);
        self.regrant(id);
        let nodes: Vec<_> = self.leases[&id].nodes().collect();
        self.stir_nodes(nodes);
        Ok(())
    }

    /// Brings the end of access forward. It is never put off: where a leader comes late, somebody
    /// else may have the hardware from the end that was promised.
    fn set_access_end(&mut self, id: LeaseId, end: Timestamp) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        let end = lease.access_end.map_or(end, |before| before.min(end));
        lease.access_end = Some(end);
        lease.wipe_not_before = Some(end + lease.spec.class.wipe_delay());
        if let Some(segment) = lease.placement.last_mut() {
            segment.to = Some(end);
        }
    }

    /// Keeps a write in the record it changed, so that a retry of it is known.
    pub(super) fn remember(&mut self, id: LeaseId, asked: Asked<'_>) {
        let Some(known) = asked.remembered(200) else {
            return;
        };
        let key = (known.uid, known.key.clone());
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        lease.idempotency.push(known);
        let forgotten =
            (lease.idempotency.len() > 1 + SUPERSEDED_KEPT).then(|| lease.idempotency.remove(1));
        self.by_key.insert(key, crate::state::Changed::Lease(id));
        if let Some(old) = forgotten {
            self.by_key.remove(&(old.uid, old.key));
        }
    }

    pub(super) fn written(&self, id: LeaseId, status: u16) -> Written {
        let view = Box::new(self.lease_view(&self.leases[&id], true));
        Written {
            status,
            replayed: false,
            view: View::Lease(view),
        }
    }
}

fn illegal(lease: &LeaseRecord, detail: String) -> Problem {
    Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state)
}
