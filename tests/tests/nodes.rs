//! Nodes that are not what they were admitted as, or not as free as they look.

use leasehold_common::api::NodeView;
use leasehold_common::lease::{ConditionKind, LeaseState};
use leasehold_common::node::{NodeState, StateReason};
use leasehold_common::units::Bytes;
use leasehold_gpu_sim::{Change, ProcessKind, Slot};
use leasehold_tests::{Agent, Cell, Ctl, wait_for, wait_until};

#[test]
fn a_node_that_says_it_stands_elsewhere_is_frozen_until_admitted() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    cell.agents[1].kill();
    cell.agents[1].begin_with(&["--set", "topology=hall-1/row-9/rack-1/h002"]);
    let frozen = wait_for_node(&ctl, "h002", NodeState::Quarantined);
    assert_eq!(frozen.reason, StateReason::OtherPlace);
    assert!(
        frozen.detail.contains("row-9") && frozen.detail.contains("row-1"),
        "{frozen:?}"
    );
    let lease = ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
    assert_eq!(lease.nodes, "h001", "nothing is placed on it");

    ctl.ok(&["nodes", "admit", "h002", "--reason", "moved"]);
    let moved = wait_for_node(&ctl, "h002", NodeState::Available);
    assert_eq!(
        moved.path.map(|path| path.to_string()).as_deref(),
        Some("hall-1/row-9/rack-1/h002")
    );
}

#[test]
fn exchanged_gpus_freeze_the_node_until_admitted() {
    let mut cell = Cell::in_use(1, 1);
    let ctl = cell.ctl();
    exchange_gpus(&mut cell.agents[0], "h777");
    let frozen = wait_for_node(&ctl, "h001", NodeState::Quarantined);
    assert_eq!(frozen.reason, StateReason::OtherGpus);
    assert!(frozen.detail.contains("GPU-"), "{frozen:?}");
    ctl.ok(&["nodes", "admit", "h001", "--reason", "new board"]);
    wait_for_node(&ctl, "h001", NodeState::Available);
    ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
}

#[test]
fn gpus_that_another_node_has_freeze_the_node() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    exchange_gpus(&mut cell.agents[1], "h001");
    let frozen = wait_for_node(&ctl, "h002", NodeState::Quarantined);
    assert_eq!(frozen.reason, StateReason::GpuSeenElsewhere);
    assert!(frozen.detail.contains("h001"), "{frozen:?}");
    assert_eq!(
        node(&ctl, "h001").state,
        NodeState::Available,
        "whose they are"
    );
}

fn exchange_gpus(agent: &mut Agent, name: &str) {
    agent.kill();
    agent.swap_hardware_for_that_of(name);
    agent.begin();
}

#[test]
fn a_process_that_no_lease_explains_keeps_its_node_from_being_let() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let gpu = Slot(3);
    cell.agents[0].change(Change::StartProcess {
        gpu,
        pid: 4711,
        kind: ProcessKind::Compute,
        memory: Bytes::from_mib(512),
    });
    let occupied = wait_for_node(&ctl, "h001", NodeState::Occupied);
    assert!(occupied.detail.contains("4711"), "{occupied:?}");
    let lease = ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
    assert_eq!(lease.nodes, "h002");
    let waits = ctl.create(&["--nodes", "1", "--for", "1h"]);
    assert_eq!(waits.state, LeaseState::Requested);

    cell.agents[0].change(Change::StopProcess { gpu, pid: 4711 });
    let placed = ctl.wait_for_state(waits.id, LeaseState::Active);
    assert_eq!(placed.nodes, "h001");
}

#[test]
fn a_gpu_that_falls_off_the_bus_degrades_the_lease_and_is_not_let_again() {
    let mut cell = Cell::in_use(1, 1);
    let ctl = cell.ctl();
    let lease = ctl.create(&["--gpus", "8", "--for", "1h", "--wait"]);
    cell.agents[0].change(Change::LoseGpu { gpu: Slot(5) });
    wait_until("the lease to be degraded", || {
        let conditions = ctl.lease(lease.id).conditions;
        conditions.iter().any(|c| c.kind == ConditionKind::Degraded)
    });
    ctl.ok(&["leases", "end", "--now", &lease.id.to_string()]);
    ctl.wait_for_state(lease.id, LeaseState::Closed);
    wait_until("seven GPUs to be free", || ctl.status().gpus_free == 7);
    let seven = ctl.create(&["--gpus", "7", "--for", "1h", "--wait"]);
    let sick = &lease.gpus.values().next().expect("it had a node")[5];
    assert!(
        !seven.gpus.values().flatten().any(|gpu| gpu == sick),
        "{seven:?}"
    );
}

/// When so many fall silent together the fault is more likely ours than theirs.
#[test]
fn many_silent_nodes_pull_the_brake_and_lose_nothing() {
    let mut cell = Cell::in_use(1, 5);
    let ctl = cell.ctl();
    let lease = ctl.create(&["--nodes", "5", "--for", "1h", "--wait"]);
    cell.agents.iter_mut().for_each(Agent::kill);
    let status = ctl.wait_for_status("the brake to be on", |status| status.brake);
    assert!(!status.alerts.is_empty(), "{status:?}");
    let braked = ctl.lease(lease.id);
    assert_eq!(
        (braked.state, braked.end, &braked.gpus),
        (lease.state, lease.end, &lease.gpus)
    );

    cell.agents.iter_mut().for_each(Agent::begin);
    ctl.wait_for_status("the nodes to be heard of", |status| status.nodes_live == 5);
    wait_until("the lease to be whole", || {
        ctl.lease(lease.id).conditions.is_empty()
    });
}

fn node(ctl: &Ctl, name: &str) -> NodeView {
    ctl.json(&["nodes", "show", name])
}

fn wait_for_node(ctl: &Ctl, name: &str, state: NodeState) -> NodeView {
    wait_for(&format!("{name} to be {state}"), || {
        let node = node(ctl, name);
        (node.state == state)
            .then_some(node.clone())
            .ok_or(format!("{node:?}"))
    })
}
