//! Whether a plan breaks a hard rule, told from plain data.
//!
//! This is the planner's conscience: it was written from the rules, shares no code with the planner
//! or the live cell, and is as slow and plain as it likes. It knows nothing of preferences: a legal
//! plan may still be a poor one.

use crate::cell::{Booked, NodeCondition, NodeSpec};
use crate::decision::Plan;
use crate::request::{End, Policy, Request};
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::Shape;
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Locality;
use std::collections::{BTreeMap, BTreeSet};

/// A cell as plain data.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Every node: what it is, and what is the matter with it.
    pub nodes: BTreeMap<NodeIndex, (NodeSpec, NodeCondition)>,
    /// What leases have.
    pub bookings: Vec<Booked>,
}

/// A hard rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It starts in the past or before it may, ends when it should not, or not after its start.
    #[error("it runs from {start} to {end:?}, which is not what was asked")]
    Times {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Option<Timestamp>,
    },
    /// It has more or less than was asked, or of the wrong form.
    #[error("it does not have the shape {shape}")]
    Shape {
        /// What was asked.
        shape: Shape,
    },
    /// Its nodes are not in one unit.
    #[error("its nodes are not within one {within}")]
    Scattered {
        /// What was asked.
        within: Locality,
    },
    /// It names a node that is not there.
    #[error("node {node} is not in the cell")]
    UnknownNode {
        /// The node.
        node: NodeIndex,
    },
    /// A node is of the wrong kind, kept for others, or lets nobody in.
    #[error("node {node} may not serve it: {rule}")]
    NodeBarred {
        /// The node.
        node: NodeIndex,
        /// What forbids it.
        rule: &'static str,
    },
    /// A GPU is not there or not healthy.
    #[error("gpu {slot} of node {node} is not there or not healthy")]
    BadGpu {
        /// The node.
        node: NodeIndex,
        /// The GPU's slot.
        slot: u8,
    },
    /// A GPU is another lease's in that time.
    #[error("gpu {slot} of node {node} is lease {lease}'s in that time")]
    GpuTaken {
        /// The node.
        node: NodeIndex,
        /// The GPU's slot.
        slot: u8,
        /// The other lease.
        lease: LeaseId,
    },
    /// A node is another account's in that time.
    #[error("node {node} serves lease {lease} of another account or side in that time")]
    NodeShared {
        /// The node.
        node: NodeIndex,
        /// The other lease.
        lease: LeaseId,
    },
}

/// Every hard rule that the plan breaks, if it is decided at `now`.
pub fn violations(
    fleet: &Fleet,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    plan: &Plan,
) -> Vec<Violation> {
    let mut found = Vec::new();
    check_times(request, now, plan, &mut found);
    check_shape(fleet, request, plan, &mut found);
    check_locality(fleet, request, plan, &mut found);
    for node in plan.nodes.iter() {
        let Some((spec, condition)) = fleet.nodes.get(&node) else {
            found.push(Violation::UnknownNode { node });
            continue;
        };
        if let Some(rule) = barred(spec, condition, request) {
            found.push(Violation::NodeBarred { node, rule });
        }
        let slots = slots_of(plan, node, spec.gpus);
        for &slot in &slots {
            if slot >= spec.gpus || !condition.healthy.contains(slot) {
                found.push(Violation::BadGpu { node, slot });
            }
        }
        check_neighbours(fleet, request, policy, now, plan, node, &slots, &mut found);
    }
    found
}

fn check_times(request: &Request, now: Timestamp, plan: &Plan, found: &mut Vec<Violation>) {
    let end = match request.end {
        End::Open => None,
        End::After(length) => Some(plan.start + length),
        End::At(until) => Some(until),
    };
    let too_early = plan.start < now || request.start.is_some_and(|start| plan.start < start);
    let never_runs = plan.end.is_some_and(|end| end <= plan.start);
    if too_early || never_runs || plan.end != end {
        found.push(Violation::Times {
            start: plan.start,
            end: plan.end,
        });
    }
}

fn check_shape(fleet: &Fleet, request: &Request, plan: &Plan, found: &mut Vec<Violation>) {
    let nodes = plan.nodes.len() as u64;
    let right = match request.shape {
        Shape::Nodes { count, .. } => {
            let has_gpus = plan
                .nodes
                .iter()
                .all(|n| fleet.nodes.get(&n).is_some_and(|(spec, _)| spec.gpus > 0));
            count > 0 && nodes == u64::from(count) && plan.gpus.is_empty() && has_gpus
        }
        Shape::Unit { .. } => false,
        Shape::Gpus { count } => {
            let named: Vec<_> = plan.gpus.iter().collect();
            match named.as_slice() {
                [(node, slots)] => {
                    nodes == 1
                        && plan.nodes.contains(**node)
                        && count > 0
                        && u32::from(slots.len()) == count
                }
                _ => false,
            }
        }
    };
    if !right {
        found.push(Violation::Shape {
            shape: request.shape.clone(),
        });
    }
}

fn check_locality(fleet: &Fleet, request: &Request, plan: &Plan, found: &mut Vec<Violation>) {
    let parts = match request.within {
        Locality::Cell => 0,
        Locality::Hall => 1,
        Locality::Row => 2,
        Locality::Rack => 3,
        Locality::Domain => 4,
    };
    let units: BTreeSet<Vec<&str>> = plan
        .nodes
        .iter()
        .filter_map(|node| fleet.nodes.get(&node))
        .map(|(spec, _)| spec.path.as_str().split('/').take(parts).collect())
        .collect();
    if units.len() > 1 {
        found.push(Violation::Scattered {
            within: request.within,
        });
    }
}

fn barred(spec: &NodeSpec, condition: &NodeCondition, request: &Request) -> Option<&'static str> {
    let lets_in = [
        NodeState::Available,
        NodeState::Reserved,
        NodeState::Preparing,
        NodeState::Leased,
        NodeState::Draining,
        NodeState::Evicting,
    ];
    let internal = request.class.side() == Side::Internal;
    if spec.sku != request.sku {
        Some("its sku is another")
    } else if spec.owner != Owner::Sellable && !(spec.owner == Owner::Internal && internal) {
        Some("its owner keeps it for others")
    } else if !lets_in.contains(&condition.state) {
        Some("its state")
    } else if condition.flagged {
        Some("it is flagged")
    } else if condition.silent {
        Some("it is silent")
    } else {
        None
    }
}

fn check_neighbours(
    fleet: &Fleet,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    plan: &Plan,
    node: NodeIndex,
    slots: &[u8],
    found: &mut Vec<Violation>,
) {
    for booked in &fleet.bookings {
        let other = &booked.booking;
        let other_end = match other.to {
            // What should be back already is not, and nobody can say when it will be.
            Some(to) if !booked.awaiting_return && to + policy.turnaround > now => {
                Some(to + policy.turnaround)
            }
            _ => None,
        };
        let mine_end = plan.end.map(|end| end + policy.turnaround);
        let mine_is_over = mine_end.is_some_and(|end| end <= other.from);
        let other_is_over = other_end.is_some_and(|end| end <= plan.start);
        if !other.nodes.contains(node) || mine_is_over || other_is_over {
            continue;
        }
        let lease = other.lease;
        if other.account != request.account || other.class.side() != request.class.side() {
            found.push(Violation::NodeShared { node, lease });
        }
        for &slot in slots {
            let taken = match other.gpus.get(&node) {
                Some(theirs) => theirs.contains(slot),
                None => true,
            };
            if taken {
                found.push(Violation::GpuTaken { node, slot, lease });
            }
        }
    }
}

fn slots_of(plan: &Plan, node: NodeIndex, gpus: u8) -> Vec<u8> {
    match plan.gpus.get(&node) {
        Some(slots) => slots.iter().collect(),
        None => (0..gpus).collect(),
    }
}
