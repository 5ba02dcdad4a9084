//! Inventory: what the operator says stands where.

use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::event::{Effect, RequestId};
use crate::state::State;
use leasehold_common::api::{
    AdmitNodes, ImportLine, ImportNodes, ImportReport, ImportedLine, List, NodeChange, Problem,
    ProblemCode,
};
use leasehold_common::hostlist;
use leasehold_common::ids::{NodeIndex, NodeName, SkuName};
use leasehold_common::log::{Actor, Attributes, EventName};
use leasehold_common::node::{FleetRecord, NodeReport, NodeState, Owner, StateReason};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::TopologyPath;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most nodes a cell may have.
const NODES_MAX: usize = 125_000;

/// A line of an inventory, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    name: NodeName,
    path: TopologyPath,
    sku: SkuName,
    owner: Owner,
}

/// An import that is being carried out, as many nodes a batch as fit.
#[derive(Debug)]
pub(crate) struct ImportJob {
    id: RequestId,
    actor: Actor,
    todo: VecDeque<Place>,
    report: ImportReport,
}

impl State {
    pub(super) fn import_nodes(
        &mut self,
        id: RequestId,
        wish: &ImportNodes,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        let (places, report) = self.judge_import(wish, asked.dry_run);
        if report.dry_run || places.is_empty() {
            let written = Written {
                status: 200,
                replayed: false,
                view: View::Import(report),
            };
            return Some(Ok(written));
        }
        let (actor, todo) = (asked.actor.clone(), places.into());
        self.imports.push_back(ImportJob {
            id,
            actor,
            todo,
            report,
        });
        None
    }

    /// Checks every line; gives those that change something, none where any is wrong.
    fn judge_import(&self, wish: &ImportNodes, dry_run: bool) -> (Vec<Place>, ImportReport) {
        let mut report = ImportReport {
            dry_run,
            added: 0,
            moved: 0,
            same: 0,
            errors: 0,
            lines: Vec::with_capacity(wish.nodes.len()),
        };
        let mut places = Vec::new();
        let mut seen = BTreeSet::new();
        for line in &wish.nodes {
            let outcome = match self.judge_line(line, &mut seen) {
                Err(error) => {
                    report.errors += 1;
                    error
                }
                Ok((place, change)) => {
                    match change {
                        NodeChange::Add => report.added += 1,
                        NodeChange::Move { .. } => report.moved += 1,
                        NodeChange::Same | NodeChange::Error { .. } => report.same += 1,
                    }
                    if change != NodeChange::Same {
                        places.push(place);
                    }
                    change
                }
            };
            report.lines.push(ImportedLine {
                line: line.line,
                node: line.node.clone(),
                outcome,
            });
        }
        if report.errors > 0 {
            report.dry_run = true;
            places.clear();
        }
        (places, report)
    }

    fn judge_line(
        &self,
        line: &ImportLine,
        seen: &mut BTreeSet<NodeName>,
    ) -> Result<(Place, NodeChange), NodeChange> {
        let wrong = |field: &str, value: &str, detail: String| NodeChange::Error {
            field: field.into(),
            value: value.chars().take(80).collect(),
            detail,
        };
        let name: NodeName = line
            .node
            .parse()
            .map_err(|e| wrong("node", &line.node, format!("{e}")))?;
        if !seen.insert(name.clone()) {
            return Err(wrong(
                "node",
                &line.node,
                "stands on an earlier line".into(),
            ));
        }
        let path: TopologyPath = line
            .path
            .parse()
            .map_err(|e| wrong("path", &line.path, format!("{e}")))?;
        let sku: SkuName = line
            .sku
            .parse()
            .map_err(|e| wrong("sku", &line.sku, format!("{e}")))?;
        if self.settings.skus.get(&sku).is_none() {
            let known: Vec<&str> = self.settings.skus.iter().map(|s| s.name.as_str()).collect();
            let detail = format!("no such SKU, known are {}", known.join(", "));
            return Err(wrong("sku", &line.sku, detail));
        }
        let owner = line.owner.as_deref().filter(|owner| !owner.is_empty());
        let owner: Owner = owner
            .unwrap_or("sellable")
            .parse()
            .map_err(|e| wrong("owner", owner.unwrap_or_default(), format!("{e}")))?;
        let place = Place {
            name,
            path,
            sku,
            owner,
        };
        let Some(index) = self.by_name.get(&place.name) else {
            if self.nodes.len() + seen.len() > NODES_MAX {
                let detail = format!("a cell has at most {NODES_MAX} nodes");
                return Err(wrong("node", &line.node, detail));
            }
            return Ok((place, NodeChange::Add));
        };
        let node = &self.nodes[index];
        let what = place.differences(&node.fleet);
        if what.is_empty() {
            return Ok((place, NodeChange::Same));
        }
        if let Some(lease) = node.leases.first() {
            let detail = format!(
                "cannot change while lease {lease} is on it: {}",
                what.join(", ")
            );
            return Err(wrong("node", &line.node, detail));
        }
        Ok((place, NodeChange::Move { what }))
    }

    /// Goes on with imports, as far as the batch has room.
    pub(crate) fn continue_imports(&mut self, now: Timestamp) {
        while let Some(mut job) = self.imports.pop_front() {
            while !self.draft.is_full() {
                let Some(place) = job.todo.pop_front() else {
                    break;
                };
                self.place_node(place, &job.actor, now);
            }
            if !job.todo.is_empty() {
                self.imports.push_front(job);
                return;
            }
            let view = View::Import(job.report);
            let result = Box::new(Ok(Written {
                status: 200,
                replayed: false,
                view,
            }));
            self.draft
                .effects
                .push(Effect::Answer { id: job.id, result });
        }
    }

    fn place_node(&mut self, place: Place, actor: &Actor, now: Timestamp) {
        let known = self
            .by_name
            .get(&place.name)
            .map(|index| self.nodes[index].fleet.clone());
        let from = known
            .as_ref()
            .map(|fleet| format!("{} {}", fleet.path, fleet.sku));
        let to = format!("{} {}", place.path, place.sku);
        let fleet = match known {
            // What stands elsewhere or is something else has to show itself again.
            Some(fleet) => FleetRecord {
                path: place.path,
                gpus: if fleet.sku == place.sku {
                    fleet.gpus
                } else {
                    Vec::new()
                },
                sku: place.sku,
                owner: place.owner,
                ..fleet
            },
            None => {
                let index = self.head.next_node;
                self.head.next_node = index.next();
                new_node(index, place, now)
            }
        };
        self.admit(fleet, from, to, None, actor, now);
    }

    fn admit(
        &mut self,
        mut fleet: FleetRecord,
        from: Option<String>,
        to: String,
        reason: Option<String>,
        actor: &Actor,
        now: Timestamp,
    ) {
        let index = fleet.index;
        (fleet.state, fleet.since) = (NodeState::Registering, now);
        (fleet.reason, fleet.detail) = (StateReason::NeverReported, String::new());
        self.insert_node(fleet);
        let actor = Some(actor.clone());
        let attributes = Attributes {
            from,
            to: Some(to),
            reason,
            actor,
        };
        self.log_node(index, EventName::NodeAdmitted, attributes);
        self.verify_node(index, now);
    }

    pub(super) fn admit_nodes(&mut self, wish: &AdmitNodes, asked: Asked<'_>) -> Answer {
        let names = hostlist::expand(&wish.nodes).map_err(|e| {
            Problem::field(
                "nodes",
                &wish.nodes,
                format!("a hostlist such as h[001-016]: {e}"),
            )
        })?;
        let mut admitted = Vec::new();
        for name in &names {
            admitted.push(self.judge_admission(name)?);
        }
        let views: Vec<NodeName> = admitted.iter().map(|fleet| fleet.name.clone()).collect();
        if !asked.dry_run {
            for mut fleet in admitted {
                if !self.by_name.contains_key(&fleet.name) {
                    fleet.index = self.head.next_node;
                    self.head.next_node = fleet.index.next();
                }
                self.release_held(&mut fleet);
                let to = format!("{} {}", fleet.path, fleet.sku);
                let from = Some(fleet.state.to_string());
                self.admit(fleet, from, to, wish.reason.clone(), asked.actor, asked.now);
            }
        }
        let items = views
            .iter()
            .filter_map(|name| self.by_name.get(name))
            .map(|index| self.node_view(&self.nodes[index], asked.now))
            .collect();
        let view = View::Nodes(List::new("NodeList", self.head.seq, items));
        Ok(Written {
            status: 200,
            replayed: false,
            view,
        })
    }

    /// What admitting a node would make of it.
    fn judge_admission(&self, name: &str) -> Result<FleetRecord, Problem> {
        let unknown = || {
            Problem::new(
                ProblemCode::UnknownNode,
                format!("no node {name} is listed or reports"),
            )
            .about("nodes", name, "nodes that report")
        };
        let name: NodeName = name.parse().map_err(|_| unknown())?;
        if let Some(index) = self.by_name.get(&name) {
            let node = &self.nodes[index];
            let held = node
                .leases
                .iter()
                .find(|id| Some(**id) != node.fleet.held_by);
            if let Some(lease) = held {
                let detail = format!("lease {lease} is on {name}");
                return Err(Problem::field("nodes", &name, detail));
            }
            let report = node.report.as_ref().ok_or_else(unknown)?;
            let fleet = node.fleet.clone();
            let path = report.path.clone().unwrap_or(fleet.path);
            let sku = report.sku.clone().unwrap_or(fleet.sku);
            return Ok(FleetRecord {
                path,
                sku,
                gpus: Vec::new(),
                ..fleet
            });
        }
        let stranger = self.strangers.get(&name).ok_or_else(unknown)?;
        let report = stranger.report.as_ref().ok_or_else(unknown)?;
        let (path, sku) = stated_place(&name, report)?;
        if self.settings.skus.get(&sku).is_none() {
            return Err(Problem::field(
                "nodes",
                &name,
                format!("reports SKU {sku}, not known"),
            ));
        }
        // Numbered when it is carried out.
        let index = NodeIndex(u32::MAX);
        let place = Place {
            name,
            path,
            sku,
            owner: Owner::Sellable,
        };
        Ok(new_node(index, place, Timestamp::EPOCH))
    }

    /// An operator takes back what a lease never returned.
    fn release_held(&mut self, fleet: &mut FleetRecord) {
        for gpu in &fleet.gpus {
            self.by_gpu.remove(&gpu.uuid);
        }
        if let Some(index) = self.by_name.get(&fleet.name) {
            for gpu in &self.nodes[index].fleet.gpus {
                self.by_gpu.remove(&gpu.uuid);
            }
        }
        let Some(id) = fleet.held_by.take() else {
            return;
        };
        self.cell.release_node(id, fleet.index);
        if let Some(node) = self.nodes.get_mut(&fleet.index) {
            node.leases.remove(&id);
        }
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.progress.lost.remove(fleet.index);
            lease.progress.returned.insert(fleet.index);
            let attributes = Attributes {
                to: Some("returned".into()),
                reason: Some(format!("{} was admitted by an operator", fleet.name)),
                ..Attributes::default()
            };
            let entry = Entry {
                attributes,
                ..Entry::default()
            };
            self.log_lease(id, EventName::LeaseProgress, entry);
            self.progressed.insert(id);
        }
        self.draft.effects.push(Effect::Grants(fleet.index));
    }
}

impl Place {
    fn differences(&self, fleet: &FleetRecord) -> Vec<String> {
        let pairs = [
            ("path", fleet.path.to_string(), self.path.to_string()),
            ("sku", fleet.sku.to_string(), self.sku.to_string()),
            ("owner", fleet.owner.to_string(), self.owner.to_string()),
        ];
        let differs = pairs.into_iter().filter(|(_, is, wanted)| is != wanted);
        differs
            .map(|(field, is, wanted)| format!("{field} {is} -> {wanted}"))
            .collect()
    }
}

fn new_node(index: NodeIndex, place: Place, now: Timestamp) -> FleetRecord {
    FleetRecord {
        version: Version::CURRENT,
        name: place.name,
        index,
        path: place.path,
        sku: place.sku,
        owner: place.owner,
        gpus: Vec::new(),
        node_key: None,
        state: NodeState::Registering,
        since: now,
        reason: StateReason::NeverReported,
        detail: String::new(),
        side: None,
        held_by: None,
        flags: BTreeMap::new(),
        admitted: now,
        unknown: Unknown::default(),
    }
}

fn stated_place(name: &NodeName, report: &NodeReport) -> Result<(TopologyPath, SkuName), Problem> {
    match (&report.path, &report.sku) {
        (Some(path), Some(sku)) => Ok((path.clone(), sku.clone())),
        (path, sku) => {
            let missing = match (path, sku) {
                (None, None) => "place and SKU",
                (None, Some(_)) => "place",
                (Some(_), _) => "SKU",
            };
            let detail = format!(
                "a node whose agent says where it stands and what it is; {missing} is missing from \
                 its configuration: use nodes import"
            );
            Err(Problem::field("nodes", name, detail))
        }
    }
}
