//! Nodes that are taken as they report themselves.

use super::admission::{Admission, Done, Todo};
use super::import::Place;
use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::event::RequestId;
use crate::state::State;
use leasehold_common::api::{AdmitNodes, Problem, ProblemCode};
use leasehold_common::hostlist;
use leasehold_common::ids::{NodeName, SkuName};
use leasehold_common::node::{NodeReport, Owner};
use leasehold_common::topology::TopologyPath;
use std::collections::{BTreeSet, VecDeque};

impl State {
    pub(super) fn admit_nodes(
        &mut self,
        id: RequestId,
        wish: &AdmitNodes,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        let (names, todo) = match self.judge_admissions(wish) {
            Ok(judged) => judged,
            Err(problem) => return Some(Err(problem)),
        };
        if asked.dry_run {
            return Some(Ok(Written {
                status: 200,
                replayed: false,
                view: View::Nodes(self.admitted(&names, asked.now)),
            }));
        }
        self.admissions.push_back(Admission {
            id,
            actor: asked.actor.clone(),
            reason: wish.reason.clone(),
            todo,
            done: Done::Admit(names),
        });
        None
    }

    /// Checks every node; one that cannot be admitted refuses all.
    fn judge_admissions(
        &self,
        wish: &AdmitNodes,
    ) -> Result<(Vec<NodeName>, VecDeque<Todo>), Problem> {
        let names = hostlist::expand(&wish.nodes).map_err(|e| {
            Problem::field(
                "nodes",
                &wish.nodes,
                format!("a hostlist such as h[001-016]: {e}"),
            )
        })?;
        // A name given twice is one node.
        let names: BTreeSet<String> = names.into_iter().collect();
        let mut admitted = Vec::with_capacity(names.len());
        let mut todo = VecDeque::with_capacity(names.len());
        for name in &names {
            let (name, one) = self.judge_admission(name)?;
            admitted.push(name);
            todo.push_back(one);
        }
        Ok((admitted, todo))
    }

    fn judge_admission(&self, text: &str) -> Result<(NodeName, Todo), Problem> {
        let unknown = || {
            Problem::new(
                ProblemCode::UnknownNode,
                format!("no node {text} is listed or reports"),
            )
            .about("nodes", text, "nodes that report")
        };
        let name: NodeName = text.parse().map_err(|_| unknown())?;
        let Some(&index) = self.by_name.get(&name) else {
            let stranger = self.strangers.get(&name).ok_or_else(unknown)?;
            let report = stranger.report.as_ref().ok_or_else(unknown)?;
            let (path, sku) = stated_place(&name, report)?;
            self.check_reported_sku(&name, &sku)?;
            let place = Place {
                name: name.clone(),
                path,
                sku,
                owner: Owner::Sellable,
            };
            return Ok((name, Todo::Place(place)));
        };
        let node = &self.nodes[&index];
        let given_up: BTreeSet<_> = self.given_up(index).collect();
        if let Some(lease) = node.leases.iter().find(|id| !given_up.contains(id)) {
            return Err(Problem::field(
                "nodes",
                &name,
                format!("nodes without a lease; lease {lease} is on {name}"),
            ));
        }
        // Taken back now, it would never hear the order to end it.
        if let Some(lease) = node.serves().next() {
            return Err(Problem::field(
                "nodes",
                &name,
                format!("nodes that serve nothing; the agent of {name} says it has lease {lease}"),
            ));
        }
        let report = node.report.as_ref().ok_or_else(unknown)?;
        let path = report.path.clone().unwrap_or(node.fleet.path.clone());
        let sku = report.sku.clone().unwrap_or(node.fleet.sku.clone());
        self.check_reported_sku(&name, &sku)?;
        Ok((name, Todo::Again(index, path, sku)))
    }

    fn check_reported_sku(&self, name: &NodeName, sku: &SkuName) -> Result<(), Problem> {
        match self.settings.skus.get(sku) {
            Some(_) => Ok(()),
            None => Err(Problem::field(
                "nodes",
                name,
                format!("nodes of a known SKU; {name} reports {sku}"),
            )),
        }
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
