//! Leases that wait, and why.

use crate::fixture::{Cell, minutes, nodes, wish};
use leasehold_common::api::{CreateLease, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::explain::{Reason, Unblock};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState as S;
use leasehold_core::command::{Command, Query, View};

fn of(account: &str, count: u32) -> CreateLease {
    CreateLease {
        account: account.parse().unwrap(),
        ..wish(nodes(count))
    }
}

#[test]
fn a_lease_waits_for_room_says_until_when_and_starts_when_another_ends() {
    let mut cell = Cell::of(2);
    let first = cell.lease(of("acme", 2));
    cell.agents_answer([0, 1]);
    let second = cell.lease(of("globex", 1));
    let view = cell.view(second);
    assert_eq!(view.state, S::Requested);
    assert_eq!(view.reason, Some(Reason::Capacity));
    // When the first has ended and the hardware has been taken back.
    assert_eq!(view.earliest, Some(cell.now + minutes(120 + 10)));
    let View::Explain(why) = cell.query(&Query::Explain(second)) else {
        panic!("an explanation was asked for")
    };
    let unblocked = why.explanation.unwrap().unblocked_by;
    assert!(matches!(unblocked[..], [Unblock::LeaseEnds { lease, .. }, ..] if lease == first));

    cell.pass(minutes(120));
    cell.pass(minutes(10));
    assert_eq!(cell.view(second).reason, Some(Reason::AwaitingCleanup));
    cell.agents_answer([0, 1]);
    assert_eq!(cell.state_of(second), S::Preparing);
    assert_eq!(cell.view(second).reason, None);
}

/// Why a lease waits: the words, and who it is told goes first.
fn told(cell: &Cell, id: LeaseId) -> (Vec<String>, Vec<LeaseId>) {
    let why = cell.record(id).explanation.clone().expect("it was decided");
    let reasons = why.reasons.iter();
    let first = why.unblocked_by.iter().filter_map(|by| match by {
        Unblock::LeaseGoesFirst { lease, .. } => Some(*lease),
        _ => None,
    });
    (
        reasons
            .map(|r| format!("{} {}: {}", r.reason, r.nodes, r.detail))
            .collect(),
        first.collect(),
    )
}

#[test]
fn a_lease_that_waits_behind_another_that_waits_is_told_so() {
    let mut cell = Cell::of(4);
    let running = cell.lease(of("acme", 3));
    cell.agents_answer(0..4);
    let gang = cell.lease(CreateLease {
        length: Some(minutes(60)),
        ..of("globex", 4)
    });
    assert_eq!(cell.view(gang).reason, Some(Reason::Capacity));
    assert_eq!(told(&cell, gang).1, [], "nobody goes before it");

    // A node is free, and the gang will have it before this would be over.
    let long = CreateLease {
        length: Some(minutes(180)),
        ..of("acme", 1)
    };
    let behind = cell.lease(long.clone());
    let (reasons, first) = told(&cell, behind);
    insta::assert_snapshot!(reasons.join("\n"), @r"
    Priority 4: lease 2 waits too and goes first, on 4 of the nodes
    Capacity 4: no node of sku h200 is free; 4 that would do are held or booked
    ");
    assert_eq!(first, [gang]);
    assert_eq!(cell.view(behind).reason, Some(Reason::Priority));

    // One that must be over by then has no start at all.
    let never = cell.lease(CreateLease {
        length: None,
        until: Some(cell.now + minutes(150)),
        ..of("acme", 1)
    });
    let (reasons, first) = told(&cell, never);
    insta::assert_snapshot!(reasons.join("\n"), @r"
    Priority 4: lease 2 waits too and goes first, on 4 of the nodes
    Capacity 4: no node of sku h200 is free; 4 that would do are held or booked
    ");
    assert_eq!(first, [gang]);
    assert_eq!(cell.view(never).earliest, None);

    // All four are in use or will be, by one that runs and by one that waits.
    let last = cell.lease(of("acme", 4));
    let (reasons, first) = told(&cell, last);
    insta::assert_snapshot!(reasons.join("\n"), @r"
    Capacity 3: 1 of the 4 nodes asked are free; 3 that would do are held or booked
    Priority 4: leases 2, 3 wait too and go first, on 4 of the nodes
    ");
    assert_eq!(first, [gang, behind]);
    let ends = cell.record(last).explanation.clone().unwrap().unblocked_by;
    assert!(matches!(ends[0], Unblock::LeaseEnds { lease, .. } if lease == running));

    // Before it is made the same is said.
    let would_be = cell.would_be(long).explanation.unwrap();
    assert_eq!(would_be.reason(), Some(&Reason::Priority));
}

#[test]
fn waiting_is_logged_when_it_changes_and_not_each_time_it_is_looked_at() {
    let mut cell = Cell::of(2);
    cell.lease(of("acme", 2));
    let waits = cell.lease(of("globex", 1));
    for _ in 0..20 {
        // Capacity seems to grow each time.
        cell.lease(CreateLease {
            start: Some(cell.now + minutes(600)),
            ..of("acme", 1)
        });
        cell.pass(minutes(1));
    }
    let said = cell.words(|r| r.subject.lease_id == Some(waits));
    assert!(said.len() <= 2, "{said:?}");
}

#[test]
fn a_request_that_waits_too_long_lapses() {
    let mut cell = Cell::of(1);
    cell.lease(CreateLease {
        length: Some(minutes(60 * 24 * 30)),
        ..of("acme", 1)
    });
    let waits = cell.lease(of("globex", 1));
    cell.pass(minutes(24 * 60));
    assert_eq!(cell.state_of(waits), S::Lapsed);
}

#[test]
fn a_request_withdrawn_is_cancelled_and_its_booking_free() {
    let mut cell = Cell::of(1);
    let later = cell.lease(CreateLease {
        start: Some(cell.now + minutes(60)),
        ..of("acme", 1)
    });
    let waits = cell.lease(of("globex", 1));
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.ask(Command::CancelLease(later)).unwrap();
    assert_eq!(cell.state_of(later), S::Cancelled);
    assert_eq!(cell.state_of(waits), S::Preparing);
}

#[test]
fn a_quota_holds_for_what_is_asked_and_for_what_waited() {
    let mut cell = Cell::of(3);
    cell.account("small", Side::Tenant, Some(8));
    let refused = cell.ask(Command::CreateLease(of("small", 2))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::QuotaExceeded);
    assert_eq!(refused.allowed.as_deref(), Some("8 GPUs or fewer"));
    assert!(refused.log_seq.is_some(), "the refusal is in the log");

    // Both are within the quota while neither has anything.
    cell.lease(of("globex", 3));
    cell.agents_answer([0, 1, 2]);
    let (one, two) = (cell.lease(of("small", 1)), cell.lease(of("small", 1)));
    cell.pass(minutes(120));
    cell.agents_answer([0, 1, 2]);
    assert_eq!(cell.state_of(one), S::Preparing);
    assert_eq!(cell.state_of(two), S::Requested);
    assert_eq!(cell.view(two).reason, Some(Reason::QuotaGpu));

    cell.agents_answer([0, 1, 2]);
    cell.pass(minutes(120));
    cell.agents_answer([0, 1, 2]);
    assert_eq!(cell.state_of(one), S::Closed);
    assert_eq!(cell.state_of(two), S::Preparing);
}

#[test]
fn what_can_never_fit_is_refused_and_changes_nothing_but_the_log() {
    let mut cell = Cell::of(4);
    let stored = cell.stored.clone();
    let refused = cell.ask(Command::CreateLease(of("acme", 5))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::NeverFits);
    assert_eq!(refused.reasons[0].reason, Reason::NeverFits);
    let changed: Vec<_> = cell
        .stored
        .iter()
        .filter(|(key, value)| stored.get(key) != Some(value))
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(changed, ["ledger/head"]);
    assert_eq!(cell.log.last().map(|r| r.seq), refused.log_seq);
    assert_eq!(cell.state.leases().count(), 0);
}
