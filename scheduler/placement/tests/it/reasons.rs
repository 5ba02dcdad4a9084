//! Which of several things in the way is named, as stories: what an operator reads first.

use crate::fleet::{POLICY, Twice, asks, hour, share};
use crate::limits::{budget, hgx, nodes};
use crate::stories::told;
use leasehold_common::class::Side;
use leasehold_common::lease::{HostShare, Shape};
use leasehold_common::policy::Policy;
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Span;
use leasehold_common::topology::Locality;
use leasehold_placement::{End, Request, plan};

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
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 4 of 4 nodes fit
      short of kept_nodes by 1
    ReservationOnly: floors and ceilings allow 3 of the 4 nodes asked together
    goes on when FloorLowered { side: Internal, sku: "h200", nodes: 1, domains: 0 }
    nobody can say when
    "#);
}

#[test]
fn where_a_budget_and_a_floor_are_both_in_the_way_the_one_that_allows_less_comes_first() {
    let mut fleet = hgx(1, 4);
    budget(&mut fleet, "hall-a", 25_000);
    let decision = plan(&fleet.cell, &nodes(4), &floor(1), hour(0));
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 4 of 4 nodes fit
      short of watts by 15800
      short of kept_nodes by 1
    PowerBudget: power budgets allow 2 of the 4 nodes asked together
    ReservationOnly: floors and ceilings allow 3 of the 4 nodes asked together
    goes on when PowerFreed { unit: "hall-a", watts: 15800 }
    goes on when FloorLowered { side: Internal, sku: "h200", nodes: 1, domains: 0 }
    nobody can say when
    "#);

    budget(&mut fleet, "hall-a", 35_000);
    let decision = plan(&fleet.cell, &nodes(4), &floor(2), hour(0));
    insta::assert_snapshot!(told(decision.why()), @r#"
    wait: 4 of 4 nodes fit
      short of watts by 5800
      short of kept_nodes by 2
    ReservationOnly: floors and ceilings allow 2 of the 4 nodes asked together
    PowerBudget: power budgets allow 3 of the 4 nodes asked together
    goes on when PowerFreed { unit: "hall-a", watts: 5800 }
    goes on when FloorLowered { side: Internal, sku: "h200", nodes: 2, domains: 0 }
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
        whole: None,
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

/// What a node has.
fn all() -> HostShare {
    let skus = SkuCatalogue::built_in();
    skus.get(&"h200".parse().unwrap()).unwrap().host_share(8)
}

/// Asks for GPUs with so much of a node, for an hour.
fn with(gpus: u32, cpu_milli: u64, memory_mib: u64) -> Request {
    Request {
        host: Some(HostShare {
            cpu_milli,
            memory_mib,
        }),
        end: End::After(Span::from_hours(1)),
        ..asks(Shape::gpus(gpus))
    }
}

#[test]
fn gpus_that_are_free_where_cpu_or_memory_is_not_are_not_called_taken() {
    let most = (all().cpu_milli - 8_000, all().memory_mib - 4_096);
    let mut said = String::new();
    for (cpu, memory) in [(most.0, 1_024), (1_000, most.1), most] {
        let mut fleet = hgx(1, 1);
        let _ = fleet.place(&with(1, cpu, memory), hour(0));
        said += &told(plan(&fleet.cell, &asks(Shape::gpus(1)), &POLICY, hour(0)).why());
    }
    insta::assert_snapshot!(said, @r"
    wait: 0 of 1 nodes fit
      1 fail HostTaken
      short of cpu_milli by 20000
    Capacity: no node can give 1 gpu; 1 that would do are short of free CPU
    goes on when lease 1 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    wait: 0 of 1 nodes fit
      1 fail HostTaken
      short of memory_mib by 258048
    Capacity: no node can give 1 gpu; 1 that would do are short of free memory
    goes on when lease 1 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    wait: 0 of 1 nodes fit
      1 fail HostTaken
      short of cpu_milli by 20000
      short of memory_mib by 258048
    Capacity: no node can give 1 gpu; 1 are short of free CPU, and not only that
    Capacity: no node can give 1 gpu; 1 are short of free memory, and not only that
    goes on when lease 1 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    ");
}

#[test]
fn a_node_of_which_everything_is_let_is_short_of_gpus_and_not_of_cpu() {
    let mut fleet = hgx(1, 1);
    let _ = fleet.place(&with(8, all().cpu_milli, 1_024), hour(0));
    let decision = plan(&fleet.cell, &with(1, 8_000, 1_024), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 1 nodes fit
      1 fail GpusTaken
      1 fail HostTaken
      short of gpus by 1
    Capacity: no node can give 1 gpu; 1 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    ");
}

#[test]
fn slices_wait_for_cpu_that_a_lease_of_gpus_has() {
    let mut fleet = hgx(1, 1);
    let _ = fleet.place(&with(1, all().cpu_milli - 1_000, 1_024), hour(0));
    let slice = asks(Shape::slices([("1g.18gb".parse().unwrap(), 1)]));
    let decision = plan(&fleet.cell, &slice, &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 1 nodes fit
      1 fail HostTaken
      short of cpu_milli by 3000
    Capacity: no node can give 1 x 1g.18gb; 1 that would do are short of free CPU
    goes on when lease 1 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    ");
}

#[test]
fn a_lease_that_a_ceiling_stops_is_told_which_and_by_how_much() {
    let mut fleet = hgx(1, 4);
    fleet.lease_on(0, 8, &asks(Shape::gpus(8)));
    let policy = Policy {
        ceilings: vec![share(Side::Tenant, "h200", None, Some(1))],
        ..POLICY
    };
    let mut said = String::new();
    for request in [asks(Shape::gpus(1)), nodes(2), nodes(4)] {
        said += &told(plan(&fleet.cell, &request, &policy, hour(0)).why());
    }
    insta::assert_snapshot!(said, @r#"
    wait: 0 of 4 nodes fit
      1 fail GpusTaken
      3 fail Reserved
      short of gpus by 1
      short of kept_nodes by 1
    ReservationOnly: no node can give 1 gpu; 3 that would do are kept for the other side, or more than this side may have
    Capacity: no node can give 1 gpu; 1 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    goes on when CeilingRaised { side: Tenant, sku: "h200", nodes: 1, domains: 0 }
    could start at 1970-01-01T02:10:00.000Z
    wait: 0 of 4 nodes fit
      1 fail GpusTaken
      3 fail Reserved
      short of nodes by 2
      short of kept_nodes by 2
    ReservationOnly: 0 of the 2 nodes asked are free; 3 that would do are kept for the other side, or more than this side may have
    Capacity: 0 of the 2 nodes asked are free; 1 that would do are held or booked
    goes on when CeilingRaised { side: Tenant, sku: "h200", nodes: 2, domains: 0 }
    nobody can say when
    wait: 0 of 4 nodes fit
      1 fail GpusTaken
      3 fail Reserved
      short of nodes by 4
      short of kept_nodes by 3
    ReservationOnly: 0 of the 4 nodes asked are free; 3 that would do are kept for the other side, or more than this side may have
    Capacity: 0 of the 4 nodes asked are free; 1 that would do are held or booked
    goes on when CeilingRaised { side: Tenant, sku: "h200", nodes: 3, domains: 0 }
    nobody can say when
    "#);
}

#[test]
fn a_domain_lease_waits_because_two_small_leases_sit_in_two_domains() {
    let of_gb200 = |request: Request| Request {
        sku: "gb200".parse().unwrap(),
        within: Locality::Domain,
        ..request
    };
    // Two NVL72: 18 trays of four GPUs each.
    let mut fleet = Twice::nvl(2, 18);
    fleet.lease_on(3, 1, &of_gb200(asks(Shape::gpus(1))));
    let longer = Request {
        end: End::After(Span::from_hours(5)),
        ..of_gb200(asks(Shape::gpus(2)))
    };
    fleet.lease_on(30, 2, &longer);
    let decision = plan(&fleet.cell, &of_gb200(nodes(18)), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 34 of 36 nodes fit
      2 fail GpusTaken
      short of unit by 1
    Fragmented: 34 nodes are free, but no domain has more than 17 of the 18 asked
    Capacity: no domain has 18 nodes free; 2 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
}
