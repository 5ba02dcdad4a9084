//! A store that was restored from the past, and a log directory that was lost: the two halves of
//! what a cell knows, each brought back from the other.

use leasehold_common::api::{LeaseView, ProblemCode, RecoverReport, Status};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState;
use leasehold_common::time::Span;
use leasehold_tests::{Cell, Ctl, Request, assert_no_gpu_is_held_twice, wait_until};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn a_store_restored_from_a_snapshot_freezes_all_decisions_until_it_is_recovered() {
    let mut cell = Cell::in_use(1, 3);
    let ctl = cell.ctl();
    let old = ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
    let snapshot = cell.dir().join("snapshot.db");
    cell.etcd.snapshot(&snapshot);
    let saved = ctl.status();

    // What the snapshot does not know: a lease that runs, one that is over, five hundred writes.
    let young = ctl.create(&["--nodes", "1", "--for", "1h", "--wait"]);
    ctl.ok(&["leases", "end", "--now", &old.id.to_string()]);
    ctl.wait_for_state(old.id, LeaseState::Closed);
    write_much(&ctl, 250);
    let before = ctl.status();
    assert!(
        before.seq.0 >= saved.seq.0 + 500,
        "{} and {}",
        before.seq,
        saved.seq
    );
    let leases_before = ctl.leases();

    // As an operator restores: the schedulers stop first, the agents are left alone.
    cell.schedulers[0].process().stop();
    cell.etcd.restore(&snapshot);
    cell.schedulers[0].begin();

    let frozen = ctl.wait_for_status("the leader to freeze", |status| {
        status.leading && status.frozen.is_some()
    });
    let why = frozen.frozen.clone().unwrap_or_default();
    for number in [before.seq, saved.seq] {
        let record = format!("record {number} ");
        assert!(why.contains(&record), "{record}is not in {why:?}");
    }
    assert_eq!(frozen.epoch, before.epoch);
    let refused = ctl.refused(
        8,
        &[
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
        ],
    );
    assert_eq!(refused.code, ProblemCode::Frozen);
    assert_eq!(ctl.status().seq, frozen.seq, "nothing is decided");
    let holder = cell
        .agents
        .iter()
        .find(|agent| agent.environment(young.id).is_some());
    let holder = holder.expect("the lease that the store has forgotten runs on at its node");
    let served = holder.environment(young.id);

    let tried: RecoverReport = ctl.json(&["ledger", "recover", "--dry-run"]);
    assert!(tried.dry_run && !tried.differences.is_empty(), "{tried:?}");
    assert_eq!((tried.store_seq, tried.log_seq), (frozen.seq, before.seq));
    assert!(ctl.status().frozen.is_some(), "a dry run recovers nothing");
    let unasked = ctl.run(&["ledger", "recover"]);
    assert_eq!(unasked.exit, 6, "nobody confirmed: {unasked:?}");

    let done: RecoverReport = ctl.json(&["ledger", "recover", "--yes", "--reason", "disk lost"]);
    assert!(
        done.epoch > before.epoch && done.seq > before.seq,
        "{done:?}"
    );
    assert_eq!(done.unknown_leases, [], "{done:?}");
    let after = ctl.wait_for_status("decisions to go on", decides);
    assert_eq!(after.epoch, done.epoch);

    let leases_after = ctl.leases();
    assert_eq!(
        terms(&leases_after),
        terms(&leases_before),
        "every lease is as it was"
    );
    assert_eq!(holder.environment(young.id), served);
    assert_eq!(ctl.lease(old.id).state, LeaseState::Closed);

    let new = ctl.create(&["--gpus", "1", "--for", "1h"]);
    let seen: BTreeSet<LeaseId> = leases_before.iter().map(|lease| lease.id).collect();
    assert!(
        seen.iter().all(|id| *id < new.id),
        "lease {} was given out before",
        new.id
    );
    assert!(
        new.epoch > before.epoch,
        "what is granted now is newer than all before"
    );
    assert_no_gpu_is_held_twice(&ctl.leases());
    ctl.wait_for_state(new.id, LeaseState::Active);
    wait_until("the lease from before to be served under its terms", || {
        let lease = ctl.lease(young.id);
        lease.state == LeaseState::Active && lease.nodes_ready == 1 && lease.conditions.is_empty()
    });
    ctl.verify(&[cell.schedulers[0].log_file()]);
}

/// Nobody stops a scheduler when a disk array is rolled back under etcd.
#[test]
fn a_store_that_goes_back_under_a_running_scheduler_is_noticed() {
    let mut cell = Cell::in_use(1, 1);
    let ctl = cell.ctl();
    let snapshot = cell.dir().join("snapshot.db");
    cell.etcd.snapshot(&snapshot);
    let lease = ctl.create(&["--gpus", "2", "--for", "1h", "--wait"]);
    write_much(&ctl, 10);

    cell.etcd.restore(&snapshot);

    ctl.wait_for_status("the leader to freeze", |status| {
        status.leading && status.frozen.is_some()
    });
    assert!(cell.agents[0].environment(lease.id).is_some());
    ctl.ok(&["ledger", "recover", "--yes"]);
    ctl.wait_for_status("decisions to go on", decides);
    assert_eq!(ctl.lease(lease.id).gpus, lease.gpus);
    ctl.ok(&["leases", "end", "--now", &lease.id.to_string()]);
    ctl.wait_for_state(lease.id, LeaseState::Closed);
    ctl.verify(&[cell.schedulers[0].log_file()]);
}

#[test]
fn a_lost_log_is_written_again_from_the_store() {
    let mut cell = Cell::empty();
    let ctl = cell.ctl();
    write_much(&ctl, 5);
    let before = ctl.status();

    cell.schedulers[0].kill();
    fs::remove_dir_all(cell.schedulers[0].log_dir()).expect("the scheduler made it");
    cell.schedulers[0].begin();
    ctl.wait_for_status("the scheduler to go on", decides);

    let report = ctl.verify(&[cell.schedulers[0].log_file()]);
    assert!(report.head.expect("it has records").seq >= before.seq.0);
    assert_eq!(report.files[0].gaps, [], "the store still has every commit");
    ctl.ok(&["accounts", "create", "later", "--side", "tenant"]);
    ctl.verify(&[cell.schedulers[0].log_file()]);
}

#[test]
fn what_the_store_has_forgotten_too_is_a_gap_that_says_so() {
    let mut cell = Cell::empty();
    let ctl = cell.ctl();
    write_much(&ctl, 5);
    let before = ctl.status();

    cell.schedulers[0].kill();
    fs::remove_dir_all(cell.schedulers[0].log_dir()).expect("the scheduler made it");
    // Commits leave the store an hour after they are on the leader's disk.
    cell.etcd.remove_all("/leasehold/v1/test/log/");
    cell.schedulers[0].begin();
    ctl.wait_for_status("the scheduler to go on", decides);
    ctl.ok(&["accounts", "create", "later", "--side", "tenant"]);

    let report = ctl.verify_to_the_head(&[cell.schedulers[0].log_file()]);
    let gaps = &report.files[0].gaps;
    assert_eq!(gaps.len(), 1, "{report:?}");
    assert_eq!((gaps[0].first, gaps[0].last), (1, before.seq.0));
}

fn decides(status: &Status) -> bool {
    status.leading && status.frozen.is_none()
}

/// Twice as many writes as asked for: accounts, and leases for tomorrow, so many that some of them
/// have to wait.
fn write_much(ctl: &Ctl, pairs: u32) {
    let tomorrow = ctl.status().now + Span::from_hours(24);
    for n in 0..pairs {
        let account = format!(r#"{{"name":"many-{n}","side":"tenant"}}"#);
        let answer = Request::post("/v1/accounts", None, &account).ask(ctl.socket());
        assert_eq!(answer.status, 201, "{answer:?}");
        let lease = format!(
            r#"{{"account":"many-{n}","class":"spot","shape":{{"kind":"gpus","count":1}},
            "sku":"h200","start":"{tomorrow}","for":"1h"}}"#
        );
        let answer = Request::post("/v1/leases", None, &lease).ask(ctl.socket());
        // In a cell without nodes no lease ever fits; that is written down as well.
        assert!(matches!(answer.status, 201 | 422), "{answer:?}");
    }
}

/// What a lease promises, without what changes by itself.
fn terms(leases: &[LeaseView]) -> Vec<String> {
    let terms = leases.iter().map(|lease| {
        let LeaseView {
            id,
            account,
            shape,
            start,
            end,
            gpus,
            ..
        } = lease;
        let over = lease.state.is_over();
        format!("{id} {account} {shape} {start:?} {end:?} {gpus:?} {over}")
    });
    terms.collect()
}
