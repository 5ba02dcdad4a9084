//! Leases that go on with fewer nodes.

use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::lease::Having;
use crate::maintenance::in_words_of_people;
use crate::state::State;
use leasehold_common::api::{Problem, ProblemCode, ShrinkLease};
use leasehold_common::hostlist;
use leasehold_common::ids::{Generation, LeaseId, NodeIndex, NodeName};
use leasehold_common::lease::{LeaseRecord, LeaseState, SegmentReason, Shape, Slices};
use leasehold_common::log::{Attributes, EventName, Inputs};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Prefix;
use leasehold_placement::{Gang, Shrunk, drop_nodes, shape_of, shrink};
use std::collections::BTreeSet;

impl State {
    pub(super) fn shrink_lease(
        &mut self,
        id: LeaseId,
        wish: &ShrinkLease,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        check_changeable(lease, "shrunk", asked.now)?;
        let left = self.what_stays(lease, wish)?;
        if asked.dry_run {
            return Ok(self.would_have(lease, &left.nodes, &left.spares));
        }
        self.give_up(id, left, asked);
        self.remember(id, asked);
        Ok(self.written(id, 200))
    }

    /// What is left of a lease once the wish is carried out.
    fn what_stays(&self, lease: &LeaseRecord, wish: &ShrinkLease) -> Result<Shrunk, Problem> {
        if matches!(lease.spec.shape, Shape::Gpus { .. } | Shape::Slices { .. }) {
            let detail = format!(
                "lease {} has GPUs of one node: it has no nodes to give up, end it instead",
                lease.id
            );
            return Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state));
        }
        let segment = lease.segment().expect("callers looked at its state");
        let gang = Gang {
            nodes: &segment.nodes,
            spares: &segment.spares,
            whole: lease.spec.shape.whole_units(),
        };
        let working = gang.nodes.len() - gang.spares.len();
        match (wish.nodes, &wish.drop) {
            (Some(count), None) if count > 0 && (count as usize) < working => {
                let left = shrink(&self.cell, gang, count);
                self.check_whole(lease, &left, "nodes", count)?;
                Ok(left)
            }
            (Some(count), None) => {
                let allowed = match working {
                    0 | 1 => "nothing: it has one node that works, end it instead".to_owned(),
                    most => format!("1 to {}, it has {most} nodes that work", most - 1),
                };
                Err(Problem::field("nodes", count, allowed).in_state(lease.state))
            }
            (None, Some(list)) => {
                let going = self.named_nodes(lease, list)?;
                let left = drop_nodes(&self.cell, gang, &going);
                if left.nodes.len() > left.spares.len() {
                    self.check_whole(lease, &left, "drop", list)?;
                    return Ok(left);
                }
                let allowed = "fewer than all nodes that work; to give up all of it, end it";
                Err(Problem::field("drop", list, allowed).in_state(lease.state))
            }
            (Some(_), Some(_)) => Err(Problem::field("nodes", "given with drop", "one of both")),
            (None, None) => Err(Problem::field("nodes", "absent", "nodes or drop")),
        }
    }

    /// Whether a lease of whole units has whole ones left.
    fn check_whole(
        &self,
        lease: &LeaseRecord,
        left: &Shrunk,
        field: &str,
        given: impl ToString,
    ) -> Result<(), Problem> {
        let Some(level) = lease.spec.shape.whole_units() else {
            return Ok(());
        };
        let unit = |node: NodeIndex| self.nodes[&node].fleet.path.unit(level);
        let left: BTreeSet<NodeIndex> = left.nodes.iter().collect();
        let (stay, go): (Vec<NodeIndex>, Vec<NodeIndex>) =
            lease.nodes().partition(|node| left.contains(node));
        let stays: BTreeSet<Prefix> = stay.into_iter().map(unit).collect();
        if go.into_iter().any(|node| stays.contains(&unit(node))) {
            let allowed =
                format!("all nodes of a {level} or none: it is a lease of whole {level}s");
            return Err(Problem::field(field, given.to_string(), allowed).in_state(lease.state));
        }
        Ok(())
    }

    /// The nodes of a hostlist, all of which are the lease's.
    fn named_nodes(&self, lease: &LeaseRecord, list: &str) -> Result<NodeSet, Problem> {
        let its = || format!("nodes of lease {}: {}", lease.id, self.nodes_of(lease));
        let names = hostlist::expand(list).map_err(|e| {
            Problem::field("drop", list, format!("a hostlist such as h[001-016]: {e}"))
        })?;
        let mut nodes = NodeSet::new();
        for name in &names {
            let known = name.parse::<NodeName>().ok();
            let index = known.and_then(|name| self.by_name.get(&name));
            let index = index.ok_or_else(|| {
                Problem::new(
                    ProblemCode::UnknownNode,
                    format!("no node is called {name}"),
                )
                .about("drop", name, its())
            })?;
            if !lease.nodes().any(|node| node == *index) {
                let detail = format!("node {name} is not one of lease {}", lease.id);
                return Err(Problem::new(ProblemCode::InvalidField, detail)
                    .about("drop", name, its())
                    .in_state(lease.state));
            }
            nodes.insert(*index);
        }
        Ok(nodes)
    }

    pub(super) fn nodes_of(&self, lease: &LeaseRecord) -> String {
        self.fold(&lease.nodes().collect())
    }

    /// The lease as it would be with these nodes.
    pub(super) fn would_have(
        &self,
        lease: &LeaseRecord,
        nodes: &NodeSet,
        spares: &NodeSet,
    ) -> Written {
        let mut lease = lease.clone();
        let working = nodes.len() - spares.len();
        lease.spec.shape = shape_of(
            &lease.spec.shape,
            u32::try_from(working).unwrap_or(u32::MAX),
        );
        if let Some(last) = lease.placement.last_mut() {
            last.nodes = nodes.clone();
            last.spares = spares.clone();
        }
        Written {
            status: 200,
            replayed: false,
            view: View::Lease(Box::new(self.lease_view(&lease, true))),
        }
    }

    fn give_up(&mut self, id: LeaseId, left: Shrunk, asked: Asked<'_>) {
        let Shrunk {
            nodes,
            spares,
            mut why,
        } = left;
        why.policy = Some(self.policies.digest());
        in_words_of_people(&mut why);
        let working = u32::try_from(nodes.len() - spares.len()).unwrap_or(u32::MAX);
        let lease = self.leases.get_mut(&id).expect("it was found above");
        lease.spec.shape = shape_of(&lease.spec.shape, working);
        lease.explanation = Some(why.clone());
        let entry = Entry {
            attributes: Attributes {
                reason: Some(format!("shrunk by request to {working} nodes that work")),
                actor: Some(asked.actor.clone()),
                ..Attributes::default()
            },
            inputs: Some(Inputs {
                request: lease.spec.clone(),
                now: asked.now,
                policy: why.policy,
            }),
            why: Some(why),
            ..Entry::default()
        };
        let having = Having {
            nodes,
            gpus: lease.segment().expect("it has hardware").gpus.clone(),
            slices: Slices::new(),
            spares,
            stands_for: None,
            reason: SegmentReason::Shrunk,
        };
        self.change_nodes(id, having, EventName::LeaseShrunk, entry, asked.now);
    }
}

/// Whether the nodes of a lease can be changed now.
pub(super) fn check_changeable(
    lease: &LeaseRecord,
    what: &str,
    now: Timestamp,
) -> Result<(), Problem> {
    let why = match lease.state {
        // Its end has come and nobody has looked at it yet.
        LeaseState::Scheduled | LeaseState::Preparing | LeaseState::Active
            if lease.is_past_end(now) =>
        {
            "its end has come"
        }
        LeaseState::Scheduled | LeaseState::Preparing | LeaseState::Active => return Ok(()),
        LeaseState::Requested => "it has no nodes yet",
        LeaseState::Held => "only one whose hardware is booked can be",
        LeaseState::Draining => "it is about to end",
        LeaseState::Releasing
        | LeaseState::Settling
        | LeaseState::Closed
        | LeaseState::Rejected
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => "it has ended",
    };
    let detail = format!(
        "lease {} is {} and cannot be {what}: {why}",
        lease.id, lease.state
    );
    Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state))
}
