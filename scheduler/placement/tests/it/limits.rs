//! Watts, floors, spares and places, as stories: what an operator reads.

use crate::fleet::{POLICY, Twice, asks, hour, of};
use crate::stories::told;
use leasehold_common::class::Side;
use leasehold_common::explain::Reason;
use leasehold_common::lease::{HostShare, Shape};
use leasehold_common::policy::{Policy, Share};
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Span;
use leasehold_common::topology::Locality;
use leasehold_common::units::MilliWatts;
use leasehold_placement::power::{Budget, BudgetStep, Minute};
use leasehold_placement::{End, Request, plan};

/// Racks of H200 nodes that draw 10.2 kW each at most.
pub fn hgx(racks: u32, per_rack: u32) -> Twice {
    let mut fleet = Twice::hgx(racks, per_rack);
    let skus = SkuCatalogue::built_in();
    fleet.describe(skus.get(&"h200".parse().unwrap()).unwrap().clone());
    fleet
}

pub fn budget(fleet: &mut Twice, unit: &str, watts: u64) {
    let budget = Budget::constant(MilliWatts::from_watts(watts));
    fleet.cell.set_budget(&unit.parse().unwrap(), Some(budget));
}

pub fn nodes(count: u32) -> Request {
    asks(Shape::nodes(count))
}

#[test]
fn a_gang_goes_to_the_rack_that_has_the_watts_for_it() {
    let mut fleet = hgx(2, 4);
    budget(&mut fleet, "hall-a/row-1/rack-0", 25_000);
    let decision = plan(&fleet.cell, &nodes(3), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 8 of 8 nodes fit
    goes to hall-a/row-1/rack-1: nodes 4-6, score 0 3 0 1 0 4
    ");
}

#[test]
fn a_gang_that_lacks_watts_is_told_where_and_which_cap_would_fit() {
    let mut fleet = hgx(1, 4);
    budget(&mut fleet, "hall-a", 35_000);
    let decision = plan(&fleet.cell, &nodes(4), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 4 of 4 nodes fit
      short of watts by 5800
    PowerBudget: power budgets allow 3 of the 4 nodes asked together
    goes on when LowerCap { gpu_cap_watts: 518 }
    goes on when PowerFreed { unit: "hall-a", watts: 5800 }
    nobody can say when
    "#);
    let capped = Request {
        gpu_cap_watts: Some(518),
        ..nodes(4)
    };
    assert!(
        plan(&fleet.cell, &capped, &POLICY, hour(0))
            .plan()
            .is_some()
    );
}

#[test]
fn a_lease_waits_until_the_budget_rises() {
    let mut fleet = hgx(1, 1);
    let at = |n| Minute::containing(hour(n));
    let step = |from, watts| BudgetStep {
        from,
        limit: Some(MilliWatts::from_watts(watts)),
    };
    let steps = vec![step(at(0), 5_000), step(at(3), 20_000)];
    let budget = Budget::new(steps).unwrap();
    fleet
        .cell
        .set_budget(&"hall-a".parse().unwrap(), Some(budget));
    let decision = plan(&fleet.cell, &nodes(1), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 0 of 1 nodes fit
      1 fail PowerBudget
      short of watts by 5200
    PowerBudget: no node of sku h200 is free; 1 that would do are below a power budget that is used up
    goes on when PowerFreed { unit: "hall-a", watts: 5200 }
    could start at 1970-01-01T03:00:00.000Z
    "#);
}

#[test]
fn watts_are_free_again_from_the_next_whole_minute_on() {
    let mut fleet = hgx(1, 2);
    budget(&mut fleet, "hall-a", 20_400);
    let policy = Policy {
        turnaround: Span::ZERO,
        ..POLICY
    };
    let until = Request {
        end: End::At(hour(2) + Span::from_secs(30)),
        ..asks(Shape::gpus(8))
    };
    fleet.lease_on(0, 8, &until);
    let both = Request {
        account: "globex".parse().unwrap(),
        ..nodes(2)
    };
    let decision = plan(&fleet.cell, &both, &policy, hour(0));
    assert_eq!(decision.why().earliest, Some(hour(2) + Span::from_mins(1)));
}

#[test]
fn a_floor_of_whole_domains_sends_small_leases_into_one_that_is_broken() {
    let mut fleet = Twice::nvl(3, 3);
    let of_gb200 = |request: Request| Request {
        sku: "gb200".parse().unwrap(),
        ..request
    };
    fleet.lease_on(4, 1, &of_gb200(asks(Shape::gpus(1))));
    let policy = Policy {
        floors: vec![Share {
            side: Side::Internal,
            sku: "gb200".parse().unwrap(),
            domains: Some(2),
            nodes: None,
        }],
        ..POLICY
    };
    // Two nodes of the domain that the tenant has already are left, and the other two are kept.
    let two = of_gb200(nodes(2));
    let decision = plan(&fleet.cell, &two, &policy, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 2 of 9 nodes fit
      1 fail GpusTaken
      6 fail Reserved
    goes to hall-b/row-1/nvl-1/d0: nodes 3,5, score 0 0 0 0 0 3
    ");
    let three = plan(&fleet.cell, &of_gb200(nodes(3)), &policy, hour(0));
    insta::assert_snapshot!(told(three.why()), @r#"
    wait: 2 of 9 nodes fit
      1 fail GpusTaken
      6 fail Reserved
      short of nodes by 1
      short of kept_domains by 1
    ReservationOnly: 2 of the 3 nodes asked are free; 6 that would do are kept for the other side, or more than this side may have
    Capacity: 2 of the 3 nodes asked are free; 1 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    goes on when FloorLowered { side: Internal, sku: "gb200", nodes: 0, domains: 1 }
    could start at 1970-01-01T02:10:00.000Z
    "#);
    let internal = of(Side::Internal, of_gb200(nodes(6)));
    assert!(
        plan(&fleet.cell, &internal, &policy, hour(0))
            .plan()
            .is_some()
    );
}

#[test]
fn a_gang_keeps_a_spare_in_each_domain_it_goes_to() {
    let fleet = Twice::nvl(2, 4);
    let with_spares = Request {
        shape: Shape::Nodes {
            count: 5,
            at_least: None,
            spares: 1,
            whole: None,
        },
        sku: "gb200".parse().unwrap(),
        ..nodes(5)
    };
    let decision = plan(&fleet.cell, &with_spares, &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 8 of 8 nodes fit
    goes to hall-b/row-1: nodes 0-6, score 0 2 0 1 0 0
    ");
    assert_eq!(decision.plan().unwrap().spares.to_string(), "3,6");
}

#[test]
fn nodes_that_are_their_own_domain_have_no_place_for_a_spare() {
    let fleet = Twice::hgx(2, 4);
    let with_spares = Request {
        shape: Shape::Nodes {
            count: 2,
            at_least: None,
            spares: 1,
            whole: None,
        },
        ..nodes(2)
    };
    let decision = plan(&fleet.cell, &with_spares, &POLICY, hour(0));
    let never = leasehold_common::explain::Outcome::Never;
    assert_eq!(decision.why().outcome, never);
}

#[test]
fn a_gang_that_can_do_with_less_starts_with_what_there_is() {
    let mut fleet = Twice::hgx(2, 4);
    fleet.lease_on(1, 8, &asks(Shape::gpus(8)));
    let flexible = Request {
        shape: Shape::Nodes {
            count: 4,
            at_least: Some(2),
            spares: 0,
            whole: None,
        },
        within: Locality::Rack,
        ..nodes(4)
    };
    // One rack has all four; once it is taken, the other has three.
    let (_, first) = fleet.place(&flexible, hour(0));
    let (_, second) = fleet.place(&flexible, hour(0));
    let count = |d: &leasehold_placement::Decision| d.plan().unwrap().nodes.len();
    assert_eq!((count(&first), count(&second)), (4, 3));
}

#[test]
fn a_buy_out_waits_for_the_last_lease_below_the_place() {
    let mut fleet = Twice::hgx(2, 2);
    let hall = Request {
        shape: Shape::Unit {
            prefix: "hall-a".parse().unwrap(),
        },
        account: "globex".parse().unwrap(),
        ..nodes(1)
    };
    fleet.lease_on(3, 1, &asks(Shape::gpus(1)));
    let decision = plan(&fleet.cell, &hall, &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 3 of 4 nodes fit
      1 fail OtherAccount
      1 fail GpusTaken
      short of nodes by 1
    Capacity: 3 of the 4 nodes asked are free; 1 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
}

#[test]
fn cpu_beyond_the_share_of_its_gpus_is_a_hard_limit() {
    let mut fleet = hgx(1, 1);
    let greedy = Request {
        host: Some(HostShare {
            cpu_milli: 200_000,
            memory_mib: 4096,
        }),
        end: End::After(Span::from_hours(1)),
        ..asks(Shape::gpus(1))
    };
    let _ = fleet.place(&greedy, hour(0));
    let decision = plan(&fleet.cell, &asks(Shape::gpus(1)), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 1 nodes fit
      1 fail HostTaken
      short of cpu_milli by 4000
    Capacity: no node can give 1 gpu; 1 that would do are short of free CPU
    goes on when lease 1 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    ");
}

#[test]
fn a_gang_that_lacks_watts_is_told_so_before_that_a_node_is_held() {
    let mut fleet = hgx(1, 4);
    budget(&mut fleet, "hall-a/row-1/rack-0", 5_000);
    let decision = plan(&fleet.cell, &nodes(4), &POLICY, hour(0));
    assert_eq!(decision.why().reason(), Some(&Reason::PowerBudget));
    // One is held: that it will be given back helps nobody while there are no watts.
    let mut fleet = hgx(1, 4);
    fleet.lease_on(0, 8, &nodes(1));
    budget(&mut fleet, "hall-a/row-1/rack-0", 11_000);
    let in_rack = Request {
        within: Locality::Rack,
        ..nodes(4)
    };
    for request in [nodes(4), in_rack] {
        let decision = plan(&fleet.cell, &request, &POLICY, hour(0));
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(decision.why()), @r#"
            wait: 0 of 4 nodes fit
              1 fail GpusTaken
              3 fail PowerBudget
              short of nodes by 4
              short of watts by 29800
            PowerBudget: 0 of the 4 nodes asked are free; 3 that would do are below a power budget that is used up
            Capacity: 0 of the 4 nodes asked are free; 1 that would do are held or booked
            goes on when PowerFreed { unit: "hall-a/row-1/rack-0", watts: 29800 }
            nobody can say when
            "#);
        }
    }
}
