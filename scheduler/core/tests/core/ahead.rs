//! Leases that wait hold plans; smaller ones go ahead where they do not delay them.

use crate::fixture::{Cell, health, minutes, node, nodes, wish};
use leasehold_common::api::{CreateLease, CreateMaintenance, EndLease, ExtendLease};
use leasehold_common::class::Class;
use leasehold_common::explain::Outcome;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState as S;
use leasehold_common::time::Timestamp;
use leasehold_core::Event;
use leasehold_core::command::Command;

fn of(account: &str, count: u32, length: u64) -> CreateLease {
    CreateLease {
        account: account.parse().unwrap(),
        length: Some(minutes(length)),
        ..wish(nodes(count))
    }
}

/// When a lease that waits is planned to start.
fn planned(cell: &Cell, id: LeaseId) -> Option<Timestamp> {
    assert_eq!(cell.state_of(id), S::Requested);
    cell.view(id).earliest
}

/// Four nodes, of which one lease has the first three for two hours, and a gang that waits for all.
fn a_gang_waits() -> (Cell, LeaseId, LeaseId) {
    let mut cell = Cell::of(4);
    let first = cell.lease(of("acme", 3, 120));
    cell.agents_answer(0..4);
    let gang = cell.lease(of("globex", 4, 60));
    (cell, first, gang)
}

#[test]
fn short_leases_go_ahead_of_a_gang_that_waits_and_long_ones_do_not() {
    let (mut cell, _, gang) = a_gang_waits();
    // Two hours, and ten minutes of turnaround.
    let start = cell.now + minutes(130);
    assert_eq!(planned(&cell, gang), Some(start));

    let long = cell.lease(of("acme", 1, 180));
    assert_eq!(
        planned(&cell, long),
        Some(start + minutes(60 + 10)),
        "behind the gang"
    );
    let short = cell.lease(of("acme", 1, 120));
    assert_eq!(cell.state_of(short), S::Preparing, "over before the gang");
    assert_eq!(planned(&cell, gang), Some(start), "nobody delays it");

    cell.agents_answer(0..4);
    cell.pass(minutes(120));
    cell.agents_answer(0..4);
    assert_eq!(cell.state_of(gang), S::Preparing);
    assert!(planned(&cell, long).is_some());
}

#[test]
fn what_would_be_is_what_is_though_a_worse_class_holds_a_plan() {
    let mut cell = Cell::of(4);
    cell.lease(of("acme", 3, 120));
    cell.agents_answer(0..4);
    let spot = CreateLease {
        class: Class::Spot,
        ..of("globex", 4, 60)
    };
    let gang = cell.lease(spot);
    let start = planned(&cell, gang);
    assert!(start.is_some());

    // Longer than the gang would wait, so that the plan of the worse class is in its way.
    let long = of("acme", 1, 180);
    let would_be = cell.would_be(long.clone());
    let why = would_be.explanation.unwrap();
    assert_eq!(why.outcome, Outcome::Placed, "{why:?}");
    assert_eq!(planned(&cell, gang), start, "a question changes nothing");

    let made = cell.lease(long);
    assert_eq!(
        cell.record(made).placement[0].nodes,
        why.winner.unwrap().nodes
    );
}

#[test]
fn a_gang_keeps_the_nodes_that_come_back_for_it_one_by_one() {
    let (mut cell, _, gang) = a_gang_waits();
    cell.pass(minutes(120));
    cell.pass(minutes(12));
    // Its start has passed, and its nodes are on their way back.
    assert_eq!(planned(&cell, gang), None);
    cell.agents_answer([0]);
    let hasty = cell.lease(of("acme", 1, 240));
    assert_eq!(cell.state_of(hasty), S::Requested);
    assert_eq!(cell.node_view(0).gpus_free, 8, "nobody has it yet");
    assert_eq!(cell.node_view(0).gpus_leased, 0);
    cell.agents_answer([1, 2]);
    assert_eq!(cell.state_of(gang), S::Preparing);
}

#[test]
fn a_planned_start_moves_up_when_a_lease_ends_early() {
    let mut cell = Cell::of(4);
    let first = cell.lease(of("acme", 3, 2400));
    cell.agents_answer(0..4);
    let gang = cell.lease(of("globex", 4, 60));
    let start = cell.now + minutes(2410);
    assert_eq!(planned(&cell, gang), Some(start));
    let behind = cell.lease(of("acme", 4, 60));
    assert_eq!(planned(&cell, behind), Some(start + minutes(70)));
    let end = EndLease {
        now: false,
        confirm_gpus: None,
    };
    cell.ask(Command::EndLease(first, end)).unwrap();
    let told = cell.record(first).access_end.unwrap();
    let sooner = told + minutes(10);
    assert!(sooner < start);
    assert_eq!(planned(&cell, gang), Some(sooner));
    assert_eq!(planned(&cell, behind), Some(sooner + minutes(70)));
}

#[test]
fn a_node_that_falls_ill_takes_the_plans_on_it_elsewhere() {
    let mut cell = Cell::of(3);
    let short = cell.lease(of("acme", 1, 60));
    let long = cell.lease(of("acme", 1, 120));
    cell.lease(of("acme", 1, 600));
    cell.agents_answer(0..3);
    let waits = cell.lease(of("globex", 1, 60));
    let first = cell.now + minutes(70);
    assert_eq!(planned(&cell, waits), Some(first));
    let on = |id| cell.record(id).nodes().next().unwrap().as_usize();
    let (n, next) = (on(short), cell.record(long).access_end.unwrap());
    let sick: Vec<usize> = (0..8).collect();
    cell.tell([Event::Health(
        node(n),
        Some(Box::new(health(n, &sick, &[]))),
    )]);
    assert_eq!(planned(&cell, waits), Some(next + minutes(10)));
    cell.tell([Event::Health(node(n), Some(Box::new(health(n, &[], &[]))))]);
    assert_eq!(planned(&cell, waits), Some(first));
}

#[test]
fn a_better_class_comes_first_and_the_worse_is_planned_behind_it() {
    let mut cell = Cell::of(2);
    cell.lease(of("acme", 2, 120));
    cell.agents_answer(0..2);
    let start = cell.now + minutes(130);
    let spot = cell.lease(CreateLease {
        class: Class::Spot,
        ..of("globex", 2, 60)
    });
    assert_eq!(planned(&cell, spot), Some(start));
    let better = cell.lease(of("acme", 2, 60));
    assert_eq!(planned(&cell, better), Some(start));
    assert_eq!(planned(&cell, spot), Some(start + minutes(70)));
    // What is booked for a time to come is real: it takes what is planned for a worse class, and not
    // what is planned for one that came before it.
    let booked = cell.lease(CreateLease {
        start: Some(start + minutes(80)),
        ..of("acme", 2, 60)
    });
    assert_eq!(cell.state_of(booked), S::Scheduled);
    assert_eq!(planned(&cell, spot), Some(start + minutes(150)));
    let late = cell.lease(CreateLease {
        start: Some(start + minutes(10)),
        ..of("acme", 2, 30)
    });
    assert_eq!(cell.state_of(late), S::Requested);
    assert_eq!(planned(&cell, better), Some(start));
}

#[test]
fn plans_give_way_to_leases_that_go_on_and_to_maintenance() {
    let (mut cell, first, gang) = a_gang_waits();
    let start = cell.now + minutes(130);
    let wish = ExtendLease {
        length: Some(minutes(30)),
        until: None,
    };
    cell.ask(Command::ExtendLease(first, wish)).unwrap();
    assert_eq!(planned(&cell, gang), Some(start + minutes(30)));
    let keep = CreateMaintenance {
        nodes: node(3).to_string(),
        from: Some(start),
        to: start + minutes(100),
        reason: Some("a fan".into()),
    };
    cell.ask(Command::CreateMaintenance(keep)).unwrap();
    assert_eq!(planned(&cell, gang), Some(start + minutes(110)));
}

#[test]
fn a_new_leader_plans_the_same() {
    let (mut cell, _, gang) = a_gang_waits();
    let others: Vec<LeaseId> = (1..6)
        .map(|n| cell.lease(of(["acme", "globex"][n % 2], 2, 150 + 10 * n as u64)))
        .collect();
    let all = |cell: &Cell| -> Vec<Option<Timestamp>> {
        let ids = [gang].into_iter().chain(others.clone());
        ids.map(|id| planned(cell, id)).collect()
    };
    let (before, log) = (all(&cell), cell.log.len());
    assert!(before.iter().all(Option::is_some), "{before:?}");
    cell.reload(0..4);
    assert_eq!(all(&cell), before);
    assert_eq!(cell.log.len(), log, "nothing new was found out");
    // And what they are planned on is kept free again.
    let long = cell.lease(of("acme", 1, 600));
    assert!(planned(&cell, long) > planned(&cell, gang));
}
