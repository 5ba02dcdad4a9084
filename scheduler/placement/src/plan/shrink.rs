//! Which nodes of a lease go where it is to have fewer and nobody says which.
//!
//! What serves least goes first: nodes that are not sound, then whole domains that become free by it,
//! the smallest part first, then the last of what is left. Spares stay with the domains that remain.

use crate::cell::Cell;
use leasehold_common::explain::{Candidate, Explanation, Outcome, ScoreField};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::{Locality, Prefix};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a lease of whole nodes has: all its nodes, and those of them kept as spares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gang<'a> {
    /// All of them.
    pub nodes: &'a NodeSet,
    /// Those that do not work.
    pub spares: &'a NodeSet,
    /// The size of unit of which it has whole ones and nothing else.
    pub whole: Option<Locality>,
}

/// What is left of a lease that has given nodes up, and why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// The nodes that stay, spares among them.
    pub nodes: NodeSet,
    /// Those of them that are spares.
    pub spares: NodeSet,
    /// What was weighed.
    pub why: Explanation,
}

/// Chooses which `working` nodes stay. Nothing is changed.
///
/// Where the lease has no more than so many that work, all of it stays.
pub fn shrink(cell: &Cell, gang: Gang<'_>, working: u32) -> Shrunk {
    let all: Vec<NodeIndex> = working_nodes(gang).collect();
    let surplus = all.len().saturating_sub(working as usize);
    let mut left: BTreeSet<NodeIndex> = all.into_iter().collect();
    for node in in_order_of_leaving(cell, gang).into_iter().take(surplus) {
        left.remove(&node);
    }
    shrunk(cell, gang, &left)
}

/// What is left where these nodes are to go. Nothing is changed.
pub fn drop_nodes(cell: &Cell, gang: Gang<'_>, going: &NodeSet) -> Shrunk {
    let stays = working_nodes(gang).filter(|node| !going.contains(*node));
    let left = stays.collect();
    let mut found = shrunk(cell, gang, &left);
    for node in going.iter() {
        found.nodes.remove(node);
        found.spares.remove(node);
    }
    found
}

fn working_nodes(gang: Gang<'_>) -> impl Iterator<Item = NodeIndex> + '_ {
    gang.nodes.iter().filter(move |n| !gang.spares.contains(*n))
}

/// Every node that works, the first to go first.
fn in_order_of_leaving(cell: &Cell, gang: Gang<'_>) -> Vec<NodeIndex> {
    if let Some(level) = gang.whole {
        return whole_units_first(cell, gang, level);
    }
    let mut order: Vec<NodeIndex> = working_nodes(gang)
        .filter(|n| !is_sound(cell, *n))
        .collect();
    order.sort_unstable_by_key(|node| Reverse(*node));
    let mut domains: BTreeMap<Prefix, Vec<NodeIndex>> = BTreeMap::new();
    for node in working_nodes(gang).filter(|n| is_sound(cell, *n)) {
        domains.entry(domain(cell, node)).or_default().push(node);
    }
    // The smallest part of a domain costs least, and frees its spares as well; of equal ones the last.
    let mut domains: Vec<Vec<NodeIndex>> = domains.into_values().collect();
    domains.sort_by_key(|nodes| (nodes.len(), Reverse(nodes[0])));
    for mut nodes in domains {
        nodes.reverse();
        order.append(&mut nodes);
    }
    order
}

/// The same unit by unit: those that have a node that is not sound, then the last ones.
fn whole_units_first(cell: &Cell, gang: Gang<'_>, level: Locality) -> Vec<NodeIndex> {
    let mut units: BTreeMap<Prefix, Vec<NodeIndex>> = BTreeMap::new();
    for node in working_nodes(gang) {
        units
            .entry(unit_of(cell, node, level))
            .or_default()
            .push(node);
    }
    let mut units: Vec<Vec<NodeIndex>> = units.into_values().collect();
    units.sort_by_key(|nodes| {
        let all_sound = nodes.iter().all(|node| is_sound(cell, *node));
        (all_sound, Reverse(nodes[0]))
    });
    units.concat()
}

/// Spares stay where a node works beside them.
fn shrunk(cell: &Cell, gang: Gang<'_>, working: &BTreeSet<NodeIndex>) -> Shrunk {
    let domains: BTreeSet<Prefix> = working.iter().map(|node| domain(cell, *node)).collect();
    let stays = |node: &NodeIndex| domains.contains(&domain(cell, *node));
    let spares: NodeSet = gang.spares.iter().filter(stays).collect();
    let nodes: NodeSet = working.iter().copied().chain(spares.iter()).collect();
    let sound = gang.nodes.iter().filter(|n| is_sound(cell, *n)).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let first = nodes.first().map_or(0, |node| i64::from(node.0));
    let why = Explanation {
        outcome: Outcome::Placed,
        evaluated: count(gang.nodes.len()),
        fit: count(sound),
        filtered: BTreeMap::new(),
        exhausted: BTreeMap::new(),
        winner: Some(Candidate {
            unit: Prefix::cell(),
            nodes: nodes.clone(),
            gpus: BTreeMap::new(),
            slices: BTreeMap::new(),
            spares: spares.clone(),
            score: vec![
                (ScoreField::DomainsBroken, i64::from(count(domains.len()))),
                (ScoreField::NodeIndex, first),
            ],
            lost_by: None,
        }),
        runners_up: Vec::new(),
        reasons: Vec::new(),
        earliest: None,
        unblocked_by: Vec::new(),
        reclaim: None,
        policy: None,
    };
    Shrunk { nodes, spares, why }
}

/// Whether a node serves, as far as the cell knows.
pub(super) fn is_sound(cell: &Cell, node: NodeIndex) -> bool {
    let (Some(spec), Some(condition)) = (cell.spec(node), cell.condition(node)) else {
        return false;
    };
    condition.lets_in()
        && GpuSlots::first(spec.gpus)
            .minus(condition.healthy)
            .is_empty()
}

pub(super) fn domain(cell: &Cell, node: NodeIndex) -> Prefix {
    unit_of(cell, node, Locality::Domain)
}

/// The unit of one size that a node stands in.
fn unit_of(cell: &Cell, node: NodeIndex, level: Locality) -> Prefix {
    let spec = cell.spec(node);
    spec.map_or_else(Prefix::cell, |spec| spec.path.unit(level))
}

/// The shape a lease has once so many nodes of it work.
pub fn shape_of(shape: &Shape, working: u32) -> Shape {
    match shape {
        Shape::Nodes {
            at_least,
            spares,
            whole,
            ..
        } => Shape::Nodes {
            count: working,
            at_least: at_least.filter(|least| *least < working),
            spares: *spares,
            whole: *whole,
        },
        Shape::Gpus { .. } | Shape::Slices { .. } | Shape::Unit { .. } => shape.clone(),
    }
}
