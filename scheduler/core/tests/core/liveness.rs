//! Silence: a suspicion first, a loss later, and our own fault where it is everybody's.

use crate::fixture::{Cell, live, minutes, node, nodes, wish};
use leasehold_common::lease::{ConditionKind, LeaseState as S};
use leasehold_common::node::NodeState;
use leasehold_common::time::Span;
use leasehold_core::Event;
use leasehold_core::command::Command;

fn seconds(n: u64) -> Span {
    Span::from_secs(n)
}

fn fall_silent(cell: &mut Cell, nodes: impl IntoIterator<Item = usize>) {
    let gone: Vec<Event> = nodes
        .into_iter()
        .map(|n| Event::Live(node(n), None))
        .collect();
    cell.tell(gone);
}

#[test]
fn a_silent_node_gets_no_leases_and_after_its_grace_is_unreachable() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    fall_silent(&mut cell, [0]);
    assert_eq!(
        (cell.node_view(0).state, cell.node_view(0).live),
        (NodeState::Leased, false)
    );
    fall_silent(&mut cell, [1]);
    assert_eq!(cell.node_view(1).gpus_free, 0, "at once");
    cell.pass(seconds(44));
    assert_eq!(cell.node_view(1).state, NodeState::Available);
    cell.pass(seconds(1));
    assert_eq!(cell.node_view(1).state, NodeState::Unreachable);
    assert_eq!(cell.state_of(id), S::Active, "its lease runs on");
    assert!(
        cell.record(id)
            .conditions
            .contains_key(&ConditionKind::NodesUnreachable)
    );

    cell.tell([0, 1].map(|n| Event::Live(node(n), Some(live()))));
    assert_eq!(cell.node_view(1).state, NodeState::Available);
    assert!(cell.record(id).conditions.is_empty());
}

#[test]
fn many_at_once_trip_the_brake_which_lets_go_when_they_are_back() {
    let mut cell = Cell::of(8);
    fall_silent(&mut cell, 0..4);
    assert!(cell.state.brake_is_on());
    cell.pass(minutes(30));
    assert!((0..4).all(|n| cell.node_view(n).state == NodeState::Available));
    cell.tell((0..4).map(|n| Event::Live(node(n), Some(live()))));
    cell.pass(seconds(119));
    assert!(cell.state.brake_is_on());
    cell.pass(seconds(1));
    assert!(!cell.state.brake_is_on());
    // From now on silence counts again.
    fall_silent(&mut cell, [5]);
    cell.pass(seconds(45));
    assert_eq!(cell.node_view(5).state, NodeState::Unreachable);
}

#[test]
fn three_nodes_are_no_catastrophe() {
    let mut cell = Cell::of(8);
    fall_silent(&mut cell, 0..3);
    assert!(!cell.state.brake_is_on());
    cell.pass(seconds(45));
    assert!((0..3).all(|n| cell.node_view(n).state == NodeState::Unreachable));
}

#[test]
fn while_the_store_was_away_nobody_is_lost() {
    let mut cell = Cell::of(2);
    fall_silent(&mut cell, [0]);
    cell.pass(seconds(40));
    cell.tell([Event::ContactLost]);
    cell.pass(seconds(30));
    cell.tell([Event::ContactBack]);
    cell.pass(seconds(74));
    assert_eq!(
        cell.node_view(0).state,
        NodeState::Available,
        "a full TTL and grace from then on"
    );
    cell.pass(seconds(1));
    assert_eq!(cell.node_view(0).state, NodeState::Unreachable);
}

#[test]
fn a_new_leader_gives_everybody_a_full_ttl_and_grace() {
    let mut cell = Cell::of(2);
    cell.reload([0]);
    cell.pass(seconds(74));
    assert_eq!(cell.node_view(1).state, NodeState::Available);
    cell.pass(seconds(1));
    assert_eq!(cell.node_view(1).state, NodeState::Unreachable);
}

#[test]
fn nodes_that_have_long_been_out_do_not_trip_the_brake_of_every_new_leader() {
    let mut cell = Cell::of(10);
    for n in 0..5 {
        fall_silent(&mut cell, [n]);
        cell.pass(minutes(2));
    }
    assert!((0..5).all(|n| cell.node_view(n).state == NodeState::Unreachable));
    cell.reload(5..10);
    assert!(!cell.state.brake_is_on());
}

#[test]
fn a_cut_off_lease_ends_on_time_and_its_silent_nodes_stay_blocked() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    fall_silent(&mut cell, [0]);
    cell.pass(minutes(120));
    assert_eq!(cell.state_of(id), S::Releasing);
    let waits = cell.ask(Command::CreateLease(wish(nodes(1)))).unwrap();
    let leasehold_core::command::View::Lease(waits) = waits.view else {
        panic!("a lease was asked for")
    };
    cell.tell([Event::Live(node(0), Some(live()))]);
    assert_eq!(
        cell.state_of(waits.id),
        S::Requested,
        "heard of is not given back"
    );
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(waits.id), S::Preparing);
}
