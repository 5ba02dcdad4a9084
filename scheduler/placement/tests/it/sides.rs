//! Who may be beside whom, as stories.

use crate::fleet::{POLICY, Twice, asks, gang_asks, hour, of};
use crate::stories::told;
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Granularity, Isolation};
use leasehold_common::time::Span;
use leasehold_common::topology::Locality;
use leasehold_placement::{End, Policy, Request, plan};

/// The policy that keeps hardware apart so, and nothing else.
pub fn apart(granularity: Granularity) -> Policy {
    let isolation = Isolation {
        granularity,
        ..Isolation::default()
    };
    Policy {
        isolation: ["h200", "gb200"]
            .map(|sku| (sku.parse().unwrap(), isolation))
            .into(),
        ..POLICY
    }
}

fn gb200(side: Side, count: u32) -> Request {
    Request {
        sku: "gb200".parse().unwrap(),
        ..of(side, gang_asks(Shape::nodes(count), Locality::Domain))
    }
}

#[test]
fn a_tenant_waits_where_the_house_has_a_tray_of_every_domain() {
    let mut fleet = Twice::nvl(2, 3);
    let policy = apart(Granularity::Domain);
    fleet.adopt(&policy);
    fleet.lease_on(0, 4, &gb200(Side::Internal, 1));
    let longer = Request {
        end: End::After(Span::from_hours(5)),
        ..gb200(Side::Internal, 1)
    };
    fleet.lease_on(4, 4, &longer);
    let decision = plan(&fleet.cell, &gb200(Side::Tenant, 1), &policy, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 6 nodes fit
      6 fail OtherSide
      2 fail OtherAccount
      2 fail GpusTaken
      short of nodes by 1
    Capacity: no node of sku gb200 is free; 6 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
    let house = plan(&fleet.cell, &gb200(Side::Internal, 2), &policy, hour(0));
    assert_eq!(house.plan().unwrap().nodes.to_string(), "1-2");
    fleet.adopt(&POLICY);
    let tenant = plan(&fleet.cell, &gb200(Side::Tenant, 1), &POLICY, hour(0));
    assert!(
        tenant.plan().is_some(),
        "the rule is the domain's, not the trays'"
    );
}

#[test]
fn both_sides_have_gpus_of_a_node_where_gpus_are_kept_apart() {
    let mut fleet = Twice::hgx(1, 2);
    let policy = apart(Granularity::Gpu);
    fleet.adopt(&policy);
    fleet.lease_on(0, 3, &of(Side::Internal, asks(Shape::gpus(3))));
    fleet.lease_on(1, 8, &of(Side::Internal, asks(Shape::gpus(8))));
    let acme = of(Side::Tenant, asks(Shape::gpus(2)));
    let (lease, decision) = fleet.place(&acme, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 1 of 2 nodes fit
      1 fail GpusTaken
    goes to hall-a/row-1/rack-0: nodes 0 gpus 4-5, score 1 0 3 0 0 0
    ");
    let globex = Request {
        account: "globex".parse().unwrap(),
        ..acme.clone()
    };
    let refused = plan(&fleet.cell, &globex, &policy, hour(0));
    insta::assert_snapshot!(told(refused.why()), @r"
    wait: 0 of 2 nodes fit
      1 fail OtherAccount
      1 fail GpusTaken
      short of gpus by 2
    Capacity: no node can give 2 gpus; 2 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    goes on when lease 3 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
    // What is on its way back is the GPUs' own matter too.
    fleet.end(lease, hour(1));
    let research = of(Side::Internal, asks(Shape::gpus(3)));
    let beside = plan(&fleet.cell, &research, &policy, hour(1));
    assert!(beside.plan().unwrap().nodes.contains(NodeIndex(0)));
}
