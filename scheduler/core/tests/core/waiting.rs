//! Leases that wait, and why.

use crate::fixture::{Cell, minutes, nodes, wish};
use leasehold_common::api::{CreateLease, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::explain::{Reason, Unblock};
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
