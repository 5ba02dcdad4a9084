//! The all-in-one program on its embedded store: the commands a newcomer types, and what they find
//! after a kill -9.

use leasehold_common::api::{AccountView, ExplainView, GpuView, LeaseView, List, NodeView};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::{ConditionKind, LeaseState};
use leasehold_tests::{AllInOne, Request, Storm, assert_no_gpu_is_held_twice, wait_for};
use serde_json::Value;

#[test]
fn the_commands_of_the_first_hour_and_a_kill_in_the_middle() {
    let mut cell = AllInOne::simulating("16xh200");
    let ctl = cell.ctl();
    let first = cell.printed();
    assert!(
        first.starts_with(
            "SIMULATED 16xh200, embedded store, no TLS, fences OFF, network isolation NONE\n"
        ),
        "the first line says what is not real: {first}"
    );

    ctl.ok(&[
        "accounts",
        "create",
        "acme",
        "--side",
        "tenant",
        "--quota-gpus",
        "512",
    ]);
    let gang: LeaseView = ctl.json(&[
        "leases",
        "create",
        "--account",
        "acme",
        "--class",
        "on-demand",
        "--nodes",
        "4",
        "--sku",
        "h200",
        "--within",
        "rack",
        "--for",
        "2h",
        "--wait",
    ]);
    assert_eq!((gang.state, gang.gpu_count), (LeaseState::Active, 32));
    let racks: Vec<String> = racks_of(&ctl.json::<List<NodeView>>(&["nodes", "ls"]), gang.id);
    assert_eq!(racks.len(), 1, "within a rack: {racks:?}");
    let pair = ctl.create(&["--gpus", "2", "--for", "30m"]);
    let pair = ctl.wait_for_state(pair.id, LeaseState::Active);
    assert_eq!((pair.node_count, pair.gpu_count), (1, 2));

    let table = ctl.ok(&["leases", "ls"]);
    assert_eq!(
        table.lines().count(),
        3,
        "a heading and two leases:\n{table}"
    );
    let why: ExplainView = ctl.json(&["explain", &gang.id.to_string()]);
    assert_eq!(why.explanation.map(|why| why.evaluated), Some(16));
    let listed = Request::get("/v1/leases").ask(ctl.socket());
    let listed: List<Value> = listed.json();
    assert_eq!(listed.items.len(), 2);

    let leases = ctl.leases();
    let before = ctl.status();
    cell.kill();
    assert_eq!(ctl.run(&["status"]).exit, 8, "nobody answers");
    cell.start_again();
    let after = ctl.status();
    assert_eq!(after.gpus_leased, 34);
    assert!(after.seq >= before.seq);
    assert_eq!(ids_and_gpus(&ctl.leases()), ids_and_gpus(&leases));
    let account: AccountView = ctl.json(&["accounts", "show", "acme"]);
    assert_eq!((account.quota_gpus, account.used_gpus), (Some(512), 34));

    ctl.ok(&["leases", "end", &pair.id.to_string()]);
    let draining = ctl.lease(pair.id);
    assert_eq!(
        draining.state,
        LeaseState::Draining,
        "on-demand ends with notice"
    );
    ctl.ok(&["leases", "end", "--now", &gang.id.to_string()]);
    ctl.wait_for_state(gang.id, LeaseState::Closed);
    assert_no_gpu_is_held_twice(&ctl.leases());

    ctl.verify_to_the_head(&[cell.log_file()]);
    let copy = cell.log_file().with_extension("copy");
    let text = std::fs::read_to_string(cell.log_file()).expect("the log is there");
    std::fs::write(&copy, text.replacen("on-demand", "on-demanf", 1)).expect("it can be written");
    let caught = ctl.run(&["log", "verify", copy.to_str().expect("a plain path")]);
    assert_eq!(caught.exit, 1, "{caught:?}");
}

#[test]
fn a_kill_under_load_loses_nothing_that_was_acknowledged() {
    let mut cell = AllInOne::simulating("4xh200");
    let ctl = cell.ctl();
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let mut storm = Storm::new("acme");
    for _ in 0..3 {
        storm.rage(ctl.socket(), 100, || cell.kill());
        cell.start_again();
    }
    storm.assert_nothing_is_lost(&ctl);
    ctl.verify_to_the_head(&[cell.log_file()]);
}

#[test]
fn a_lease_that_must_wait_says_why_and_starts_when_it_can() {
    let cell = AllInOne::simulating("2xh200");
    let ctl = cell.ctl();
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let held = ctl.create(&["--nodes", "2", "--for", "1h", "--wait"]);
    let waits = ctl.create(&["--nodes", "1", "--for", "1h"]);
    assert_eq!(waits.state, LeaseState::Requested);
    assert!(waits.reason.is_some(), "{waits:?}");
    assert_eq!(waits.earliest, held.end, "it knows from when");
    let why = ctl.ok(&["explain", &waits.id.to_string()]);
    assert!(why.contains("2 nodes"), "{why}");

    let timed_out = ctl.run(&[
        "leases",
        "create",
        "--account",
        "acme",
        "--class",
        "on-demand",
        "--nodes",
        "1",
        "--sku",
        "h200",
        "--for",
        "1h",
        "--wait",
        "--timeout",
        "1s",
    ]);
    assert_eq!(timed_out.exit, 7, "{timed_out:?}");
    let third = waits.id.next();
    ctl.ok(&["leases", "cancel", &third.to_string()]);
    assert_eq!(ctl.lease(third).state, LeaseState::Cancelled);

    ctl.ok(&["leases", "end", "--now", &held.id.to_string()]);
    ctl.wait_for_state(waits.id, LeaseState::Active);
}

#[test]
fn a_gpu_that_is_lost_under_a_lease_degrades_it() {
    let cell = AllInOne::simulating("2xh200");
    let ctl = cell.ctl();
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let lease = ctl.create(&["--gpus", "8", "--for", "1h", "--wait"]);

    cell.inject(&lease.nodes, r#"{"lose_gpu":{"gpu":3}}"#);
    let degraded = wait_for("the lease to be degraded", || {
        let lease = ctl.lease(lease.id);
        let condition = lease
            .conditions
            .iter()
            .find(|c| c.kind == ConditionKind::Degraded);
        condition.cloned().ok_or(format!("{:?}", lease.conditions))
    });
    assert_eq!(degraded.nodes.as_deref(), Some(lease.nodes.as_str()));
    assert_eq!(
        ctl.lease(lease.id).state,
        LeaseState::Active,
        "a condition is not a state"
    );
    let gpus: List<GpuView> = ctl.json(&["gpus", "ls", "--node", &lease.nodes]);
    let sick: Vec<u32> = gpus
        .items
        .iter()
        .filter(|gpu| !gpu.reasons.is_empty())
        .map(|gpu| gpu.slot)
        .collect();
    assert_eq!(sick, [3]);
}

#[test]
fn slices_of_one_gpu_are_let_to_leases_of_their_own() {
    let cell = AllInOne::simulating("2xh200");
    let ctl = cell.ctl();
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let three = ctl.create(&[
        "--slice",
        "1g.18gb:3",
        "--slice",
        "2g.35gb:1",
        "--for",
        "1h",
    ]);
    let three = ctl.wait_for_state(three.id, LeaseState::Active);
    assert_eq!((three.node_count, three.gpu_count), (1, 1));
    let one = ctl.create(&["--slice", "1g.18gb:1", "--for", "1h"]);
    let one = ctl.wait_for_state(one.id, LeaseState::Active);
    assert_eq!(one.gpus, three.gpus, "on the same GPU");
    let (on_three, on_one): (Vec<_>, Vec<_>) = (
        three.slices.values().flatten().collect(),
        one.slices.values().flatten().collect(),
    );
    assert_eq!((on_three.len(), on_one.len()), (4, 1));
    assert!(on_three.iter().all(|slice| slice.start != on_one[0].start));
    ctl.ok(&["leases", "end", "--now", &three.id.to_string()]);
    ctl.wait_for_state(three.id, LeaseState::Closed);
    assert_eq!(
        ctl.lease(one.id).state,
        LeaseState::Active,
        "the other goes on"
    );
}

fn ids_and_gpus(leases: &[LeaseView]) -> Vec<(LeaseId, String)> {
    leases
        .iter()
        .map(|lease| (lease.id, format!("{:?} {:?}", lease.gpus, lease.end)))
        .collect()
}

/// The racks that a lease's nodes stand in.
fn racks_of(nodes: &List<NodeView>, lease: LeaseId) -> Vec<String> {
    let its = nodes
        .items
        .iter()
        .filter(|node| node.leases.contains(&lease));
    let mut racks: Vec<String> = its
        .filter_map(|node| Some(node.path.as_ref()?.to_string()))
        .filter_map(|path| path.rsplit_once('/').map(|(rack, _)| rack.to_owned()))
        .collect();
    racks.dedup();
    racks
}
