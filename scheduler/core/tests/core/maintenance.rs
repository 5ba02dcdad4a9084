//! Nodes that are booked for the people who look after them.

use crate::fixture::{Cell, MORNING, minutes, node, nodes, wish};
use leasehold_common::api::{
    CreateAccount, CreateMaintenance, MaintenanceView, Problem, ProblemCode,
};
use leasehold_common::class::Side;
use leasehold_common::explain::Unblock;
use leasehold_common::ids::MaintenanceId;
use leasehold_common::lease::LeaseState as S;
use leasehold_common::log::EventName;
use leasehold_common::maintenance::MaintenanceState;
use leasehold_common::time::Span;
use leasehold_core::command::{Command, Query, View};

fn book(nodes: &str, from: u64, to: u64) -> Command {
    Command::CreateMaintenance(CreateMaintenance {
        nodes: nodes.into(),
        from: Some(MORNING + minutes(from)),
        to: MORNING + minutes(to),
        reason: Some("new cooling plates".into()),
    })
}

fn booked(cell: &mut Cell, command: Command) -> Result<MaintenanceView, Problem> {
    cell.ask(command).map(|written| match written.view {
        View::Maintenance(view) => *view,
        other => panic!("{other:?}"),
    })
}

fn open(cell: &Cell) -> Vec<(u64, bool)> {
    match cell.query(&Query::Maintenances { all: false }) {
        View::Maintenances(list) => list.items.iter().map(|m| (m.id.0, m.active)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_is_let_on_a_node_in_its_time() {
    let mut cell = Cell::of(2);
    let view = booked(&mut cell, book("h000", 60, 120)).unwrap();
    assert_eq!(
        (view.id.0, view.active, view.nodes.as_str()),
        (1, false, "h000")
    );
    let mut short = wish(nodes(2));
    short.length = Some(minutes(30));
    let before = cell.lease(short);
    assert_eq!(
        cell.view(before).nodes,
        "h[000-001]",
        "what is over in time fits"
    );
    cell.agents_answer([0, 1]);
    cell.pass(minutes(31));
    cell.agents_answer([0, 1]);
    assert_eq!(cell.state_of(before), S::Closed);

    let both = cell.lease(wish(nodes(2)));
    let why = cell.record(both).explanation.clone().unwrap();
    assert!(why.earliest.is_some_and(|at| at >= view.to), "{why:?}");
    let ends = Unblock::MaintenanceEnds {
        maintenance: view.id,
        at: view.to,
    };
    assert!(why.unblocked_by.contains(&ends), "{:?}", why.unblocked_by);
}

#[test]
fn whatever_stands_in_its_way_is_named_and_stays() {
    let mut cell = Cell::of(3);
    let running = cell.lease(wish(nodes(1)));
    let mut later = wish(nodes(2));
    later.start = Some(MORNING + minutes(180));
    let later = cell.lease(later);
    booked(&mut cell, book("h002", 0, 60)).unwrap();
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    let refused = booked(&mut cell, book("h[000-002]", 30, 240)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Booked);
    let named: Vec<_> = refused
        .conflicts
        .iter()
        .map(|c| {
            (
                c.lease,
                c.maintenance,
                c.account.as_ref().map(ToString::to_string),
            )
        })
        .collect();
    let acme = || Some("acme".to_owned());
    assert_eq!(
        named,
        [
            (Some(running), None, acme()),
            (Some(later), None, acme()),
            (None, Some(MaintenanceId(1)), None),
        ]
    );
    assert_eq!(refused.conflicts[0].nodes, "h000");
    assert_eq!((&cell.stored, cell.log.len()), (&stored, log));
}

#[test]
fn its_time_comes_and_goes_by_itself() {
    let mut cell = Cell::of(1);
    booked(&mut cell, book("h000", 0, 60)).unwrap();
    assert_eq!(open(&cell), [(1, true)]);
    assert_eq!(cell.node_view(0).maintenance, [MaintenanceId(1)]);
    assert_eq!(cell.node_view(0).gpus_leased, 0, "it is no lease");
    let waits = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(waits), S::Requested);
    assert_eq!(cell.state.next_wake(), Some(MORNING + minutes(60)));
    cell.pass(minutes(60));
    assert_eq!(open(&cell), []);
    assert_eq!(cell.words(|r| r.subject.maintenance.is_some()).len(), 2);
    // Nothing of anybody's has to be taken back from it, but the turnaround is kept all the same.
    cell.pass(minutes(10));
    assert_eq!(cell.state_of(waits), S::Preparing);
}

#[test]
fn one_that_is_ended_early_lets_its_nodes_go_at_once() {
    let mut cell = Cell::of(1);
    booked(&mut cell, book("h000", 0, 600)).unwrap();
    let waits = cell.lease(wish(nodes(1)));
    cell.pass(minutes(5));
    let ended = booked(&mut cell, Command::EndMaintenance(MaintenanceId(1))).unwrap();
    assert_eq!(ended.state, MaintenanceState::Ended);
    assert_eq!(ended.to, MORNING + minutes(5));
    assert_eq!(cell.state_of(waits), S::Preparing);
    let again = cell
        .ask(Command::EndMaintenance(MaintenanceId(1)))
        .unwrap_err();
    assert_eq!(again.code, ProblemCode::IllegalState);
}

#[test]
fn it_survives_a_restart_and_its_number_is_not_used_again() {
    let mut cell = Cell::of(2);
    booked(&mut cell, book("h000", 60, 120)).unwrap();
    booked(&mut cell, book("h001", 0, 10)).unwrap();
    cell.pass(minutes(10));
    cell.reload([0, 1]);
    assert_eq!(open(&cell), [(1, false)]);
    let refused = booked(&mut cell, book("h000", 30, 90)).unwrap_err();
    assert_eq!(refused.conflicts[0].maintenance, Some(MaintenanceId(1)));
    // A week after it was over only the log has it.
    cell.pass(Span::from_hours(24 * 7));
    assert_eq!(
        cell.log.last().unwrap().event_name,
        EventName::MaintenanceEnded
    );
    cell.reload([0, 1]);
    let at = cell.now.since(MORNING).millis() / 60_000;
    let third = booked(&mut cell, book("h001", at, at + 10)).unwrap();
    assert_eq!(third.id, MaintenanceId(3));
}

#[test]
fn a_retry_of_it_is_known() {
    let mut cell = Cell::of(1);
    let first = cell.ask_as("m1", book("h000", 60, 120)).unwrap();
    assert_eq!((first.status, first.replayed), (201, false));
    cell.reload([0]);
    assert!(cell.ask_as("m1", book("h000", 60, 120)).unwrap().replayed);
    let end = Command::EndMaintenance(MaintenanceId(1));
    assert!(!cell.ask_as("m2", end.clone()).unwrap().replayed);
    assert!(cell.ask_as("m2", end).unwrap().replayed);
}

#[test]
fn one_that_nobody_gives_a_reason_for_is_shown_without_one() {
    let mut cell = Cell::of(1);
    let wordless = Command::CreateMaintenance(CreateMaintenance {
        nodes: "h000".into(),
        from: Some(MORNING + minutes(60)),
        to: MORNING + minutes(120),
        reason: None,
    });
    assert_eq!(booked(&mut cell, wordless).unwrap().reason, None);
    assert_eq!(cell.log.last().unwrap().attributes.reason, None);
    cell.reload([0]);
    let View::Maintenance(kept) = cell.query(&Query::Maintenance(MaintenanceId(1))) else {
        panic!("a maintenance was asked for")
    };
    assert_eq!(kept.reason, None);
    let shown = serde_json::to_string(&kept).unwrap();
    assert!(!shown.contains("reason"), "{shown}");
}

#[test]
fn one_that_makes_no_sense_changes_nothing() {
    let mut cell = Cell::of(1);
    let stored = cell.stored.clone();
    let wordless = Command::CreateMaintenance(CreateMaintenance {
        nodes: "h000".into(),
        from: None,
        to: MORNING + minutes(5),
        reason: Some(" ".into()),
    });
    for (what, command, code, field) in [
        (
            "an unknown node",
            book("h[000-001]", 0, 5),
            ProblemCode::UnknownNode,
            "nodes",
        ),
        (
            "no hostlist",
            book("h[000", 0, 5),
            ProblemCode::InvalidField,
            "nodes",
        ),
        (
            "an end before its start",
            book("h000", 9, 5),
            ProblemCode::InvalidField,
            "to",
        ),
        (
            "a blank reason",
            wordless,
            ProblemCode::InvalidField,
            "reason",
        ),
        (
            "the end of one there is not",
            Command::EndMaintenance(MaintenanceId(7)),
            ProblemCode::UnknownMaintenance,
            "id",
        ),
        (
            "an account that would stand for it",
            Command::CreateAccount(CreateAccount {
                name: "maintenance".parse().unwrap(),
                side: Side::Internal,
                quota_gpus: None,
            }),
            ProblemCode::InvalidField,
            "name",
        ),
    ] {
        let refused = cell.ask(command).expect_err(what);
        assert_eq!(refused.code, code, "{what}");
        assert_eq!(refused.field.as_deref(), Some(field), "{what}");
    }
    assert_eq!(cell.stored, stored);
    assert_eq!(cell.node_view(0).name, node(0));
}
