//! GPUs that fail, and GPUs that somebody uses without a lease.

use crate::fixture::{Cell, gpus, health, node, nodes, wish};
use leasehold_common::lease::{ConditionKind, LeaseState as S};
use leasehold_common::node::NodeState;
use leasehold_core::Event;

fn is_now(cell: &mut Cell, n: usize, lost: &[usize], busy: &[usize]) {
    let report = Box::new(health(n, lost, busy));
    cell.tell([Event::Health(node(n), Some(report))]);
}

#[test]
fn a_gpu_lost_under_a_lease_degrades_it_and_is_let_to_nobody() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(gpus(4)));
    cell.agents_answer([0]);
    is_now(&mut cell, 0, &[1], &[]);
    let condition = &cell.record(id).conditions[&ConditionKind::Degraded];
    assert_eq!(
        condition.detail,
        "h000: gpu 1 lost (GpuLost), since 2026-09-21T14:13:20.000Z"
    );
    assert_eq!(cell.state_of(id), S::Active);

    // One that the lease does not have is none of its business.
    is_now(&mut cell, 0, &[6], &[]);
    assert!(cell.record(id).conditions.is_empty());
    assert_eq!(cell.node_view(0).gpus_free, 3);
    let next = cell.lease(wish(gpus(3)));
    let taken = &cell.view(next).gpus[&node(0)];
    assert!(!taken.contains(&crate::fixture::gpu(0, 6)), "{taken:?}");
}

#[test]
fn a_lost_gpu_keeps_whole_node_leases_away_until_it_is_back() {
    let mut cell = Cell::of(1);
    is_now(&mut cell, 0, &[1], &[]);
    let id = cell.lease(wish(nodes(1)));
    assert_eq!(cell.state_of(id), S::Requested);
    is_now(&mut cell, 0, &[], &[]);
    assert_eq!(cell.state_of(id), S::Preparing);
}

#[test]
fn a_node_with_a_process_that_no_lease_explains_is_occupied_and_left_alone() {
    let mut cell = Cell::of(1);
    is_now(&mut cell, 0, &[], &[2]);
    let occupied = cell.node_view(0);
    assert_eq!(occupied.state, NodeState::Occupied);
    assert!(
        occupied.detail.contains("4711 (python3)"),
        "{}",
        occupied.detail
    );
    let id = cell.lease(wish(gpus(1)));
    assert_eq!(cell.state_of(id), S::Requested);
    is_now(&mut cell, 0, &[], &[]);
    assert_eq!(cell.node_view(0).state, NodeState::Preparing);
    assert_eq!(cell.state_of(id), S::Preparing);
}
