//! What an account may have together: told before it is asked for as it is when it is.

use crate::fixture::{Cell, gpus, nodes, wish};
use crate::gb200;
use leasehold_common::api::{CreateLease, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::explain::{Outcome, Reason};
use leasehold_common::lease::Shape;
use leasehold_core::command::{Command, Write};

fn unit(prefix: &str) -> Shape {
    Shape::Unit {
        prefix: prefix.parse().unwrap(),
    }
}

fn spared(count: u32, spares: u32) -> Shape {
    Shape::Nodes {
        count,
        at_least: None,
        spares,
        whole: None,
    }
}

fn slices(name: &str, count: u32) -> Shape {
    Shape::slices([(name.parse().unwrap(), count)])
}

/// Whether it would be had; where it would be too much, by the plan and by the request alike.
fn is_within(cell: &mut Cell, wish: &CreateLease) -> bool {
    let why = cell.would_be(wish.clone()).explanation.unwrap();
    let dry = cell.write(Write {
        command: Command::CreateLease(wish.clone()),
        idempotency: None,
        dry_run: true,
        if_match: None,
    });
    match (dry, why.outcome) {
        (Ok(_), Outcome::Placed | Outcome::Wait) => true,
        (Err(problem), Outcome::Never) => {
            assert_eq!(problem.code, ProblemCode::QuotaExceeded, "{wish:?}");
            assert_eq!(problem.reasons, why.reasons, "{wish:?}");
            assert_eq!(why.reason(), Some(&Reason::QuotaGpu), "{wish:?}");
            false
        }
        (dry, said) => panic!("{wish:?} would be {said}, and is answered with {dry:?}"),
    }
}

#[test]
fn what_a_plan_says_of_a_quota_is_what_the_request_is_answered_with() {
    for (shape, takes) in [
        (gpus(3), 3),
        (slices("1g.18gb", 8), 2),
        (nodes(2), 16),
        (unit("hall-a/row-1/rack-1"), 32),
        (unit("hall-a"), 64),
    ] {
        let mut cell = Cell::of(8);
        for (account, quota) in [("just", takes), ("short", takes - 1)] {
            cell.account(account, Side::Tenant, Some(quota));
            let wish = CreateLease {
                account: account.parse().unwrap(),
                ..wish(shape.clone())
            };
            let is = is_within(&mut cell, &wish);
            assert_eq!(is, account == "just", "{shape} of {quota}");
        }
    }
}

#[test]
fn spares_count_against_a_quota_before_they_are_asked_for_and_then() {
    for (account, quota) in [("just", 16), ("short", 15)] {
        let mut cell = gb200::cell(8);
        cell.account(account, Side::Tenant, Some(quota));
        let wish = CreateLease {
            account: account.parse().unwrap(),
            ..gb200::of(wish(spared(3, 1)))
        };
        assert_eq!(is_within(&mut cell, &wish), account == "just", "of {quota}");
    }
}

#[test]
fn a_flexible_gang_leaves_its_quota_room_for_spares() {
    // Trays of four GPUs: a quota of 16 is four trays, one of them a spare.
    let mut cell = gb200::cell(8);
    cell.account("just", Side::Tenant, Some(16));
    let flexible = Shape::Nodes {
        count: 6,
        at_least: Some(2),
        spares: 1,
        whole: None,
    };
    let wish = CreateLease {
        account: "just".parse().unwrap(),
        ..gb200::of(wish(flexible))
    };
    let lease = cell.lease(wish);
    assert_eq!(
        cell.record(lease).nodes().count(),
        4,
        "three that work, and a spare"
    );
}

#[test]
fn a_unit_that_has_to_wait_is_judged_when_it_is_known_what_it_comes_to() {
    let mut cell = Cell::of(4);
    cell.account("small", Side::Tenant, Some(31));
    cell.lease(wish(gpus(1)));
    let wish = CreateLease {
        account: "small".parse().unwrap(),
        ..wish(unit("hall-a"))
    };
    assert!(
        is_within(&mut cell, &wish),
        "it waits, as it does when made"
    );
}
