//! Writes that are sent again, under conditions, or only to see what would happen.

use crate::fixture::{Cell, gpus, minutes, nodes, wish};
use leasehold_common::api::{CreateAccount, EndLease, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::ids::Generation;
use leasehold_common::lease::LeaseState as S;
use leasehold_core::command::{Command, View, Write};

#[test]
fn a_retry_is_answered_and_not_carried_out_again() {
    let mut cell = Cell::of(2);
    let create = Command::CreateLease(wish(gpus(2)));
    let first = cell.ask_as("k1", create.clone()).unwrap();
    let again = cell.ask_as("k1", create.clone()).unwrap();
    let id = |written: &leasehold_core::command::Written| match &written.view {
        View::Lease(lease) => lease.id,
        other => panic!("{other:?}"),
    };
    assert_eq!((first.status, first.replayed), (201, false));
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(id(&first), id(&again));
    assert_eq!(cell.state.leases().count(), 1);

    cell.reload([0, 1]);
    let after_restart = cell.ask_as("k1", create).unwrap();
    assert!(after_restart.replayed);
    let end = EndLease {
        now: true,
        confirm_gpus: None,
    };
    let end = Command::EndLease(id(&first), end);
    assert!(!cell.ask_as("k2", end.clone()).unwrap().replayed);
    assert!(cell.ask_as("k2", end).unwrap().replayed);
}

#[test]
fn a_key_with_another_body_is_refused() {
    let mut cell = Cell::of(2);
    cell.ask_as("k1", Command::CreateLease(wish(gpus(2))))
        .unwrap();
    let refused = cell
        .ask_as("k1", Command::CreateLease(wish(gpus(3))))
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::IdempotencyMismatch);
    assert_eq!(refused.value.as_deref(), Some("k1"));
    assert_eq!(cell.state.leases().count(), 1);
}

#[test]
fn an_account_is_created_once() {
    let mut cell = Cell::empty();
    let create = Command::CreateAccount(CreateAccount {
        name: "acme".parse().unwrap(),
        side: Side::Tenant,
        quota_gpus: Some(8),
    });
    assert!(!cell.ask_as("k1", create.clone()).unwrap().replayed);
    assert!(cell.ask_as("k1", create.clone()).unwrap().replayed);
    let refused = cell.ask_as("k2", create).unwrap_err();
    assert_eq!(refused.code, ProblemCode::AccountExists);
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let mut cell = Cell::of(2);
    let (stored, batches) = (cell.stored.clone(), cell.batches);
    let dry = Write {
        command: Command::CreateLease(wish(nodes(1))),
        idempotency: None,
        dry_run: true,
        if_match: None,
    };
    let written = cell.write(dry).unwrap();
    let View::Lease(would_be) = written.view else {
        panic!("a lease was asked for")
    };
    assert_eq!((written.status, would_be.nodes.as_str()), (200, "h000"));
    assert_eq!((&cell.stored, cell.batches), (&stored, batches));
}

#[test]
fn a_write_for_another_generation_is_refused() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    let end = |generation| Write {
        command: Command::EndLease(
            id,
            EndLease {
                now: true,
                confirm_gpus: None,
            },
        ),
        idempotency: None,
        dry_run: false,
        if_match: Some(Generation(generation)),
    };
    let refused = cell.write(end(7)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::StaleGeneration);
    assert_eq!(
        (refused.value.as_deref(), refused.allowed.as_deref()),
        (Some("7"), Some("1"))
    );
    assert_eq!(cell.state_of(id), S::Preparing);
    cell.write(end(1)).unwrap();
    assert_eq!(cell.state_of(id), S::Releasing);
}

#[test]
fn the_last_few_writes_of_a_lease_are_remembered() {
    let mut cell = Cell::of(1);
    let create = Command::CreateLease(wish(nodes(1)));
    let View::Lease(lease) = cell.ask_as("create", create.clone()).unwrap().view else {
        panic!("a lease was asked for")
    };
    cell.agents_answer([0]);
    let end = Command::EndLease(lease.id, EndLease::default());
    for n in 0..12 {
        cell.ask_as(&format!("k{n}"), end.clone()).unwrap();
        cell.pass(minutes(1));
    }
    assert!(cell.ask_as("k11", end.clone()).unwrap().replayed);
    assert!(!cell.ask_as("k0", end).unwrap().replayed);
    assert!(
        cell.ask_as("create", create).unwrap().replayed,
        "the first is never forgotten"
    );
}
