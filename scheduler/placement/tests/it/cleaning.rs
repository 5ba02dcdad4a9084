//! Cleaning that has to wait for its hour, as stories.

use crate::fleet::{POLICY, Twice, asks, hour, of};
use crate::happenings::{Op, op, played_if, step, steps};
use crate::stories::told;
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::Shape;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Prefix;
use leasehold_placement::{BookError, Booking, End, Gang, Policy, Request, plan, replace};
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

/// The day's hours and minutes.
fn at(hours: u64, minutes: u64) -> Timestamp {
    hour(hours) + Span::from_mins(minutes)
}

/// A lease of whole nodes, for one of two accounts.
fn whole(account: &str, nodes: &[u32], from: Timestamp, to: Timestamp, lease: LeaseId) -> Booking {
    Booking {
        lease,
        account: account.parse().unwrap(),
        class: Class::OnDemand,
        from,
        to: Some(to),
        nodes: nodes.iter().copied().map(NodeIndex).collect(),
        gpus: [].into(),
        slices: [].into(),
        host: None,
        gpu_cap_watts: None,
    }
}

/// Two nodes of one lease, of which somebody waits for the second, and two that end before it.
fn somebody_waits_for_the_second_node() -> (Twice, LeaseId) {
    let mut fleet = Twice::hgx(1, 5);
    let policy = Policy {
        turnaround: Span::from_mins(30),
        ..rate(1)
    };
    fleet.adopt(&policy);
    let mut book = |account: &str, nodes: &[u32], from, to| {
        let lease = fleet.next_lease();
        fleet
            .book(whole(account, nodes, from, to, lease))
            .map(|()| lease)
            .unwrap()
    };
    book("globex", &[2], hour(0), at(16, 15));
    book("globex", &[3], hour(0), at(17, 10));
    let pair = book("acme", &[0, 1], hour(0), hour(18));
    // As a new leader reads it, whatever the hours were when it was booked.
    let next = whole("globex", &[1], at(18, 30), hour(22), fleet.next_lease());
    fleet.cell.book_again(next).unwrap();
    fleet.cell.recount_passes();
    (fleet, pair)
}

#[test]
fn a_lease_that_ends_sooner_is_cleaned_no_later_anywhere() {
    let (mut fleet, pair) = somebody_waits_for_the_second_node();
    let pass = |fleet: &Twice, node| {
        let mut passes = fleet.cell.passes();
        let found = passes.find(|(of, _)| *of == (pair, NodeIndex(node)));
        found.map(|(_, at)| at).unwrap()
    };
    assert_eq!(
        [pass(&fleet, 0), pass(&fleet, 1)],
        [hour(19), hour(18)],
        "first the node that somebody waits for"
    );
    fleet.set_end(pair, Some(at(16, 10))).unwrap();
    assert_eq!(
        [pass(&fleet, 0), pass(&fleet, 1)],
        [hour(19), hour(18)],
        "the hours before are full"
    );
    fleet.cell.check();
}

#[test]
fn what_is_taken_out_and_put_back_is_cleaned_when_it_was_to_be() {
    let (mut fleet, pair) = somebody_waits_for_the_second_node();
    // The hour from 16:00 on is free now.
    fleet.unbook(LeaseId(1));
    let passes = |fleet: &Twice| fleet.cell.passes().collect::<BTreeMap<_, _>>();
    let before = passes(&fleet);
    let lifted = fleet.cell.lift(pair).unwrap();
    fleet.cell.put_back(lifted).unwrap();
    assert_eq!(passes(&fleet), before);

    let as_booked = fleet.cell.as_booked(pair).unwrap();
    let instead = whole("acme", &[0, 4], hour(0), hour(18), pair);
    fleet.cell.unbook(pair);
    fleet.cell.book_instead(instead, &as_booked).unwrap();
    let after = passes(&fleet);
    let [stays, comes] = [0, 4].map(|node| after[&(pair, NodeIndex(node))]);
    assert_eq!((stays, comes), (hour(19), hour(18)));
    fleet.cell.check();
}

#[test]
fn hardware_that_is_back_has_had_its_hour_whoever_counts_again() {
    let mut fleet = Twice::hgx(1, 2);
    fleet.adopt(&rate(1));
    let over = fleet.lease_on(0, 8, &asks(Shape::gpus(8)));
    fleet.end(over, hour(2));
    fleet.release(over, NodeIndex(0));
    let then = |fleet: &mut Twice| {
        let lease = fleet.next_lease();
        let booking = whole("acme", &[1], hour(0), at(2, 30), lease);
        fleet.book(booking).unwrap();
        let pass = fleet.cell.passes().map(|(_, pass)| pass).next();
        fleet.unbook(lease);
        fleet.cell.check();
        pass.unwrap()
    };
    assert_eq!(then(&mut fleet), hour(3), "one an hour");
    fleet.adopt(&Policy {
        turnaround: Span::from_mins(20),
        ..rate(1)
    });
    assert_eq!(then(&mut fleet), hour(3), "and that was the one");
    fleet.cell.recount_passes();
    assert_eq!(then(&mut fleet), hour(3));
    fleet.adopt(&rate(2));
    assert_eq!(then(&mut fleet), at(2, 30), "two an hour");
    fleet.adopt(&rate(1));
    fleet.cell.advance(hour(3));
    assert_eq!(
        then(&mut fleet),
        at(2, 30),
        "nobody asks of an hour that is over"
    );
}

#[test]
fn a_policy_that_says_the_same_of_cleaning_leaves_everybody_their_hour() {
    let mut fleet = Twice::hgx(1, 3);
    let policy = rate(1);
    fleet.adopt(&policy);
    let first = fleet.lease_on(0, 8, &asks(Shape::gpus(8)));
    fleet.lease_on(1, 8, &asks(Shape::gpus(8)));
    fleet.unbook(first);
    let passes = |fleet: &Twice| fleet.cell.passes().map(|(_, at)| at).collect::<Vec<_>>();
    assert_eq!(passes(&fleet), [hour(3)]);
    fleet.adopt(&Policy {
        planned_ahead: 7,
        ..policy
    });
    assert_eq!(passes(&fleet), [hour(3)]);
    fleet.adopt(&rate(2));
    assert_eq!(passes(&fleet), [hour(2)]);
}

#[test]
fn a_node_in_the_place_of_another_is_cleaned_as_one_and_not_as_all_there_are() {
    let mut fleet = Twice::hgx(1, 4);
    let policy = rate(1);
    fleet.adopt(&policy);
    let request = asks(Shape::nodes(1));
    let lease = fleet.next_lease();
    fleet
        .book(whole("acme", &[0], hour(0), hour(2), lease))
        .unwrap();
    let others = [(1, hour(4)), (2, hour(0)), (3, hour(0))];
    for (node, from) in others {
        let other = fleet.next_lease();
        fleet
            .book(whole("globex", &[node], from, hour(9), other))
            .unwrap();
    }
    fleet.cell.release_node(lease, NodeIndex(0));
    let gang = Gang {
        nodes: &[NodeIndex(0)].into_iter().collect(),
        spares: &NodeSet::new(),
        whole: None,
    };
    let decision = replace(&fleet.cell, &request, gang, NodeIndex(0), &policy, hour(0));
    let plan = decision.plan().expect("the node is free until it is clean");
    assert!(plan.nodes.contains(NodeIndex(1)));
}

#[test]
fn everything_below_a_place_is_cleaned_as_that_and_not_as_all_there_is() {
    let mut fleet = Twice::hgx(3, 2);
    let policy = rate(1);
    fleet.adopt(&policy);
    for node in 0..2 {
        let next = fleet.next_lease();
        fleet
            .book(whole("globex", &[node], at(3, 10), hour(9), next))
            .unwrap();
    }
    let prefix: Prefix = "hall-a/row-1/rack-0".parse().unwrap();
    let unit = asks(Shape::Unit { prefix });
    let decision = plan(&fleet.cell, &unit, &policy, hour(0));
    assert_eq!(
        decision.plan().expect("both are clean by then").nodes.len(),
        2
    );
}

/// Whether what happens leaves everybody the turnaround on a node, as whoever decides sees to: the ledger
/// alone only asks whether a pass that has to wait is late.
fn leaves_a_turnaround(fleet: &Twice, op: &Op) -> bool {
    let turnaround = fleet.house().turnaround;
    match op {
        Op::SetEnd { lease, to } => to.is_none_or(|to| {
            let clean = step(to) + turnaround;
            fleet.cell.after(LeaseId(*lease), clean).is_empty()
        }),
        Op::Book {
            request,
            nodes,
            from,
            ..
        } => {
            let (from, to) = (step(*from), request.end.if_started(step(*from)));
            let mut holds = nodes
                .iter()
                .flat_map(|node| fleet.cell.holds(NodeIndex(*node)));
            holds.all(|hold| {
                let is_before = hold.to.is_some_and(|end| end + turnaround <= from);
                let is_after = to.is_some_and(|to| to + turnaround <= hold.from);
                is_before || is_after
            })
        }
        Op::Admit { .. }
        | Op::Remove { .. }
        | Op::Condition { .. }
        | Op::Place { .. }
        | Op::Unbook { .. }
        | Op::End { .. }
        | Op::Release { .. }
        | Op::Pass { .. }
        | Op::Budget { .. } => true,
    }
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
        let (mut fleet, _) = played_if(ops, &policy, leaves_a_turnaround);
        are_clean_in_time(&fleet, &policy, rate)?;
        fleet.cell.recount_passes();
        are_clean_in_time(&fleet, &policy, rate)?;
        // What ends sooner is always free.
        let ends = fleet.plain.bookings.clone();
        for booked in ends.iter().filter(|booked| !booked.awaiting_return) {
            let Booking { lease, from, to, .. } = booked.booking;
            let sooner = to.map_or(from + steps(1), |to| to - steps(1));
            if sooner > from {
                prop_assert_eq!(fleet.set_end(lease, Some(sooner)), Ok(()));
            }
        }
        are_clean_in_time(&fleet, &policy, rate)?;
        fleet.cell.recount_passes();
        are_clean_in_time(&fleet, &policy, rate)?;
    }
}

/// Whether no hour has more passes than it has room for, and nobody has hardware before its pass.
fn are_clean_in_time(fleet: &Twice, policy: &Policy, rate: u32) -> Result<(), TestCaseError> {
    let mut hours: BTreeMap<i64, u32> = BTreeMap::new();
    for (_, pass) in fleet.cell.passes() {
        *hours.entry(pass.unix_ms() / 3_600_000).or_default() += 1;
    }
    prop_assert!(hours.values().all(|passes| *passes <= rate), "{hours:?}");
    // Slices of one GPU are not each other's hardware.
    let has_slices = |lease: LeaseId, node: NodeIndex| {
        let mut booked = fleet.plain.bookings.iter().map(|booked| &booked.booking);
        booked.any(|b| b.lease == lease && b.slices.contains_key(&node))
    };
    // A maintenance waits for no pass.
    let is_closed = |lease: LeaseId| {
        let mut booked = fleet.plain.bookings.iter().map(|booked| &booked.booking);
        booked.any(|b| b.lease == lease && b.gpu_cap_watts == Some(0))
    };
    for node in fleet.plain.nodes.keys() {
        let holds: Vec<_> = fleet.cell.holds(*node).collect();
        for (at, hold) in holds.iter().enumerate() {
            for next in &holds[at + 1..] {
                let are_apart = [hold, next].iter().all(|h| has_slices(h.lease, *node));
                let meet = !are_apart && !hold.slots.common(next.slots).is_empty();
                let is_clean = hold
                    .pass
                    .is_some_and(|p| p + policy.turnaround <= next.from);
                // A lease that was ended before its start has no time.
                let is_over = hold.awaiting_return || next.awaiting_return;
                prop_assert!(!meet || is_over || is_clean || is_closed(next.lease));
            }
        }
    }
    fleet.cell.check();
    Ok(())
}
