//! Cleaning that has to wait for its hour, as stories.

use crate::fleet::{POLICY, Twice, asks, hour, of};
use crate::happenings::{Op, op, played_by};
use crate::stories::told;
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::Shape;
use leasehold_common::time::Span;
use leasehold_common::topology::Prefix;
use leasehold_placement::{BookError, End, Policy, Request, plan};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// So many nodes of the hall an hour.
fn rate(nodes: u32) -> Policy {
    Policy {
        sanitising_per_hour: [("hall-a".parse().unwrap(), nodes)].into(),
        ..POLICY
    }
}

#[test]
fn a_gang_starts_when_the_last_of_its_nodes_is_clean() {
    let mut fleet = Twice::hgx(1, 3);
    let policy = rate(1);
    fleet.adopt(&policy);
    for node in 0..3 {
        fleet.lease_on(node, 8, &of(Side::Internal, asks(Shape::gpus(8))));
    }
    let decision = plan(&fleet.cell, &asks(Shape::nodes(2)), &policy, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 3 nodes fit
      3 fail OtherSide
      3 fail OtherAccount
      3 fail GpusTaken
      short of nodes by 2
    Capacity: 0 of the 2 nodes asked are free; 3 that would do are held or booked
    goes on when lease 1 ends at 1970-01-01T02:00:00.000Z
    goes on when lease 2 ends at 1970-01-01T02:00:00.000Z
    could start at 1970-01-01T03:10:00.000Z
    ");
}

#[test]
fn a_lease_goes_nowhere_that_cannot_be_cleaned_before_the_next_has_it() {
    let mut fleet = Twice::hgx(1, 2);
    let policy = rate(1);
    fleet.adopt(&policy);
    let then = Request {
        account: "globex".parse().unwrap(),
        start: Some(hour(3)),
        end: End::After(Span::from_hours(9)),
        ..asks(Shape::gpus(8))
    };
    fleet.lease_on(0, 8, &then);
    fleet.lease_on(1, 8, &of(Side::Internal, asks(Shape::gpus(8))));
    let until = |hours, minutes| Request {
        end: End::At(hour(hours) + Span::from_mins(minutes)),
        ..asks(Shape::nodes(1))
    };
    assert!(
        plan(&fleet.cell, &until(1, 50), &policy, hour(0))
            .plan()
            .is_some()
    );
    let decision = plan(&fleet.cell, &until(2, 20), &policy, hour(0));
    insta::assert_snapshot!(told(decision.why()), @r"
    wait: 0 of 2 nodes fit
      1 fail OtherSide
      2 fail OtherAccount
      1 fail GpusTaken
      1 fail AwaitingReturn
      short of nodes by 1
    Capacity: no node of sku h200 is free; 1 that would do are held or booked
    AwaitingCleanup: no node of sku h200 is free; 1 that would do are giving hardware back or wait to be cleaned, 1 an hour in hall-a
    goes on when lease 2 ends at 1970-01-01T02:00:00.000Z
    goes on when NodesReturn { nodes: 1 }
    could start at 1970-01-01T02:10:00.000Z
    ");
    let mut lease = plan(&fleet.cell, &until(1, 50), &policy, hour(0))
        .plan()
        .unwrap()
        .booking(fleet.next_lease(), &until(1, 50));
    lease.to = Some(hour(2) + Span::from_mins(20));
    let refused = fleet.book(lease.clone()).unwrap_err();
    assert!(matches!(refused, BookError::NotClean { .. }), "{refused}");
    lease.to = Some(hour(1) + Span::from_mins(50));
    fleet.book(lease.clone()).unwrap();
    let refused = fleet.set_end(lease.lease, Some(hour(2) + Span::from_mins(20)));
    assert!(matches!(refused, Err(BookError::NotClean { .. })));
    fleet.cell.check();
}

proptest! {
    #[test]
    fn no_hour_has_more_passes_than_it_has_room_for_and_nobody_gets_hardware_before_its_pass(
        ops in prop::collection::vec(op(), 0..60),
        rate in 1..4_u32,
    ) {
        let policy = Policy {
            sanitising_per_hour: [(Prefix::cell(), rate)].into(),
            ..POLICY
        };
        // What is booked over the planner's head is booked whatever the rate.
        let planned = ops.into_iter().filter(|op| {
            !matches!(op, Op::Book { .. } | Op::SetEnd { .. })
        });
        let (mut fleet, _) = played_by(planned.collect(), &policy);
        for leader in ["this", "the next"] {
            let mut hours: BTreeMap<i64, u32> = BTreeMap::new();
            for (_, pass) in fleet.cell.passes() {
                *hours.entry(pass.unix_ms() / 3_600_000).or_default() += 1;
            }
            prop_assert!(hours.values().all(|passes| *passes <= rate), "{} {:?}", leader, hours);
            // Slices of one GPU are not each other's hardware.
            let has_slices = |lease: LeaseId, node: NodeIndex| {
                let mut booked = fleet.plain.bookings.iter().map(|booked| &booked.booking);
                booked.any(|b| b.lease == lease && b.slices.contains_key(&node))
            };
            for node in fleet.plain.nodes.keys() {
                let holds: Vec<_> = fleet.cell.holds(*node).collect();
                for (at, hold) in holds.iter().enumerate() {
                    for next in &holds[at + 1..] {
                        let are_apart = [hold, next].iter().all(|h| has_slices(h.lease, *node));
                        let meet = !are_apart && !hold.slots.common(next.slots).is_empty();
                        let is_clean = hold.pass.is_some_and(|p| p + policy.turnaround <= next.from);
                        // A lease that was ended before its start has no time.
                        let is_over = hold.awaiting_return || next.awaiting_return;
                        prop_assert!(!meet || is_over || is_clean, "{}", leader);
                    }
                }
            }
            fleet.cell.check();
            fleet.cell.recount_passes();
        }
    }
}
