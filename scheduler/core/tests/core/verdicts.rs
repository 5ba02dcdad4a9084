//! What agents find: what of it leaves the packing, who is told, what is recorded, what comes back.

use crate::fixture::{Cell, MORNING, gpu, gpus, health, live, minutes, node, nodes, report, wish};
use leasehold_common::api::{AdmitNodes, CreateLease, SetPolicy};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::{ConditionKind, LeaseState as S, Shape};
use leasehold_common::log::{EventName, LogRecord};
use leasehold_common::node::{Action, Finding, GpuHealth, HealthReason, HealthReport, Verdict};
use leasehold_common::policy::Policy;
use leasehold_common::time::Span;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View};

/// The report of a node on which `change` was found, read now.
fn found(cell: &Cell, n: usize, change: impl FnOnce(&mut HealthReport)) -> Event {
    let mut report = health(n, &[], &[]);
    report.at = cell.now;
    change(&mut report);
    Event::Health(node(n), Some(Box::new(report)))
}

/// One GPU of it is like this.
fn is(n: usize, slot: usize, verdict: Verdict, action: Action) -> impl Fn(&mut HealthReport) {
    move |report| {
        let health = report.gpus.get_mut(&gpu(n, slot)).unwrap();
        let reason = HealthReason::MemoryFault;
        *health = GpuHealth {
            verdict,
            reasons: (verdict != Verdict::Healthy)
                .then_some(reason.clone())
                .into_iter()
                .collect(),
            action,
            findings: vec![Finding {
                reason,
                since: MORNING,
                evidence: "XID 95".into(),
                action,
            }],
            ..health.clone()
        };
    }
}

fn node_has(reason: HealthReason, action: Action) -> impl Fn(&mut HealthReport) {
    move |report| {
        report.findings = vec![Finding {
            reason: reason.clone(),
            since: MORNING,
            evidence: "NVML 580.95, module 580.82".into(),
            action,
        }];
    }
}

fn later(wish: CreateLease, minutes_from_now: u64) -> CreateLease {
    CreateLease {
        start: Some(MORNING + minutes(minutes_from_now)),
        ..wish
    }
}

fn health_words(cell: &Cell) -> Vec<String> {
    let of_health = |record: &&LogRecord| record.event_name == EventName::NodeHealth;
    let said = cell.log.iter().filter(of_health).map(|record| {
        let attributes = &record.attributes;
        let [from, to, reason] = [&attributes.from, &attributes.to, &attributes.reason]
            .map(|words| words.clone().unwrap_or_default());
        format!("{from} -> {to}: {reason}")
    });
    said.collect()
}

fn degraded(cell: &Cell, id: LeaseId) -> Option<String> {
    let condition = cell.record(id).conditions.get(&ConditionKind::Degraded)?;
    Some(condition.detail.clone())
}

#[test]
fn a_gpu_leaves_by_its_verdict_and_by_what_is_to_be_done_about_it() {
    let table = [
        (Verdict::Healthy, Action::None, 8),
        (Verdict::Healthy, Action::RestartApp, 8),
        (Verdict::Degraded, Action::None, 8),
        (Verdict::Degraded, Action::DrainAndReset, 7),
        (Verdict::Degraded, Action::CheckFabric, 7),
        (Verdict::Unhealthy, Action::None, 7),
        (Verdict::Unhealthy, Action::Rma, 7),
        (Verdict::Unresponsive, Action::RebootNode, 7),
        (Verdict::Lost, Action::RebootNode, 7),
    ];
    for (verdict, action, free) in table {
        let mut cell = Cell::of(1);
        let event = found(&cell, 0, is(0, 3, verdict, action));
        cell.tell([event]);
        assert_eq!(cell.node_view(0).gpus_free, free, "{verdict} {action}");
        let some = cell.lease(wish(gpus(7)));
        assert_eq!(cell.state_of(some), S::Preparing, "{verdict} {action}");
        let has_it = cell.view(some).gpus[&node(0)].contains(&gpu(0, 3));
        assert!(free == 8 || !has_it, "{verdict} {action}");
    }
}

#[test]
fn whole_nodes_and_units_want_every_gpu_and_floors_count_only_whole_nodes() {
    let mut cell = Cell::of(4);
    let event = found(&cell, 2, is(2, 0, Verdict::Unhealthy, Action::ResetGpu));
    cell.tell([event]);
    let gang = cell.lease(wish(nodes(3)));
    assert_eq!(cell.view(gang).nodes, "h[000-001,003]");
    let two = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(two), S::Requested);

    // A buy-out has what can be let.
    let mut cell = Cell::of(4);
    let event = found(&cell, 2, is(2, 0, Verdict::Unhealthy, Action::ResetGpu));
    cell.tell([event]);
    let unit = Shape::Unit {
        prefix: "hall-a/row-1/rack-0".parse().unwrap(),
    };
    let rack = cell.lease(wish(unit));
    assert_eq!(cell.view(rack).nodes, "h[000-001,003]");

    // Two whole nodes are kept: of three there is one for others, and none while one is not whole.
    let mut cell = Cell::of(3);
    let policy = r#"floors = [{ side = "internal", sku = "h200", nodes = 2 }]"#;
    let policy = SetPolicy {
        policy: Policy::from_text(policy).unwrap(),
        why: None,
    };
    cell.ask(Command::SetPolicy(policy)).unwrap();
    let event = found(&cell, 1, is(1, 0, Verdict::Unhealthy, Action::ResetGpu));
    cell.tell([event]);
    let tenant = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(tenant), S::Requested);
    let event = found(&cell, 1, |_| {});
    cell.tell([event]);
    assert_eq!(cell.state_of(tenant), S::Preparing);
}

#[test]
fn a_finding_on_the_node_itself_takes_all_of_it_out() {
    let mut cell = Cell::of(1);
    let event = found(
        &cell,
        0,
        node_has(HealthReason::ClockUnsynchronised, Action::None),
    );
    cell.tell([event]);
    assert_eq!(cell.node_view(0).gpus_free, 8, "that harms nobody");
    let running = cell.lease(wish(gpus(1)));
    let mismatch = node_has(HealthReason::DriverMismatch, Action::RebootNode);
    let event = found(&cell, 0, mismatch);
    cell.tell([event]);
    assert_eq!(cell.node_view(0).gpus_free, 0);
    assert_eq!(cell.state_of(running), S::Preparing, "it stays");
    assert_eq!(
        degraded(&cell, running).unwrap(),
        "h000: node unhealthy (DriverMismatch), reboot-node, since 2026-09-21T14:13:20.000Z: \
         NVML 580.95, module 580.82"
    );
    let waits = cell.lease(wish(gpus(1)));
    assert_eq!(cell.state_of(waits), S::Requested);
    let event = found(&cell, 0, |_| {});
    cell.tell([event]);
    assert_eq!(cell.state_of(waits), S::Preparing);
    assert_eq!(degraded(&cell, running), None);
}

#[test]
fn bookings_to_come_go_elsewhere_and_none_begins_on_a_gpu_that_cannot_be_let() {
    let mut cell = Cell::of(2);
    let booked = cell.lease(later(wish(nodes(1)), 60));
    assert_eq!(cell.view(booked).nodes, "h000");
    let event = found(&cell, 0, is(0, 5, Verdict::Unhealthy, Action::ResetGpu));
    cell.tell([event]);
    assert_eq!(cell.view(booked).nodes, "h001");

    let event = found(&cell, 1, is(1, 5, Verdict::Unhealthy, Action::ResetGpu));
    cell.tell([event]);
    cell.pass(minutes(61));
    assert_eq!(cell.state_of(booked), S::Scheduled);
    let condition = &cell.record(booked).conditions[&ConditionKind::Delayed];
    assert_eq!(
        condition.detail,
        "1 of its nodes have GPUs that cannot be let: it does not begin there"
    );
    let event = found(&cell, 1, |_| {});
    cell.tell([event]);
    cell.pass(minutes(1));
    assert_eq!(cell.state_of(booked), S::Preparing);
}

#[test]
fn what_has_been_told_and_not_begun_goes_elsewhere_too() {
    let mut cell = Cell::of(2);
    let soon = cell.lease(later(wish(nodes(1)), 3));
    assert_eq!(cell.state_of(soon), S::Preparing);
    cell.agents_answer([0]);
    let event = found(&cell, 0, is(0, 5, Verdict::Lost, Action::RebootNode));
    cell.tell([event]);
    assert_eq!(cell.view(soon).nodes, "h001");
    assert!(cell.record(soon).conditions.is_empty());
}

#[test]
fn every_change_of_a_leased_gpu_is_recorded_with_what_was_seen() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(gpus(1)));
    let its = cell.view(id).gpus[&node(0)][0].clone();
    let slot = (0..8).find(|slot| gpu(0, *slot) == its).unwrap();
    cell.agents_answer([0]);
    for (verdict, action) in [
        (Verdict::Degraded, Action::None),
        (Verdict::Unhealthy, Action::ResetGpu),
        (Verdict::Healthy, Action::None),
    ] {
        cell.pass(minutes(1));
        let event = found(&cell, 0, is(0, slot, verdict, action));
        cell.tell([event]);
        assert_eq!(
            degraded(&cell, id).is_some(),
            verdict != Verdict::Healthy,
            "{verdict}"
        );
    }
    assert_eq!(cell.state_of(id), S::Active);
    let other = (slot + 1) % 8;
    let event = found(&cell, 0, is(0, other, Verdict::Degraded, Action::None));
    cell.tell([event]);
    insta::assert_snapshot!(health_words(&cell).join("\n"), @"
    gpus 0-7 -> gpus 0-7: gpu 0 degraded (MemoryFault), since 2026-09-21T14:13:20.000Z: XID 95
    gpus 0-7 -> gpus 1-7: gpu 0 unhealthy (MemoryFault), reset-gpu, since 2026-09-21T14:13:20.000Z: XID 95
    gpus 1-7 -> gpus 0-7: gpu 0 healthy, since 2026-09-21T14:13:20.000Z
    ");
}

#[test]
fn who_begins_on_a_gpu_that_is_degraded_is_told_so() {
    let mut cell = Cell::of(1);
    let event = found(&cell, 0, is(0, 2, Verdict::Degraded, Action::None));
    cell.tell([event]);
    assert_eq!(health_words(&cell), [""; 0], "nobody has it");
    let id = cell.lease(wish(nodes(1)));
    assert_eq!(
        degraded(&cell, id).unwrap(),
        "h000: gpu 2 degraded (MemoryFault), since 2026-09-21T14:13:20.000Z: XID 95"
    );
    assert_eq!(health_words(&cell).len(), 1);
}

#[test]
fn a_gpu_comes_back_on_a_later_report_of_the_present_boot_and_on_no_other() {
    let mut cell = Cell::of(1);
    cell.pass(minutes(10));
    let sick = is(0, 0, Verdict::Unhealthy, Action::RebootNode);
    let event = found(&cell, 0, sick);
    cell.tell([event]);
    let free = |cell: &Cell| cell.node_view(0).gpus_free;

    // The store has an older word of the same boot, as after a restore.
    cell.pass(minutes(1));
    let event = found(&cell, 0, |health| health.at = MORNING);
    cell.tell([event]);
    assert_eq!(free(&cell), 7, "read before");

    // A boot that the node does not say it is in.
    let event = found(&cell, 0, |health| health.boot_id = "boot-0".into());
    cell.tell([event]);
    assert_eq!(free(&cell), 7, "of another boot");

    let second = |health: &mut HealthReport| {
        health.boot_id = "boot-2".into();
        // Its clock is wrong until something has set it right.
        health.at = MORNING;
    };
    let event = found(&cell, 0, second);
    cell.tell([event]);
    assert_eq!(free(&cell), 7, "it has not said so itself yet");
    let mut rebooted = report(0);
    rebooted.boot_id = "boot-2".into();
    cell.tell([Event::Report(node(0), Some(Box::new(rebooted)))]);
    assert_eq!(free(&cell), 8);
}

#[test]
fn a_gpu_that_comes_and_goes_is_out_at_once_and_back_ever_more_slowly() {
    let mut cell = Cell::of(1);
    let long = CreateLease {
        length: Some(minutes(600)),
        ..wish(gpus(8))
    };
    let id = cell.lease(long);
    cell.agents_answer([0]);
    let mut changes = 0;
    for _ in 0..1440 {
        for verdict in [Verdict::Unhealthy, Verdict::Healthy] {
            let event = found(&cell, 0, is(0, 1, verdict, Action::None));
            cell.tell([event]);
            changes += 1;
            cell.pass(Span::from_secs(5));
        }
    }
    let records = health_words(&cell).len();
    assert!(changes == 2880 && records < 30, "{records} records");
    let about_it = |record: &LogRecord| record.event_name == EventName::LeaseCondition;
    let conditions = cell.words(about_it).len();
    assert!(
        conditions <= records,
        "{conditions} changes of its condition"
    );
    // Once it stays well it is back within the hour, without anybody saying anything.
    let event = found(&cell, 0, |_| {});
    cell.tell([event]);
    cell.pass(minutes(60));
    assert_eq!(degraded(&cell, id), None);
}

#[test]
fn another_leader_knows_what_is_out_and_records_what_changed_in_between() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    let event = found(&cell, 0, is(0, 1, Verdict::Unhealthy, Action::None));
    cell.tell([event]);
    assert!(degraded(&cell, id).is_some());
    // While nobody led, its agent has found it well again.
    cell.reload([0, 1]);
    assert_eq!(degraded(&cell, id), None);
    let words = health_words(&cell);
    assert!(words[1].contains("gpus 0,2-7 -> gpus 0-7"), "{words:?}");
}

#[test]
fn what_ailed_a_node_before_it_was_admitted_anew_ails_it_no_more() {
    let mut cell = Cell::of(1);
    let mismatch = node_has(HealthReason::DriverMismatch, Action::RebootNode);
    let event = found(&cell, 0, mismatch);
    cell.tell([event, Event::Live(node(0), None)]);
    let admit = AdmitNodes {
        nodes: "h000".into(),
        reason: Some("new board".into()),
    };
    cell.ask(Command::AdmitNodes(admit)).unwrap();
    // Its agent is heard of again after it has said that all is well.
    let event = found(&cell, 0, |_| {});
    cell.tell([event]);
    cell.tell([Event::Live(node(0), Some(live()))]);
    assert_eq!(cell.node_view(0).gpus_free, 8);
}

#[test]
fn a_gpu_that_a_report_leaves_out_is_lost() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    let event = found(&cell, 0, |health| drop(health.gpus.remove(&gpu(0, 6))));
    cell.tell([event]);
    assert_eq!(
        degraded(&cell, id).unwrap(),
        "h000: gpu 6 lost (GpuMissing), since 2026-09-21T14:13:20.000Z: it is missing in the report"
    );
    let unhealthy = Query::Gpus {
        node: Some(node(0)),
        unhealthy: true,
    };
    let View::Gpus(list) = cell.query(&unhealthy) else {
        panic!("a list of GPUs");
    };
    let shown = list.items.iter().map(|gpu| (gpu.slot, gpu.verdict));
    assert_eq!(shown.collect::<Vec<_>>(), [(6, Some(Verdict::Lost))]);
}
