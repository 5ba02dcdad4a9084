//! Who may be on a node, or in a domain, beside whom.

use super::{Fleet, Violation};
use crate::cell::{Booked, Booking};
use crate::request::Request;
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::{Granularity, Policy};

/// Whether a lease of somebody else on a node lets the request's lease be there; `both_sliced`: both have
/// nothing but slices of it.
pub(super) fn lets_in(
    policy: &Policy,
    request: &Request,
    other: &Booking,
    both_sliced: bool,
) -> bool {
    let across = other.class.side() != request.class.side();
    let apart = policy.isolation_of(&request.sku);
    let by_gpu = apart.granularity == Granularity::Gpu;
    let together = apart.mig_colocation && both_sliced;
    (across && by_gpu) || (!across && (other.account == request.account || together))
}

/// What the other side has of a node's domain, on other nodes of the SKU, when the plan would be there.
pub(super) fn check_domain(
    fleet: &Fleet,
    policy: &Policy,
    request: &Request,
    node: NodeIndex,
    meets: impl Fn(&Booked, NodeIndex) -> bool,
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
    for booked in &fleet.bookings {
        let other = &booked.booking;
        // What may draw nothing is let to nobody.
        let is_across = other.gpu_cap_watts != Some(0) && other.class.side() != side;
        let mut nodes = other.nodes.iter();
        if is_across && nodes.any(|node| is_mate(node) && meets(booked, node)) {
            let lease = other.lease;
            found.push(Violation::DomainShared { node, lease });
        }
    }
}
