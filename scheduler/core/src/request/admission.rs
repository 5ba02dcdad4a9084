//! Admissions, and changes of flags, that are being carried out: as many nodes a batch as fit, answered with the last.
//!
//! While one is under way no further event is taken and nothing that is due for leases is done, so
//! that what was judged when it was asked for is still so when it is carried out.

use super::flags::FlagJob;
use super::import::Place;
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::event::{Effect, RequestId};
use crate::lease::AT_ONCE;
use crate::state::State;
use leasehold_common::api::{ImportReport, List};
use leasehold_common::ids::{LeaseId, NodeIndex, NodeName, SkuName};
use leasehold_common::log::{Actor, Attributes, EventName};
use leasehold_common::node::{FleetRecord, NodeState, StateReason};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::TopologyPath;
use std::collections::{BTreeMap, VecDeque};

/// An import, an admission, or a change of flags.
#[derive(Debug)]
pub(crate) struct Admission {
    pub id: RequestId,
    pub actor: Actor,
    pub reason: Option<String>,
    pub todo: VecDeque<Todo>,
    pub done: Done,
}

/// What is to be done with one node.
#[derive(Debug)]
pub(crate) enum Todo {
    /// It is to stand there, and be that.
    Place(Place),
    /// It is there and is taken as it now reports itself.
    Again(NodeIndex, TopologyPath, SkuName),
    /// It gets other flags.
    Flag(NodeIndex),
    /// This lease is booked on nodes that were flagged, and goes elsewhere if that is free.
    Mend(LeaseId),
}

/// What is answered at the end.
#[derive(Debug)]
pub(crate) enum Done {
    Import(ImportReport),
    Admit(Vec<NodeName>),
    Flags(Box<FlagJob>),
}

impl State {
    /// Goes on with admissions, as far as the batch has room.
    pub(crate) fn continue_admissions(&mut self, now: Timestamp) {
        let mut mended = 0;
        while let Some(mut job) = self.admissions.pop_front() {
            while !self.draft.is_full() && mended < AT_ONCE {
                match job.todo.pop_front() {
                    None => break,
                    Some(Todo::Place(place)) => self.place_node(place, &job, now),
                    Some(Todo::Again(index, path, sku)) => {
                        self.readmit(index, path, sku, &job, now);
                    }
                    Some(Todo::Flag(first)) => {
                        let nodes = with_those_that_follow(first, &mut job.todo, self.draft.room());
                        if let Done::Flags(flags) = &job.done {
                            self.reflag_part(&nodes, flags, job.reason.as_ref(), &job.actor);
                        }
                    }
                    Some(Todo::Mend(lease)) => {
                        mended += 1;
                        self.mend(lease, now);
                    }
                }
            }
            if !job.todo.is_empty() {
                self.admissions.push_front(job);
                return;
            }
            let view = match job.done {
                Done::Import(report) => View::Import(report),
                Done::Admit(names) => View::Nodes(self.admitted(&names, now)),
                Done::Flags(flags) => self.reflag_done(&flags).view,
            };
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

    pub(super) fn admitted(
        &self,
        names: &[NodeName],
        now: Timestamp,
    ) -> List<leasehold_common::api::NodeView> {
        let items = names
            .iter()
            .filter_map(|name| self.by_name.get(name))
            .map(|index| self.node_view(&self.nodes[index], now))
            .collect();
        List::new("NodeList", self.head.seq, items)
    }

    fn place_node(&mut self, place: Place, job: &Admission, now: Timestamp) {
        let known = self.by_name.get(&place.name).copied();
        let known = known.map(|index| self.nodes[&index].fleet.clone());
        let from = known
            .as_ref()
            .map(|fleet| format!("{} {}", fleet.path, fleet.sku));
        let fleet = match known {
            // What stands elsewhere or is something else has to show itself again.
            Some(mut fleet) => {
                if fleet.sku != place.sku {
                    self.forget_gpus(&mut fleet);
                }
                FleetRecord {
                    path: place.path,
                    sku: place.sku,
                    owner: place.owner,
                    ..fleet
                }
            }
            None => {
                let index = self.head.next_node;
                self.head.next_node = index.next();
                new_node(index, place, now)
            }
        };
        self.admit(fleet, from, job, now);
    }

    fn readmit(
        &mut self,
        index: NodeIndex,
        path: TopologyPath,
        sku: SkuName,
        job: &Admission,
        now: Timestamp,
    ) {
        self.take_back(index, now);
        let mut fleet = self.nodes[&index].fleet.clone();
        let from = Some(fleet.state.to_string());
        self.forget_gpus(&mut fleet);
        (fleet.path, fleet.sku, fleet.held_by) = (path, sku, None);
        self.admit(fleet, from, job, now);
    }

    fn admit(
        &mut self,
        mut fleet: FleetRecord,
        from: Option<String>,
        job: &Admission,
        now: Timestamp,
    ) {
        let index = fleet.index;
        let to = Some(format!("{} {}", fleet.path, fleet.sku));
        (fleet.state, fleet.since) = (NodeState::Registering, now);
        (fleet.reason, fleet.detail) = (StateReason::NeverReported, String::new());
        self.insert_node(fleet);
        let attributes = Attributes {
            from,
            to,
            reason: job.reason.clone(),
            actor: Some(job.actor.clone()),
        };
        self.log_node(index, EventName::NodeAdmitted, attributes);
        self.verify_node(index, now);
    }

    /// The GPUs of its next report are taken as admitted.
    fn forget_gpus(&mut self, fleet: &mut FleetRecord) {
        for gpu in fleet.gpus.drain(..) {
            self.by_gpu.remove(&gpu.uuid);
        }
    }

    /// An operator takes back what leases never returned.
    fn take_back(&mut self, index: NodeIndex, now: Timestamp) {
        let name = self.nodes[&index].fleet.name.clone();
        let leases: Vec<_> = self.given_up(index).collect();
        for id in leases {
            self.cell.release_node(id, index);
            self.cell
                .release_node(crate::maintenance::leaving(id), index);
            if let Some(node) = self.nodes.get_mut(&index) {
                node.leases.remove(&id);
            }
            let lease = self.leases.get_mut(&id).expect("leases on nodes are there");
            lease.progress.lost.remove(index);
            lease.progress.returned.insert(index);
            let attributes = Attributes {
                to: Some("returned".into()),
                reason: Some(format!("{name} was admitted by an operator")),
                ..Attributes::default()
            };
            let entry = Entry {
                attributes,
                ..Entry::default()
            };
            self.log_lease(id, EventName::LeaseProgress, entry);
            self.finish(id, now);
        }
        self.draft.effects.push(Effect::Grants(index));
        self.stir_node(index);
    }
}

/// The nodes to be flagged that come next, as many as there is room for: one record names them all.
fn with_those_that_follow(
    first: NodeIndex,
    todo: &mut VecDeque<Todo>,
    room: usize,
) -> Vec<NodeIndex> {
    let mut nodes = vec![first];
    while nodes.len() < room
        && let Some(Todo::Flag(next)) = todo.front()
    {
        nodes.push(*next);
        todo.pop_front();
    }
    nodes
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
        standing: None,
        idempotency: Vec::new(),
        admitted: now,
        unknown: Unknown::default(),
    }
}
