//! Which of several things in the way is named, as stories: what an operator reads first.

use crate::fleet::{POLICY, Twice, asks, hour, share};
use crate::limits::{budget, hgx, nodes};
use crate::stories::told;
use leasehold_common::class::Side;
use leasehold_common::lease::Shape;
use leasehold_common::policy::Policy;
use leasehold_placement::{Request, plan};

fn floor(nodes: u32) -> Policy {
    Policy {
        floors: vec![share(Side::Internal, "h200", None, Some(nodes))],
        ..POLICY
    }
}

#[test]
fn a_floor_is_named_though_there_is_a_budget_with_watts_left() {
    let mut fleet = hgx(1, 4);
    budget(&mut fleet, "hall-a", 100_000);
    let decision = plan(&fleet.cell, &nodes(4), &floor(1), hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 4 of 4 nodes fit
      short of unit by 1
    ReservationOnly: floors and ceilings allow 3 of the 4 nodes asked together
    nobody can say when
    ");
}

#[test]
fn where_a_budget_and_a_floor_are_both_in_the_way_the_one_that_allows_less_comes_first() {
    let mut fleet = hgx(1, 4);
    budget(&mut fleet, "hall-a", 25_000);
    let decision = plan(&fleet.cell, &nodes(4), &floor(1), hour(0));
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 4 of 4 nodes fit
      short of unit by 2
    PowerBudget: power budgets allow 2 of the 4 nodes asked together
    ReservationOnly: floors and ceilings allow 3 of the 4 nodes asked together
    goes on when PowerFreed { unit: "hall-a", watts: 15800 }
    nobody can say when
    "#);

    budget(&mut fleet, "hall-a", 35_000);
    let decision = plan(&fleet.cell, &nodes(4), &floor(2), hour(0));
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 4 of 4 nodes fit
      short of unit by 2
    ReservationOnly: floors and ceilings allow 2 of the 4 nodes asked together
    PowerBudget: power budgets allow 3 of the 4 nodes asked together
    goes on when PowerFreed { unit: "hall-a", watts: 5800 }
    nobody can say when
    "#);
}

#[test]
fn a_gang_that_has_no_room_for_its_spares_is_told_so() {
    let mut fleet = Twice::nvl(1, 4);
    let of_gb200 = |request: Request| Request {
        sku: "gb200".parse().unwrap(),
        ..request
    };
    fleet.lease_on(3, 1, &of_gb200(asks(Shape::gpus(1))));
    let shape = Shape::Nodes {
        count: 3,
        at_least: None,
        spares: 1,
    };
    let decision = plan(&fleet.cell, &of_gb200(asks(shape)), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 3 of 4 nodes fit
      1 fail GpusTaken
      short of unit by 1
    Fragmented: spares kept in each domain leave 2 of the 3 nodes asked together
    Capacity: no cell has 3 nodes and 1 spare in each domain free; 1 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
}
