//! Who goes first: what the engine has booked for leases that only wait themselves.

use crate::state::State;
use leasehold_common::explain::{Explanation, Outcome, RankedReason, Reason, Unblock};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::{Booking, Hold, Request};

/// How many leases are named; nobody reads more.
const NAMED: usize = 8;

/// How many nodes are looked at to see whether those that go first are all that is in the way.
const LOOKED_AT: usize = 4_096;

impl State {
    /// Says of leases that wait themselves that they go first. To the engine, what is planned for them is
    /// booked like everything else.
    pub(crate) fn say_who_goes_first(
        &self,
        request: &Request,
        why: &mut Explanation,
        now: Timestamp,
    ) {
        if why.outcome != Outcome::Wait {
            return;
        }
        let mut first: Vec<&Booking> = Vec::new();
        let mut is_anything_named = false;
        for unblock in &mut why.unblocked_by {
            match *unblock {
                Unblock::LeaseEnds { lease, at } => {
                    is_anything_named = true;
                    if let Some(booking) = self.planned_for_waiting(lease) {
                        first.push(booking);
                        *unblock = Unblock::LeaseGoesFirst { lease, at };
                    }
                }
                Unblock::LeaseGoesFirst { .. }
                | Unblock::MaintenanceEnds { .. }
                | Unblock::NodesReturn { .. }
                | Unblock::NodesRecover { .. }
                | Unblock::NodesUndrained { .. }
                | Unblock::PowerFreed { .. }
                | Unblock::FloorLowered { .. }
                | Unblock::CeilingRaised { .. }
                | Unblock::LowerCap { .. }
                | Unblock::QuotaFreed { .. }
                | Unblock::Unknown => {}
            }
        }
        let then = Then::of(self, request, now);
        let has = |reason: Reason| why.reasons.iter().any(|r| r.reason == reason);
        if !is_anything_named && why.earliest.is_none() && has(Reason::Capacity) {
            // It has no start, so that no end was named that it waits for.
            first = self.planned_then(request, then);
            let goes = first.iter().filter_map(|booking| {
                let (lease, at) = (booking.lease, booking.to?);
                Some(Unblock::LeaseGoesFirst { lease, at })
            });
            why.unblocked_by.splice(0..0, goes);
        }
        if first.is_empty() {
            return;
        }
        let nodes = first.iter().flat_map(|booking| booking.nodes.iter());
        let mut nodes: Vec<NodeIndex> = nodes.collect();
        nodes.sort_unstable();
        nodes.dedup();
        let wanted = request.shape.least_nodes().saturating_sub(why.fit) as usize;
        let only = nodes.iter().take(LOOKED_AT);
        let only = only.filter(|node| self.is_only_planned(**node, then));
        let is_enough = only.take(wanted).count() == wanted;
        let reason = said(&first, nodes.len());
        let held = why
            .reasons
            .iter()
            .position(|r| r.reason == Reason::Capacity);
        let at = match held {
            Some(held) => held + usize::from(!is_enough),
            None => why.reasons.len(),
        };
        why.reasons.insert(at, reason);
    }

    fn planned_for_waiting(&self, id: LeaseId) -> Option<&Booking> {
        self.ahead.planned.get(&id)?.as_ref()
    }

    /// What is planned of the same kind of node for the time that a request would have now, soonest first.
    fn planned_then(&self, request: &Request, then: Then) -> Vec<&Booking> {
        let planned = self.in_engine();
        let of_sku = planned.filter(|id| self.leases[id].spec.sku == request.sku);
        let bookings = of_sku.filter_map(|id| self.planned_for_waiting(id));
        let mut bookings: Vec<&Booking> = bookings
            .filter(|booking| then.meets(booking.from, booking.to))
            .collect();
        bookings.sort_unstable_by_key(|booking| (booking.from, booking.lease));
        bookings.truncate(NAMED);
        bookings
    }

    /// Whether nothing but what is planned has a node then, and it lets leases in.
    fn is_only_planned(&self, node: NodeIndex, then: Then) -> bool {
        let is_then = |hold: &&Hold| hold.awaiting_return || then.meets(hold.from, hold.to);
        let mut holds = self.cell.holds(node).filter(is_then).peekable();
        holds.peek().is_some()
            && holds.all(|hold| self.is_tentative(hold))
            && self.cell.condition(node).is_some_and(|c| c.lets_in())
    }
}

/// The time that a request would have if it started when it is asked to, its turnaround with it.
#[derive(Debug, Clone, Copy)]
struct Then {
    from: Timestamp,
    to: Option<Timestamp>,
    turnaround: Span,
}

impl Then {
    fn of(state: &State, request: &Request, now: Timestamp) -> Self {
        let from = request.start.map_or(now, |start| start.max(now));
        let turnaround = state.settings.policy.turnaround;
        let end = request.end.if_started(from);
        Self {
            from,
            to: end.map(|end| end + turnaround),
            turnaround,
        }
    }

    /// Whether something booked is in its way.
    fn meets(self, from: Timestamp, to: Option<Timestamp>) -> bool {
        self.to.is_none_or(|end| from < end) && to.is_none_or(|to| self.from < to + self.turnaround)
    }
}

fn said(first: &[&Booking], nodes: usize) -> RankedReason {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    let ids: Vec<String> = first.iter().map(|b| b.lease.to_string()).collect();
    let ids = ids.join(", ");
    let detail = match first.len() {
        1 => format!("lease {ids} waits too and goes first, on {nodes} of the nodes"),
        _ => format!("leases {ids} wait too and go first, on {nodes} of the nodes"),
    };
    RankedReason {
        reason: Reason::Priority,
        nodes,
        detail,
    }
}
