//! The main job, with every part a process of its own: nodes register and are admitted, a lease is
//! placed, granted, acknowledged, explained, ended and logged.

use leasehold_common::api::{ExplainView, ImportReport, LeaseView, List, NodeView};
use leasehold_common::lease::LeaseState;
use leasehold_common::node::NodeState;
use leasehold_tests::{Cell, wait_for, wait_until};
use serde_json::Value;

#[test]
fn a_lease_from_its_request_to_its_end() {
    let cell = Cell::in_use(1, 3);
    let ctl = cell.ctl();

    let lease: LeaseView = ctl.json(&[
        "leases",
        "create",
        "--account",
        "acme",
        "--class",
        "on-demand",
        "--nodes",
        "2",
        "--sku",
        "h200",
        "--within",
        "rack",
        "--for",
        "2h",
        "--wait",
    ]);
    assert_eq!(lease.state, LeaseState::Active);
    assert_eq!((lease.node_count, lease.gpu_count), (2, 16));
    assert_eq!(lease.nodes_ready, 2, "active is acknowledged by every node");

    let holders: Vec<_> = cell
        .agents
        .iter()
        .filter(|agent| agent.environment(lease.id).is_some())
        .collect();
    assert_eq!(
        holders.len(),
        2,
        "a node has its environment file before the lease is active"
    );
    for (rank, agent) in holders.iter().enumerate() {
        let variables = agent.environment(lease.id).expect("it has one");
        let gpus: Vec<&str> = variables["LEASEHOLD_GPU_UUIDS"].split(',').collect();
        let granted = &lease.gpus[&agent.node().parse().expect("a node's name")];
        assert_eq!(
            gpus,
            granted.iter().map(|gpu| gpu.as_str()).collect::<Vec<_>>()
        );
        assert_eq!(variables["LEASEHOLD_ACCOUNT"], "acme");
        assert_eq!(variables["LEASEHOLD_NODE"], agent.node());
        assert_eq!(variables["LEASEHOLD_NODE_RANK"], rank.to_string());
    }

    let why: ExplainView = ctl.json(&["explain", &lease.id.to_string()]);
    let explanation = why.explanation.expect("it was decided");
    assert_eq!((explanation.evaluated, why.lease.id), (3, lease.id));

    let nodes: List<NodeView> = ctl.json(&["nodes", "ls"]);
    let leased = nodes
        .items
        .iter()
        .filter(|node| node.state == NodeState::Leased);
    assert_eq!(leased.count(), 2);

    ctl.ok(&["leases", "end", "--now", &lease.id.to_string()]);
    let closed = ctl.wait_for_state(lease.id, LeaseState::Closed);
    assert_eq!(
        closed.nodes_returned, 2,
        "the hardware is back before the lease is closed"
    );
    for agent in &cell.agents {
        assert_eq!(agent.environment(lease.id), None);
    }
    wait_until("the GPUs to be free again", || ctl.status().gpus_free == 24);

    ctl.verify_to_the_head(&[cell.schedulers[0].log_file()]);
}

#[test]
fn a_lease_in_json_has_the_documented_fields() {
    let cell = Cell::in_use(1, 1);
    let ctl = cell.ctl();
    ctl.create(&["--gpus", "2", "--for", "30m", "--wait"]);

    let list: Value = ctl.json(&["leases", "ls"]);
    assert_eq!(
        (&list["apiVersion"], &list["kind"]),
        (&"v1".into(), &"LeaseList".into())
    );
    assert!(list["index"].is_u64(), "{list}");
    let lease = &list["items"][0];
    for field in [
        "id",
        "account",
        "class",
        "state",
        "conditions",
        "generation",
        "shape",
        "start",
        "end",
        "nodes",
        "gpus",
        "reason",
    ] {
        assert!(lease.get(field).is_some(), "no {field} in {lease}");
    }
    assert_eq!(lease["nodes"], "h001", "nodes are a hostlist");
    assert_eq!(lease["gpus"]["h001"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        lease["shape"],
        serde_json::json!({"kind": "gpus", "count": 2})
    );

    let alone: Value = ctl.json(&["leases", "show", &lease["id"].to_string()]);
    assert_eq!(&alone, lease);
}

#[test]
fn a_node_is_let_only_after_it_was_admitted() {
    let cell = Cell::with(1, 2);
    let ctl = cell.ctl();
    let nodes = || ctl.json::<List<NodeView>>(&["nodes", "ls"]).items;
    wait_for("both nodes to have reported themselves", || {
        let seen = nodes();
        let registering = seen.iter().all(|node| node.state == NodeState::Registering);
        (registering && seen.len() == 2)
            .then_some(())
            .ok_or(format!("{seen:?}"))
    });
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let refused = ctl.run(&[
        "leases",
        "create",
        "--account",
        "acme",
        "--class",
        "on-demand",
        "--gpus",
        "1",
        "--sku",
        "h200",
        "--for",
        "1h",
    ]);
    assert_eq!(
        refused.exit, 6,
        "a cell without a node never fits: {refused:?}"
    );

    let inventory = cell.inventory();
    let file = inventory.to_str().expect("a plain path");
    let tried: ImportReport = ctl.json(&["nodes", "import", file, "--dry-run"]);
    assert_eq!((tried.added, tried.errors, tried.dry_run), (2, 0, true));
    assert!(
        nodes()
            .iter()
            .all(|node| node.state == NodeState::Registering)
    );

    let done: ImportReport = ctl.json(&["nodes", "import", file]);
    assert_eq!((done.added, done.errors), (2, 0));
    ctl.wait_for_status("the GPUs to be free", |status| status.gpus_free == 16);
    let again: ImportReport = ctl.json(&["nodes", "import", file]);
    assert_eq!(
        (again.added, again.same),
        (0, 2),
        "importing twice changes nothing"
    );
}
