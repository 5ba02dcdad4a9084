//! What is booked and stands in the way, named one by one.

use crate::maintenance::Booker;
use crate::state::State;
use leasehold_common::api::{BookingView, Problem, ProblemCode};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::LeaseRecord;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use leasehold_placement::{BookError, Hold};
use std::collections::{BTreeMap, BTreeSet};

/// The most that are named: whoever meets more has to look at the whole plan anyway.
const NAMED: usize = 256;

impl State {
    /// What has any of these nodes at any instant of `[from, to)`.
    pub(crate) fn on_nodes(
        &self,
        nodes: &NodeSet,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<BookingView> {
        let is_then = |hold: &&Hold| {
            !hold.awaiting_return && hold.from < to && hold.to.is_none_or(|end| end > from)
        };
        let holds = nodes.iter().flat_map(|node| {
            let holds = self.cell.holds(node).filter(is_then);
            holds.map(move |hold| (node, hold.lease))
        });
        self.named(holds)
    }

    /// What keeps a lease from going on from its end to `to`: what is booked on its hardware until
    /// then, and until its hardware would be clean again.
    pub(crate) fn after_lease(&self, lease: &LeaseRecord, to: Timestamp) -> Vec<BookingView> {
        let clean = to + self.settings.policy.turnaround;
        let holds = self.cell.after(lease.id, clean).into_iter();
        self.named(holds.map(|(node, hold)| (node, hold.lease)))
    }

    /// The refusal that says what is wrong with an end of a lease, and names what is in the way.
    pub(crate) fn cannot_go_on(
        &self,
        lease: &LeaseRecord,
        until: Timestamp,
        why: &BookError,
    ) -> Problem {
        let detail = format!("lease {} cannot go on until {until}: {why}", lease.id);
        let conflicts = self.named(why.other().into_iter());
        Problem {
            conflicts: conflicts.into(),
            ..Problem::new(ProblemCode::Booked, detail)
        }
        .about("until", until, "an end before the bookings that follow")
        .in_state(lease.state)
    }

    fn named(&self, holds: impl Iterator<Item = (NodeIndex, LeaseId)>) -> Vec<BookingView> {
        let mut found: BTreeMap<Booker, BTreeSet<NodeIndex>> = BTreeMap::new();
        for (node, lease) in holds {
            found.entry(Booker::of(lease)).or_default().insert(node);
        }
        let found = found.into_iter().take(NAMED);
        found
            .map(|(booker, nodes)| (booker, nodes.into_iter().collect::<NodeSet>()))
            .filter_map(|(booker, nodes)| match booker {
                Booker::Lease(id) => self.booked_lease(id, &nodes),
                Booker::Maintenance(id) => {
                    let record = self.maintenance.get(&id)?;
                    Some(BookingView {
                        lease: None,
                        account: None,
                        state: None,
                        maintenance: Some(id),
                        nodes: self.fold(&nodes),
                        from: record.from,
                        to: Some(record.to),
                    })
                }
            })
            .collect()
    }

    /// A lease as what is booked on some of its nodes.
    pub(crate) fn booked_lease(&self, id: LeaseId, nodes: &NodeSet) -> Option<BookingView> {
        let lease = self.leases.get(&id)?;
        let segment = lease.segment()?;
        Some(BookingView {
            lease: Some(id),
            account: Some(lease.spec.account.clone()),
            state: Some(lease.state),
            maintenance: None,
            nodes: self.fold(nodes),
            from: segment.from,
            to: segment.to,
        })
    }
}

/// The refusal that names all of them.
pub(crate) fn booked(what: &str, conflicts: Vec<BookingView>) -> Problem {
    let count = conflicts.len();
    let plural = if count == 1 { "" } else { "s" };
    let detail = format!("{what}: {count} booking{plural} in the way");
    Problem {
        conflicts: conflicts.into(),
        ..Problem::new(ProblemCode::Booked, detail)
    }
}
