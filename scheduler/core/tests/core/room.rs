//! What room there is, and what would be taken back where there is none. Both are only said.

use crate::fixture::{Cell, around, minutes, nodes, wish};
use leasehold_common::api::{CreateLease, SetPolicy, SurplusShape};
use leasehold_common::class::Class;
use leasehold_common::explain::Reclaim;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState;
use leasehold_common::policy::Policy;
use leasehold_common::time::Span;
use leasehold_core::command::{Command, Query, View};

fn of_class(class: Class, account: &str, count: u32) -> CreateLease {
    CreateLease {
        account: account.parse().unwrap(),
        class,
        length: Some(Span::from_hours(10)),
        ..wish(nodes(count))
    }
}

fn reclaim(cell: &mut Cell, query: &Query) -> Option<Reclaim> {
    match cell.state.ask(query, &around(), cell.now).unwrap() {
        View::Explain(view) => view.explanation.unwrap().reclaim,
        other => panic!("{other:?}"),
    }
}

fn named(reclaim: &Reclaim) -> Vec<LeaseId> {
    reclaim.victims.iter().map(|victim| victim.lease).collect()
}

#[test]
fn who_outranks_others_is_told_whose_leases_would_go_and_nothing_is_ended() {
    let mut cell = Cell::of(4);
    let sold = cell.lease(of_class(Class::Committed, "acme", 2));
    let spot = cell.lease(of_class(Class::Spot, "acme", 2));
    let urgent = of_class(Class::InternalCritical, "research", 2);
    let planned = reclaim(&mut cell, &Query::Plan(Box::new(urgent.clone()))).unwrap();
    assert_eq!(named(&planned), [spot]);

    let waits = cell.lease(urgent);
    let logged = cell.record(waits).explanation.clone().unwrap().reclaim;
    assert_eq!(
        logged,
        Some(planned),
        "it stands in the record and in the log"
    );
    // Later it is told anew, whoever has tried to place it since.
    cell.pass(minutes(30));
    let now = reclaim(&mut cell, &Query::Explain(waits)).unwrap();
    assert_eq!(named(&now), [spot]);
    assert_eq!(now.victims[0].ends, cell.now + minutes(10));
    for lease in [sold, spot] {
        assert!(!cell.state_of(lease).is_over());
    }
    assert_eq!(cell.state_of(waits), LeaseState::Requested);
}

#[test]
fn what_is_planned_for_who_asks_or_for_worse_classes_is_not_in_the_way_of_what_is_taken_back() {
    let mut cell = Cell::of(2);
    let spot = cell.lease(of_class(Class::Spot, "acme", 2));
    let waits = cell.lease(of_class(Class::InternalCritical, "research", 2));
    let booked = cell.record(spot).access_end.unwrap() + minutes(10);
    assert_eq!(
        cell.view(waits).earliest,
        Some(booked),
        "its own hardware is planned on the same nodes, for when they are free"
    );
    cell.pass(minutes(1));
    let now = reclaim(&mut cell, &Query::Explain(waits)).unwrap();
    assert_eq!(named(&now), [spot]);
    assert_eq!(now.victims[0].ends, cell.now + minutes(10), "told now");

    // Behind it others are planned, on these nodes and for hours in which it would have them.
    let mut short = of_class(Class::Committed, "acme", 1);
    short.length = Some(Span::from_hours(1));
    let behind = cell.lease(short);
    assert!(cell.view(behind).earliest.is_some());
    cell.pass(minutes(1));
    let now = reclaim(&mut cell, &Query::Explain(waits)).unwrap();
    assert_eq!(now.victims[0].ends, cell.now + minutes(10));
    cell.pass(minutes(1));
    assert_eq!(cell.view(waits).earliest, Some(booked), "plans are kept");
}

#[test]
fn what_would_be_taken_back_is_told_as_it_is_now_also_where_it_is_nothing_any_more() {
    let mut cell = Cell::of(2);
    cell.lease(of_class(Class::Spot, "acme", 2));
    let waits = cell.lease(of_class(Class::OnDemand, "acme", 2));
    assert!(reclaim(&mut cell, &Query::Explain(waits)).is_some());
    let policy = Policy::from_text("turnaround = \"10m\"\nreclaim = {}").unwrap();
    cell.ask(Command::SetPolicy(SetPolicy { policy, why: None }))
        .unwrap();
    assert_eq!(reclaim(&mut cell, &Query::Explain(waits)), None);
}

#[test]
fn who_waits_for_room_is_not_told_whose_room_it_could_be() {
    let mut cell = Cell::of(2);
    cell.lease(of_class(Class::Spot, "acme", 2));
    for class in [Class::InternalBatch, Class::Spot] {
        let account = match class {
            Class::Spot => "acme",
            _ => "research",
        };
        let waits = cell.lease(of_class(class, account, 1));
        assert_eq!(reclaim(&mut cell, &Query::Explain(waits)), None);
    }
}

#[test]
fn surplus_says_how_much_of_it_lasts() {
    let mut cell = Cell::of(4);
    let later = CreateLease {
        start: Some(cell.now + Span::from_hours(48)),
        ..of_class(Class::OnDemand, "acme", 1)
    };
    cell.lease(later);
    let query = Query::Surplus {
        horizon: Span::from_hours(24),
        sku: None,
        shape: Some(SurplusShape::Nodes),
    };
    let View::Surplus(surplus) = cell.query(&query) else {
        panic!("surplus was asked for")
    };
    let row = &surplus.rows[0];
    let longer: Vec<_> = row
        .longer
        .iter()
        .map(|l| (l.length.to_string(), l.leases))
        .collect();
    let longer: Vec<_> = longer
        .iter()
        .map(|(length, n)| (length.as_str(), *n))
        .collect();
    assert_eq!(row.leases, 4, "for a day all are free");
    assert_eq!(longer, [("7d", 3), ("30d", 3), ("365d", 3)]);
}

#[test]
fn surplus_is_asked_for_a_time_a_sku_and_a_form() {
    let mut cell = Cell::of(4);
    cell.lease(of_class(Class::OnDemand, "acme", 1));
    let query = |horizon, sku: Option<&str>| Query::Surplus {
        horizon,
        sku: sku.map(|sku| sku.parse().unwrap()),
        shape: Some(SurplusShape::Nodes),
    };
    match cell.query(&query(Span::from_hours(1), Some("h200"))) {
        View::Surplus(surplus) => {
            let rows: Vec<_> = surplus.rows.iter().map(|r| (r.size, r.leases)).collect();
            assert_eq!(rows, [(1, 3)]);
            assert_eq!(surplus.until, cell.now + Span::from_hours(1));
        }
        other => panic!("{other:?}"),
    }
    for (bad, field) in [
        (query(Span::ZERO, None), "for"),
        (query(Span::from_hours(24 * 9999), None), "for"),
        (query(Span::from_hours(1), Some("h9000")), "sku"),
    ] {
        let problem = cell.refused(&bad);
        assert_eq!(problem.field.as_deref(), Some(field));
    }
}
