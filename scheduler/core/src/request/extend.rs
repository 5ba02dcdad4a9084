//! Leases that go on beyond their end.

use super::{Answer, Asked};
use crate::conflicts::booked;
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::api::{ExtendLease, Problem, ProblemCode};
use leasehold_common::ids::{Generation, LeaseId};
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::log::{Actor, Attributes, EventName};
use leasehold_common::time::{Span, Timestamp};

/// How long before the end of access a lease can still be extended: new terms have to reach every
/// node before its old ones run out, for a node that has not heard of them ends access in time.
const LEAD: Span = Span::from_secs(60);

/// How far ahead an end may lie: ten years.
const AHEAD_MAX: Span = Span::from_hours(24 * 3653);

impl State {
    pub(super) fn extend_lease(
        &mut self,
        id: LeaseId,
        wish: &ExtendLease,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        let end = check_extendable(lease, asked.now)?;
        let nodes = lease.nodes().collect();
        self.lift_on(&nodes);
        let lease = &self.leases[&id];
        let until = wanted_end(wish, end, asked.now)?;
        let conflicts = self.after_lease(lease, until);
        if !conflicts.is_empty() {
            let what = format!("lease {id} cannot go on until {until}");
            return Err(booked(&what, conflicts)
                .about("until", until, "an end before the bookings that follow")
                .in_state(lease.state));
        }
        if let Some((unit, missing, from)) = self.cell.watts_lacking(id, Some(until)) {
            let watts = missing.0.div_ceil(1000);
            let detail = format!(
                "lease {id} cannot go on until {until}: from {from} on, the power budget of {unit} \
                 has {watts} W too few"
            );
            return Err(Problem::new(ProblemCode::Booked, detail)
                .about(
                    "until",
                    until,
                    format!("an end by {from}, or a larger budget"),
                )
                .in_state(lease.state));
        }
        if let Err(why) = self.cell.can_end(id, Some(until)) {
            return Err(self.cannot_go_on(lease, until, &why));
        }
        if !asked.dry_run {
            self.put_off_end(id, until, asked.actor.clone(), asked.now)?;
            self.remember(id, asked);
        }
        Ok(self.written(id, 200))
    }

    /// Puts the end of access off and tells every node by new terms.
    fn put_off_end(
        &mut self,
        id: LeaseId,
        until: Timestamp,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if let Err(why) = self.cell.set_end(id, Some(until)) {
            return Err(self.cannot_go_on(&self.leases[&id], until, &why));
        }
        let lease = self.leases.get_mut(&id).expect("it was found above");
        let before = lease.access_end;
        lease.access_end = Some(until);
        lease.wipe_not_before = Some(until + lease.spec.class.wipe_delay());
        if let Some(segment) = lease.placement.last_mut() {
            segment.to = Some(until);
        }
        let told = before.map_or_else(String::new, |before| format!(" instead of {before}"));
        let attributes = Attributes {
            reason: Some(format!("extended by request, access ends {until}{told}")),
            actor: Some(actor),
            ..Attributes::default()
        };
        let entry = Entry {
            attributes,
            ..Entry::default()
        };
        // A lease that was about to end is not any more, unless the new end is near as well.
        let lease = &self.leases[&id];
        let still_near = until <= now + lease.notice();
        if lease.state == LeaseState::Draining && !still_near {
            self.move_lease(id, LeaseState::Active, entry, EventName::LeaseState, now);
        } else {
            self.log_lease(id, EventName::LeaseTerms, entry);
            self.reindex_lease(id);
        }
        self.renew_term(id);
        self.regrant(id);
        Ok(())
    }
}

/// The present end of a lease that can be extended now.
fn check_extendable(lease: &LeaseRecord, now: Timestamp) -> Result<Timestamp, Problem> {
    let illegal = |why: String| {
        let detail = format!("lease {} is {}: {why}", lease.id, lease.state);
        Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state))
    };
    match lease.state {
        LeaseState::Scheduled
        | LeaseState::Preparing
        | LeaseState::Active
        | LeaseState::Draining => {}
        LeaseState::Requested | LeaseState::Held => {
            return illegal("only one whose hardware is booked can be extended".into());
        }
        LeaseState::Releasing
        | LeaseState::Settling
        | LeaseState::Closed
        | LeaseState::Rejected
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => return illegal("it has ended".into()),
    }
    let Some(end) = lease.access_end else {
        return illegal("its end is open".into());
    };
    if now + LEAD > end {
        return illegal(format!(
            "access ends {end}, and an extension takes {LEAD} to reach its nodes"
        ));
    }
    Ok(end)
}

fn wanted_end(wish: &ExtendLease, end: Timestamp, now: Timestamp) -> Result<Timestamp, Problem> {
    let (field, value, until) = match (wish.length, wish.until) {
        (Some(length), None) => ("for", length.to_string(), end + length),
        (None, Some(until)) => ("until", until.to_string(), until),
        (Some(_), Some(_)) => return Err(Problem::field("for", "given with until", "one of both")),
        (None, None) => return Err(Problem::field("for", "absent", "for or until")),
    };
    if until <= end || until > now + AHEAD_MAX {
        let allowed = format!("an end after {end}, up to {}", now + AHEAD_MAX);
        return Err(Problem::field(field, value, allowed));
    }
    Ok(until)
}
