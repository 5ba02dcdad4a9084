//! What operators say of GPUs: heeded at once, passed on, and over when its time is.

use crate::fixture::{Cell, gpu, gpus, health, minutes, node, wish};
use leasehold_common::api::{
    AcknowledgeGpus, GpuView, OverrideGpus, Problem, ProblemCode, WithdrawGpus,
};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::LeaseState as S;
use leasehold_common::log::EventName;
use leasehold_common::node::{Action, HealthReason, Verdict, Word, WordKind};
use leasehold_common::time::Span;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, Says, View, Written};

fn overrides(gpus: &[&str], verdict: Verdict, length: Span) -> Command {
    Command::SayOfGpus(Says::Override(OverrideGpus {
        gpus: gpus.iter().map(ToString::to_string).collect(),
        verdict,
        reason: "burnt in".into(),
        length: Some(length),
        until: None,
    }))
}

fn acknowledges(gpus: &[&str], of: Option<HealthReason>) -> Command {
    Command::SayOfGpus(Says::Acknowledge(AcknowledgeGpus {
        gpus: gpus.iter().map(ToString::to_string).collect(),
        reason: "board replaced".into(),
        of,
        length: None,
        until: None,
    }))
}

fn withdraws(gpus: &[&str]) -> Command {
    Command::SayOfGpus(Says::Withdraw(WithdrawGpus {
        gpus: gpus.iter().map(ToString::to_string).collect(),
        reason: "it was not".into(),
    }))
}

fn shown(written: Written) -> Vec<GpuView> {
    match written.view {
        View::Gpus(list) => list.items,
        other => panic!("{other:?}"),
    }
}

/// This GPU of the first node looks like this now.
fn looks(cell: &mut Cell, slot: usize, verdict: Verdict, action: Action) {
    let mut report = health(0, &[], &[]);
    report.at = cell.now;
    let gpu = report.gpus.get_mut(&gpu(0, slot)).unwrap();
    (gpu.verdict, gpu.action) = (verdict, action);
    cell.tell([Event::Health(node(0), Some(Box::new(report)))]);
}

fn free(cell: &Cell) -> u32 {
    cell.node_view(0).gpus_free
}

/// What the agent of the first node is told of a GPU.
fn told(cell: &Cell, slot: usize) -> Vec<Word> {
    let grants = cell.state.grants_of(NodeIndex(0));
    grants.map_or_else(Vec::new, |grants| {
        grants.words.get(&gpu(0, slot)).cloned().unwrap_or_default()
    })
}

#[test]
fn an_override_decides_at_once_whatever_the_agent_says_by_then_and_until_it_expires() {
    let mut cell = Cell::of(1);
    looks(&mut cell, 3, Verdict::Unhealthy, Action::Rma);
    let waits = cell.lease(wish(gpus(8)));
    assert_eq!(cell.state_of(waits), S::Requested);
    let answer = cell.ask(overrides(&["h000:3"], Verdict::Healthy, minutes(60)));
    let view = &shown(answer.unwrap())[0];
    assert!(
        view.can_be_let && view.verdict == Some(Verdict::Unhealthy),
        "{view:?}"
    );
    assert_eq!(cell.state_of(waits), S::Preparing);
    let words = told(&cell, 3);
    assert_eq!(
        (words[0].by.as_str(), words[0].why.as_str()),
        ("1000", "burnt in")
    );
    assert_eq!(words[0].until, cell.now + minutes(60));

    // The agent has heard: its verdict follows, and what is to be done is still told.
    looks(&mut cell, 3, Verdict::Healthy, Action::Rma);
    assert!(cell.record(waits).conditions.is_empty());
    cell.pass(minutes(60));
    assert!(
        !cell.record(waits).conditions.is_empty(),
        "its time is over"
    );
    assert_eq!(told(&cell, 3), []);
    let said = cell.words(|record| record.event_name == EventName::GpuWord);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("gpu.word gpus 3: override healthy until "));
}

#[test]
fn a_gpu_can_be_taken_out_by_word_and_put_back() {
    let mut cell = Cell::of(2);
    let wish = overrides(
        &["h[000-001]:0-1", "h000:7"],
        Verdict::Unhealthy,
        minutes(600),
    );
    let views = shown(cell.ask(wish).unwrap());
    assert_eq!(views.len(), 5);
    assert_eq!((free(&cell), cell.node_view(1).gpus_free), (5, 6));
    // Another leader knows it from the ledger.
    cell.reload([0, 1]);
    assert_eq!(free(&cell), 5);
    cell.ask(withdraws(&["h000:0,7"])).unwrap();
    assert_eq!(free(&cell), 7);
    assert_eq!(
        told(&cell, 7)[0].says,
        WordKind::Withdraw,
        "until the agent has surely forgotten"
    );
    assert_eq!(told(&cell, 1)[0].says, WordKind::Override);
    cell.pass(minutes(600));
    assert_eq!((free(&cell), told(&cell, 7)), (8, Vec::new()));
    assert_eq!(cell.state.grants_of(NodeIndex(0)), None);
}

#[test]
fn nobodys_word_makes_a_gpu_answer() {
    let mut cell = Cell::of(1);
    cell.ask(overrides(&["h000:2"], Verdict::Healthy, minutes(60)))
        .unwrap();
    for verdict in [Verdict::Lost, Verdict::Unresponsive] {
        looks(&mut cell, 2, verdict, Action::RebootNode);
        assert_eq!(free(&cell), 7, "{verdict}");
    }
}

#[test]
fn an_acknowledgement_is_passed_on_and_the_agent_decides() {
    let mut cell = Cell::of(1);
    looks(&mut cell, 1, Verdict::Unhealthy, Action::Rma);
    let of = Some(HealthReason::RowRemapFailed);
    cell.ask(acknowledges(&["h000:1"], of.clone())).unwrap();
    cell.ask(acknowledges(&["h000:1"], None)).unwrap();
    cell.ask(acknowledges(&["h000:1"], of)).unwrap();
    assert_eq!(told(&cell, 1).len(), 2, "the same twice is one");
    assert_eq!(free(&cell), 7);
    looks(&mut cell, 1, Verdict::Healthy, Action::None);
    assert_eq!(free(&cell), 8);
    cell.pass(Span::from_hours(24));
    assert_eq!(told(&cell, 1), []);
}

#[test]
fn a_word_said_twice_under_one_key_is_one_and_a_dry_run_says_nothing() {
    let mut cell = Cell::of(1);
    let wish = overrides(&["h000:0"], Verdict::Unhealthy, minutes(60));
    let first = cell.ask_as("w1", wish.clone()).unwrap();
    let log = cell.log.len();
    let again = cell.ask_as("w1", wish.clone()).unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!((shown(again), cell.log.len()), (shown(first), log));
    let dry = leasehold_core::command::Write {
        command: overrides(&["h000:5"], Verdict::Unhealthy, minutes(60)),
        idempotency: None,
        dry_run: true,
        if_match: None,
    };
    cell.write(dry).unwrap();
    assert_eq!((free(&cell), cell.log.len()), (7, log));
}

#[test]
fn what_is_said_badly_changes_nothing() {
    let mut cell = Cell::of(1);
    let log = cell.log.len();
    let hour = minutes(60);
    let table = [
        (overrides(&[], Verdict::Healthy, hour), "gpus"),
        (overrides(&["h000"], Verdict::Healthy, hour), "gpus[0]"),
        (
            overrides(&["h000:1", "h000:8"], Verdict::Healthy, hour),
            "gpus[1]",
        ),
        (overrides(&["h000:x"], Verdict::Healthy, hour), "gpus[0]"),
        (overrides(&["h9:1"], Verdict::Healthy, hour), "nodes"),
        (overrides(&["h000:1"], Verdict::Lost, hour), "verdict"),
        (overrides(&["h000:1"], Verdict::Healthy, Span::ZERO), "for"),
        (
            overrides(&["h000:1"], Verdict::Healthy, Span::from_hours(9000)),
            "for",
        ),
        (
            acknowledges(&["h000:1"], Some(HealthReason::Other("Moon".into()))),
            "of",
        ),
        (withdraws(&["h000:1"]), "gpus"),
    ];
    for (wish, field) in table {
        let problem: Problem = cell.ask(wish.clone()).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some(field), "{wish:?}: {problem}");
    }
    assert_eq!(cell.log.len(), log);
    let none = Query::Gpu(node(0), 8);
    assert_eq!(cell.refused(&none).code, ProblemCode::UnknownNode);
}

#[test]
fn what_is_not_in_order_is_shown_with_what_was_seen() {
    let mut cell = Cell::of(1);
    looks(&mut cell, 3, Verdict::Unhealthy, Action::ResetGpu);
    looks(&mut cell, 3, Verdict::Unhealthy, Action::Rma);
    let unhealthy = Query::Gpus {
        node: None,
        unhealthy: true,
    };
    let View::Gpus(list) = cell.query(&unhealthy) else {
        panic!("a list of GPUs");
    };
    assert_eq!(
        list.items.iter().map(|gpu| gpu.slot).collect::<Vec<_>>(),
        [3]
    );
    let ailments = cell.node_view(0).ailments;
    assert_eq!(ailments.len(), 1);
    assert_eq!(
        (ailments[0].slot, ailments[0].action),
        (Some(3), Action::Rma)
    );
    assert!(!ailments[0].can_be_let);
}
