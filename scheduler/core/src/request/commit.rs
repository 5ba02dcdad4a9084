//! Hardware that is held, and is taken.

use super::{Answer, Asked};
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::{Generation, LeaseId};
use leasehold_common::lease::LeaseState;
use leasehold_common::log::{Attributes, EventName};
use leasehold_common::time::Timestamp;

impl State {
    pub(super) fn commit_lease(
        &mut self,
        id: LeaseId,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        if lease.state != LeaseState::Held {
            let detail = format!(
                "lease {id} is {}: only one that is held is committed",
                lease.state
            );
            return Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state));
        }
        if !asked.dry_run {
            let nodes = lease.nodes().collect();
            self.lift_on(&nodes);
            self.begin_no_earlier_than(id, asked.now);
            let lease = self.leases.get_mut(&id).expect("it was found above");
            lease.held_until = None;
            let attributes = Attributes {
                reason: Some("committed by request".into()),
                actor: Some(asked.actor.clone()),
                ..Attributes::default()
            };
            let entry = Entry {
                attributes,
                ..Entry::default()
            };
            let to = LeaseState::Scheduled;
            self.move_lease(id, to, entry, EventName::LeaseState, asked.now);
            self.renew_term(id);
            let soon = asked.now + self.settings.prepare_lead;
            if self.leases[&id].start.is_some_and(|start| start <= soon) {
                // Time has passed since it was planned: its nodes may be late from the lease before.
                self.prepare_when_free(id, asked.now);
            }
            self.remember(id, asked);
        }
        Ok(self.written(id, 200))
    }

    /// A lease that was held past its start begins when it is committed. One that was asked for a
    /// length of time has all of it where its hardware is free so long, and otherwise what was
    /// planned when it was held.
    fn begin_no_earlier_than(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        let Some(start) = lease.start.filter(|start| *start < now) else {
            return;
        };
        let whole = lease.access_end.map(|end| end + now.since(start));
        let whole = whole.filter(|_| lease.spec.length.is_some());
        let later = whole.filter(|to| self.after_lease(lease, *to).is_empty());
        let later = later.filter(|to| self.cell.set_end(id, Some(*to)).is_ok());
        let lease = self.leases.get_mut(&id).expect("the caller found it");
        lease.start = Some(now);
        if let Some(segment) = lease.placement.last_mut() {
            segment.from = now;
        }
        if let Some(end) = later {
            lease.access_end = Some(end);
            lease.wipe_not_before = Some(end + lease.spec.class.wipe_delay());
            if let Some(segment) = lease.placement.last_mut() {
                segment.to = Some(end);
            }
        }
    }
}
