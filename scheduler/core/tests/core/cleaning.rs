//! Leases whose hardware can only be cleaned at so many nodes an hour.

use crate::fixture::{Cell, MORNING, minutes, node, nodes, wish};
use leasehold_common::api::{
    CreateLease, CreateMaintenance, EndLease, ExtendLease, ReplaceNode, SetPolicy,
};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState as S;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use leasehold_core::command::{Command, Write};

/// The hour and minute of the day; stories begin at 14:13.
fn at(hours: u64, mins: u64) -> Timestamp {
    let begun = MORNING.unix_ms() / 3_600_000 - 14;
    Timestamp::from_unix_ms(begun * 3_600_000) + minutes(hours * 60 + mins)
}

fn until(count: u32, to: Timestamp) -> CreateLease {
    CreateLease {
        length: None,
        until: Some(to),
        ..wish(nodes(count))
    }
}

fn set(text: &str) -> Command {
    Command::SetPolicy(SetPolicy {
        policy: Policy::from_text(text).unwrap(),
        why: None,
    })
}

const NO_RATE: &str = "turnaround = \"30m\"";
const ONE_AN_HOUR: &str = "turnaround = \"30m\"\nsanitising_per_hour = { \"/\" = 1 }";

/// A lease of two nodes until 18:00, of which somebody has the second from 18:30 on, and two that end
/// before it. The hours from 16:00 to 20:00 are full.
fn somebody_waits_for_the_second_node(cell: &mut Cell) -> LeaseId {
    cell.ask(set(NO_RATE)).unwrap();
    let pair = cell.lease(until(2, at(18, 0)));
    cell.lease(until(1, at(16, 15)));
    cell.lease(until(1, at(17, 10)));
    for n in [0, 2, 3] {
        let keep = CreateMaintenance {
            nodes: node(n).to_string(),
            from: Some(at(18, 45)),
            to: at(23, 0),
            reason: Some("a fan".into()),
        };
        cell.ask(Command::CreateMaintenance(keep)).unwrap();
    }
    let next = cell.lease(CreateLease {
        account: "globex".parse().unwrap(),
        start: Some(at(18, 30)),
        ..wish(nodes(1))
    });
    assert_eq!(cell.state_of(next), S::Scheduled);
    cell.ask(set(ONE_AN_HOUR)).unwrap();
    cell.agents_answer([0, 1, 2, 3]);
    pair
}

#[test]
fn a_lease_can_be_ended_sooner_whatever_its_nodes_have_to_wait_for() {
    let mut cell = Cell::of(4);
    let pair = somebody_waits_for_the_second_node(&mut cell);
    cell.now = at(14, 20);
    cell.tell([]);
    cell.ask(Command::EndLease(pair, end(false))).unwrap();
    assert_eq!(cell.state_of(pair), S::Draining);
    assert_eq!(cell.record(pair).access_end, Some(at(16, 20)));
}

fn end(now: bool) -> EndLease {
    EndLease {
        now,
        confirm_gpus: None,
    }
}

#[test]
fn who_only_asks_for_another_node_leaves_everybody_their_hour() {
    let mut cell = Cell::of(2);
    cell.ask(set(ONE_AN_HOUR)).unwrap();
    let first = cell.lease(until(1, at(16, 15)));
    let lease = cell.lease(until(1, at(16, 20)));
    cell.agents_answer([0, 1]);
    // The hour before is free now, and nobody moves to it.
    cell.ask(Command::EndLease(first, end(true))).unwrap();
    let earliest = |cell: &mut Cell| {
        let why = cell.would_be(wish(nodes(1))).explanation.unwrap();
        why.earliest
    };
    assert_eq!(earliest(&mut cell), Some(at(17, 30)));
    let wish = ReplaceNode {
        node: node(1),
        reason: None,
    };
    cell.write(Write {
        command: Command::ReplaceNode(lease, wish),
        idempotency: None,
        dry_run: true,
        if_match: None,
    })
    .unwrap_err();
    assert_eq!(earliest(&mut cell), Some(at(17, 30)));
}

#[test]
fn a_lease_that_would_be_cleaned_too_late_cannot_go_on_and_is_told_so_when_it_only_asks() {
    let mut cell = Cell::of(2);
    cell.ask(set(ONE_AN_HOUR)).unwrap();
    let lease = cell.lease(until(1, at(15, 20)));
    cell.lease(until(1, at(16, 10)));
    let keep = CreateMaintenance {
        nodes: node(1).to_string(),
        from: Some(at(17, 0)),
        to: at(23, 0),
        reason: Some("a fan".into()),
    };
    cell.ask(Command::CreateMaintenance(keep)).unwrap();
    let next = cell.lease(CreateLease {
        account: "globex".parse().unwrap(),
        start: Some(at(17, 0)),
        ..wish(nodes(1))
    });
    let mut extend = |dry_run| {
        let wish = ExtendLease {
            length: None,
            until: Some(at(16, 20)),
        };
        cell.write(Write {
            command: Command::ExtendLease(lease, wish),
            idempotency: None,
            dry_run,
            if_match: None,
        })
        .unwrap_err()
    };
    for dry_run in [true, false] {
        let problem = extend(dry_run);
        let named: Vec<_> = problem.conflicts.iter().map(|view| view.lease).collect();
        assert_eq!(named, [Some(next)]);
        let why = "node 0 would not be cleaned in time between lease 1 and lease 3";
        assert!(problem.detail.contains(why), "{}", problem.detail);
    }
}
