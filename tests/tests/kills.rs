//! kill -9 of each part, at the worst moment that can be arranged: nothing that was acknowledged is
//! lost, and what runs goes on.

use leasehold_common::api::LeaseView;
use leasehold_common::lease::{ConditionKind, LeaseState};
use leasehold_tests::{Cell, Request, Storm, assert_no_gpu_is_held_twice, wait_for, wait_until};
use std::fs;

#[test]
fn an_agent_serves_on_from_its_disk() {
    let mut cell = Cell::in_use(1, 1);
    let ctl = cell.ctl();
    let lease = ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
    let before = cell.agents[0].environment(lease.id);
    assert!(before.is_some());

    // The node boots while etcd is down: memory is empty, and there is nobody to ask.
    cell.agents[0].kill();
    cell.etcd.kill();
    fs::remove_dir_all(cell.agents[0].run_dir()).expect("the agent made it");
    cell.agents[0].begin();
    let agent = &cell.agents[0];
    wait_until("the lease to be served from disk", || {
        agent.environment(lease.id) == before
    });

    cell.etcd.restart();
    let after = wait_for("the lease to be seen as served", || {
        let said = ctl.run(&["leases", "show", &lease.id.to_string(), "-o", "json"]);
        match serde_json::from_str::<LeaseView>(&said.out) {
            Ok(lease) if lease.conditions.is_empty() => Ok(lease),
            _ => Err(format!("{said:?}")),
        }
    });
    assert_eq!(after.state, LeaseState::Active);
    assert_eq!(
        (after.end, after.generation, &after.gpus),
        (lease.end, lease.generation, &lease.gpus),
        "its terms are what they were"
    );
}

#[test]
fn a_lease_outlives_the_absence_of_its_agent() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let lease = ctl.create(&["--nodes", "2", "--for", "1h", "--wait"]);

    cell.agents[1].kill();
    wait_until("the node to be missed", || {
        let conditions = ctl.lease(lease.id).conditions;
        conditions
            .iter()
            .any(|c| c.kind == ConditionKind::NodesUnreachable)
    });
    let cut_off = ctl.lease(lease.id);
    assert_eq!(cut_off.state, LeaseState::Active, "silence ends no lease");
    assert_eq!(cut_off.end, lease.end);
    assert!(
        cell.agents[1].environment(lease.id).is_some(),
        "nor does the agent's death"
    );

    cell.agents[1].begin();
    wait_until("the node to be back", || {
        ctl.lease(lease.id).conditions.is_empty()
    });
    assert_eq!(ctl.lease(lease.id).gpus, lease.gpus);
}

#[test]
fn a_scheduler_loses_no_lease_and_no_answer() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let kept = ctl.create(&["--gpus", "3", "--for", "1h", "--wait"]);

    // It dies between its commit and the caller's reading of the answer.
    let body = r#"{"account":"acme","class":"on-demand","shape":{"kind":"gpus","count":2},
        "sku":"h200","for":"1h"}"#;
    let request = Request::post("/v1/leases", Some("lost-1"), body);
    let log = cell.schedulers[0].log_file();
    let unread = request.send(&cell.schedulers[0].socket());
    wait_until("the lease to be in the log", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("lost-1"))
    });
    cell.schedulers[0].kill();
    drop(unread);
    assert_eq!(ctl.run(&["status"]).exit, 8, "nobody answers now");

    cell.schedulers[0].begin();
    ctl.wait_to_lead();
    assert_eq!(
        ctl.leases().len(),
        2,
        "the lease whose answer was lost is there"
    );
    let again = request.ask(&cell.schedulers[0].socket());
    let found: LeaseView = again.json();
    let twice: LeaseView = request.ask(&cell.schedulers[0].socket()).json();
    assert_eq!(found.id, kept.id.next(), "{again:?}");
    assert_eq!(twice.id, found.id);
    let leases = ctl.leases();
    assert_eq!(leases.len(), 2, "and no retry made another one");
    assert_no_gpu_is_held_twice(&leases);

    ctl.wait_for_state(found.id, LeaseState::Active);
    let still = ctl.lease(kept.id);
    assert_eq!(
        (still.state, still.end, still.gpus),
        (LeaseState::Active, kept.end, kept.gpus)
    );
    ctl.verify(&[log]);
}

/// Clients write without a pause, and it dies where it stands, twice.
#[test]
fn a_scheduler_killed_under_load_keeps_what_it_acknowledged() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let mut storm = Storm::new("acme");
    for _ in 0..2 {
        let scheduler = &mut cell.schedulers[0];
        let socket = scheduler.socket();
        storm.rage(&socket, 100, || scheduler.kill());
        scheduler.begin();
        ctl.wait_to_lead();
    }
    storm.assert_nothing_is_lost(&ctl);
    wait_until("every grant to have gone out", || {
        let leases = ctl.leases();
        leases
            .iter()
            .all(|lease| lease.state != LeaseState::Preparing)
    });
    ctl.verify_to_the_head(&[cell.schedulers[0].log_file()]);
}

/// Nobody can say what became of the commits that were under way.
#[test]
fn etcd_frozen_under_load_loses_nothing_that_was_acknowledged() {
    let cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let mut storm = Storm::new("acme");
    let socket = cell.schedulers[0].socket();
    storm.rage(&socket, 100, || cell.etcd.freeze());
    assert_eq!(
        ctl.run(&["status", "--timeout", "2s"]).exit,
        8,
        "nothing is known for certain"
    );
    cell.etcd.thaw();
    ctl.wait_for_status("decisions to go on", |status| {
        status.leading && status.frozen.is_none()
    });
    storm.assert_nothing_is_lost(&ctl);
    ctl.verify_to_the_head(&[cell.schedulers[0].log_file()]);
}

#[test]
fn etcd_killed_under_load_loses_nothing_that_was_acknowledged() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let mut storm = Storm::new("acme");
    let socket = cell.schedulers[0].socket();
    storm.rage(&socket, 100, || cell.etcd.kill());
    cell.etcd.restart();
    ctl.wait_for_status("decisions to go on", |status| {
        status.leading && status.frozen.is_none()
    });
    storm.assert_nothing_is_lost(&ctl);
    ctl.verify_to_the_head(&[cell.schedulers[0].log_file()]);
}

#[test]
fn etcd_comes_back_with_everything() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let kept = ctl.create(&["--gpus", "3", "--for", "1h", "--wait"]);

    cell.etcd.kill();
    let holder = cell
        .agents
        .iter()
        .find(|a| a.environment(kept.id).is_some());
    assert!(holder.is_some(), "the lease runs on without etcd");
    cell.etcd.restart();

    let new = wait_for("leases to be placed again", || {
        let said = ctl.run(&[
            "leases",
            "create",
            "--account",
            "acme",
            "--class",
            "on-demand",
            "--gpus",
            "2",
            "--sku",
            "h200",
            "--for",
            "1h",
            "--request-id",
            "after-the-crash",
            "-o",
            "json",
        ]);
        serde_json::from_str::<LeaseView>(&said.out).map_err(|_| said.err)
    });
    let new = ctl.wait_for_state(new.id, LeaseState::Active);
    let leases = ctl.leases();
    assert_eq!(leases.len(), 2);
    assert_no_gpu_is_held_twice(&leases);
    let still = ctl.lease(kept.id);
    assert_eq!((still.state, still.gpus), (LeaseState::Active, kept.gpus));
    assert_eq!(new.id, kept.id.next());
    ctl.verify(&[cell.schedulers[0].log_file()]);
}
