//! Agents are checked, not believed.

use crate::node::Presence;
use crate::state::State;
use leasehold_common::ids::{GpuUuid, NodeIndex, NodeName};
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::node::{FleetGpu, NodeReport, NodeState, StateReason};
use leasehold_common::time::Timestamp;
use std::collections::BTreeSet;

/// The most GPUs a report may name: more than any node has, few enough to bound a hostile report.
const GPUS_MAX: usize = 16;

impl State {
    /// A node's report is now this.
    pub(crate) fn report(
        &mut self,
        name: &NodeName,
        report: Option<Box<NodeReport>>,
        now: Timestamp,
    ) {
        if let Some(report) = &report
            && report.node != *name
        {
            let said = format!("its body is of node {}", report.node);
            return self.invalid_report(name, &said);
        }
        if report.as_ref().is_some_and(|r| r.gpus.len() > GPUS_MAX) {
            return self.invalid_report(name, &format!("it names more than {GPUS_MAX} GPUs"));
        }
        let Some(&index) = self.by_name.get(name) else {
            self.strangers.entry(name.clone()).or_default().report = report;
            self.forget_empty_stranger(name);
            return;
        };
        let node = self
            .nodes
            .get_mut(&index)
            .expect("names lead to nodes that exist");
        node.report = report;
        self.verify_node(index, now);
    }

    /// Drops strangers of which nothing is known any more.
    pub(crate) fn forget_empty_stranger(&mut self, name: &NodeName) {
        let empty = self.strangers.get(name).is_some_and(|s| {
            s.report.is_none() && s.health.is_none() && !matches!(s.presence, Presence::Here)
        });
        if empty {
            self.strangers.remove(name);
        }
    }

    /// Logs a report that was dropped.
    pub(crate) fn invalid_report(&mut self, name: &NodeName, said: &str) {
        let subject = Subject {
            node: Some(name.clone()),
            ..Subject::default()
        };
        let attributes = Attributes {
            reason: Some(said.into()),
            ..Attributes::default()
        };
        let entry = crate::draft::Entry {
            subject,
            attributes,
            ..Default::default()
        };
        self.draft.log(EventName::InvalidReport, entry);
    }

    /// Moves a node on as far as what it says allows, and records what is new of its health: that may
    /// have waited for what came now.
    pub(crate) fn verify_node(&mut self, index: NodeIndex, now: Timestamp) {
        self.move_node_on(index, now);
        self.judge_node(index, None, now);
    }

    /// From listed to available, out of `Unreachable`, or into quarantine where it contradicts what was
    /// admitted.
    fn move_node_on(&mut self, index: NodeIndex, now: Timestamp) {
        let node = &self.nodes[&index];
        let state = node.fleet.state;
        let (Some(report), Presence::Here) = (&node.report, node.presence) else {
            return;
        };
        let judged = matches!(
            state,
            NodeState::Quarantined
                | NodeState::SanitiseFailed
                | NodeState::Repair
                | NodeState::Retired
        );
        if judged {
            return;
        }
        if let Some((reason, detail)) = self.contradiction(index, report) {
            return self.set_node_state(index, NodeState::Quarantined, reason, detail, now);
        }
        let Some(occupied) = node.health.as_ref().map(|h| h.is_occupied()) else {
            if state == NodeState::Registering {
                let detail = "reports; its health is awaited".to_owned();
                self.set_node_state(
                    index,
                    NodeState::Verifying,
                    StateReason::NeverReported,
                    detail,
                    now,
                );
            }
            return;
        };
        self.adopt_gpus(index);
        let (next, reason, detail) = if occupied {
            let detail = self.occupants(index);
            (NodeState::Occupied, StateReason::UnexplainedProcess, detail)
        } else if matches!(state, NodeState::Unreachable | NodeState::Reconciling) {
            (
                NodeState::Available,
                StateReason::HeardOfAgain,
                String::new(),
            )
        } else {
            (NodeState::Available, StateReason::Verified, String::new())
        };
        let settled = state == next && !self.gpus_just_adopted(index);
        if !settled {
            self.set_node_state(index, next, reason, detail, now);
        }
        for id in self.nodes[&index].leases.clone() {
            self.refresh_unreachable(id, now);
        }
    }

    /// How a report contradicts what was admitted.
    fn contradiction(
        &self,
        index: NodeIndex,
        report: &NodeReport,
    ) -> Option<(StateReason, String)> {
        let fleet = &self.nodes[&index].fleet;
        if let Some(path) = report.path.as_ref().filter(|path| **path != fleet.path) {
            let detail = format!("reports place {path}, admitted at {}", fleet.path);
            return Some((StateReason::OtherPlace, detail));
        }
        if let Some(sku) = report.sku.as_ref().filter(|sku| **sku != fleet.sku) {
            let detail = format!("reports sku {sku}, admitted as {}", fleet.sku);
            return Some((StateReason::OtherSku, detail));
        }
        let sku = self.settings.skus.get(&fleet.sku)?;
        if let Some(gpu) = report.gpus.iter().find(|gpu| !sku.is_model(&gpu.name)) {
            let detail = format!(
                "has a {:?}, admitted as {} ({})",
                gpu.name, fleet.sku, sku.model
            );
            return Some((StateReason::OtherSku, detail));
        }
        let elsewhere = |uuid: &GpuUuid| self.by_gpu.get(uuid).is_some_and(|at| *at != index);
        if let Some(gpu) = report.gpus.iter().find(|gpu| elsewhere(&gpu.uuid)) {
            let other = &self.nodes[&self.by_gpu[&gpu.uuid]].fleet.name;
            let detail = format!("reports GPU {}, which is on {other}", gpu.uuid);
            return Some((StateReason::GpuSeenElsewhere, detail));
        }
        if fleet.gpus.is_empty() {
            let (has, wants) = (report.gpus.len(), usize::from(sku.gpus));
            return (has != wants).then(|| {
                (
                    StateReason::MissingGpus,
                    format!("has {has} GPUs, a {} has {wants}", fleet.sku),
                )
            });
        }
        // Fewer GPUs than admitted are a matter of health; other ones are another node.
        let admitted: BTreeSet<&GpuUuid> = fleet.gpus.iter().map(|gpu| &gpu.uuid).collect();
        let foreign = report
            .gpus
            .iter()
            .find(|gpu| !admitted.contains(&gpu.uuid))?;
        Some((
            StateReason::OtherGpus,
            format!("reports GPU {}, not admitted", foreign.uuid),
        ))
    }

    /// Takes the GPUs of the first report as admitted. The state change that follows logs them.
    fn adopt_gpus(&mut self, index: NodeIndex) {
        let node = self
            .nodes
            .get_mut(&index)
            .expect("the caller looked the node up");
        if let (true, Some(report)) = (node.fleet.gpus.is_empty(), &node.report) {
            let uuids = report.gpus.iter().map(|gpu| gpu.uuid.clone());
            node.fleet.gpus = uuids.map(FleetGpu::new).collect();
        }
    }

    /// Whether GPUs were adopted and not yet indexed, so that the fleet record must be written.
    fn gpus_just_adopted(&self, index: NodeIndex) -> bool {
        let gpus = &self.nodes[&index].fleet.gpus;
        gpus.first()
            .is_some_and(|gpu| !self.by_gpu.contains_key(&gpu.uuid))
    }

    fn occupants(&self, index: NodeIndex) -> String {
        let health = self.nodes[&index].health.as_ref();
        let pids: Vec<String> = health
            .into_iter()
            .flat_map(|h| h.gpus.values())
            .flat_map(|gpu| &gpu.unexplained)
            .take(8)
            .map(|p| format!("{} ({})", p.pid, p.name.as_deref().unwrap_or("?")))
            .collect();
        format!("processes no lease explains: {}", pids.join(", "))
    }

    /// Puts a node into a stored state, and says so in the log.
    pub(crate) fn set_node_state(
        &mut self,
        index: NodeIndex,
        to: NodeState,
        reason: StateReason,
        detail: String,
        now: Timestamp,
    ) {
        let fleet = &mut self
            .nodes
            .get_mut(&index)
            .expect("the caller knows the node")
            .fleet;
        let from = fleet.state;
        let why = if detail.is_empty() {
            reason.to_string()
        } else {
            format!("{reason}: {detail}")
        };
        fleet.since = if from == to { fleet.since } else { now };
        (fleet.state, fleet.reason, fleet.detail) = (to, reason, detail);
        let attributes = Attributes {
            from: Some(from.to_string()),
            to: Some(to.to_string()),
            reason: Some(why),
            ..Attributes::default()
        };
        self.log_node(index, EventName::NodeState, attributes);
        self.reindex_node(index);
    }
}
