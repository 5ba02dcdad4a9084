//! Requests besides placing: hold and commit, extend.

use crate::fixture::{Cell, MORNING, gpus, minutes, nodes, wish};
use leasehold_common::api::{CreateLease, CreateMaintenance, ExtendLease, ProblemCode};
use leasehold_common::explain::Outcome;
use leasehold_common::grant::Order;
use leasehold_common::ids::{Generation, LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseState as S, Shape};
use leasehold_common::time::Span;
use leasehold_common::units::MilliWatts;
use leasehold_core::command::{Command, Query, View};

fn held(shape: Shape) -> CreateLease {
    CreateLease {
        hold: Some(minutes(10)),
        ..wish(shape)
    }
}

fn for_another(length: Span) -> ExtendLease {
    ExtendLease {
        length: Some(length),
        until: None,
    }
}

fn extend(id: LeaseId, length: Span) -> Command {
    Command::ExtendLease(id, for_another(length))
}

fn grant_end(
    cell: &Cell,
    n: u32,
    id: LeaseId,
) -> (Generation, Option<leasehold_common::time::Timestamp>) {
    let grants = cell.state.grants_of(NodeIndex(n)).unwrap();
    let grant = grants.grants[&id].open().unwrap();
    assert_eq!(grant.order, Order::Serve);
    (grant.term.generation, grant.access_end)
}

#[test]
fn held_hardware_is_nobody_elses_and_no_node_hears_of_it() {
    let mut cell = Cell::of(1);
    let id = cell.lease(held(nodes(1)));
    assert_eq!(cell.state_of(id), S::Held);
    assert_eq!(cell.view(id).held_until, Some(MORNING + minutes(10)));
    assert_eq!(cell.state.grants_of(NodeIndex(0)), None);
    let waits = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(waits), S::Requested);
}

#[test]
fn a_hold_that_nobody_commits_lapses_and_lets_the_next_one_in() {
    let mut cell = Cell::of(1);
    let id = cell.lease(held(nodes(1)));
    let waits = cell.lease(wish(nodes(1)));
    cell.reload([0]);
    assert_eq!(cell.state.next_wake(), Some(MORNING + minutes(10)));
    cell.pass(minutes(10));
    assert_eq!(
        (cell.state_of(id), cell.state_of(waits)),
        (S::Lapsed, S::Preparing)
    );
    let late = cell.ask(Command::CommitLease(id)).unwrap_err();
    assert_eq!(
        (late.code, late.lease_state),
        (ProblemCode::IllegalState, Some(S::Lapsed))
    );
}

#[test]
fn a_hold_that_is_committed_is_a_lease_of_its_whole_length() {
    let mut cell = Cell::of(1);
    let id = cell.lease(held(nodes(1)));
    cell.pass(minutes(8));
    assert!(
        !cell
            .ask_as("c1", Command::CommitLease(id))
            .unwrap()
            .replayed
    );
    assert!(
        cell.ask_as("c1", Command::CommitLease(id))
            .unwrap()
            .replayed
    );
    assert_eq!(cell.state_of(id), S::Preparing);
    let view = cell.view(id);
    assert_eq!(view.start, Some(cell.now));
    assert_eq!(
        view.end,
        Some(cell.now + minutes(120)),
        "not two hours from when it was held"
    );
    assert_eq!(view.held_until, None);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Active);
    cell.reload([0]);
    assert_eq!(cell.state_of(id), S::Active);
}

#[test]
fn a_hold_whose_hardware_is_booked_afterwards_keeps_its_planned_end() {
    let mut cell = Cell::of(1);
    let id = cell.lease(held(nodes(1)));
    let planned = cell.view(id).end.unwrap();
    let mut next = wish(nodes(1));
    next.start = Some(planned + minutes(10));
    cell.lease(next);
    cell.pass(minutes(5));
    cell.ask(Command::CommitLease(id)).unwrap();
    assert_eq!(cell.view(id).end, Some(planned));
}

#[test]
fn a_hold_can_be_withdrawn() {
    let mut cell = Cell::of(1);
    let id = cell.lease(held(nodes(1)));
    cell.ask(Command::CancelLease(id)).unwrap();
    assert_eq!(cell.state_of(id), S::Cancelled);
    let next = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(next), S::Preparing);
}

#[test]
fn an_extension_goes_to_every_node_as_new_terms() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(nodes(2)));
    cell.agents_answer([0, 1]);
    let end = cell.view(id).end.unwrap();
    assert_eq!(grant_end(&cell, 0, id), (Generation(1), Some(end)));
    assert!(!cell.ask_as("x1", extend(id, minutes(60))).unwrap().replayed);
    assert!(cell.ask_as("x1", extend(id, minutes(60))).unwrap().replayed);
    for n in [0, 1] {
        assert_eq!(
            grant_end(&cell, n, id),
            (Generation(2), Some(end + minutes(60)))
        );
    }
    cell.agents_answer([0, 1]);
    cell.reload([0, 1]);
    cell.agents_answer([0, 1]);
    cell.now = end;
    cell.tell([]);
    assert_eq!(cell.state_of(id), S::Active, "its old end has passed");
    cell.pass(minutes(60));
    assert_eq!(cell.state_of(id), S::Releasing);
}

#[test]
fn a_lease_that_was_about_to_end_goes_on() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    cell.pass(minutes(110));
    assert_eq!(cell.state_of(id), S::Draining);
    cell.ask(extend(id, minutes(120))).unwrap();
    assert_eq!(cell.state_of(id), S::Active);
}

#[test]
fn an_extension_that_cannot_reach_its_nodes_in_time_is_refused() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    cell.now = cell.view(id).end.unwrap() - Span::from_secs(59);
    cell.tell([]);
    let late = cell.ask(extend(id, minutes(5))).unwrap_err();
    assert!(late.detail.contains("1m"), "{late}");
    assert_eq!(
        (late.code, late.lease_state),
        (ProblemCode::IllegalState, Some(S::Draining))
    );
}

#[test]
fn what_follows_is_never_pushed_back_and_is_named() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    let end = cell.view(id).end.unwrap();
    let mut next = wish(nodes(1));
    next.start = Some(end + minutes(60));
    let next = cell.lease(next);
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    // The hardware is kept free for ten minutes before whoever follows.
    let refused = cell.ask(extend(id, minutes(51))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Booked);
    assert_eq!(refused.conflicts[0].lease, Some(next));
    assert_eq!((&cell.stored, cell.log.len()), (&stored, log));
    cell.ask(extend(id, minutes(50))).unwrap();
    assert_eq!(cell.view(id).end, Some(end + minutes(50)));
}

#[test]
fn maintenance_is_in_the_way_of_an_extension_too() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    let end = cell.view(id).end.unwrap();
    let plates = CreateMaintenance {
        nodes: "h000".into(),
        from: Some(end + minutes(30)),
        to: end + minutes(90),
        reason: Some("plates".into()),
    };
    cell.ask(Command::CreateMaintenance(plates)).unwrap();
    let refused = cell.ask(extend(id, minutes(60))).unwrap_err();
    assert!(refused.conflicts[0].maintenance.is_some());
}

#[test]
fn an_extension_that_makes_no_sense_changes_nothing() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    let stored = cell.stored.clone();
    let both = ExtendLease {
        until: cell.view(id).end,
        ..for_another(minutes(5))
    };
    let earlier = ExtendLease {
        length: None,
        until: Some(MORNING + minutes(60)),
    };
    for (what, wish, field, allowed) in [
        ("neither", ExtendLease::default(), "for", "for or until"),
        ("both", both, "for", "one of both"),
        ("an earlier end", earlier, "until", "an end after"),
        ("no time", for_another(Span::ZERO), "for", "an end after"),
        (
            "an age",
            for_another(Span::from_hours(24 * 4000)),
            "for",
            "up to",
        ),
    ] {
        let refused = cell.ask(Command::ExtendLease(id, wish)).expect_err(what);
        assert_eq!(refused.code, ProblemCode::InvalidField, "{what}");
        assert_eq!(refused.field.as_deref(), Some(field), "{what}");
        assert!(refused.allowed.unwrap().contains(allowed), "{what}");
    }
    assert_eq!(cell.stored, stored);
}

#[test]
fn a_lower_cap_is_a_smaller_envelope_and_the_node_is_told() {
    let mut cell = Cell::of(1);
    let mut capped = wish(gpus(8));
    capped.gpu_cap_watts = Some(400);
    let id = cell.lease(capped);
    assert_eq!(cell.view(id).envelope_watts, 10_200 - 8 * 300);
    let grants = cell.state.grants_of(NodeIndex(0)).unwrap();
    let grant = grants.grants[&id].open().unwrap();
    assert_eq!(grant.gpu_cap_mw, Some(MilliWatts::from_watts(400)));
}

#[test]
fn a_plan_says_everything_and_does_nothing() {
    let mut cell = Cell::of(2);
    cell.lease(wish(nodes(1)));
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    for (count, outcome, state) in [
        (1, Outcome::Placed, S::Scheduled),
        (2, Outcome::Wait, S::Requested),
        (3, Outcome::Never, S::Requested),
    ] {
        let View::Explain(view) = cell.query(&Query::Plan(Box::new(wish(nodes(count))))) else {
            panic!("an explanation was asked for")
        };
        let why = view.explanation.unwrap();
        assert_eq!((why.outcome, view.lease.state), (outcome, state));
        assert_eq!(why.evaluated, 2);
    }
    assert_eq!((&cell.stored, cell.log.len()), (&stored, log));
}
