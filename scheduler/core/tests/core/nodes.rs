//! Leases whose nodes change: fewer of them, or others.

use crate::fixture::{Cell, MORNING, gpus, minutes, node, nodes, wish};
use leasehold_common::api::{CreateLease, ProblemCode, ReplaceNode, ShrinkLease};
use leasehold_common::grant::{AckRecord, AckState, Order, RefusalReason};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{ConditionKind, LeaseState as S, SegmentReason, Shape};
use leasehold_common::node::NodeState;
use leasehold_common::topology::Locality;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View, Write};

fn shrink(id: LeaseId, nodes: u32) -> Command {
    Command::ShrinkLease(
        id,
        ShrinkLease {
            nodes: Some(nodes),
            ..ShrinkLease::default()
        },
    )
}

fn drop_nodes(id: LeaseId, list: &str) -> Command {
    Command::ShrinkLease(
        id,
        ShrinkLease {
            drop: Some(list.into()),
            ..ShrinkLease::default()
        },
    )
}

fn replace(id: LeaseId, n: usize) -> Command {
    let wish = ReplaceNode {
        node: node(n),
        reason: Some("a fan is broken".into()),
    };
    Command::ReplaceNode(id, wish)
}

/// What a node is told of a lease: whether to serve it, and with which rank.
fn told(cell: &Cell, n: u32, id: LeaseId) -> Option<(Order, u32)> {
    let grants = cell.state.grants_of(NodeIndex(n))?;
    let grant = grants.grants.get(&id)?.open().unwrap();
    Some((grant.order, grant.rank))
}

fn active(cell: &mut Cell, wish: CreateLease, nodes: std::ops::Range<usize>) -> LeaseId {
    let id = cell.lease(wish);
    cell.agents_answer(nodes);
    assert_eq!(cell.state_of(id), S::Active);
    id
}

/// A node says no to a lease in the terms in force.
fn refuse(cell: &mut Cell, n: usize, id: LeaseId) {
    let mut said: AckRecord = cell.obedient(n);
    let entry = said.leases.get_mut(&id).expect("it is told of the lease");
    entry.state = AckState::Refused;
    entry.refused = Some(RefusalReason::Occupied);
    cell.tell([Event::Acks(node(n), Some(Box::new(said)))]);
}

#[test]
fn a_gang_that_shrinks_goes_on_with_the_others_and_what_left_is_free_when_it_is_back() {
    let mut cell = Cell::of(4);
    let id = active(&mut cell, wish(nodes(4)), 0..4);
    let waits = cell.lease(wish(nodes(2)));
    cell.pass(minutes(1));
    cell.ask_as("s1", shrink(id, 2)).unwrap();
    assert!(cell.ask_as("s1", shrink(id, 2)).unwrap().replayed);
    assert_eq!(cell.state_of(id), S::Active);
    let view = cell.view(id);
    assert_eq!((view.node_count, view.gpu_count), (2, 16));
    assert_eq!(view.shape, Shape::nodes(2));
    assert_eq!(view.segments.len(), 2);
    assert_eq!(view.segments[1].reason, SegmentReason::Shrunk);
    assert!(!view.nodes_leaving.is_empty());
    assert_eq!(cell.state_of(waits), S::Requested, "nothing is back yet");
    cell.reload(0..4);
    let gone: Vec<usize> = (0..4)
        .filter(|n| told(&cell, u32::try_from(*n).unwrap(), id).unwrap().0 == Order::End)
        .collect();
    assert_eq!(gone.len(), 2);
    cell.agents_answer(gone);
    assert_eq!(cell.state_of(waits), S::Preparing);
    assert_eq!(cell.state_of(id), S::Active);
    cell.agents_answer(0..4);
    assert_eq!(cell.state_of(waits), S::Active);
    cell.reload(0..4);
    assert_eq!(cell.view(id).nodes_leaving, "");
}

#[test]
fn who_shrinks_a_lease_may_say_which_nodes_go() {
    let mut cell = Cell::of(4);
    let id = active(&mut cell, wish(nodes(4)), 0..4);
    cell.ask(drop_nodes(id, "h[001-002]")).unwrap();
    assert_eq!(cell.view(id).nodes, "h[000,003]");
    assert_eq!(told(&cell, 3, id), Some((Order::Serve, 1)));
    assert_eq!(told(&cell, 1, id).unwrap().0, Order::End);
}

#[test]
fn a_node_that_is_not_sound_goes_first() {
    let mut cell = Cell::of(4);
    let id = active(&mut cell, wish(nodes(4)), 0..4);
    let sick = crate::fixture::health(1, &[3], &[]);
    cell.tell([Event::Health(node(1), Some(Box::new(sick)))]);
    cell.ask(shrink(id, 3)).unwrap();
    assert_eq!(cell.view(id).nodes, "h[000,002-003]");
    assert_eq!(cell.view(id).conditions, []);
}

#[test]
fn a_lease_that_has_not_begun_gives_nodes_up_that_are_free_at_once() {
    let mut cell = Cell::of(2);
    let mut later = wish(nodes(2));
    later.start = Some(MORNING + minutes(60));
    let id = cell.lease(later);
    let mut other = wish(nodes(1));
    other.length = Some(minutes(300));
    let waits = cell.lease(other);
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.ask(shrink(id, 1)).unwrap();
    assert_eq!(cell.state_of(waits), S::Preparing);
    cell.reload([0, 1]);
    cell.agents_answer([0, 1]);
    assert_eq!(cell.state_of(waits), S::Active);
}

#[test]
fn a_wish_for_fewer_nodes_that_makes_no_sense_is_refused_and_changes_nothing() {
    let mut cell = Cell::of(4);
    let id = active(&mut cell, wish(nodes(2)), 0..4);
    let small = cell.lease(wish(gpus(2)));
    let before = cell.record(id).clone();
    let code = |cell: &mut Cell, command| cell.ask(command).unwrap_err().code;
    assert_eq!(code(&mut cell, shrink(id, 0)), ProblemCode::InvalidField);
    assert_eq!(code(&mut cell, shrink(id, 2)), ProblemCode::InvalidField);
    assert_eq!(
        code(&mut cell, drop_nodes(id, "h009")),
        ProblemCode::UnknownNode
    );
    let all = cell.view(id).nodes;
    assert_eq!(
        code(&mut cell, drop_nodes(id, &all)),
        ProblemCode::InvalidField
    );
    assert_eq!(code(&mut cell, shrink(small, 1)), ProblemCode::IllegalState);
    assert_eq!(code(&mut cell, replace(id, 99)), ProblemCode::UnknownNode);
    let stays: Vec<u32> = before.nodes().map(|n| n.0).collect();
    let foreign = (0..4).find(|n| !stays.contains(n)).unwrap();
    let foreign = replace(id, foreign as usize);
    assert_eq!(code(&mut cell, foreign), ProblemCode::InvalidField);
    assert_eq!(*cell.record(id), before);
    let dry = cell.write(Write {
        command: shrink(id, 1),
        idempotency: None,
        dry_run: true,
        if_match: None,
    });
    assert!(dry.is_ok());
    assert_eq!(*cell.record(id), before);
}

#[test]
fn a_replaced_node_hands_its_rank_on_and_nobody_elses_changes() {
    let mut cell = Cell::of(4);
    let id = active(&mut cell, wish(nodes(3)), 0..4);
    let had: Vec<u32> = cell.record(id).nodes().map(|n| n.0).collect();
    let free = (0..4).find(|n| !had.contains(n)).unwrap();
    cell.ask(replace(id, had[0] as usize)).unwrap();
    assert_eq!(told(&cell, free, id), Some((Order::Serve, 0)));
    assert_eq!(told(&cell, had[1], id), Some((Order::Serve, 1)));
    assert_eq!(told(&cell, had[2], id), Some((Order::Serve, 2)));
    assert_eq!(told(&cell, had[0], id).unwrap().0, Order::End);
    cell.reload(0..4);
    cell.agents_answer(0..4);
    assert_eq!(cell.state_of(id), S::Active);
    assert_eq!(cell.view(id).nodes_leaving, "");
    let back = cell.ask(replace(id, free as usize)).unwrap_err();
    assert_eq!(
        back.code,
        ProblemCode::Booked,
        "an agent never takes a lease up again that it has ended"
    );
}

#[test]
fn a_refusal_of_another_node_says_when_the_first_could_be_had() {
    let mut cell = Cell::of(2);
    let mut long = wish(nodes(1));
    long.length = Some(minutes(600));
    let id = active(&mut cell, long, 0..2);
    let other = active(&mut cell, wish(nodes(1)), 0..2);
    let one = cell.record(id).nodes().next().unwrap();
    let refused = cell.ask(replace(id, one.as_usize())).unwrap_err();
    let free = cell.record(other).access_end.unwrap();
    let said = refused.detail.split("the first could be had at ").nth(1);
    let said: leasehold_common::time::Timestamp = said.unwrap().parse().unwrap();
    assert!(said >= free && said <= free + minutes(10), "{said}, {free}");
    // At that time it can.
    cell.pass(said.since(cell.now));
    cell.agents_answer(0..2);
    cell.ask(replace(id, one.as_usize())).unwrap();
}

#[test]
fn a_replacement_stays_within_what_the_lease_was_asked_for() {
    let mut cell = Cell::of(8);
    let mut close = wish(nodes(4));
    close.within = Locality::Rack;
    let id = active(&mut cell, close, 0..8);
    let one = cell.record(id).nodes().next().unwrap();
    let refused = cell.ask(replace(id, one.as_usize())).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Booked);
    assert_eq!(cell.state_of(id), S::Active);
}

#[test]
fn a_node_that_refuses_is_replaced_and_the_lease_begins() {
    let mut cell = Cell::of(3);
    let id = cell.lease(wish(nodes(2)));
    let had: Vec<usize> = cell.record(id).nodes().map(NodeIndex::as_usize).collect();
    refuse(&mut cell, had[0], id);
    assert_eq!(cell.node_view(had[0]).state, NodeState::Quarantined);
    assert_eq!(cell.state_of(id), S::Preparing);
    assert!(!cell.record(id).nodes().any(|n| n.as_usize() == had[0]));
    cell.reload(0..3);
    cell.agents_answer(0..3);
    assert_eq!(cell.state_of(id), S::Active);
    let record = cell.record(id);
    assert!(
        record
            .progress
            .returned
            .contains(NodeIndex(u32::try_from(had[0]).unwrap()))
    );
    assert!(!record.conditions.contains_key(&ConditionKind::Delayed));
}

#[test]
fn a_small_lease_that_is_refused_goes_to_another_node() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(gpus(2)));
    let had = cell.record(id).nodes().next().unwrap();
    refuse(&mut cell, had.as_usize(), id);
    let now = cell.record(id).nodes().next().unwrap();
    assert_ne!(now, had);
    cell.agents_answer(0..2);
    assert_eq!(cell.state_of(id), S::Active);
}

#[test]
fn where_nothing_is_free_it_waits_and_is_tried_again() {
    let mut cell = Cell::of(2);
    let other = active(&mut cell, wish(nodes(1)), 0..2);
    let id = cell.lease(wish(nodes(1)));
    let had = cell.record(id).nodes().next().unwrap();
    refuse(&mut cell, had.as_usize(), id);
    assert_eq!(cell.state_of(id), S::Preparing);
    let missing = &cell.record(id).conditions[&ConditionKind::PartiallyDelivered];
    assert!(missing.nodes.as_ref().unwrap().contains(had));
    cell.reload(0..2);
    cell.ask(Command::EndLease(
        other,
        leasehold_common::api::EndLease {
            now: true,
            confirm_gpus: None,
        },
    ))
    .unwrap();
    let free = 1 - had.as_usize();
    cell.agents_answer([free]);
    cell.pass(minutes(1));
    assert_eq!(cell.record(id).nodes().next().unwrap().as_usize(), free);
    cell.agents_answer([free]);
    assert_eq!(cell.state_of(id), S::Active);
    let conditions = &cell.record(id).conditions;
    assert!(!conditions.contains_key(&ConditionKind::PartiallyDelivered));
}

#[test]
fn bookings_to_come_leave_a_node_that_fails() {
    let mut cell = Cell::of(2);
    let mut later = wish(nodes(1));
    later.start = Some(MORNING + minutes(60));
    let id = cell.lease(later);
    let had = cell.record(id).nodes().next().unwrap();
    cell.tell([Event::Live(node(had.as_usize()), None)]);
    cell.pass(minutes(2));
    assert_eq!(cell.node_view(had.as_usize()).state, NodeState::Unreachable);
    let now = cell.record(id).nodes().next().unwrap();
    assert_ne!(now, had);
    assert_eq!(cell.record(id).start, Some(MORNING + minutes(60)));
    cell.reload([now.as_usize()]);
}

#[test]
fn a_lease_of_whole_racks_has_whole_racks_and_gives_up_whole_racks() {
    let mut cell = Cell::of(12);
    let racks = |count, level| Shape::Nodes {
        count,
        at_least: None,
        spares: 0,
        whole: Some(level),
    };
    let small = active(&mut cell, wish(gpus(1)), 0..12);
    let on = cell.record(small).nodes().next().unwrap().0 / 4;
    let id = active(&mut cell, wish(racks(8, Locality::Rack)), 0..12);
    assert!(cell.record(id).nodes().all(|node| node.0 / 4 != on));
    let refused = cell.ask(shrink(id, 5)).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("nodes"));
    assert!(
        refused
            .allowed
            .unwrap()
            .starts_with("all nodes of a rack or none")
    );
    let first = cell.record(id).nodes().next().unwrap();
    let one = node(first.as_usize());
    let refused = cell.ask(drop_nodes(id, one.as_str())).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("drop"));
    cell.ask(shrink(id, 4)).unwrap();
    let stays: Vec<u32> = cell.record(id).nodes().map(|node| node.0 / 4).collect();
    assert_eq!(stays, [first.0 / 4; 4]);
    // Nor does it take a node of another rack in the place of one that fails.
    let elsewhere = cell.ask(replace(id, first.as_usize())).unwrap_err();
    assert_eq!(elsewhere.code, ProblemCode::Booked);

    for (shape, field) in [
        (racks(4, Locality::Cell), "shape.whole"),
        (
            Shape::Nodes {
                count: 4,
                at_least: Some(2),
                spares: 0,
                whole: Some(Locality::Rack),
            },
            "shape.whole",
        ),
    ] {
        let refused = cell.ask(Command::CreateLease(wish(shape))).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some(field));
    }
    let mut close = wish(racks(4, Locality::Rack));
    close.within = Locality::Domain;
    let refused = cell.ask(Command::CreateLease(close)).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("within"));
}

#[test]
fn what_leaves_later_gives_no_more_time_to_a_node_that_has_left() {
    let mut cell = Cell::of(4);
    let mut long = wish(nodes(3));
    long.length = Some(minutes(600));
    let id = active(&mut cell, long, 0..4);
    cell.ask(drop_nodes(id, "h002")).unwrap();
    cell.pass(minutes(15));
    cell.ask(drop_nodes(id, "h001")).unwrap();
    cell.pass(minutes(6));
    assert_eq!(cell.node_view(2).state, NodeState::Quarantined);
    assert_ne!(cell.node_view(1).state, NodeState::Quarantined);
    cell.reload(0..4);
    cell.pass(minutes(15));
    assert_eq!(cell.node_view(1).state, NodeState::Quarantined);
}

#[test]
fn a_node_that_is_left_is_told_to_end_what_it_had_and_draws_no_more_than_that() {
    let mut cell = Cell::of(2);
    let shape = Shape::slices([("1g.18gb".parse().unwrap(), 3)]);
    let sliced = active(&mut cell, wish(shape), 0..2);
    let had = cell.record(sliced).nodes().next().unwrap();
    cell.ask(replace(sliced, had.as_usize())).unwrap();
    let grants = cell.state.grants_of(had).unwrap();
    let left = grants.grants[&sliced].open().unwrap();
    assert_eq!((left.order, left.slices.len()), (Order::End, 3));

    let mut cell = Cell::of(2);
    let two = active(&mut cell, wish(gpus(2)), 0..2);
    let booked = |cell: &Cell| match cell.query(&Query::Power { prefix: None }) {
        View::Power(list) => list.items[0].booked_watts,
        other => panic!("{other:?}"),
    };
    let before = booked(&cell);
    let had = cell.record(two).nodes().next().unwrap();
    cell.ask(replace(two, had.as_usize())).unwrap();
    assert_eq!(booked(&cell), 2 * before, "until it is back from the first");
}

#[test]
fn a_node_that_was_given_up_and_never_comes_back_is_taken_out_while_the_lease_goes_on() {
    let mut cell = Cell::of(3);
    let mut long = wish(nodes(3));
    long.length = Some(minutes(600));
    let id = active(&mut cell, long, 0..3);
    cell.ask(drop_nodes(id, "h002")).unwrap();
    cell.pass(minutes(21));
    assert_eq!(cell.node_view(2).state, NodeState::Quarantined);
    assert_eq!(cell.state_of(id), S::Active);
    cell.reload(0..3);
    cell.agents_answer([2]);
    assert_eq!(cell.node_view(2).state, NodeState::Available);
}
