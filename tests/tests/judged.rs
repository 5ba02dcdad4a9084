//! What agents find, from the simulated driver to the lease: out of the packing, told, recorded, and
//! back, with an operator's word in between.

use leasehold_common::api::{GpuView, LeaseView, List, NodeView};
use leasehold_common::lease::{ConditionKind, LeaseState};
use leasehold_common::node::{Action, HealthReason, Verdict};
use leasehold_tests::{AllInOne, Ctl, wait_for, wait_until};
use serde_json::Value;

#[test]
fn a_sick_gpu_leaves_degrades_its_lease_and_comes_back_by_word() {
    let cell = AllInOne::simulating("1xh200");
    let ctl = cell.ctl();
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let lease = ctl.create(&["--gpus", "2", "--for", "1h", "--wait"]);
    let node = lease.nodes.clone();
    let its = lease.gpus.values().flatten().next().expect("it has GPUs");
    let all: List<GpuView> = ctl.json(&["gpus", "ls"]);
    let slot = all.items.iter().find(|gpu| gpu.uuid == *its);
    let slot = slot.expect("its GPU is listed").slot;
    let gpu = format!("{node}:{slot}");
    let errors =
        format!("{{\"inject_ecc\":{{\"gpu\":{slot},\"severity\":\"uncorrected\",\"count\":1}}}}");
    cell.inject(&node, &errors);

    let degraded = wait_for("the lease to be degraded", || {
        degraded(&ctl.lease(lease.id)).ok_or("it is not".to_owned())
    });
    let told = format!("{node}: gpu {slot} unhealthy (UncorrectedEcc), drain-and-reset, since ");
    assert!(degraded.starts_with(&told), "{degraded}");
    assert_eq!(ctl.lease(lease.id).state, LeaseState::Active);
    let sick: List<GpuView> = ctl.json(&["gpus", "ls", "--unhealthy"]);
    assert_eq!(sick.items.len(), 1);
    assert_eq!(
        (sick.items[0].action, sick.items[0].can_be_let),
        (Some(Action::DrainAndReset), false)
    );
    let page = ctl.ok(&["gpus", "show", &format!("{node}/{slot}")]);
    assert!(page.contains("UncorrectedEcc"), "{page}");
    let reasons = ctl.ok(&["nodes", "ls", "--reasons"]);
    assert!(
        reasons.contains("drain-and-reset") && reasons.contains(&format!("gpu {slot} unhealthy")),
        "{reasons}"
    );

    // It stays with the lease that has it, and nobody else gets it.
    ctl.ok(&["leases", "end", "--now", &lease.id.to_string()]);
    ctl.wait_for_state(lease.id, LeaseState::Closed);
    wait_until("seven GPUs to be free", || ctl.status().gpus_free == 7);
    let whole = ctl.create(&["--gpus", "8", "--for", "1h"]);
    assert_eq!(whole.state, LeaseState::Requested);

    // An operator knows better: that decides at once, and the agent's verdict follows.
    let word = [
        "--verdict",
        "healthy",
        "--until",
        "1h",
        "--reason",
        "burnt in",
    ];
    let mut says = vec!["gpus", "override", &gpu];
    says.extend(word);
    ctl.ok(&says);
    assert_eq!(ctl.lease(whole.id).state, LeaseState::Preparing);
    wait_for_verdict(&ctl, &node, slot, Verdict::Healthy);
    let found = shown(&ctl, &node, slot).findings;
    assert_eq!(found[0].reason, HealthReason::OperatorOverride);
    ctl.wait_for_state(whole.id, LeaseState::Active);

    ctl.ok(&["gpus", "withdraw", &gpu, "--reason", "it was not"]);
    wait_for_verdict(&ctl, &node, slot, Verdict::Unhealthy);
    wait_until("the lease to be degraded", || {
        ctl.lease(whole.id)
            .conditions
            .iter()
            .any(|c| c.kind == ConditionKind::Degraded)
    });

    let events = ctl.ok(&["events", "-o", "jsonl"]);
    let names = events.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("records are JSON");
        record["event_name"].as_str().unwrap_or_default().to_owned()
    });
    let names: Vec<String> = names.collect();
    for (name, least) in [("node.health", 3), ("gpu.word", 2), ("lease.condition", 2)] {
        let seen = names.iter().filter(|seen| *seen == name).count();
        assert!(seen >= least, "{seen} of {name} in {names:?}");
    }
    ctl.verify_to_the_head(&[cell.log_file()]);

    let node: NodeView = ctl.json(&["nodes", "show", &node]);
    assert!(
        node.draws.len() == 8 && node.node_watts > node.power_watts,
        "{node:?}"
    );
}

fn degraded(lease: &LeaseView) -> Option<String> {
    let mut conditions = lease.conditions.iter();
    let degraded = conditions.find(|c| c.kind == ConditionKind::Degraded)?;
    Some(degraded.detail.clone())
}

fn shown(ctl: &Ctl, node: &str, slot: u32) -> GpuView {
    ctl.json(&["gpus", "show", &format!("{node}/{slot}")])
}

fn wait_for_verdict(ctl: &Ctl, node: &str, slot: u32, verdict: Verdict) {
    wait_until(&format!("GPU {slot} to be {verdict}"), || {
        shown(ctl, node, slot).verdict == Some(verdict)
    });
}
