//! Whole units: of each that a plan goes to, all nodes.

use super::Fleet;
use crate::decision::Plan;
use crate::request::Request;
use leasehold_common::ids::NodeIndex;
use leasehold_common::topology::Locality;
use std::collections::BTreeMap;

/// Whether a plan has all nodes of every unit it goes to, and each of those has as many as a whole one.
pub(super) fn are_whole(fleet: &Fleet, request: &Request, plan: &Plan, level: Locality) -> bool {
    let parts = match level {
        Locality::Cell => 0,
        Locality::Hall => 1,
        Locality::Row => 2,
        Locality::Rack => 3,
        Locality::Domain => 4,
    };
    let mut units: BTreeMap<Vec<&str>, Vec<NodeIndex>> = BTreeMap::new();
    for (node, (spec, _)) in &fleet.nodes {
        if spec.sku == request.sku {
            let unit = spec.path.as_str().split('/').take(parts).collect();
            units.entry(unit).or_default().push(*node);
        }
    }
    let largest = units.values().map(Vec::len).max().unwrap_or(0);
    let size = match fleet.skus.get(&request.sku) {
        Some(sku) if level == Locality::Domain => usize::from(sku.nodes_per_domain),
        Some(_) | None => largest,
    };
    units.values().all(|nodes| {
        let taken = nodes.iter().filter(|node| plan.nodes.contains(**node));
        let taken = taken.count();
        taken == 0 || (taken == nodes.len() && taken == size)
    })
}
