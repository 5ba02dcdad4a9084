//! What is due.

use super::{CLOSED_KEPT, CLOSED_MAX, PENDING_MAX, RETURN_MAX, SETTLE_MAX};
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::keys::Key;
use leasehold_common::lease::{Condition, ConditionKind, LeaseState};
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::node::{NodeState, StateReason};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};

/// How long until a lease whose nodes are not back looks again: often enough that a second's delay
/// is not noticed in a hand-over that takes minutes.
const LATE_RETRY: Span = Span::from_secs(2);

/// Why a lease does not begin at its start: of several reasons the one that somebody can do most about.
enum Lateness {
    /// The lease before is still on its nodes.
    NotBack,
    /// So many are drained.
    Drained(usize),
    /// Of so many a GPU cannot be let.
    Sick(usize),
}

impl Lateness {
    const fn were(&self) -> &'static str {
        match self {
            Self::NotBack => "were not back from the lease before",
            Self::Drained(_) => "were drained",
            Self::Sick(_) => "had GPUs that could not be let",
        }
    }

    fn told(&self, late: usize) -> String {
        match self {
            Self::NotBack => format!("{late} of its nodes are not back from the lease before"),
            Self::Drained(nodes) => {
                format!("{nodes} of its nodes are drained: it does not begin there")
            }
            Self::Sick(nodes) => format!(
                "{nodes} of its nodes have GPUs that cannot be let: it does not begin there"
            ),
        }
    }
}

impl State {
    /// Does what is due for leases, as much as the batch has room for.
    pub(crate) fn due_leases(&mut self, now: Timestamp) {
        while !self.draft.is_full() {
            let Some((at, id)) = self.timers.first().copied() else {
                return;
            };
            if at > now {
                return;
            }
            self.set_timer(id, None);
            self.due(id, now);
        }
    }

    fn due(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        if super::leavers_due(lease).is_some_and(|at| at <= now) {
            let late = super::leavers(lease).filter(|(_, due)| *due <= now);
            let late = late.map(|(node, _)| node).collect();
            if self.lose_nodes(id, &late, now) {
                self.reindex_lease(id);
            }
            return;
        }
        let ended = lease.access_end.is_some_and(|end| end <= now);
        match lease.state {
            LeaseState::Requested => {
                if now.since(lease.created) >= PENDING_MAX {
                    self.move_lease_because(id, LeaseState::Lapsed, "waited too long", now);
                } else {
                    let lapses = lease.created + PENDING_MAX;
                    self.set_timer(id, Some(lapses));
                    self.stir_due(id);
                }
            }
            LeaseState::Held => self.let_go(id, now),
            LeaseState::Scheduled => self.prepare_when_free(id, now),
            LeaseState::Preparing if ended => self.release(id, "access ended", now),
            LeaseState::Preparing => self.delay(id, now),
            LeaseState::Active if ended => self.release(id, "access ended", now),
            LeaseState::Active => {
                self.move_lease_because(id, LeaseState::Draining, "its end is near", now);
            }
            LeaseState::Draining => self.release(id, "access ended", now),
            LeaseState::Releasing => self.give_up_nodes(id, now),
            LeaseState::Settling => {
                let lost = self.leases[&id].progress.lost.clone();
                let condition = Condition {
                    since: now,
                    detail: format!("no final meter reading within {SETTLE_MAX}"),
                    nodes: Some(lost),
                };
                self.set_condition(id, ConditionKind::MeterGap, Some(condition));
                self.close(id, "closed without every node's last reading", now);
            }
            LeaseState::Closed
            | LeaseState::Rejected
            | LeaseState::Lapsed
            | LeaseState::Cancelled
            | LeaseState::Failed => {}
        }
    }

    /// Nobody has committed in time: the hardware is for others.
    fn let_go(&mut self, id: LeaseId, now: Timestamp) {
        let held = self.leases[&id].clone();
        self.move_lease_because(id, LeaseState::Lapsed, "nobody committed in time", now);
        self.unbook(&held);
        self.stir_lease(&held);
    }

    /// Sends a booked lease's grants out, once its nodes are rid of those before it. A node that is
    /// late in giving hardware back delays whoever is next; it never has two grants for one GPU.
    pub(crate) fn prepare_when_free(&mut self, id: LeaseId, now: Timestamp) {
        let mut late = self.late_nodes(id);
        let is_known = self.leases[&id]
            .conditions
            .contains_key(&ConditionKind::Delayed);
        if !late.is_empty() && !is_known {
            // Whoever is late may be so for long: it goes elsewhere, if that is free.
            drop(self.plan_again(id, late.iter().collect(), now));
            late = self.late_nodes(id);
        }
        if late.is_empty() {
            return self.prepare(id, now);
        }
        let lateness = self.lateness(id, &late);
        if self.leases[&id].access_end.is_some_and(|end| end <= now) {
            let booked = self.leases[&id].clone();
            let why = format!("its nodes {} until its end", lateness.were());
            self.move_lease_because(id, LeaseState::Failed, &why, now);
            self.unbook(&booked);
            self.stir_lease(&booked);
            return;
        }
        let condition = Condition {
            since: now,
            detail: lateness.told(late.len()),
            nodes: Some(late),
        };
        self.set_condition(id, ConditionKind::Delayed, Some(condition));
        self.set_timer(id, Some(now + LATE_RETRY));
    }

    /// Nodes on which a lease cannot begin yet.
    fn late_nodes(&self, id: LeaseId) -> NodeSet {
        let lease = &self.leases[&id];
        let is_late = |index: &NodeIndex| {
            let node = self.nodes.get(index);
            self.is_late(id, *index)
                || node.is_some_and(|node| {
                    !node.fleet.flags.is_empty() || self.is_sick(lease, *index, node)
                })
        };
        lease.nodes().filter(is_late).collect()
    }

    /// What keeps a lease from beginning on those of its nodes that are late.
    fn lateness(&self, id: LeaseId, late: &NodeSet) -> Lateness {
        let nodes = || late.iter().filter_map(|index| self.nodes.get(&index));
        let lease = &self.leases[&id];
        let drained = nodes().filter(|node| !node.fleet.flags.is_empty()).count();
        let sick = nodes().filter(|node| self.is_sick(lease, node.fleet.index, node));
        match (drained, sick.count()) {
            (0, 0) => Lateness::NotBack,
            (0, sick) => Lateness::Sick(sick),
            (drained, _) => Lateness::Drained(drained),
        }
    }

    /// Whether a node is not back from a lease before this one.
    pub(crate) fn is_late(&self, id: LeaseId, index: NodeIndex) -> bool {
        let mut holds = self.cell.holds(index);
        holds.any(|hold| hold.awaiting_return && hold.lease != id)
    }

    /// Its start has come and not every node is ready.
    fn delay(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        let missing: NodeSet = lease
            .nodes()
            .filter(|n| !lease.progress.ready.contains(*n))
            .collect();
        let condition = Condition {
            since: now,
            detail: format!("{} of its nodes are not ready at its start", missing.len()),
            nodes: Some(missing),
        };
        self.set_condition(id, ConditionKind::Delayed, Some(condition));
        // Its start has passed, so the next thing due is its end.
        let lease = &self.leases[&id];
        let next = [lease.access_end, super::leavers_due(lease)];
        self.set_timer(id, next.into_iter().flatten().min());
    }

    /// Access has ended: the nodes are to give the hardware back.
    pub(crate) fn release(&mut self, id: LeaseId, reason: &str, now: Timestamp) {
        self.move_lease_because(id, LeaseState::Releasing, reason, now);
        self.cell.end(id, now);
        // Nodes that ended it by their own clock have said so already.
        self.progressed.insert(id);
    }

    /// The time to give hardware back is over: the nodes that have not are taken out, and the lease
    /// goes on without them. Their hardware stays blocked until they are heard of or released by
    /// an operator.
    fn give_up_nodes(&mut self, id: LeaseId, now: Timestamp) {
        let missing = self.leases[&id].outstanding();
        if self.lose_nodes(id, &missing, now) {
            self.settle(id, now);
        }
    }

    /// Gives nodes of a lease up; says whether the batch had room for all.
    fn lose_nodes(&mut self, id: LeaseId, nodes: &NodeSet, now: Timestamp) -> bool {
        for index in nodes.iter() {
            if self.draft.is_full() {
                self.set_timer(id, Some(now));
                return false;
            }
            let Some(node) = self.nodes.get_mut(&index) else {
                continue;
            };
            node.fleet.held_by = Some(id);
            let detail = format!("lease {id} was not given back within {RETURN_MAX}");
            self.set_node_state(
                index,
                NodeState::Quarantined,
                StateReason::NotReturned,
                detail,
                now,
            );
            let lease = self.leases.get_mut(&id).expect("it was there above");
            lease.progress.lost.insert(index);
        }
        let attributes = Attributes {
            reason: Some("nodes given up".into()),
            ..Attributes::default()
        };
        self.log_lease(
            id,
            EventName::LeaseProgress,
            Entry {
                attributes,
                ..Entry::default()
            },
        );
        true
    }

    /// Every node has given the hardware back or is given up.
    pub(crate) fn settle(&mut self, id: LeaseId, now: Timestamp) {
        self.move_lease_because(id, LeaseState::Settling, "no node is outstanding", now);
        if self.leases[&id].progress.lost.is_empty() {
            self.close(id, "every node has given its hardware back", now);
        }
    }

    /// It is over.
    pub(crate) fn close(&mut self, id: LeaseId, reason: &str, now: Timestamp) {
        self.move_lease_because(id, LeaseState::Closed, reason, now);
        let lease = self.leases[&id].clone();
        if lease.progress.lost.is_empty() {
            self.unbook(&lease);
        }
        self.stir_lease(&lease);
    }

    /// Takes leases out of the store that have been over for long, or are too many.
    pub(crate) fn trim_closed(&mut self, now: Timestamp) {
        while !self.draft.is_full() {
            let Some((closed, id)) = self.closed.first().copied() else {
                return;
            };
            let old = now.since(closed) >= CLOSED_KEPT;
            if !old && self.closed.len() <= CLOSED_MAX {
                return;
            }
            let subject = Subject {
                lease_id: Some(id),
                ..Subject::default()
            };
            let attributes = Attributes {
                to: Some("trimmed".into()),
                reason: Some("from here on only the log has it".into()),
                ..Attributes::default()
            };
            let entry = Entry {
                subject,
                attributes,
                ..Entry::default()
            };
            self.draft.log(EventName::LeaseState, entry);
            self.draft.changed(Key::Lease(id));
            self.remove_lease(id);
        }
    }
}
