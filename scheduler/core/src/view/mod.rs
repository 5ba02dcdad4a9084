//! What people see: views of the state, computed when they are asked for.

mod gpu;
mod lease;
mod node;
mod policy;
mod status;
mod surplus;

use gpu::draws;
pub use status::Surroundings;

use crate::command::{Query, View};
use crate::node::Node;
use crate::state::State;
use leasehold_common::api::{ExplainView, GpuView, List, NodeView, Problem, ProblemCode};
use leasehold_common::ids::{LeaseId, NodeIndex, NodeName};
use leasehold_common::lease::LeaseRecord;
use leasehold_common::ledger::LedgerHead;
use leasehold_common::maintenance::MaintenanceState;
use leasehold_common::node::Verdict;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

impl State {
    /// Answers a question. `around` is what this state cannot know: who leads, what the store is.
    ///
    /// What would become of a request is asked as the request would be made: with what is only
    /// planned for worse classes lifted out of its way, and put back when that is answered. What would
    /// be taken back for one that waits is asked the same way, with what is planned for itself lifted
    /// too.
    ///
    /// # Errors
    /// As for [`State::look`].
    pub fn ask(
        &mut self,
        query: &Query,
        around: &Surroundings,
        now: Timestamp,
    ) -> Result<View, Problem> {
        match query {
            Query::Plan(wish) => {
                self.lift_below((wish.class, now, self.head.next_lease), &wish.sku);
            }
            Query::Explain(id) => self.lift_from(*id),
            Query::Status
            | Query::Nodes { .. }
            | Query::Node(_)
            | Query::Gpus { .. }
            | Query::Gpu(..)
            | Query::Accounts
            | Query::Account(_)
            | Query::Leases { .. }
            | Query::Lease(_)
            | Query::Past { .. }
            | Query::Policies
            | Query::Policy(_)
            | Query::Power { .. }
            | Query::Surplus { .. }
            | Query::Maintenances { .. }
            | Query::Maintenance(_) => {}
        }
        let answer = self.look(query, around, now);
        self.put_back();
        answer
    }

    /// Answers a question from the state as it stands.
    ///
    /// # Errors
    /// Something is asked for that is not there.
    pub fn look(
        &self,
        query: &Query,
        around: &Surroundings,
        now: Timestamp,
    ) -> Result<View, Problem> {
        let index = self.head.seq;
        Ok(match query {
            Query::Status => View::Status(Box::new(self.status_view(around, now))),
            Query::Nodes { state } => {
                let nodes = self.nodes.values().map(|node| self.node_view(node, now));
                let strangers = self.stranger_views();
                let items = nodes
                    .chain(strangers)
                    .filter(|node| state.is_none_or(|state| node.state == state))
                    .collect();
                View::Nodes(List::new("NodeList", index, items))
            }
            Query::Node(name) => {
                let admitted = self.by_name.get(name).map(|i| {
                    let node = &self.nodes[i];
                    NodeView {
                        draws: draws(node),
                        ..self.node_view(node, now)
                    }
                });
                let node = admitted.or_else(|| self.stranger_views().find(|n| n.name == *name));
                let node = node.ok_or_else(|| {
                    Problem::new(ProblemCode::UnknownNode, format!("no node {name}")).about(
                        "node",
                        name,
                        "the name of a node that is listed or reports",
                    )
                })?;
                View::Node(Box::new(node))
            }
            Query::Gpus { node, unhealthy } => {
                let nodes: Box<dyn Iterator<Item = &Node>> = match node {
                    Some(name) => Box::new([self.admitted_node(name)?].into_iter()),
                    None => Box::new(self.nodes.values()),
                };
                let items = nodes.flat_map(|node| self.gpu_views(node, now));
                let items = items.filter(|gpu| !unhealthy || is_unhealthy(gpu));
                View::Gpus(List::new("GpuList", index, items.collect()))
            }
            Query::Gpu(name, slot) => {
                let node = self.admitted_node(name)?;
                let gpu = self.gpu_views(node, now).find(|gpu| gpu.slot == *slot);
                let gpu = gpu.ok_or_else(|| {
                    let detail = format!("{name} has no GPU {slot}");
                    let allowed = format!("one of {} GPUs from 0 on", node.fleet.gpus.len());
                    Problem::new(ProblemCode::UnknownNode, detail).about("gpu", slot, allowed)
                })?;
                View::Gpu(Box::new(gpu))
            }
            Query::Accounts => {
                let items = self
                    .accounts
                    .values()
                    .map(|a| self.account_view(a))
                    .collect();
                View::Accounts(List::new("AccountList", index, items))
            }
            Query::Account(name) => {
                let account =
                    self.accounts.get(name).ok_or_else(|| {
                        Problem::new(ProblemCode::UnknownAccount, format!("no account {name}"))
                            .about("account", name, "the name of an account there is")
                    })?;
                View::Account(self.account_view(account))
            }
            Query::Leases {
                all,
                account,
                state,
            } => {
                let items = self
                    .leases
                    .values()
                    .filter(|lease| *all || state.is_some() || !lease.state.is_over())
                    .filter(|lease| account.as_ref().is_none_or(|a| lease.spec.account == *a))
                    .filter(|lease| state.is_none_or(|state| lease.state == state))
                    .map(|lease| self.lease_view(lease, false))
                    .collect();
                View::Leases(List::new("LeaseList", index, items))
            }
            Query::Lease(id) => self.one_lease(self.known_lease(*id)?, false),
            Query::Explain(id) => {
                let lease = self.known_lease(*id)?;
                let waiting = self.with_reclaim(lease, now);
                self.one_lease(waiting.as_ref().unwrap_or(lease), true)
            }
            Query::Past { lease, explained } => self.one_lease(lease, *explained),
            Query::Plan(wish) => View::Explain(Box::new(self.plan_view((**wish).clone(), now)?)),
            Query::Policies => {
                let numbers = self.policies.numbers();
                let items = numbers.map(|n| self.policy_summary(n)).collect();
                View::Policies(List::new("PolicyList", index, items))
            }
            Query::Policy(number) => View::Policy(Box::new(self.policy_view(*number)?)),
            Query::Power { prefix } => {
                if let Some(prefix) = prefix
                    .as_ref()
                    .filter(|prefix| !self.power.contains_key(*prefix) && !self.is_place(prefix))
                {
                    let allowed = "a place below which nodes are admitted";
                    return Err(Problem::field("prefix", prefix, allowed));
                }
                let items = self.power_views(prefix.as_ref(), now);
                View::Power(List::new("PowerList", index, items))
            }
            Query::Surplus {
                horizon,
                sku,
                shape,
            } => View::Surplus(self.surplus_view(*horizon, sku.as_ref(), *shape, now)?),
            Query::Maintenances { all } => {
                let records = self.maintenance.values();
                let items = records
                    .filter(|record| *all || record.state == MaintenanceState::Booked)
                    .map(|record| self.maintenance_view(record, now))
                    .collect();
                View::Maintenances(List::new("MaintenanceList", index, items))
            }
            Query::Maintenance(id) => {
                let record = self.known_maintenance(*id)?;
                View::Maintenance(Box::new(self.maintenance_view(record, now)))
            }
        })
    }

    fn admitted_node(&self, name: &NodeName) -> Result<&Node, Problem> {
        let index = self.by_name.get(name);
        index.map(|index| &self.nodes[index]).ok_or_else(|| {
            let detail = format!("no node {name} is admitted");
            Problem::new(ProblemCode::UnknownNode, detail).about(
                "node",
                name,
                "the name of an admitted node",
            )
        })
    }

    fn one_lease(&self, lease: &LeaseRecord, explained: bool) -> View {
        if explained {
            View::Explain(Box::new(self.explain_view(lease)))
        } else {
            View::Lease(Box::new(self.lease_view(lease, true)))
        }
    }

    /// A lease of the ledger, or what to say of a number that is none.
    pub(crate) fn known_lease(&self, id: LeaseId) -> Result<&LeaseRecord, Problem> {
        self.leases.get(&id).ok_or_else(|| {
            let given = LedgerHead::genesis().next_lease <= id && id < self.head.next_lease;
            let (code, detail) = if given {
                let detail = format!("lease {id} is over and has left the ledger");
                (ProblemCode::LeaseLeftLedger, detail)
            } else {
                (ProblemCode::UnknownLease, format!("no lease {id}"))
            };
            Problem::new(code, detail).about("id", id, "the number of a lease there is")
        })
    }

    pub(crate) fn explain_view(&self, lease: &LeaseRecord) -> ExplainView {
        let explanation = lease.explanation.clone();
        let mentioned = explanation.iter().flat_map(|why| {
            why.winner
                .iter()
                .chain(&why.runners_up)
                .flat_map(|candidate| [&candidate.nodes, &candidate.spares])
                .chain(why.reclaim.as_ref().map(|reclaim| &reclaim.nodes))
                .flat_map(|nodes| nodes.iter().take(256))
        });
        let node_names: BTreeMap<u32, _> = mentioned
            .filter_map(|index: NodeIndex| Some((index.0, self.node_name(index)?.clone())))
            .collect();
        ExplainView {
            lease: self.lease_view(lease, false),
            explanation,
            node_names,
        }
    }
}

/// Whether somebody who looks for trouble wants to see it: what has not reported yet is none.
fn is_unhealthy(gpu: &GpuView) -> bool {
    gpu.verdict
        .is_some_and(|verdict| verdict != Verdict::Healthy || !gpu.can_be_let)
}
