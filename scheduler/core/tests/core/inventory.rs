//! What stands where, and whether it is what it says.

use crate::fixture::{Cell, gpu, health, inventory, live, node, nodes, report, wish};
use leasehold_common::api::{AdmitNodes, NodeChange, ProblemCode};
use leasehold_common::ids::NodeIndex;
use leasehold_common::node::{NodeReport, NodeState, StateReason};
use leasehold_core::Event;
use leasehold_core::command::{Command, View, Write, Written};

fn import_of(written: Written) -> leasehold_common::api::ImportReport {
    match written.view {
        View::Import(report) => report,
        other => panic!("{other:?}"),
    }
}

fn admit(names: &str) -> Command {
    Command::AdmitNodes(AdmitNodes {
        nodes: names.into(),
        reason: Some("looked at it".into()),
    })
}

fn says(cell: &mut Cell, report: NodeReport) {
    let name = node(1);
    cell.tell([Event::Report(name, Some(Box::new(report)))]);
}

#[test]
fn a_listed_node_that_reports_is_verified_and_available() {
    let mut cell = Cell::empty();
    cell.import(&inventory(1)).unwrap();
    assert_eq!(cell.node_view(0).state, NodeState::Registering);
    cell.tell([
        Event::Live(node(0), Some(live())),
        Event::Report(node(0), Some(Box::new(report(0)))),
    ]);
    assert_eq!(cell.node_view(0).state, NodeState::Verifying);
    cell.tell([Event::Health(node(0), Some(Box::new(health(0, &[], &[]))))]);
    let there = cell.node_view(0);
    assert_eq!(
        (there.state, there.gpus, there.gpus_free),
        (NodeState::Available, 8, 8)
    );
}

#[test]
fn a_node_that_nobody_listed_waits_until_it_is_admitted() {
    let mut cell = Cell::empty();
    let mut stated = report(0);
    (stated.path, stated.sku) = (
        Some("a/b/c/d".parse().unwrap()),
        Some("h200".parse().unwrap()),
    );
    cell.tell([
        Event::Live(node(0), Some(live())),
        Event::Report(node(0), Some(Box::new(stated))),
        Event::Health(node(0), Some(Box::new(health(0, &[], &[])))),
    ]);
    let waits = cell.node_view(0);
    assert_eq!((waits.state, waits.index), (NodeState::Registering, None));
    assert_eq!(waits.reason, StateReason::NotAdmitted);
    cell.ask(admit("h000,h000")).unwrap();
    let there = cell.node_view(0);
    assert_eq!(
        (there.state, there.index),
        (NodeState::Available, Some(NodeIndex(0)))
    );
}

#[test]
fn a_node_that_does_not_say_where_it_stands_must_be_imported() {
    let mut cell = Cell::empty();
    cell.agent_appears(0);
    let refused = cell.ask(admit("h000")).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("nodes"));
    assert!(refused.allowed.unwrap().contains("place and SKU"));
}

#[test]
fn a_node_that_reported_before_a_restart_can_be_imported_after_it() {
    let mut cell = Cell::empty();
    cell.agent_appears(0);
    cell.reload([0]);
    cell.import(&inventory(1)).unwrap();
    assert_eq!(cell.node_view(0).state, NodeState::Available);
}

#[test]
fn a_node_that_contradicts_what_was_admitted_is_taken_out() {
    let elsewhere = NodeReport {
        path: Some("other/row/rack/d".parse().unwrap()),
        ..report(1)
    };
    let other_sku = NodeReport {
        sku: Some("b200".parse().unwrap()),
        ..report(1)
    };
    let mut other_model = report(1);
    other_model.gpus[3].name = "NVIDIA H100 80GB HBM3".into();
    let mut stolen = report(1);
    stolen.gpus[0].uuid = gpu(0, 0);
    let mut swapped = report(1);
    swapped.gpus[7].uuid = "GPU-new".parse().unwrap();
    for (report, reason) in [
        (elsewhere, StateReason::OtherPlace),
        (other_sku, StateReason::OtherSku),
        (other_model, StateReason::OtherSku),
        (stolen, StateReason::GpuSeenElsewhere),
        (swapped, StateReason::OtherGpus),
    ] {
        let mut cell = Cell::of(2);
        says(&mut cell, report);
        let out = cell.node_view(1);
        assert_eq!((out.state, out.reason), (NodeState::Quarantined, reason));
        assert_eq!(out.gpus_free, 0);
        assert_eq!(cell.node_view(0).state, NodeState::Available);
        // Saying something else does not help: somebody has to look.
        says(&mut cell, super::fixture::report(1));
        assert_eq!(cell.node_view(1).state, NodeState::Quarantined);
        cell.ask(admit("h001")).unwrap();
        assert_eq!(cell.node_view(1).state, NodeState::Available);
    }
}

#[test]
fn a_gpu_that_was_swapped_is_admitted_by_an_operator() {
    let mut cell = Cell::of(2);
    let mut swapped = report(1);
    swapped.gpus[7].uuid = "GPU-new".parse().unwrap();
    let mut its_health = health(1, &[], &[]);
    let healthy = its_health.gpus.remove(&gpu(1, 7)).unwrap();
    its_health.gpus.insert("GPU-new".parse().unwrap(), healthy);
    says(&mut cell, swapped);
    cell.tell([Event::Health(node(1), Some(Box::new(its_health)))]);
    cell.ask(admit("h001")).unwrap();
    assert_eq!(
        (cell.node_view(1).state, cell.node_view(1).gpus_free),
        (NodeState::Available, 8)
    );
}

#[test]
fn a_body_of_another_node_is_dropped_and_said() {
    let mut cell = Cell::of(2);
    says(&mut cell, report(0));
    assert_eq!(cell.node_view(1).state, NodeState::Available);
    assert_eq!(
        cell.log.last().unwrap().event_name.as_str(),
        "report.invalid"
    );
}

#[test]
fn a_dry_import_shows_adds_moves_and_errors_line_by_line() {
    let mut cell = Cell::of(2);
    let stored = cell.stored.clone();
    let mut wish = inventory(5);
    wish.nodes[0].path = "hall-z/r/k/d".into();
    wish.nodes[2].owner = Some("internal".into());
    wish.nodes[3].path = "nowhere".into();
    wish.nodes[4].sku = "h9000".into();
    wish.nodes.push(wish.nodes[2].clone());
    let dry = Write {
        command: Command::ImportNodes(wish.clone()),
        idempotency: None,
        dry_run: true,
        if_match: None,
    };
    let report = import_of(cell.write(dry).unwrap());
    let outcome = |line: usize| &report.lines[line].outcome;
    assert!(matches!(outcome(0), NodeChange::Move { what } if what.len() == 1));
    assert!(matches!(outcome(1), NodeChange::Same));
    assert!(matches!(outcome(2), NodeChange::Add));
    for (line, wrong) in [(3, "path"), (4, "sku"), (5, "node")] {
        assert!(matches!(outcome(line), NodeChange::Error { field, .. } if field == wrong));
    }
    assert_eq!(
        (report.added, report.moved, report.same, report.errors),
        (1, 1, 1, 3)
    );
    assert!(report.dry_run);

    // For real, one bad line keeps every node out.
    let report = import_of(cell.import(&wish).unwrap());
    assert!(report.dry_run);
    assert_eq!(cell.stored, stored);
}

#[test]
fn three_hundred_nodes_are_imported_and_admitted_over_several_commits() {
    let mut cell = Cell::empty();
    let report = import_of(cell.import(&inventory(300)).unwrap());
    assert_eq!(report.added, 300);
    assert!(cell.batches >= 4, "{} commits", cell.batches);
    (0..300).for_each(|n| cell.agent_appears(n));
    // Every node gets new GPUs, and then an operator takes all of them as they are.
    for n in 0..300 {
        let mut swapped = super::fixture::report(n);
        swapped.gpus[0].uuid = format!("GPU-new-{n}").parse().unwrap();
        cell.tell([Event::Report(node(n), Some(Box::new(swapped)))]);
    }
    assert_eq!(cell.node_view(17).state, NodeState::Quarantined);
    let before = cell.batches;
    let admitted = cell.ask(admit("h[000-299]")).unwrap();
    assert!(cell.batches >= before + 4);
    let View::Nodes(list) = admitted.view else {
        panic!("nodes were admitted")
    };
    assert_eq!(list.items.len(), 300);
    assert!(
        list.items
            .iter()
            .all(|node| node.state == NodeState::Available)
    );
}

#[test]
fn a_node_with_a_lease_is_neither_moved_nor_admitted() {
    let mut cell = Cell::of(1);
    cell.lease(wish(nodes(1)));
    let mut wish = inventory(1);
    wish.nodes[0].path = "hall-z/r/k/d".into();
    let report = import_of(cell.import(&wish).unwrap());
    assert_eq!(report.errors, 1);
    let refused = cell.ask(admit("h000")).unwrap_err();
    assert_eq!(refused.code, ProblemCode::InvalidField);
    assert_eq!(refused.value.as_deref(), Some("h000"));
}
