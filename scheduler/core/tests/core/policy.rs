//! Policies as an operator meets them: set, tried out, rolled back, and remembered.

use crate::fixture::{Cell, gpus, minutes, nodes, wish};
use leasehold_common::api::{CreateLease, PolicyChange, ProblemCode, RollbackPolicy, SetPolicy};
use leasehold_common::class::Class;
use leasehold_common::ids::{Generation, LeaseId};
use leasehold_common::lease::{LeaseState as S, Shape};
use leasehold_common::log::EventName;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use leasehold_core::command::{Command, Query, View, Write, Written};

fn set(text: &str) -> Command {
    Command::SetPolicy(SetPolicy {
        policy: Policy::from_text(text).unwrap(),
        why: Some("the story wants it".into()),
    })
}

fn back_to(to: u64) -> Command {
    Command::RollbackPolicy(RollbackPolicy { to, why: None })
}

fn change(written: Written) -> PolicyChange {
    match written.view {
        View::PolicyChange(change) => *change,
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

fn numbers(cell: &Cell) -> Vec<(u64, bool)> {
    match cell.query(&Query::Policies) {
        View::Policies(list) => list.items.iter().map(|p| (p.number, p.current)).collect(),
        other => panic!("{other:?}"),
    }
}

/// The turnaround in force: how long a node is kept free after the lease on it.
fn in_force(cell: &Cell) -> (u64, Policy) {
    match cell.query(&Query::Policy(None)) {
        View::Policy(policy) => (policy.version.number, policy.policy),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cell_without_a_policy_decides_by_the_built_in_one() {
    let mut cell = Cell::of(1);
    let (number, policy) = in_force(&cell);
    assert_eq!((number, policy.turnaround), (0, minutes(10)));
    let id = cell.lease(wish(nodes(1)));
    let why = cell.record(id).explanation.clone().unwrap();
    assert_eq!(
        why.policy,
        Some(policy.digest()),
        "every decision names its policy"
    );
    let decided = cell.log.iter().rev();
    let mut decided = decided.filter(|r| r.event_name == EventName::PlacementDecided);
    let inputs = decided.next().unwrap().inputs.clone().unwrap();
    assert_eq!(inputs.policy, Some(policy.digest()));
}

#[test]
fn a_policy_decides_from_when_it_is_set_and_survives_a_restart() {
    let mut cell = Cell::of(1);
    let before = cell.lease(wish(nodes(1)));
    let set = change(cell.ask(set("turnaround = \"30m\"")).unwrap());
    assert_eq!((set.version.number, set.version.current), (1, true));
    let waits = cell.lease(wish(nodes(1)));
    let why = cell.record(waits).explanation.clone().unwrap();
    assert_eq!(why.policy, Some(set.version.digest));
    let end = cell.record(before).access_end.unwrap();
    assert_eq!(why.earliest, Some(end + minutes(30)), "the new turnaround");

    cell.reload([0]);
    assert_eq!(in_force(&cell).0, 1);
    assert_eq!(numbers(&cell), [(1, true), (0, false)]);
}

#[test]
fn the_log_has_the_whole_policy() {
    let mut cell = Cell::of(1);
    cell.ask(set("turnaround = \"30m\"")).unwrap();
    let record = cell.log.last().unwrap();
    assert_eq!(record.event_name, EventName::PolicySet);
    assert_eq!(record.subject.policy, Some(1));
    let (key, written) = record.writes.first_key_value().unwrap();
    assert_eq!(key, "policy/00000000000000000001");
    let logged: Policy = serde_json::from_value(written["policy"].clone()).unwrap();
    assert_eq!(logged, in_force(&cell).1);
}

#[test]
fn a_rollback_is_a_new_number_with_an_old_content() {
    let mut cell = Cell::of(1);
    cell.ask(set("turnaround = \"30m\"")).unwrap();
    cell.ask(set("turnaround = \"40m\"")).unwrap();
    let back = change(cell.ask(back_to(1)).unwrap());
    assert_eq!(
        (back.version.number, back.version.rolled_back_to),
        (3, Some(1))
    );
    assert_eq!(in_force(&cell).1.turnaround, minutes(30));
    let built_in = change(cell.ask(back_to(0)).unwrap());
    assert_eq!(built_in.version.number, 4);
    assert_eq!(in_force(&cell).1.turnaround, minutes(10));
    assert_eq!(
        cell.log.last().unwrap().event_name,
        EventName::PolicyRolledBack
    );
    let refused = cell.ask(back_to(9)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::UnknownPolicy);
    assert_eq!(
        refused.allowed.as_deref(),
        Some("0, which is built in, to 4")
    );
}

#[test]
fn setting_what_is_in_force_changes_nothing() {
    let mut cell = Cell::of(1);
    cell.ask(set("turnaround = \"30m\"")).unwrap();
    let log = cell.log.len();
    let again = cell.ask(set("turnaround = \"30m\"")).unwrap();
    assert_eq!((again.status, change(again).version.number), (200, 1));
    assert_eq!(cell.log.len(), log);
}

#[test]
fn a_policy_that_cannot_be_kept_changes_nothing_and_says_all_that_is_wrong() {
    let mut cell = Cell::of(4);
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    let refused = cell
        .ask(set(r#"
            floors = [{ side = "internal", sku = "h200", nodes = 5 }]
            ceilings = [{ side = "internal", sku = "h9000", nodes = 5 }]
            reclaim.committed.min_run = "1h"
        "#))
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::InvalidPolicy);
    let said: Vec<String> = refused.findings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[2].contains("the fleet has 4 nodes of h200"),
        "{said:?}"
    );
    assert_eq!((cell.stored, cell.log.len()), (stored, log));
}

#[test]
fn a_dry_run_names_the_bookings_that_would_not_have_been_allowed() {
    let mut cell = Cell::of(4);
    let first = cell.lease(wish(nodes(2)));
    let second = cell.lease(wish(nodes(1)));
    let mut research = wish(nodes(1));
    research.account = "research".parse().unwrap();
    research.class = Class::InternalBatch;
    let internal = cell.lease(research);
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    let ceiling = set(r#"
        ceilings = [
            { side = "tenant", sku = "h200", nodes = 2 },
            { side = "internal", sku = "h200", nodes = 0 },
        ]
    "#);
    let would = change(cell.write(dry(ceiling.clone())).unwrap());
    assert!(would.dry_run);
    let broken: Vec<(LeaseId, &str)> = would
        .breaks
        .iter()
        .map(|b| (b.lease, b.rule.as_str()))
        .collect();
    assert_eq!(
        broken,
        [
            (second, "ceilings[0].nodes"),
            (internal, "ceilings[1].nodes")
        ]
    );
    assert_eq!(would.breaks[0].nodes, "h002");
    assert_eq!((&cell.stored, cell.log.len()), (&stored, log));

    // What was decided stays, whatever is decided now.
    let did = change(cell.ask(ceiling).unwrap());
    assert_eq!(did.breaks, would.breaks);
    for id in [first, second, internal] {
        assert_eq!(cell.state_of(id), S::Preparing);
    }
}

#[test]
fn two_operators_do_not_overwrite_each_other() {
    let mut cell = Cell::of(1);
    let of = |text: &str, number| Write {
        dry_run: false,
        if_match: Some(Generation(number)),
        ..dry(set(text))
    };
    cell.write(of("turnaround = \"30m\"", 0)).unwrap();
    let refused = cell.write(of("turnaround = \"40m\"", 0)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::StaleGeneration);
    assert_eq!(refused.allowed.as_deref(), Some("1"));
}

#[test]
fn a_retry_of_a_policy_is_known() {
    let mut cell = Cell::of(1);
    let first = cell.ask_as("p1", set("turnaround = \"30m\"")).unwrap();
    assert_eq!((first.status, first.replayed), (201, false));
    cell.reload([0]);
    cell.ask(set("turnaround = \"40m\"")).unwrap();
    let again = cell.ask_as("p1", set("turnaround = \"30m\"")).unwrap();
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(change(again).version.number, 1);
    let other = cell.ask_as("p1", set("turnaround = \"50m\"")).unwrap_err();
    assert_eq!(other.code, ProblemCode::IdempotencyMismatch);
}

/// One GPU of `h000` for the house.
fn research() -> CreateLease {
    CreateLease {
        account: "research".parse().unwrap(),
        class: Class::InternalBatch,
        ..wish(gpus(1))
    }
}

#[test]
fn both_sides_have_gpus_of_a_node_and_keep_them_when_the_policy_is_stricter_again() {
    let mut cell = Cell::of(1);
    cell.ask(set("isolation.h200.granularity = \"gpu\""))
        .unwrap();
    let tenant = cell.lease(wish(gpus(2)));
    let house = cell.lease(research());
    assert_eq!(
        (cell.state_of(tenant), cell.state_of(house)),
        (S::Preparing, S::Preparing)
    );

    let stricter = change(cell.write(dry(back_to(0))).unwrap());
    let broken: Vec<(LeaseId, &str)> = stricter
        .breaks
        .iter()
        .map(|b| (b.lease, b.rule.as_str()))
        .collect();
    assert_eq!(broken, [(house, "isolation.h200.granularity")]);
    cell.ask(back_to(0)).unwrap();
    cell.reload([0]);
    assert_eq!(
        (cell.state_of(tenant), cell.state_of(house)),
        (S::Preparing, S::Preparing),
        "what was booked stays booked"
    );
    let another = cell.lease(research());
    assert_eq!(
        cell.state_of(another),
        S::Requested,
        "and nobody joins them"
    );
}

#[test]
fn no_lease_starts_before_the_nodes_ahead_of_it_can_be_cleaned() {
    let mut cell = Cell::of(3);
    cell.ask(set(
        "turnaround = \"10m\"\nsanitising_per_hour = { \"/\" = 1 }",
    ))
    .unwrap();
    let ends = [
        cell.lease(wish(nodes(1))),
        cell.lease(wish(nodes(1))),
        cell.lease(wish(nodes(1))),
    ]
    .map(|id| cell.record(id).access_end.unwrap());
    assert!(
        ends.iter().all(|end| *end == ends[0]),
        "all three end together"
    );
    let earliest = |cell: &mut Cell, count| {
        let id = cell.lease(wish(nodes(count)));
        let why = cell.record(id).explanation.clone().unwrap();
        let cleaning = why
            .reasons
            .iter()
            .any(|r| r.detail.contains("1 an hour in all of the cell"));
        (id, why.earliest.unwrap(), cleaning)
    };
    let hour = |n: i64| {
        let begun = ends[0].unix_ms() / 3_600_000;
        Timestamp::from_unix_ms((begun + n) * 3_600_000) + minutes(10)
    };
    let (first, at, _) = earliest(&mut cell, 1);
    assert_eq!(
        at,
        ends[0] + minutes(10),
        "the first node is cleaned at once"
    );
    let (second, at, _) = earliest(&mut cell, 1);
    assert_eq!(at, hour(1), "the next an hour later");
    let (third, at, _) = earliest(&mut cell, 1);
    assert_eq!(at, hour(2));
    cell.reload([0, 1, 2]);
    cell.tell([]);
    let starts =
        [first, second, third].map(|id| cell.record(id).explanation.clone().unwrap().earliest);
    assert_eq!(
        starts,
        [Some(ends[0] + minutes(10)), Some(hour(1)), Some(hour(2))],
        "a new leader promises the same"
    );
}

fn slice(account: &str) -> CreateLease {
    CreateLease {
        account: account.parse().unwrap(),
        ..wish(Shape::slices([("1g.18gb".parse().unwrap(), 1)]))
    }
}

fn broken(cell: &mut Cell, command: Command) -> Vec<(LeaseId, String)> {
    let would = change(cell.write(dry(command)).unwrap());
    let breaks = would.breaks.into_iter();
    breaks.map(|b| (b.lease, b.rule)).collect()
}

#[test]
fn tenants_on_one_node_are_named_before_slices_are_kept_apart_again() {
    let mut cell = Cell::of(1);
    cell.ask(set("isolation.h200.mig_colocation = true"))
        .unwrap();
    let first = cell.lease(slice("acme"));
    let beside = cell.lease(slice("globex"));
    let own = cell.lease(slice("acme"));
    for lease in [first, beside, own] {
        assert_eq!(cell.state_of(lease), S::Preparing);
    }
    let keep = set("isolation.h200.mig_colocation = true\nturnaround = \"1m\"");
    assert_eq!(broken(&mut cell, keep), []);
    let would = change(cell.write(dry(back_to(0))).unwrap());
    let said: Vec<_> = would
        .breaks
        .iter()
        .map(|b| (b.lease, b.rule.as_str(), b.detail.as_str()))
        .collect();
    let rule = "isolation.h200.mig_colocation";
    assert_eq!(
        said,
        [
            (beside, rule, "it begins on h000 beside lease 1 of acme"),
            (own, rule, "it begins on h000 beside lease 2 of globex"),
        ]
    );
}

#[test]
fn bookings_that_follow_sooner_than_a_longer_turnaround_are_named() {
    let mut cell = Cell::of(2);
    let first = cell.lease(wish(nodes(1)));
    let end = cell.record(first).access_end.unwrap();
    let starting = |shape, at| CreateLease {
        start: Some(at),
        ..wish(shape)
    };
    let next = cell.lease(starting(nodes(1), end + minutes(10)));
    // On the other node one of them follows on the same GPUs, and one on others.
    let small = cell.lease(wish(gpus(2)));
    let long = CreateLease {
        length: Some(minutes(600)),
        ..wish(gpus(4))
    };
    let long = cell.lease(long);
    let others = cell.lease(starting(gpus(2), end + minutes(5)));
    let same = cell.lease(starting(gpus(2), end + minutes(10)));
    assert_eq!(
        [first, next, small, long, others, same].map(|id| cell.view(id).nodes),
        ["h000", "h000", "h001", "h001", "h001", "h001"]
    );
    assert_eq!(broken(&mut cell, set("turnaround = \"10m\"")), []);
    let longer = set("turnaround = \"30m\"");
    let would = change(cell.write(dry(longer)).unwrap());
    let said: Vec<_> = would.breaks.iter().map(|b| (b.lease, &b.rule)).collect();
    let turnaround = "turnaround".to_owned();
    assert_eq!(said, [(next, &turnaround), (same, &turnaround)]);
    assert_eq!(
        would.breaks[0].detail,
        "it begins 10m after lease 1 ends on h000, 30m must be between"
    );
}

#[test]
fn bookings_whose_nodes_cannot_all_be_cleaned_in_time_are_named() {
    let mut cell = Cell::of(3);
    let first = [(); 3].map(|()| cell.lease(wish(nodes(1))));
    let end = cell.record(first[0]).access_end.unwrap();
    for _ in 0..3 {
        cell.lease(CreateLease {
            start: Some(end + minutes(10)),
            ..wish(nodes(1))
        });
    }
    let at = |rate: u32| {
        set(&format!(
            "turnaround = \"10m\"\nsanitising_per_hour = {{ hall-a = {rate} }}"
        ))
    };
    assert_eq!(broken(&mut cell, at(3)), []);
    let rule = || "sanitising_per_hour.hall-a".to_owned();
    assert_eq!(
        broken(&mut cell, at(1)),
        [(first[1], rule()), (first[2], rule())],
        "somebody has each of these nodes ten minutes later"
    );
    let would = change(cell.write(dry(at(2))).unwrap());
    assert_eq!(
        would.breaks[0].detail,
        "with h002 of it 3 nodes below hall-a must be cleaned in the hour from \
         2026-09-21T16:00:00.000Z, 2 may be"
    );
    // What nobody waits for is cleaned when there is room.
    cell.ask(at(3)).unwrap();
    cell.ask(Command::CancelLease(LeaseId(first[2].0 + 3)))
        .unwrap();
    assert_eq!(broken(&mut cell, at(2)), []);
}
