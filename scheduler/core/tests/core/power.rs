//! Power budgets: what is set, what is booked below them, and what goes beyond.

use crate::fixture::{
    Cell, MORNING, gpus, health, inventory, live, minutes, node, nodes, report, wish,
};
use leasehold_common::api::{PowerView, ProblemCode, SetPowerBudget, WantedStep};
use leasehold_common::class::{Class, Side};
use leasehold_common::log::EventName;
use leasehold_common::node::Reading;
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliWatts;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View};

/// What one H200 node may draw: 8 × 700 W and 4,600 W of its own.
const NODE: u64 = 10_200;

fn budget(prefix: &str, steps: &[(Option<Timestamp>, Option<u64>)]) -> Command {
    let steps = steps
        .iter()
        .map(|(from, watts)| WantedStep {
            from: *from,
            watts: *watts,
        })
        .collect();
    Command::SetPowerBudget(SetPowerBudget {
        prefix: prefix.parse().unwrap(),
        steps,
        why: Some("the transformer is serviced".into()),
    })
}

fn place(cell: &Cell, prefix: &str) -> PowerView {
    let prefix = Some(prefix.parse().unwrap());
    match cell.query(&Query::Power { prefix }) {
        View::Power(list) => list.items.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn set(cell: &mut Cell, command: Command) -> PowerView {
    match cell.ask(command).unwrap().view {
        View::PowerBudget(view) => *view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn envelopes_are_counted_below_every_place_above_a_node() {
    let mut cell = Cell::of(8);
    cell.lease(wish(nodes(5)));
    let mut capped = wish(gpus(4));
    capped.gpu_cap_watts = Some(400);
    capped.start = Some(MORNING + minutes(60));
    cell.lease(capped);
    let all = place(&cell, "");
    assert_eq!((all.nodes, all.installed_watts), (8, 8 * NODE));
    assert_eq!(all.booked_watts, 5 * NODE);
    // Half a node's own 4,600 W and four GPUs held to 400 W.
    assert_eq!(all.booked_max_watts, 5 * NODE + 2_300 + 1_600);
    assert_eq!(all.booked_max_at, Some(MORNING + minutes(60)));
    let racks = ["hall-a/row-1/rack-0", "hall-a/row-1/rack-1"];
    let sum: u64 = racks
        .iter()
        .map(|rack| place(&cell, rack).booked_watts)
        .sum();
    assert_eq!(sum, all.booked_watts);
}

#[test]
fn watts_planned_for_a_worse_class_are_in_nobodys_way_whatever_kind_of_node_they_are_for() {
    let mut cell = Cell::empty();
    for (name, side) in [("acme", Side::Tenant), ("globex", Side::Tenant)] {
        cell.account(name, side, None);
    }
    let mut list = inventory(4);
    for line in &mut list.nodes[2..] {
        line.sku = "h100".into();
    }
    cell.import(&list).unwrap();
    (0..2).for_each(|n| cell.agent_appears(n));
    for n in 2..4 {
        let mut as_h100 = report(n);
        for gpu in &mut as_h100.gpus {
            gpu.name = "NVIDIA H100".into();
        }
        cell.tell([
            Event::Live(node(n), Some(live())),
            Event::Report(node(n), Some(Box::new(as_h100))),
            Event::Health(node(n), Some(Box::new(health(n, &[], &[])))),
        ]);
    }
    set(&mut cell, budget("hall-a", &[(None, Some(2 * NODE))]));
    // Both H200 nodes have the watts for two hours, and a spot lease is planned for after that.
    cell.lease(wish(nodes(2)));
    let mut spot = wish(nodes(2));
    spot.class = Class::Spot;
    spot.length = Some(minutes(600));
    let waits = cell.lease(spot);
    let planned = cell.record(waits).explanation.as_ref().unwrap().earliest;
    assert!(planned.is_some());
    let mut better = wish(nodes(1));
    better.sku = "h100".parse().unwrap();
    better.class = Class::Committed;
    better.account = "globex".parse().unwrap();
    better.length = Some(minutes(600));
    let first = cell.lease(better);
    let earliest = cell.record(first).explanation.as_ref().unwrap().earliest;
    assert!(
        earliest.is_some() && earliest < planned,
        "it goes before what is only planned for spot: {earliest:?}, {planned:?}"
    );
}

#[test]
fn a_budget_is_a_function_of_time_and_survives_a_restart() {
    let mut cell = Cell::of(4);
    let evening = MORNING + minutes(600);
    let view = set(
        &mut cell,
        budget("hall-a", &[(None, Some(100_000)), (Some(evening), None)]),
    );
    assert_eq!(view.budget_watts, Some(100_000));
    assert_eq!(
        view.next.map(|step| (step.from, step.watts)),
        Some((evening, None))
    );
    assert_eq!(view.over, None);
    cell.reload(0..4);
    assert_eq!(place(&cell, "hall-a"), view);
    cell.now = evening;
    assert_eq!(place(&cell, "hall-a").budget_watts, None);
    let View::Power(list) = cell.query(&Query::Power { prefix: None }) else {
        panic!("a list was asked for")
    };
    let places: Vec<String> = list.items.iter().map(|p| p.prefix.to_string()).collect();
    assert_eq!(places, ["cell", "hall-a"]);
}

#[test]
fn a_budget_below_what_is_booked_is_set_and_says_by_how_much_and_from_when() {
    let mut cell = Cell::of(4);
    cell.lease(wish(nodes(2)));
    let mut later = wish(nodes(1));
    later.start = Some(MORNING + minutes(60));
    cell.lease(later);
    let from = MORNING + minutes(30);
    let view = set(
        &mut cell,
        budget("hall-a/row-1", &[(Some(from), Some(NODE))]),
    );
    let over = view.over.unwrap();
    assert_eq!((over.from, over.watts), (from, 2 * NODE));
    assert_eq!(over.worst, MORNING + minutes(60));
    let record = cell.log.last().unwrap();
    assert_eq!(record.event_name, EventName::PowerBudgetSet);
    assert_eq!(
        record.subject.power.as_ref().unwrap().as_str(),
        "hall-a/row-1"
    );
    assert_eq!(record.attributes.from.as_deref(), Some("unlimited"));
}

#[test]
fn what_is_set_later_replaces_what_was_to_come() {
    let mut cell = Cell::of(1);
    let at = |m| MORNING + minutes(m);
    let tonight = [(None, Some(50_000)), (Some(at(600)), Some(80_000))];
    set(&mut cell, budget("", &tonight));
    cell.pass(minutes(5));
    let view = set(&mut cell, budget("", &[(Some(at(300)), Some(40_000))]));
    let steps: Vec<_> = view
        .steps
        .iter()
        .map(|step| (step.from, step.watts))
        .collect();
    assert_eq!(steps, [(at(0), Some(50_000)), (at(300), Some(40_000))]);
    let lifted = set(&mut cell, budget("", &[(None, None)]));
    assert_eq!((lifted.budget_watts, lifted.steps), (None, vec![]));
}

#[test]
fn a_retry_of_a_budget_is_known() {
    let mut cell = Cell::of(1);
    let command = budget("hall-a", &[(None, Some(50_000))]);
    assert!(!cell.ask_as("w1", command.clone()).unwrap().replayed);
    cell.reload([0]);
    assert!(cell.ask_as("w1", command).unwrap().replayed);
}

#[test]
fn a_budget_that_makes_no_sense_changes_nothing() {
    let mut cell = Cell::of(1);
    let stored = cell.stored.clone();
    let soon = Some(MORNING + minutes(10));
    for (what, command, field, allowed) in [
        (
            "a place there is not",
            budget("hall-z", &[(None, None)]),
            "prefix",
            "admitted",
        ),
        ("no step", budget("hall-a", &[]), "steps", "1 to 256"),
        (
            "more than any site",
            budget("hall-a", &[(None, Some(u64::MAX))]),
            "steps[0].watts",
            "null for no limit",
        ),
        (
            "steps out of order",
            budget("hall-a", &[(soon, None), (soon, Some(1))]),
            "steps[1].from",
            "later than",
        ),
        (
            "a second step from now",
            budget("hall-a", &[(soon, None), (None, Some(1))]),
            "steps[1].from",
            "only the first",
        ),
    ] {
        let refused = cell.ask(command).expect_err(what);
        assert_eq!(refused.code, ProblemCode::InvalidField, "{what}");
        assert_eq!(refused.field.as_deref(), Some(field), "{what}");
        assert!(refused.allowed.unwrap().contains(allowed), "{what}");
    }
    assert_eq!(cell.stored, stored);
}

/// Its GPUs draw so much each, as its agent says.
fn draws(cell: &mut Cell, n: usize, watts: u64) {
    let mut report = health(n, &[], &[]);
    for gpu in report.gpus.values_mut() {
        gpu.power_mw = Reading::Value(MilliWatts::from_watts(watts));
        gpu.limit_mw = Reading::Value(MilliWatts::from_watts(700));
    }
    cell.tell([Event::Health(node(n), Some(Box::new(report)))]);
}

#[test]
fn what_nodes_draw_is_summed_above_them_and_old_where_an_agent_is_silent() {
    let mut cell = Cell::of(8);
    // Eight GPUs, and what the SKU allows for the rest.
    let node_draws = |watts: u64| 8 * watts + 4_600;
    for n in 0..8 {
        draws(&mut cell, n, 100);
    }
    draws(&mut cell, 1, 600);
    let drawn = |cell: &Cell, prefix: &str| {
        let place = place(cell, prefix);
        (place.drawn_watts, place.stale_watts, place.nodes_reporting)
    };
    let rack = 3 * node_draws(100) + node_draws(600);
    assert_eq!(drawn(&cell, "hall-a/row-1/rack-0"), (rack, 0, 4));
    assert_eq!(drawn(&cell, ""), (rack + 4 * node_draws(100), 0, 8));
    let view = cell.node_view(1);
    assert_eq!((view.power_watts, view.node_watts), (4_800, 9_400));
    assert_eq!(view.draws.len(), 8);
    assert_eq!(
        (view.draws[3].watts, view.draws[3].limit_watts),
        (Some(600), Some(700))
    );

    cell.tell([Event::Live(node(1), None)]);
    assert_eq!(
        drawn(&cell, "hall-a/row-1/rack-0"),
        (rack, node_draws(600), 4)
    );
    assert!(cell.node_view(1).power_stale);
    cell.tell([Event::Live(node(1), Some(live()))]);

    // One that is moved counts where it stands.
    let mut moved = inventory(8);
    moved.nodes.truncate(2);
    moved.nodes[1].path = "hall-b/row-1/rack-9/d1".into();
    moved.nodes.remove(0);
    cell.import(&moved).unwrap();
    assert_eq!(drawn(&cell, "hall-b"), (node_draws(600), 0, 1));
    assert_eq!(
        drawn(&cell, "hall-a/row-1/rack-0"),
        (3 * node_draws(100), 0, 3)
    );
    cell.tell([Event::Health(node(1), None)]);
    assert_eq!(drawn(&cell, "hall-b"), (0, 0, 0));
}
