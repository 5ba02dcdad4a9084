//! Whole units: domains and racks that are taken to their last node, as stories.

use crate::fleet::{POLICY, Twice, asks, gb200, hour, of};
use crate::stories::told;
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::topology::Locality;
use leasehold_placement::{Gang, NodeCondition, Request, plan, shrink};

fn whole(count: u32, level: Locality) -> Request {
    gb200(asks(Shape::Nodes {
        count,
        at_least: None,
        spares: 0,
        whole: Some(level),
    }))
}

#[test]
fn whole_domains_go_past_one_in_which_somebody_has_a_gpu() {
    let mut fleet = Twice::nvl_of_three(3);
    fleet.lease_on(4, 1, &gb200(asks(Shape::gpus(1))));
    // A gang that may stand anywhere goes where domains are broken already.
    let anywhere = plan(&fleet.cell, &gb200(asks(Shape::nodes(6))), &POLICY, hour(0));
    assert!(anywhere.plan().unwrap().nodes.contains(NodeIndex(3)));
    let domains = plan(&fleet.cell, &whole(6, Locality::Domain), &POLICY, hour(0));
    insta::assert_snapshot!(told(domains.why()), @r"
    placed: 6 of 9 nodes fit
      1 fail GpusTaken
      2 fail UnitBroken
    goes to hall-b/row-1: nodes 0-2,6-8, score 0 2 0 0 0 0
    ");
}

#[test]
fn whole_domains_wait_for_the_last_lease_in_one_and_a_count_that_is_no_multiple_never_fits() {
    let mut fleet = Twice::nvl_of_three(3);
    fleet.lease_on(4, 1, &gb200(asks(Shape::gpus(1))));
    let all = plan(&fleet.cell, &whole(9, Locality::Domain), &POLICY, hour(0));
    insta::assert_snapshot!(told(all.why()), @r"
    wait: 6 of 9 nodes fit
      1 fail GpusTaken
      2 fail UnitBroken
      short of nodes by 3
    Capacity: 6 of the 9 nodes asked are free; 3 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
    let four = plan(&fleet.cell, &whole(4, Locality::Domain), &POLICY, hour(0));
    insta::assert_snapshot!(told(four.why()), @r"
    never: 6 of 9 nodes fit
      1 fail GpusTaken
      2 fail UnitBroken
    NeverFits: 4 nodes in whole domains: a whole domain of sku gb200 has 3 nodes
    ");
}

#[test]
fn a_domain_that_lacks_a_tray_or_has_a_sick_one_is_not_let_whole() {
    let mut fleet = Twice::nvl_of_three(2);
    let condition = NodeCondition {
        silent: true,
        ..*fleet.cell.condition(NodeIndex(1)).unwrap()
    };
    fleet.cell.set_condition(NodeIndex(1), condition);
    let one = plan(&fleet.cell, &whole(3, Locality::Domain), &POLICY, hour(0));
    assert_eq!(one.plan().unwrap().nodes.to_string(), "3-5");
    let two = plan(&fleet.cell, &whole(6, Locality::Domain), &POLICY, hour(0));
    insta::assert_snapshot!(told(two.why()), @r"
    wait: 3 of 6 nodes fit
      1 fail Silent
      2 fail UnitBroken
      short of nodes by 3
    NodesUnavailable: 3 of the 6 nodes asked are free; 3 that would do are not heard of, faulty or taken out
    goes on when NodesRecover { nodes: 3 }
    nobody can say when
    ");
    fleet.cell.remove_node(NodeIndex(5)).unwrap();
    let none = plan(&fleet.cell, &whole(6, Locality::Domain), &POLICY, hour(0));
    insta::assert_snapshot!(told(none.why()), @r"
    never: 0 of 5 nodes fit
      1 fail Silent
      2 fail OtherPlace
      2 fail UnitBroken
    NeverFits: 6 nodes in whole domains within one cell: the largest has 3 of sku gb200 for the tenant side
    ");
}

#[test]
fn whole_racks_are_as_large_as_the_largest_and_shrink_rack_by_rack() {
    let mut fleet = Twice::hgx(3, 4);
    let racks = Request {
        sku: "h200".parse().unwrap(),
        ..whole(8, Locality::Rack)
    };
    let (_, decision) = fleet.place(&racks, hour(0));
    let nodes = decision.plan().unwrap().nodes.clone();
    assert_eq!(nodes.to_string(), "0-7");
    let condition = NodeCondition {
        silent: true,
        ..*fleet.cell.condition(NodeIndex(2)).unwrap()
    };
    fleet.cell.set_condition(NodeIndex(2), condition);
    let gang = Gang {
        nodes: &nodes,
        spares: &[].into_iter().collect(),
        whole: Some(Locality::Rack),
    };
    // The rack with the node that is not heard of goes, all of it.
    assert_eq!(shrink(&fleet.cell, gang, 4).nodes.to_string(), "4-7");
    let internal = of(Side::Internal, racks);
    assert!(
        plan(&fleet.cell, &internal, &POLICY, hour(0))
            .plan()
            .is_none()
    );
}
