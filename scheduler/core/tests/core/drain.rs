//! Nodes that are drained, for a while or until somebody says so, and let again.

use crate::fixture::{Cell, MORNING, minutes, node, nodes, settings, wish};
use leasehold_common::api::{
    BookingView, DrainNodes, DrainReport, Problem, ProblemCode, ResumeNodes, UndrainNodes,
};
use leasehold_common::explain::{Filter, Reason, Unblock};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::keys::Key;
use leasehold_common::lease::{ConditionKind, LeaseState as S};
use leasehold_common::log::{Actor, EventName};
use leasehold_common::node::{FlagKind, NodeState};
use leasehold_common::time::Timestamp;
use leasehold_core::command::{Command, View, Write, Written};
use leasehold_core::{Event, State};

fn drain(nodes: &str) -> Command {
    drain_until(nodes, None)
}

fn drain_until(nodes: &str, until: Option<Timestamp>) -> Command {
    Command::DrainNodes(DrainNodes {
        nodes: nodes.into(),
        reason: "a fan is loud".into(),
        flag: None,
        until,
    })
}

fn in_maintenance(nodes: &str) -> Command {
    Command::DrainNodes(DrainNodes {
        nodes: nodes.into(),
        reason: "new plates".into(),
        flag: Some(FlagKind::Maintenance),
        until: None,
    })
}

fn undrain(nodes: &str) -> Command {
    Command::UndrainNodes(UndrainNodes {
        nodes: nodes.into(),
        flag: None,
        reason: Some("the fan is new".into()),
    })
}

fn resume(nodes: &str) -> Command {
    Command::ResumeNodes(ResumeNodes {
        nodes: nodes.into(),
        reason: None,
    })
}

fn report(answer: Result<Written, Problem>) -> DrainReport {
    match answer.unwrap().view {
        View::Drain(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn dry(command: Command) -> Write {
    Write {
        command,
        idempotency: None,
        dry_run: true,
        if_match: None,
    }
}

fn leases(bookings: &[BookingView]) -> Vec<LeaseId> {
    bookings.iter().filter_map(|b| b.lease).collect()
}

fn flags(cell: &Cell, n: usize) -> Vec<(FlagKind, String)> {
    let flags = cell.node_view(n).flags.into_iter();
    flags.map(|flag| (flag.flag, flag.why)).collect()
}

/// One node of acme's from then on, for two hours.
fn booked(cell: &mut Cell, from: u64, count: u32) -> LeaseId {
    let mut later = wish(nodes(count));
    later.start = Some(MORNING + minutes(from));
    cell.lease(later)
}

fn is_on(cell: &Cell, id: LeaseId, n: u32) -> bool {
    cell.record(id).nodes().any(|node| node == NodeIndex(n))
}

#[test]
fn a_drained_node_takes_no_new_lease_and_keeps_the_one_it_has() {
    let mut cell = Cell::of(2);
    let running = cell.lease(wish(nodes(1)));
    cell.agents_answer([0, 1]);
    assert_eq!(
        (cell.state_of(running), is_on(&cell, running, 0)),
        (S::Active, true)
    );

    let said = report(cell.ask(drain("h000")));
    assert_eq!((said.changed.as_str(), said.same.as_str()), ("h000", ""));
    assert_eq!(leases(&said.running), [running]);
    assert_eq!(cell.state_of(running), S::Active, "it goes on");
    let view = cell.node_view(0);
    assert_eq!((view.state, view.flags.len()), (NodeState::Leased, 1));
    let flag = &view.flags[0];
    assert_eq!(
        (flag.by.as_str(), flag.why.as_str(), flag.since, flag.until),
        ("1000", "a fan is loud", MORNING, None)
    );

    let elsewhere = cell.lease(wish(nodes(1)));
    assert!(is_on(&cell, elsewhere, 1));
    cell.agents_answer([0, 1]);
    cell.pass(minutes(121));
    cell.agents_answer([0, 1]);
    assert_eq!(
        cell.state_of(running),
        S::Closed,
        "it ends as it would have"
    );
    assert_eq!(cell.node_view(0).gpus_free, 0);
    cell.pass(minutes(15));
    let waits = cell.lease(wish(nodes(2)));
    assert_eq!(cell.state_of(waits), S::Requested);

    let said = report(cell.ask(undrain("h000")));
    assert_eq!(said.changed, "h000");
    assert_eq!(
        cell.state_of(waits),
        S::Preparing,
        "it waited for nothing else"
    );
}

#[test]
fn whoever_waits_for_it_is_told_so() {
    let mut cell = Cell::of(2);
    let until = MORNING + minutes(60);
    report(cell.ask(drain("h000")));
    let waits = cell.lease(wish(nodes(2)));
    let why = cell.record(waits).explanation.clone().unwrap();
    assert_eq!(why.reason(), Some(&Reason::Draining), "{why:?}");
    assert_eq!(why.filtered.get(&Filter::Flagged), Some(&1));
    let by_somebody = Unblock::NodesUndrained { nodes: 1, at: None };
    assert!(why.unblocked_by.contains(&by_somebody), "{why:?}");

    report(cell.ask(drain_until("h000", Some(until))));
    let why = cell.would_be(wish(nodes(2))).explanation.unwrap();
    let by_clock = Unblock::NodesUndrained {
        nodes: 1,
        at: Some(until),
    };
    assert!(why.unblocked_by.contains(&by_clock), "{why:?}");
}

#[test]
fn a_booking_to_come_goes_elsewhere_and_one_that_cannot_is_named_and_does_not_begin_there() {
    let mut cell = Cell::of(2);
    let moves = booked(&mut cell, 60, 1);
    assert!(is_on(&cell, moves, 0));

    let would = report(cell.write(dry(drain("h000"))));
    assert_eq!((would.dry_run, leases(&would.moved)), (true, vec![moves]));
    assert!(is_on(&cell, moves, 0), "a dry run moves nothing");
    assert_eq!(flags(&cell, 0), []);

    let said = report(cell.ask(drain("h000")));
    assert_eq!((leases(&said.moved), said.staying), (vec![moves], vec![]));
    assert_eq!(said.moved[0].nodes, "h000", "where it was");
    assert!(is_on(&cell, moves, 1));
    assert!(
        cell.log
            .iter()
            .any(|r| r.event_name == EventName::LeaseNodeReplaced)
    );

    // The other one as well: there is nowhere left to go.
    let would = report(cell.write(dry(drain("h001"))));
    assert_eq!(
        (leases(&would.moved), leases(&would.staying)),
        (vec![], vec![moves])
    );
    let said = report(cell.ask(drain("h001")));
    assert_eq!(leases(&said.staying), [moves]);
    assert!(
        cell.record(moves)
            .conditions
            .contains_key(&ConditionKind::PartiallyDelivered)
    );

    cell.pass(minutes(61));
    assert_eq!(
        cell.state_of(moves),
        S::Scheduled,
        "no new lease begins there"
    );
    let delayed = &cell.record(moves).conditions[&ConditionKind::Delayed];
    assert_eq!(
        delayed.detail,
        "1 of its nodes are drained: it does not begin there"
    );

    report(cell.ask(undrain("h001")));
    cell.pass(minutes(1));
    assert_eq!(cell.state_of(moves), S::Preparing);
    cell.agents_answer([0, 1]);
    assert_eq!(cell.state_of(moves), S::Active);
    assert!(
        cell.record(moves).conditions.is_empty(),
        "{:?}",
        cell.record(moves).conditions
    );
}

#[test]
fn a_booking_that_finds_nothing_until_its_end_fails() {
    let mut cell = Cell::of(1);
    let booked = booked(&mut cell, 60, 1);
    report(cell.ask(drain("h000")));
    for _ in 0..19 {
        cell.pass(minutes(10));
    }
    assert_eq!(cell.state_of(booked), S::Failed);
    assert_eq!(cell.node_view(0).leases, []);
}

#[test]
fn the_clock_takes_it_away() {
    let mut cell = Cell::of(1);
    report(cell.ask(drain_until("h000", Some(MORNING + minutes(30)))));
    let waits = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(waits), S::Requested);
    assert_eq!(cell.state.next_wake(), Some(MORNING + minutes(30)));
    cell.pass(minutes(30));
    assert_eq!(flags(&cell, 0), []);
    assert_eq!(cell.state_of(waits), S::Preparing);
    let last = cell
        .log
        .iter()
        .rfind(|r| r.event_name == EventName::NodeUnflagged);
    let said = &last.unwrap().attributes;
    assert_eq!(
        (said.from.as_deref(), said.reason.as_deref(), &said.actor),
        (Some("no-new-leases"), Some("its time is over"), &None)
    );

    for (until, allowed) in [(30, "later than"), (12 * 366 * 24 * 60, "up to")] {
        let late = drain_until("h000", Some(MORNING + minutes(until)));
        let refused = cell.ask(late).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("until"));
        assert!(refused.allowed.unwrap().contains(allowed));
    }
}

#[test]
fn a_drain_and_a_maintenance_stand_together_and_each_goes_by_itself() {
    let mut cell = Cell::of(1);
    report(cell.ask(drain("h000")));
    report(cell.ask(in_maintenance("h000")));
    let both = [
        (FlagKind::Maintenance, "new plates".to_owned()),
        (FlagKind::NoNewLeases, "a fan is loud".to_owned()),
    ];
    assert_eq!(flags(&cell, 0), both);
    let said = report(cell.ask(undrain("h000")));
    assert_eq!(
        said.kept.len(),
        1,
        "the other one keeps leases away all the same"
    );
    assert_eq!(flags(&cell, 0), both[..1]);
    assert_eq!(cell.node_view(0).gpus_free, 0);

    report(cell.ask(drain("h000")));
    let said = report(cell.ask(resume("h000")));
    assert_eq!(
        (said.changed.as_str(), said.kept, said.out_of_service),
        ("h000", vec![], vec![])
    );
    assert_eq!(flags(&cell, 0), []);
    assert_eq!(cell.node_view(0).gpus_free, 8);
}

#[test]
fn what_somebody_else_said_stays_and_is_told() {
    let mut cell = Cell::of(2);
    let id = leasehold_core::RequestId(99);
    let actor = Actor {
        uid: 7,
        role: "operator".into(),
        request_id: "99".into(),
        idempotency_key: None,
    };
    let write = Box::new(Write {
        dry_run: false,
        ..dry(drain("h000"))
    });
    cell.tell([Event::Request { id, actor, write }]);
    cell.pass(minutes(1));
    let said = report(cell.ask(drain("h[000-001]")));
    assert_eq!((said.changed.as_str(), said.same.as_str()), ("h001", ""));
    assert_eq!(
        (said.kept[0].nodes.as_str(), said.kept[0].flag.by.as_str()),
        ("h000", "7")
    );
    assert_eq!(cell.node_view(0).flags[0].since, MORNING);
    let again = report(cell.ask(drain("h[000-001]")));
    assert_eq!((again.changed.as_str(), again.same.as_str()), ("", "h001"));
    // Anybody who may drain may undrain.
    assert_eq!(
        report(cell.ask(undrain("h[000-001]"))).changed,
        "h[000-001]"
    );
}

#[test]
fn every_bad_name_is_told_and_nothing_is_changed() {
    let mut cell = Cell::of(2);
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    let refused = cell.ask(drain("h[000-003],x1")).unwrap_err();
    assert_eq!(refused.code, ProblemCode::UnknownNode);
    assert_eq!(
        refused.detail,
        "3 of these nodes are not admitted: h[002-003],x1"
    );
    let told: Vec<&str> = refused.findings.iter().map(|f| f.value.as_str()).collect();
    assert_eq!(told, ["h002", "h003", "x1"]);

    let refused = cell.ask(drain("h[000")).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("nodes"));
    let no_reason = |reason: &str, flag: Option<FlagKind>| {
        Command::DrainNodes(DrainNodes {
            nodes: "h000".into(),
            reason: reason.into(),
            flag,
            until: None,
        })
    };
    let refused = cell.ask(no_reason(" ", None)).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("reason"));
    let refused = cell
        .ask(no_reason("x", Some("holiday".into())))
        .unwrap_err();
    assert_eq!(
        (refused.field.as_deref(), refused.allowed.as_deref()),
        (Some("flag"), Some("maintenance or no-new-leases"))
    );
    assert_eq!((&cell.stored, cell.log.len()), (&stored, log));
}

#[test]
fn it_survives_a_restart_with_its_end_and_its_name() {
    let mut cell = Cell::of(3);
    let command = || drain_until("h[000-001]", Some(MORNING + minutes(30)));
    let first = cell.ask_as("d-1", command()).unwrap();
    assert!(!first.replayed);
    cell.reload([0, 1, 2]);
    assert_eq!(flags(&cell, 0).len(), 1);
    let again = cell.ask_as("d-1", command()).unwrap();
    assert!(again.replayed);
    assert_eq!(report(Ok(again)).same, "h[000-001]");
    let other = cell.ask_as("d-1", undrain("h000")).unwrap_err();
    assert_eq!(other.code, ProblemCode::IdempotencyMismatch);
    let three = cell.lease(wish(nodes(3)));
    assert_eq!(cell.state_of(three), S::Requested);
    cell.pass(minutes(30));
    assert_eq!((flags(&cell, 0), flags(&cell, 1)), (vec![], vec![]));
    assert_eq!(cell.state_of(three), S::Preparing);
}

#[test]
fn a_standby_sees_flags_come_and_go() {
    let mut cell = Cell::of(1);
    let mut standby = State::new(settings());
    let follow = |standby: &mut State, cell: &Cell| {
        let stored = cell.stored.iter();
        let stored = stored.filter(|(key, _)| matches!(key, Key::Fleet(_) | Key::Head));
        let changes: Vec<_> = stored.map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
        standby.follow_changes(&changes, cell.now).unwrap();
    };
    report(cell.ask(drain_until("h000", Some(MORNING + minutes(30)))));
    follow(&mut standby, &cell);
    assert_eq!(standby.next_wake(), Some(MORNING + minutes(30)));
    report(cell.ask(undrain("h000")));
    follow(&mut standby, &cell);
    assert_eq!(standby.next_wake(), None);
}

#[test]
fn hundreds_of_nodes_are_drained_by_one_command_with_few_records() {
    let mut cell = Cell::of(250);
    let (batches, log) = (cell.batches, cell.log.len());
    let said = report(cell.ask(drain("h[000-249]")));
    assert_eq!(said.changed, "h[000-249]");
    assert_eq!((cell.batches - batches, cell.log.len() - log), (3, 3));
    let named = cell.log[log..]
        .iter()
        .filter_map(|r| r.subject.nodes.as_ref());
    assert_eq!(
        named
            .map(leasehold_common::node_set::NodeSet::len)
            .sum::<usize>(),
        250
    );
    cell.pass(minutes(1));
    report(cell.ask(undrain("h[000-249]")));
    assert!(
        (0..250).all(|n| cell.node_view(n).flags.is_empty()),
        "{}",
        node(0)
    );
}

#[test]
fn resume_names_what_is_out_of_service_all_the_same() {
    let mut cell = Cell::of(1);
    cell.import(&crate::fixture::inventory(2)).unwrap();
    report(cell.ask(drain("h[000-001]")));
    let said = report(cell.ask(resume("h[000-001]")));
    let [out] = &said.out_of_service[..] else {
        panic!("{said:?}");
    };
    assert_eq!(
        (out.nodes.as_str(), out.state),
        ("h001", NodeState::Registering)
    );
}
