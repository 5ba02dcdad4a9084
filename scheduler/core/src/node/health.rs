//! What can be let of a node that is there.

use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex, NodeName};
use leasehold_common::lease::{Condition, ConditionKind, GpuSlots};
use leasehold_common::log::{Attributes, EventName};
use leasehold_common::node::HealthReport;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;

impl State {
    /// A node's health is now this.
    pub(crate) fn health(
        &mut self,
        name: &NodeName,
        health: Option<Box<HealthReport>>,
        now: Timestamp,
    ) {
        if let Some(health) = &health
            && health.node != *name
        {
            return self.invalid_report(name, &format!("its health is of node {}", health.node));
        }
        let Some(&index) = self.by_name.get(name) else {
            self.strangers.entry(name.clone()).or_default().health = health;
            self.forget_empty_stranger(name);
            return;
        };
        let node = self
            .nodes
            .get_mut(&index)
            .expect("names lead to nodes that exist");
        let before = node.healthy();
        let first = node.health.is_none();
        node.health = health;
        let after = node.healthy();
        self.verify_node(index, now);
        if after != before && !first {
            self.health_changed(index, before, after, now);
        } else if after != before {
            self.refresh_condition(index);
        }
    }

    fn health_changed(
        &mut self,
        index: NodeIndex,
        before: GpuSlots,
        after: GpuSlots,
        now: Timestamp,
    ) {
        let attributes = Attributes {
            from: Some(format!("gpus {before}")),
            to: Some(format!("gpus {after}")),
            reason: Some(self.sick_gpus(index)),
            ..Attributes::default()
        };
        self.log_node(index, EventName::NodeHealth, attributes);
        self.refresh_condition(index);
        for id in self.nodes[&index].leases.clone() {
            self.refresh_degraded(id, now);
        }
    }

    fn sick_gpus(&self, index: NodeIndex) -> String {
        let node = &self.nodes[&index];
        let Some(health) = &node.health else {
            return "no health report".into();
        };
        let sick: Vec<String> = (0..)
            .zip(&node.fleet.gpus)
            .filter_map(|(slot, gpu): (u8, _)| match health.gpus.get(&gpu.uuid) {
                None => Some(format!("gpu {slot} not reported")),
                Some(h) if !h.verdict.can_be_let() => {
                    let why: Vec<&str> = h.reasons.iter().map(|r| r.as_str()).collect();
                    Some(format!("gpu {slot} {} ({})", h.verdict, why.join(", ")))
                }
                Some(_) => None,
            })
            .collect();
        if sick.is_empty() {
            "all healthy".into()
        } else {
            sick.join("; ")
        }
    }

    /// Keeps the condition `Degraded` of a lease true to the health of its GPUs.
    pub(crate) fn refresh_degraded(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        if !lease.state.has_grants() {
            return;
        }
        let sick: NodeSet = lease
            .outstanding()
            .iter()
            .filter(|index| {
                let held = self.slots_of(id, *index);
                self.nodes
                    .get(index)
                    .is_some_and(|n| !held.minus(n.healthy()).is_empty())
            })
            .collect();
        let condition = (!sick.is_empty()).then(|| Condition {
            since: now,
            detail: sick
                .iter()
                .take(4)
                .map(|index| {
                    format!(
                        "{}: {}",
                        self.nodes[&index].fleet.name,
                        self.sick_gpus(index)
                    )
                })
                .collect::<Vec<_>>()
                .join("; "),
            nodes: Some(sick),
        });
        self.set_condition(id, ConditionKind::Degraded, condition);
    }
}
