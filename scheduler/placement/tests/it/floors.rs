//! Floors and ceilings, as stories: what counts as kept, and what as taken.

use crate::fleet::{POLICY, Twice, asks, gb200, hour, of, share};
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_placement::{Booking, Policy, Request, plan};

/// Nodes that nobody has until an hour.
fn maintenance(fleet: &mut Twice, nodes: &[u32], until: u64) {
    let booking = Booking {
        lease: fleet.next_lease(),
        account: "maintenance".parse().unwrap(),
        class: Class::InternalCritical,
        from: hour(0),
        to: Some(hour(until)),
        nodes: nodes.iter().copied().map(NodeIndex).collect(),
        gpus: [].into(),
        slices: [].into(),
        host: None,
        gpu_cap_watts: Some(0),
    };
    fleet.book(booking).unwrap();
}

fn is_placed(fleet: &Twice, request: &Request, policy: &Policy) -> bool {
    plan(&fleet.cell, request, policy, hour(0)).plan().is_some()
}

#[test]
fn a_domain_that_lacks_a_tray_is_no_whole_one_that_a_floor_counts() {
    let mut fleet = Twice::nvl_of_three(2);
    let policy = Policy {
        floors: vec![share(Side::Internal, "gb200", Some(1), None)],
        ..POLICY
    };
    let three = gb200(asks(Shape::nodes(3)));
    assert!(is_placed(&fleet, &three, &policy), "the other one is kept");
    fleet.cell.remove_node(NodeIndex(5)).unwrap();
    fleet.plain.nodes.remove(&NodeIndex(5));
    // Two trays of the second domain are there: only the first could still be the house's.
    assert!(!is_placed(&fleet, &three, &policy));
    assert!(is_placed(&fleet, &gb200(asks(Shape::nodes(2))), &policy));
}

#[test]
fn what_is_in_maintenance_uses_up_no_ceiling_and_is_kept_for_nobody() {
    let mut fleet = Twice::nvl_of_three(3);
    let ceiling = Policy {
        ceilings: vec![share(Side::Internal, "gb200", None, Some(6))],
        ..POLICY
    };
    maintenance(&mut fleet, &[0, 1, 2], 9);
    let six = of(Side::Internal, gb200(asks(Shape::nodes(6))));
    assert!(
        is_placed(&fleet, &six, &ceiling),
        "a maintenance serves no side"
    );
    // A floor wants nodes that the house could have: three of those in maintenance are none.
    let floor = Policy {
        floors: vec![share(Side::Internal, "gb200", None, Some(5))],
        ..POLICY
    };
    assert!(is_placed(&fleet, &gb200(asks(Shape::nodes(1))), &floor));
    assert!(!is_placed(&fleet, &gb200(asks(Shape::nodes(2))), &floor));
    fleet.cell.check();
}
