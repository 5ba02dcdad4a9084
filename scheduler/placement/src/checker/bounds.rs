//! Floors and ceilings, counted before the plan and after it.

use super::{Fleet, LETS_IN, Violation};
use crate::cell::{NodeCondition, NodeSpec};
use crate::decision::Plan;
use crate::request::Request;
use leasehold_common::class::Side;
use leasehold_common::ids::{NodeIndex, SkuName};
use leasehold_common::node::Owner;
use leasehold_common::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(
    fleet: &Fleet,
    request: &Request,
    policy: &Policy,
    plan: &Plan,
    found: &mut Vec<Violation>,
) {
    let side = request.class.side();
    let before = has_of(fleet, side);
    let closed = closed_of(fleet);
    let mut after = before.clone();
    after.extend(plan.nodes.iter());
    let count = |sku: &SkuName, is: &dyn Fn(NodeIndex, &NodeSpec, &NodeCondition) -> bool| {
        let mut nodes = 0;
        let mut domains: BTreeMap<&str, Domain> = BTreeMap::new();
        for (node, (spec, condition)) in &fleet.nodes {
            if spec.sku != *sku {
                continue;
            }
            let yes = is(*node, spec, condition);
            nodes += u32::from(yes);
            let domain = domains.entry(spec.path.as_str()).or_default();
            domain.nodes += 1;
            domain.those += u32::from(yes);
        }
        (nodes, domains.into_values().collect::<Vec<_>>())
    };
    let number = |domains: &[Domain], which: &dyn Fn(&Domain) -> bool| {
        u32::try_from(domains.iter().filter(|d| which(d)).count()).unwrap_or(u32::MAX)
    };
    for floor in policy.floors.iter().filter(|floor| floor.side != side) {
        let sku = fleet.skus.get(&floor.sku);
        let size = sku.map_or(1, |sku| u32::from(sku.nodes_per_domain));
        let whole = |domain: &Domain| domain.those == domain.nodes && domain.nodes >= size;
        let open = |taken: &BTreeSet<NodeIndex>| {
            count(&floor.sku, &|node, spec, condition| {
                is_open(spec, condition, floor.side)
                    && !taken.contains(&node)
                    && !closed.contains(&node)
            })
        };
        let ((was, were), (left, are)) = (open(&before), open(&after));
        let mut least = |what, bound: Option<u32>, was, would_be| {
            if let Some(bound) = bound
                && would_be < bound
                && would_be < was
            {
                found.push(Violation::Bound {
                    what,
                    sku: floor.sku.clone(),
                    was,
                    would_be,
                    bound,
                });
            }
        };
        least("nodes kept", floor.nodes, was, left);
        let (were, are) = (number(&were, &whole), number(&are, &whole));
        least("domains kept", floor.domains, were, are);
    }
    for ceiling in policy
        .ceilings
        .iter()
        .filter(|ceiling| ceiling.side == side)
    {
        let used =
            |taken: &BTreeSet<NodeIndex>| count(&ceiling.sku, &|node, _, _| taken.contains(&node));
        let ((was, were), (used, entered)) = (used(&before), used(&after));
        let mut most = |what, bound: Option<u32>, was, would_be| {
            if let Some(bound) = bound
                && would_be > bound
                && would_be > was
            {
                found.push(Violation::Bound {
                    what,
                    sku: ceiling.sku.clone(),
                    was,
                    would_be,
                    bound,
                });
            }
        };
        most("nodes used", ceiling.nodes, was, used);
        let any = |domain: &Domain| domain.those > 0;
        let (were, entered) = (number(&were, &any), number(&entered, &any));
        most("domains used", ceiling.domains, were, entered);
    }
}

/// How many nodes of a SKU a domain has, and how many of them are such as are asked about.
#[derive(Debug, Clone, Copy, Default)]
struct Domain {
    nodes: u32,
    those: u32,
}

/// Nodes of which a side has anything, now or booked.
fn has_of(fleet: &Fleet, side: Side) -> BTreeSet<NodeIndex> {
    let theirs = fleet.bookings.iter().map(|booked| &booked.booking);
    theirs
        .filter(|booking| booking.class.side() == side && booking.gpu_cap_watts != Some(0))
        .flat_map(|booking| booking.nodes.iter())
        .collect()
}

/// Nodes that are kept from everybody, now or booked: what may draw nothing is let to nobody.
fn closed_of(fleet: &Fleet) -> BTreeSet<NodeIndex> {
    let all = fleet.bookings.iter().map(|booked| &booked.booking);
    all.filter(|booking| booking.gpu_cap_watts == Some(0))
        .flat_map(|booking| booking.nodes.iter())
        .collect()
}

/// Whether a sound node could be a side's, as far as the node goes.
fn is_open(spec: &NodeSpec, condition: &NodeCondition, side: Side) -> bool {
    let owner =
        spec.owner == Owner::Sellable || (spec.owner == Owner::Internal && side == Side::Internal);
    let healthy = (0..spec.gpus).all(|slot| condition.healthy.contains(slot));
    let lets_in = LETS_IN.contains(&condition.state) && !condition.flagged && !condition.silent;
    owner && healthy && lets_in && spec.gpus > 0
}
