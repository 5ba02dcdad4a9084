//! Inventory: what the operator says stands where.

use super::admission::{Admission, Done, Todo};
use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::event::RequestId;
use crate::state::State;
use leasehold_common::api::{ImportLine, ImportNodes, ImportReport, ImportedLine, NodeChange};
use leasehold_common::ids::{NodeName, SkuName};
use leasehold_common::node::{FleetRecord, Owner};
use leasehold_common::topology::TopologyPath;
use std::collections::BTreeSet;

/// The most nodes a cell may have.
const NODES_MAX: usize = 125_000;

/// A line of an inventory, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub name: NodeName,
    pub path: TopologyPath,
    pub sku: SkuName,
    pub owner: Owner,
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
        self.admissions.push_back(Admission {
            id,
            actor: asked.actor.clone(),
            reason: None,
            todo: places.into_iter().map(Todo::Place).collect(),
            done: Done::Import(report),
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
