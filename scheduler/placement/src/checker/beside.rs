//! Who may be on a node, or in a domain, beside whom.

use super::{Fleet, Violation};
use crate::cell::Booking;
use crate::request::Request;
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::{Granularity, Policy};

/// Whether a lease of somebody else on a node lets the request's lease be there.
pub(super) fn lets_in(policy: &Policy, request: &Request, other: &Booking) -> bool {
    let across = other.class.side() != request.class.side();
    let by_gpu = policy.isolation_of(&request.sku).granularity == Granularity::Gpu;
    (across && by_gpu) || (!across && other.account == request.account)
}

/// What the other side has of a node's domain, on other nodes of the SKU, of all that is there when
/// the plan would be.
pub(super) fn check_domain<'a>(
    fleet: &Fleet,
    policy: &Policy,
    request: &Request,
    node: NodeIndex,
    there: impl Iterator<Item = &'a Booking>,
    found: &mut Vec<Violation>,
) {
    if policy.isolation_of(&request.sku).granularity != Granularity::Domain {
        return;
    }
    let path = &fleet.nodes[&node].0.path;
    let is_mate = |other: NodeIndex| {
        let known = fleet.nodes.get(&other);
        let mate = known.filter(|(spec, _)| spec.path == *path && spec.sku == request.sku);
        other != node && mate.is_some()
    };
    let side: Side = request.class.side();
    for other in there {
        // What may draw nothing is let to nobody.
        let is_let = other.gpu_cap_watts != Some(0);
        if is_let && other.class.side() != side && other.nodes.iter().any(is_mate) {
            let lease = other.lease;
            found.push(Violation::DomainShared { node, lease });
        }
    }
}
