//! What nodes say about the leases they serve.

use crate::draft::Entry;
use crate::maintenance::leaving;
use crate::state::{Freeze, State};
use leasehold_common::grant::{AckRecord, AckState, LeaseAck};
use leasehold_common::ids::{LeaseId, NodeIndex, NodeName};
use leasehold_common::lease::{Condition, ConditionKind, LeaseRecord, LeaseState, Shape};
use leasehold_common::log::{Attributes, EventName};
use leasehold_common::node::{NodeState, StateReason};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;

/// The most leases a node may speak of: the 64 grants it can have, and as many just returned.
const ACKS_MAX: usize = 128;

/// The most nodes that change their stored state together because of one lease: each is a record of
/// its own, and a batch has room for so many. Of nodes that refuse a lease the others are left as
/// they are: what a whole gang refuses is the lease's fault.
const AT_ONCE: usize = 16;

impl State {
    /// A node's acknowledgements are now these.
    pub(crate) fn acks(&mut self, name: &NodeName, acks: Option<Box<AckRecord>>, now: Timestamp) {
        let Some(&index) = self.by_name.get(name) else {
            self.strangers.entry(name.clone()).or_default().acks = acks;
            return;
        };
        // A key that is gone orders nothing: the agent writes it again when it can.
        let Some(acks) = acks else { return };
        if let Some(said) = self.invalid_acks(index, &acks) {
            return self.invalid_report(name, &said);
        }
        if let Some(future) = self.beyond_the_ledger(name, &acks) {
            return self.freeze(Freeze::StoreFromPast {
                differences: vec![future],
            });
        }
        self.progressed
            .extend(acks.leases.keys().filter(|id| self.leases.contains_key(id)));
        let unknown = acks.leases.iter().find(|(id, ack)| {
            matches!(ack.state, AckState::Accepted | AckState::Serving)
                && !self.nodes[&index].leases.contains(id)
        });
        let unknown = unknown.map(|(id, _)| *id);
        let node = self
            .nodes
            .get_mut(&index)
            .expect("names lead to nodes that exist");
        node.acks = Some(acks);
        if let Some(id) = unknown
            && node.fleet.state == NodeState::Available
        {
            let detail = format!("serves lease {id}, which is not on it in the ledger");
            self.set_node_state(
                index,
                NodeState::Quarantined,
                StateReason::UnknownLease,
                detail,
                now,
            );
        }
    }

    /// What makes acknowledgements unbelievable, if anything.
    fn invalid_acks(&self, index: NodeIndex, acks: &AckRecord) -> Option<String> {
        let node = &self.nodes[&index];
        if acks.node != node.fleet.name {
            return Some(format!("its acknowledgements are of node {}", acks.node));
        }
        if acks.leases.len() > ACKS_MAX {
            return Some(format!("it acknowledges more than {ACKS_MAX} leases"));
        }
        let before = node.acks.as_ref()?;
        acks.leases.iter().find_map(|(id, ack)| {
            let old = before.leases.get(id)?.meter;
            let fell =
                ack.meter.gpu_seconds < old.gpu_seconds || ack.meter.energy_mj < old.energy_mj;
            fell.then(|| format!("its meter of lease {id} ran backwards"))
        })
    }

    /// What shows that the store is older than what this node has seen, if anything.
    fn beyond_the_ledger(&self, name: &NodeName, acks: &AckRecord) -> Option<String> {
        let (epoch, seq) = (self.head.epoch, self.head.seq);
        if acks.epoch > epoch {
            return Some(format!(
                "{name} has seen epoch {}, the ledger is at {epoch}",
                acks.epoch
            ));
        }
        acks.leases
            .iter()
            .find(|(_, ack)| ack.term.epoch > epoch || ack.term_seq > seq)
            .map(|(id, ack)| {
                format!(
                    "{name} has terms {} of lease {id} from record {}, the ledger is at {seq}",
                    ack.term, ack.term_seq
                )
            })
    }

    /// Brings leases up to date of which nodes have spoken, once per batch however many spoke.
    pub(crate) fn settle_progress(&mut self, now: Timestamp) {
        while let Some(id) = self.progressed.pop_first() {
            if self.draft.is_full() {
                self.progressed.insert(id);
                return;
            }
            let speaks =
                |lease: &LeaseRecord| !lease.state.is_over() || !lease.progress.lost.is_empty();
            if self.leases.get(&id).is_some_and(speaks) {
                self.follow(id, now);
            }
        }
    }

    fn ack_of(&self, index: NodeIndex, id: LeaseId) -> Option<&LeaseAck> {
        self.nodes.get(&index)?.acks.as_ref()?.leases.get(&id)
    }

    fn follow(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        let (state, term) = (lease.state, lease.term);
        let releasing =
            matches!(state, LeaseState::Releasing | LeaseState::Settling) || state.is_over();
        let (mut ready, mut returned, mut refused) = (vec![], vec![], vec![]);
        let former = lease.former();
        let now_its = lease
            .nodes()
            .filter(|n| !lease.progress.returned.contains(*n));
        for index in now_its.chain(former.iter()) {
            let Some(ack) = self.ack_of(index, id) else {
                continue;
            };
            match ack.state {
                AckState::Serving if ack.term == term => ready.push(index),
                AckState::Returned if releasing || former.contains(index) => returned.push(index),
                // What it says of a lease that has left it is no answer to terms of today.
                AckState::Accepted | AckState::Serving | AckState::Refused
                    if former.contains(index) => {}
                AckState::Refused if ack.term == term => refused.push(index),
                // Not yet, not any more, or of other terms than those in force.
                AckState::Accepted | AckState::Serving | AckState::Returned | AckState::Refused => {
                }
            }
        }
        let follows = |index: NodeIndex| {
            let ack = self.ack_of(index, id);
            ack.is_some_and(|ack| match ack.state {
                AckState::Accepted | AckState::Serving => ack.term == term,
                AckState::Returned | AckState::Refused => false,
            })
        };
        let has_shed = lease.progress.shedding.is_some()
            && !releasing
            && former.is_empty()
            && lease.nodes().all(follows);
        ready.retain(|index| !lease.progress.ready.contains(*index));
        refused.retain(|index| !lease.progress.ready.contains(*index));
        // The last one that was missing may have left.
        let all = state == LeaseState::Preparing
            && lease.nodes().all(|n| lease.progress.ready.contains(n));
        if all || !ready.is_empty() {
            self.nodes_ready(id, ready, now);
        }
        if has_shed {
            self.has_shed(id);
        }
        if !releasing && !refused.is_empty() && self.nodes_refused(id, &refused, now) {
            return;
        }
        // Each node that had been given up is a record of its own: what is too much for one batch is
        // taken with the next.
        let lost: NodeSet = self.leases[&id].progress.lost.clone();
        if returned.iter().filter(|n| lost.contains(**n)).count() > AT_ONCE {
            returned.truncate(AT_ONCE);
            self.progressed.insert(id);
        }
        if !returned.is_empty() {
            self.nodes_returned(id, returned, now);
        }
        self.finish(id, now);
    }

    fn nodes_ready(&mut self, id: LeaseId, ready: Vec<NodeIndex>, now: Timestamp) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        lease.progress.ready.extend(ready.iter().copied());
        let all = lease.nodes().all(|n| lease.progress.ready.contains(n));
        let preparing = lease.state == LeaseState::Preparing;
        let mut entry = progress_entry("ready", &ready);
        if all && preparing {
            entry.attributes.reason = Some("every node serves it".into());
            self.move_lease(id, LeaseState::Active, entry, EventName::LeaseState, now);
            self.set_condition(id, ConditionKind::Delayed, None);
        } else {
            self.log_lease(id, EventName::LeaseProgress, entry);
        }
    }

    /// Every node follows terms without the GPUs or slices that the lease has given up: they are free.
    fn has_shed(&mut self, id: LeaseId) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        lease.progress.shedding = None;
        let nodes: Vec<NodeIndex> = lease.nodes().collect();
        self.log_lease(id, EventName::LeaseProgress, progress_entry("shed", &nodes));
        for index in nodes {
            self.cell.release_node(leaving(id), index);
            self.stir_nodes([index]);
        }
    }

    fn nodes_returned(&mut self, id: LeaseId, returned: Vec<NodeIndex>, now: Timestamp) {
        let energy: u64 = returned
            .iter()
            .filter_map(|n| self.ack_of(*n, id))
            .map(|ack| ack.meter.energy_mj.0)
            .sum();
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        lease.energy_mj = lease.energy_mj.saturating_add(energy);
        lease.progress.returned.extend(returned.iter().copied());
        for index in &returned {
            lease.progress.lost.remove(*index);
        }
        self.log_lease(
            id,
            EventName::LeaseProgress,
            progress_entry("returned", &returned),
        );
        for index in returned {
            self.cell.release_node(id, index);
            self.cell.release_node(leaving(id), index);
            self.draft.effects.push(crate::event::Effect::Grants(index));
            if let Some(node) = self.nodes.get_mut(&index) {
                node.leases.remove(&id);
            }
            self.reconcile(index, id, now);
            self.stir_nodes([index]);
        }
    }

    /// Moves a lease on that waits for nothing any more.
    pub(crate) fn finish(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        let is_back = lease.outstanding().is_empty();
        let none_lost = lease.progress.lost.is_empty();
        match lease.state {
            LeaseState::Releasing if is_back => self.settle(id, now),
            LeaseState::Settling if none_lost => {
                self.close(id, "every node has given its hardware back", now);
            }
            LeaseState::Closed if none_lost => {
                let lease = lease.clone();
                self.unbook(&lease);
                self.reindex_lease(id);
            }
            LeaseState::Releasing
            | LeaseState::Settling
            | LeaseState::Closed
            | LeaseState::Requested
            | LeaseState::Held
            | LeaseState::Scheduled
            | LeaseState::Preparing
            | LeaseState::Active
            | LeaseState::Draining
            | LeaseState::Rejected
            | LeaseState::Lapsed
            | LeaseState::Cancelled
            | LeaseState::Failed => {}
        }
    }

    /// A node that had been given up has given a lease's hardware back after all. Where it was given
    /// up for another lease too, it waits for that one.
    fn reconcile(&mut self, index: NodeIndex, id: LeaseId, now: Timestamp) {
        let other = self.given_up(index).next();
        let Some(node) = self.nodes.get_mut(&index) else {
            return;
        };
        if node.fleet.held_by.is_none() {
            return;
        }
        node.fleet.held_by = other;
        let (state, reason) = (node.fleet.state, node.fleet.reason.clone());
        let (to, why) = if other.is_none() && reason == StateReason::NotReturned {
            (NodeState::Reconciling, StateReason::HeardOfAgain)
        } else {
            // It is out for another lease, or for something else as well.
            (state, reason)
        };
        let detail = format!("lease {id} was given back after all");
        self.set_node_state(index, to, why, detail, now);
        self.verify_node(index, now);
    }

    /// The leases for which a node has been given up.
    pub(crate) fn given_up(&self, index: NodeIndex) -> impl Iterator<Item = LeaseId> + '_ {
        let leases = self
            .nodes
            .get(&index)
            .into_iter()
            .flat_map(|node| &node.leases);
        leases
            .filter(move |id| self.leases[id].progress.lost.contains(index))
            .copied()
    }

    /// Nodes say no to a lease they do not serve yet: they are taken out, and others are looked for.
    /// The order to end it goes to them as well, and their hardware counts as given back when they
    /// answer it: an agent that has not heard it might still take the lease up. What more nodes refuse
    /// than can be looked for together is the lease's fault: it ends on all. Says whether it does.
    fn nodes_refused(&mut self, id: LeaseId, refused: &[NodeIndex], now: Timestamp) -> bool {
        let is_news = |index: &NodeIndex| self.nodes[index].fleet.state != NodeState::Quarantined;
        if refused.len() <= AT_ONCE && !refused.iter().any(is_news) {
            // It has been said, and others are being looked for.
            return false;
        }
        let first = refused[0];
        let name = self.nodes[&first].fleet.name.clone();
        let said = self.ack_of(first, id).map_or_else(String::new, |ack| {
            let reason = ack
                .refused
                .as_ref()
                .map_or("no reason given", |r| r.as_str());
            format!("{reason} {}", ack.detail)
        });
        let detail = format!("{name} refused it: {}", said.trim());
        for index in refused.iter().take(AT_ONCE) {
            let why = format!("refused lease {id}: {}", said.trim());
            self.set_node_state(
                *index,
                NodeState::Quarantined,
                StateReason::GrantRefused,
                why,
                now,
            );
        }
        let nodes: NodeSet = refused.iter().copied().collect();
        let condition = Condition {
            since: now,
            detail: detail.clone(),
            nodes: Some(nodes),
        };
        self.set_condition(id, ConditionKind::Delayed, Some(condition));
        let is_at_fault =
            refused.len() > AT_ONCE || matches!(self.leases[&id].spec.shape, Shape::Unit { .. });
        if is_at_fault && self.leases[&id].state == LeaseState::Preparing {
            self.end_now(id, &detail, None, now);
            return true;
        }
        self.wanting.insert(id, now);
        false
    }
}

fn progress_entry(to: &str, nodes: &[NodeIndex]) -> Entry {
    let attributes = Attributes {
        to: Some(to.into()),
        ..Attributes::default()
    };
    let mut entry = Entry {
        attributes,
        ..Entry::default()
    };
    entry.subject.nodes = Some(nodes.iter().copied().collect());
    entry
}
