//! Explanations as stories: what an operator reads, word for word.

use crate::fleet::{POLICY, Twice, asks, hour, of};
use leasehold_common::class::Side;
use leasehold_common::explain::{Candidate, Explanation, Outcome, Unblock};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::time::Span;
use leasehold_common::topology::Locality;
use leasehold_placement::{End, Request, plan};
use std::fmt::Write;

/// An explanation as text that a reader can follow; hours instead of instants.
pub fn told(why: &Explanation) -> String {
    let mut text = format!(
        "{}: {} of {} nodes fit\n",
        why.outcome, why.fit, why.evaluated
    );
    for (filter, nodes) in &why.filtered {
        writeln!(text, "  {nodes} fail {filter}").unwrap();
    }
    for (dimension, short) in &why.exhausted {
        writeln!(text, "  short of {dimension} by {short}").unwrap();
    }
    let place = |c: &Candidate| {
        let gpus: String = c.gpus.values().map(|g| format!(" gpus {g}")).collect();
        let score: Vec<_> = c.score.iter().map(|(_, n)| n.to_string()).collect();
        format!(
            "{}: nodes {}{gpus}, score {}",
            c.unit,
            c.nodes,
            score.join(" ")
        )
    };
    if let Some(winner) = &why.winner {
        writeln!(text, "goes to {}", place(winner)).unwrap();
    }
    for loser in &why.runners_up {
        let field = loser.lost_by.as_ref().unwrap();
        writeln!(text, "   over {}, lost by {field}", place(loser)).unwrap();
    }
    for reason in &why.reasons {
        writeln!(text, "{}: {}", reason.reason, reason.detail).unwrap();
    }
    for unblock in &why.unblocked_by {
        match unblock {
            Unblock::LeaseEnds { lease, at } => {
                writeln!(text, "goes on when lease {lease} ends at {at}").unwrap();
            }
            other => writeln!(text, "goes on when {other:?}").unwrap(),
        }
    }
    match why.earliest {
        Some(at) => writeln!(text, "could start at {at}").unwrap(),
        None if why.outcome == Outcome::Wait => text += "nobody can say when\n",
        None => {}
    }
    text
}

fn gang(count: u32, within: Locality) -> Request {
    Request {
        within,
        ..asks(Shape::nodes(count))
    }
}

fn gpus(count: u32) -> Request {
    asks(Shape::gpus(count))
}

#[test]
fn a_rack_gang_waits_because_two_single_gpu_leases_sit_in_two_racks() {
    let mut fleet = Twice::hgx(2, 4);
    fleet.lease_on(1, 1, &gpus(1));
    fleet.lease_on(
        6,
        1,
        &Request {
            end: End::After(Span::from_hours(1)),
            ..gpus(1)
        },
    );
    let decision = plan(&fleet.cell, &gang(4, Locality::Rack), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 6 of 8 nodes fit
      2 fail GpusTaken
      short of unit by 1
    Fragmented: 6 nodes are free, but no rack has more than 3 of the 4 asked
    Capacity: no rack has 4 nodes free; 2 that would do are held or booked
    goes on when lease 2 ends at 1970-01-01T01:00:00.000Z
    could start at 1970-01-01T01:10:00.000Z
    ");
}

#[test]
fn a_gang_goes_into_the_fullest_rack_that_holds_it() {
    let mut fleet = Twice::hgx(3, 4);
    fleet.lease_on(5, 1, &gpus(1));
    fleet.lease_on(6, 1, &gpus(1));
    let decision = plan(&fleet.cell, &gang(2, Locality::Cell), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 10 of 12 nodes fit
      2 fail GpusTaken
    goes to hall-a/row-1/rack-1: nodes 4,7, score 0 2 0 0 0 4
       over hall-a/row-1/rack-0: nodes 0-1, score 0 2 0 2 0 0, lost by unit_left
       over hall-a/row-1/rack-2: nodes 8-9, score 0 2 0 2 0 8, lost by unit_left
    ");
}

#[test]
fn a_gang_larger_than_a_rack_takes_whole_racks_and_fills_a_broken_one() {
    let mut fleet = Twice::hgx(4, 4);
    fleet.lease_on(5, 1, &gpus(1));
    fleet.lease_on(6, 1, &gpus(1));
    let decision = plan(&fleet.cell, &gang(6, Locality::Cell), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 14 of 16 nodes fit
      2 fail GpusTaken
    goes to hall-a/row-1: nodes 0-4,7, score 0 6 0 8 0 0
    ");
}

#[test]
fn a_small_lease_goes_beside_others_of_its_account_and_keeps_nvlink_domains_whole() {
    let mut fleet = Twice::nvl(3, 3);
    let request = Request {
        sku: "gb200".parse().unwrap(),
        ..gpus(2)
    };
    fleet.lease_on(4, 1, &request);
    let decision = plan(&fleet.cell, &request, &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 9 of 9 nodes fit
    goes to hall-b/row-1/nvl-1/d0: nodes 4 gpus 2-3, score 0 0 1 0 0 4
       over hall-b/row-1/nvl-1/d0: nodes 3 gpus 0-1, score 0 0 2 1 0 3, lost by gpus_stranded
       over hall-b/row-1/nvl-0/d0: nodes 0 gpus 0-1, score 0 1 2 2 0 0, lost by domains_broken
       over hall-b/row-1/nvl-2/d0: nodes 6 gpus 0-1, score 0 1 2 2 0 6, lost by domains_broken
    ");
}

#[test]
fn a_tenant_goes_to_nodes_that_served_tenants_before() {
    let mut fleet = Twice::hgx(1, 3);
    fleet.change(0, |node| node.last_side = Some(Side::Internal));
    fleet.change(1, |node| node.last_side = Some(Side::Tenant));
    let decision = plan(&fleet.cell, &gang(2, Locality::Rack), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    placed: 3 of 3 nodes fit
    goes to hall-a/row-1/rack-0: nodes 1-2, score 0 2 0 1 0 1
    ");
}

#[test]
fn every_node_is_counted_by_every_rule_it_fails() {
    let mut fleet = Twice::hgx(1, 8);
    fleet.lease_on(0, 2, &of(Side::Internal, gpus(2)));
    let ended = fleet.lease_on(1, 8, &gpus(8));
    fleet.end(ended, hour(1));
    fleet.change(2, |node| node.flagged = true);
    fleet.change(3, |node| node.silent = true);
    fleet.change(4, |node| node.healthy = GpuSlots::first(7));
    fleet.change(5, |node| {
        node.state = NodeState::Quarantined;
        node.silent = true;
    });
    let mut kept = fleet.plain.nodes[&NodeIndex(6)].0.clone();
    kept.owner = Owner::Internal;
    fleet.admit(6, kept);
    let decision = plan(&fleet.cell, &gang(2, Locality::Cell), &POLICY, hour(1));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 1 of 8 nodes fit
      1 fail NodeState
      1 fail Flagged
      2 fail Silent
      1 fail Owner
      1 fail OtherSide
      1 fail OtherAccount
      1 fail GpusTaken
      1 fail GpusUnhealthy
      1 fail AwaitingReturn
      short of nodes by 1
    Capacity: 1 of the 2 nodes asked are free; 1 that would do are held or booked
    Draining: 1 of the 2 nodes asked are free; 1 that would do are flagged
    AwaitingCleanup: 1 of the 2 nodes asked are free; 1 that would do are giving hardware back
    NodesUnavailable: 1 of the 2 nodes asked are free; 3 that would do are not heard of, faulty or taken out
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    goes on when NodesReturn { nodes: 1 }
    goes on when NodesRecover { nodes: 3 }
    could start at 1970-01-01T02:10:00.000Z
    ");
}

#[test]
fn six_gpus_wait_though_nine_are_free_because_no_node_has_them_together() {
    let mut fleet = Twice::hgx(1, 2);
    fleet.lease_on(0, 3, &gpus(3));
    fleet.lease_on(
        1,
        4,
        &Request {
            end: End::Open,
            ..gpus(4)
        },
    );
    let decision = plan(&fleet.cell, &gpus(6), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 2 nodes fit
      2 fail GpusTaken
      short of gpus by 1
    Fragmented: 9 gpus are free, but no node has more than 5 of the 6 asked
    Capacity: no node can give 6 gpus; 2 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T02:10:00.000Z
    ");
}

#[test]
fn nobody_can_say_when_hardware_that_is_late_comes_back() {
    let mut fleet = Twice::hgx(1, 1);
    let ended = fleet.lease_on(0, 2, &gpus(2));
    fleet.end(ended, hour(1));
    let request = Request {
        account: "globex".parse().unwrap(),
        ..gpus(1)
    };
    let decision = plan(&fleet.cell, &request, &POLICY, hour(1));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 1 nodes fit
      1 fail OtherAccount
      1 fail AwaitingReturn
      short of gpus by 1
    AwaitingCleanup: no node can give 1 gpu; 1 that would do are giving hardware back
    goes on when NodesReturn { nodes: 1 }
    nobody can say when
    ");

    // A GPU of the same account beside it does not wait.
    assert!(
        plan(&fleet.cell, &gpus(6), &POLICY, hour(1))
            .plan()
            .is_some()
    );
    fleet.release(ended, NodeIndex(0));
    assert!(
        plan(&fleet.cell, &request, &POLICY, hour(1))
            .plan()
            .is_some()
    );
}

#[test]
fn an_advance_booking_keeps_its_hardware_and_short_leases_go_before_it() {
    let mut fleet = Twice::hgx(1, 1);
    let week = Request {
        start: Some(hour(5)),
        end: End::After(Span::from_hours(168)),
        ..gang(1, Locality::Cell)
    };
    let (_, booked) = fleet.place(&week, hour(0));
    assert_eq!(booked.plan().unwrap().start, hour(5));

    let until = |hours, minutes: u64| Request {
        account: "globex".parse().unwrap(),
        end: End::At(hour(hours) - Span::from_mins(minutes)),
        ..gpus(1)
    };
    // It must be over, and its hardware clean, when the week begins.
    assert!(
        plan(&fleet.cell, &until(5, 10), &POLICY, hour(0))
            .plan()
            .is_some()
    );
    let decision = plan(&fleet.cell, &until(5, 9), &POLICY, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 1 nodes fit
      1 fail OtherAccount
      1 fail GpusTaken
      short of gpus by 1
    Capacity: no node can give 1 gpu; 1 that would do are held or booked
    nobody can say when
    ");
    let decision = plan(
        &fleet.cell,
        &Request {
            account: "globex".parse().unwrap(),
            start: Some(hour(4)),
            ..gpus(1)
        },
        &POLICY,
        hour(0),
    );
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 1 nodes fit
      1 fail OtherAccount
      1 fail GpusTaken
      short of gpus by 1
    Capacity: no node can give 1 gpu; 1 that would do are held or booked
    NotBefore: it is not to start before 1970-01-01T04:00:00.000Z
    goes on when lease 1 ends at 1970-01-08T05:00:00.000Z
    could start at 1970-01-08T05:10:00.000Z
    ");
}

#[test]
fn what_can_never_be_says_what_there_is() {
    let fleet = Twice::hgx(2, 4);
    let mut never = String::new();
    for request in [
        gang(5, Locality::Rack),
        gpus(9),
        Request {
            sku: "b200".parse().unwrap(),
            ..gpus(1)
        },
        gpus(0),
        Request {
            end: End::At(hour(1)),
            start: Some(hour(2)),
            ..gpus(1)
        },
    ] {
        never += &told(plan(&fleet.cell, &request, &POLICY, hour(0)).why());
    }
    insta::assert_snapshot!(never, @r"
    never: 8 of 8 nodes fit
    NeverFits: 5 nodes within one rack: the largest has 4 of sku h200 for the tenant side
    never: 8 of 8 nodes fit
    NeverFits: 9 gpus on one node: a node of sku h200 has 8
    never: 0 of 8 nodes fit
      8 fail OtherSku
    NoSuchSku: no node of sku b200 is in the cell
    never: 0 of 0 nodes fit
    Invalid: it asks for nothing
    never: 0 of 0 nodes fit
    Invalid: it would start at 1970-01-01T02:00:00.000Z and end at 1970-01-01T01:00:00.000Z, and the end must be later
    ");
}
