//! Leases with a node that cannot serve them: the bookings on it are planned again.
//!
//! A lease whose holder has no access yet goes elsewhere with that node. One that is used keeps what
//! its holder may have on the node, unless a spare stands by; everything else waits for somebody who
//! says so. Where nothing is free, the lease stays where it is and is tried again.

use super::nodes::Having;
use crate::draft::Entry;
use crate::maintenance::in_words_of_people;
use crate::node::Node;
use crate::state::State;
use leasehold_common::explain::Explanation;
use leasehold_common::grant::AckState;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{
    Condition, ConditionKind, GpuSlots, LeaseRecord, LeaseState, SegmentReason, Shape,
};
use leasehold_common::log::{Attributes, EventName, Inputs};
use leasehold_common::node::NodeState;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::{
    Decision, End, Gang, NodeCondition, Plan, Request, plan, replace, spare_for,
};

/// How long until a lease that could not be mended is tried again.
const RETRY: Span = Span::from_secs(30);

/// The most leases that are tried in one step, and the most nodes of one: each costs a look at the
/// cell.
pub(crate) const AT_ONCE: usize = 16;

impl State {
    /// The leases on a node may need another one.
    pub(crate) fn want_mending_on(&mut self, index: NodeIndex) {
        let Some(node) = self.nodes.get(&index) else {
            return;
        };
        let all = GpuSlots::first(u8::try_from(node.fleet.gpus.len()).unwrap_or(16));
        let is_sick = node.health.is_some() && !all.minus(node.healthy()).is_empty();
        if !is_fit(node) || is_sick {
            let leases = node.leases.iter().map(|id| (*id, Timestamp::EPOCH));
            self.wanting.extend(leases);
        }
    }

    /// When the first of those is tried.
    pub(crate) fn next_mending(&self) -> Option<Timestamp> {
        self.wanting.values().min().copied()
    }

    /// Tries those whose time has come.
    pub(crate) fn mend_leases(&mut self, now: Timestamp) {
        let due = self.wanting.iter().filter(|(_, at)| **at <= now);
        let due: Vec<LeaseId> = due.map(|(id, _)| *id).take(AT_ONCE).collect();
        for id in due {
            if self.draft.is_full() {
                return;
            }
            self.mend(id, now);
        }
    }

    /// Replaces the nodes of a lease that cannot serve it, as far as that is free.
    pub(crate) fn mend(&mut self, id: LeaseId, now: Timestamp) {
        self.wanting.remove(&id);
        let Some(lease) = self.leases.get(&id) else {
            return;
        };
        // Those that are late are known as such; a lease that waits for them is Delayed.
        let waits = lease.state == LeaseState::Scheduled
            && lease.conditions.contains_key(&ConditionKind::Delayed);
        let late = |node: NodeIndex| waits && self.is_late(id, node);
        let broken = lease.nodes();
        let broken = broken.filter(|node| self.is_broken(lease, *node) || late(*node));
        let broken: Vec<NodeIndex> = broken.collect();
        let mut missing = self.plan_again(id, broken, now);
        let lease = &self.leases[&id];
        missing.retain(|(node, _)| self.is_broken(lease, *node));
        self.tell_missing(id, &missing, now);
    }

    /// Replaces these nodes of a lease, as far as that is free. Returns those that it could not, to be
    /// tried again.
    pub(crate) fn plan_again(
        &mut self,
        id: LeaseId,
        broken: Vec<NodeIndex>,
        now: Timestamp,
    ) -> Vec<(NodeIndex, Option<Explanation>)> {
        let mut missing = Vec::new();
        if self.leases[&id].is_past_end(now) {
            // Whatever is due for it is that it ends.
            return missing;
        }
        for (tried, node) in broken.into_iter().enumerate() {
            if tried >= AT_ONCE || self.draft.is_full() {
                missing.push((node, None));
                continue;
            }
            match self.find_instead(id, node, now) {
                Decision::Placed { plan, why } => {
                    let name = self.node_name(node).map(ToString::to_string);
                    let said = format!("{} cannot serve it", name.unwrap_or_default());
                    let attributes = Attributes {
                        reason: Some(said),
                        ..Attributes::default()
                    };
                    self.put_instead(id, node, plan, why, attributes, now);
                }
                Decision::Wait { why, .. } | Decision::Never { why } => {
                    missing.push((node, Some(why)));
                }
            }
        }
        self.put_back();
        if !missing.is_empty() {
            self.wanting.insert(id, now + RETRY);
        }
        missing
    }

    /// Says which nodes are to be replaced and by nothing yet.
    fn tell_missing(
        &mut self,
        id: LeaseId,
        missing: &[(NodeIndex, Option<Explanation>)],
        now: Timestamp,
    ) {
        let nodes: NodeSet = missing.iter().map(|(node, _)| *node).collect();
        let reason = missing.iter().find_map(|(_, why)| why.as_ref()?.reason());
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let condition = (!nodes.is_empty()).then(|| Condition {
            since: now,
            detail: format!(
                "{} of its nodes cannot serve it and none is free instead{reason}",
                nodes.len()
            ),
            nodes: Some(nodes),
        });
        self.set_condition(id, ConditionKind::PartiallyDelivered, condition);
    }

    /// Whether a node of a lease is to be replaced without anybody asking for it.
    fn is_broken(&self, lease: &LeaseRecord, node: NodeIndex) -> bool {
        if matches!(lease.spec.shape, Shape::Unit { .. }) {
            // It has everything there is; nothing stands in for a part of a place.
            return false;
        }
        let Some(known) = self.nodes.get(&node) else {
            return true;
        };
        match lease.state {
            LeaseState::Held | LeaseState::Scheduled => {
                !is_fit(known) || self.is_sick(lease, node, known)
            }
            LeaseState::Preparing => {
                let has_begun = lease.progress.ready.contains(node);
                is_lost(known.fleet.state)
                    || refuses(known, lease)
                    || (!has_begun && self.is_sick(lease, node, known))
            }
            LeaseState::Active | LeaseState::Draining => {
                let is_used = lease.progress.ready.contains(node);
                let has_spare = || {
                    let segment = lease.segment();
                    segment.is_some_and(|segment| {
                        let gang = Gang {
                            nodes: &segment.nodes,
                            spares: &segment.spares,
                            whole: lease.spec.shape.whole_units(),
                        };
                        !segment.spares.contains(node)
                            && spare_for(&self.cell, gang, node).is_some()
                    })
                };
                (is_lost(known.fleet.state) && (!is_used || has_spare())) || refuses(known, lease)
            }
            LeaseState::Requested
            | LeaseState::Releasing
            | LeaseState::Settling
            | LeaseState::Closed
            | LeaseState::Rejected
            | LeaseState::Lapsed
            | LeaseState::Cancelled
            | LeaseState::Failed => false,
        }
    }

    /// Whether it has GPUs on the node that cannot be let.
    pub(super) fn is_sick(&self, lease: &LeaseRecord, index: NodeIndex, node: &Node) -> bool {
        let held = self.slots_of(lease.id, index);
        node.health.is_some() && !held.minus(node.healthy()).is_empty()
    }

    /// What could take the place of a node of a lease. Nothing is changed.
    pub(crate) fn find_instead(&mut self, id: LeaseId, out: NodeIndex, now: Timestamp) -> Decision {
        let lease = self.leases[&id].clone();
        let Some(segment) = lease.segment() else {
            unreachable!("lease {id} has hardware");
        };
        let mut request = Request::from(&lease.spec);
        request.start = lease.start;
        request.end = lease.access_end.map_or(End::Open, End::At);
        self.lift_sku(&lease.spec.sku);
        let as_booked = self.cell.as_booked(id);
        self.cell.release_node(id, out);
        // Where it was before it has ended, or will: an agent never takes up again what it has ended.
        let mut barred: NodeSet = lease
            .placement
            .iter()
            .flat_map(|s| s.nodes.iter())
            .collect();
        segment.nodes.iter().filter(|n| *n != out).for_each(|n| {
            barred.remove(n);
        });
        let as_is = self.bar(&barred);
        let gang = Gang {
            nodes: &segment.nodes,
            spares: &segment.spares,
            whole: lease.spec.shape.whole_units(),
        };
        let rules = &self.settings.policy;
        let mut decision = match request.shape {
            Shape::Gpus { .. } | Shape::Slices { .. } => plan(&self.cell, &request, rules, now),
            Shape::Nodes { .. } | Shape::Unit { .. } => {
                replace(&self.cell, &request, gang, out, rules, now)
            }
        };
        self.unbar(as_is);
        self.cell.unbook(id);
        if let Some(as_booked) = as_booked {
            let put_back = self.cell.put_back(as_booked);
            put_back.expect("what was booked is booked again");
        }
        match &mut decision {
            Decision::Placed { why, .. } | Decision::Wait { why, .. } | Decision::Never { why } => {
                why.policy = Some(self.policies.digest());
                in_words_of_people(why);
            }
        }
        decision
    }

    /// Lets nobody on these nodes; says how they were.
    pub(crate) fn bar(&mut self, nodes: &NodeSet) -> Vec<(NodeIndex, NodeCondition)> {
        let as_is = nodes.iter().filter_map(|node| {
            let condition = *self.cell.condition(node)?;
            Some((node, condition))
        });
        let as_is: Vec<_> = as_is.collect();
        for (node, condition) in &as_is {
            let flagged = NodeCondition {
                flagged: true,
                ..*condition
            };
            self.cell.set_condition(*node, flagged);
        }
        as_is
    }

    /// Puts nodes back as they were before they were barred.
    pub(crate) fn unbar(&mut self, as_is: Vec<(NodeIndex, NodeCondition)>) {
        for (node, condition) in as_is {
            self.cell.set_condition(node, condition);
        }
    }

    /// Puts the node of a plan in the place of another. A spare that takes over is one no longer.
    pub(crate) fn put_instead(
        &mut self,
        id: LeaseId,
        out: NodeIndex,
        plan: Plan,
        why: Explanation,
        attributes: Attributes,
        now: Timestamp,
    ) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names one that exists");
        lease.explanation = Some(why.clone());
        let inputs = Inputs {
            request: lease.spec.clone(),
            now,
            policy: why.policy,
        };
        let last = lease.segment().expect("it has hardware").clone();
        let (mut nodes, mut gpus, mut spares) = (last.nodes, last.gpus, last.spares);
        let new = plan.nodes.first().expect("a plan names a node");
        nodes.remove(out);
        nodes.insert(new);
        gpus.remove(&out);
        gpus.extend(plan.gpus);
        let mut slices = last.slices;
        slices.remove(&out);
        slices.extend(plan.slices);
        spares.remove(new);
        if spares.remove(out) {
            spares.insert(new);
        }
        let having = Having {
            nodes,
            gpus: gpus
                .into_iter()
                .filter(|(_, slots)| *slots != GpuSlots::NONE)
                .collect(),
            slices,
            spares,
            stands_for: Some((new, out)),
            reason: SegmentReason::Replaced,
        };
        let entry = Entry {
            attributes,
            inputs: Some(inputs),
            why: Some(why),
            ..Entry::default()
        };
        self.change_nodes(id, having, EventName::LeaseNodeReplaced, entry, now);
    }
}

/// Whether leases to come can stay on a node. Silence alone is no more than a suspicion.
fn is_fit(node: &Node) -> bool {
    node.fleet.flags.is_empty() && !is_lost(node.fleet.state)
}

/// Whether a node is out of service, and not only for a moment.
const fn is_lost(state: NodeState) -> bool {
    match state {
        NodeState::Unreachable
        | NodeState::Quarantined
        | NodeState::SanitiseFailed
        | NodeState::Repair
        | NodeState::Retired => true,
        NodeState::Registering
        | NodeState::Verifying
        | NodeState::Available
        | NodeState::Reserved
        | NodeState::Preparing
        | NodeState::Leased
        | NodeState::Draining
        | NodeState::Evicting
        | NodeState::Sanitising
        | NodeState::Reverifying
        | NodeState::Occupied
        | NodeState::Reconciling => false,
    }
}

/// Whether a node says no to the terms in force, and does not serve the lease.
fn refuses(node: &Node, lease: &LeaseRecord) -> bool {
    let ack = node
        .acks
        .as_ref()
        .and_then(|acks| acks.leases.get(&lease.id));
    ack.is_some_and(|ack| ack.state == AckState::Refused && ack.term == lease.term)
        && !lease.progress.ready.contains(node.fleet.index)
}
