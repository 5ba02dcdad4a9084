//! The oracle for refusals: every placement there is, each put to the checker.

use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, Shape, Slice};
use leasehold_common::mig::MigProfile;
use leasehold_common::time::Timestamp;
use leasehold_placement::checker::{Fleet, violations};
use leasehold_placement::{Plan, Policy, Request};
use std::collections::BTreeMap;

/// Whether any placement that starts then is legal. Exponential in nodes and GPUs.
pub fn any_placement(
    fleet: &Fleet,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    start: Timestamp,
) -> bool {
    let nodes: Vec<NodeIndex> = fleet.nodes.keys().copied().collect();
    let mut plans: Vec<Plan> = Vec::new();
    let empty = Plan {
        start,
        end: request.end.if_started(start),
        nodes: [].into_iter().collect(),
        gpus: [].into(),
        slices: [].into(),
        spares: [].into_iter().collect(),
    };
    match &request.shape {
        Shape::Unit { .. } | Shape::Nodes { .. } => {
            // Any set of nodes, with the first of each domain as spares: the rules say which will do.
            let spares = match &request.shape {
                Shape::Nodes { spares, .. } => *spares as usize,
                Shape::Unit { .. } | Shape::Gpus { .. } | Shape::Slices { .. } => 0,
            };
            for subset in 1..1_u32 << nodes.len() {
                let chosen = nodes.iter().enumerate();
                let chosen = chosen.filter(|(at, _)| subset >> at & 1 == 1);
                let chosen: Vec<NodeIndex> = chosen.map(|(_, node)| *node).collect();
                let mut domains: BTreeMap<&str, Vec<NodeIndex>> = BTreeMap::new();
                for node in &chosen {
                    let domain = fleet.nodes[node].0.path.as_str();
                    domains.entry(domain).or_default().push(*node);
                }
                let spares = domains.values().flat_map(|d| d.iter().take(spares));
                plans.push(Plan {
                    spares: spares.copied().collect(),
                    nodes: chosen.into_iter().collect(),
                    ..empty.clone()
                });
            }
        }
        Shape::Slices { profiles } => {
            for &node in &nodes {
                let on_node = |slices: &[Slice]| {
                    let gpus = slices.iter().map(|slice| slice.gpu);
                    Plan {
                        nodes: [node].into_iter().collect(),
                        gpus: [(node, gpus.fold(GpuSlots::NONE, GpuSlots::with))].into(),
                        slices: [(node, slices.to_vec())].into(),
                        ..empty.clone()
                    }
                };
                let is_legal = |request: &Request, slices: &[Slice]| {
                    violations(fleet, request, policy, now, &on_node(slices)).is_empty()
                };
                // What cannot be alone cannot be with others.
                let alone = |profile: &MigProfile| -> Vec<Slice> {
                    let request = Request {
                        shape: Shape::slices([(profile.clone(), 1)]),
                        ..request.clone()
                    };
                    let places = (0..fleet.nodes[&node].0.gpus)
                        .flat_map(|gpu| (0..8).map(move |start| (gpu, start)));
                    let slices = places.map(|(gpu, start)| Slice {
                        gpu,
                        profile: profile.clone(),
                        start,
                    });
                    slices
                        .filter(|slice| is_legal(&request, std::slice::from_ref(slice)))
                        .collect()
                };
                let wanted: Vec<Vec<Slice>> = profiles
                    .iter()
                    .flat_map(|(profile, count)| vec![alone(profile); *count as usize])
                    .collect();
                if any_choice(&wanted, &mut Vec::new(), &|slices| {
                    is_legal(request, slices)
                }) {
                    return true;
                }
            }
        }
        Shape::Gpus { count } => {
            for &node in &nodes {
                for slots in 0..1_u16 << fleet.nodes[&node].0.gpus {
                    if slots.count_ones() == *count {
                        plans.push(Plan {
                            nodes: [node].into_iter().collect(),
                            gpus: [(node, GpuSlots(slots))].into(),
                            ..empty.clone()
                        });
                    }
                }
            }
        }
    }
    plans
        .iter()
        .any(|plan| violations(fleet, request, policy, now, plan).is_empty())
}

/// The fleet as if everything were empty and healthy.
pub fn at_its_best(fleet: &Fleet) -> Fleet {
    let mut best = fleet.clone();
    best.bookings.clear();
    best.budgets.clear();
    best.passes.clear();
    for (spec, condition) in best.nodes.values_mut() {
        *condition = crate::fleet::sound(spec.gpus);
    }
    best
}

/// Whether any choice of one place for each slice is legal. Those of one profile come in order.
fn any_choice(
    wanted: &[Vec<Slice>],
    chosen: &mut Vec<Slice>,
    is_legal: &dyn Fn(&[Slice]) -> bool,
) -> bool {
    let Some((places, others)) = wanted.split_first() else {
        return is_legal(chosen);
    };
    for place in places {
        let last = chosen.last();
        if last.is_some_and(|last| last.profile == place.profile && last >= place) {
            continue;
        }
        chosen.push(place.clone());
        if any_choice(others, chosen, is_legal) {
            return true;
        }
        chosen.pop();
    }
    false
}
