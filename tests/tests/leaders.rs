//! Two schedulers, and the leader frozen for longer than its key lives.

use leasehold_common::api::{LeaseView, ProblemCode};
use leasehold_common::lease::LeaseState;
use leasehold_tests::{Answer, Cell, Request, assert_no_gpu_is_held_twice, wait_for};

#[test]
fn a_leader_that_was_frozen_decides_nothing_when_it_wakes() {
    let mut cell = Cell::in_use(2, 2);
    let (first, second) = (cell.schedulers[0].ctl(), cell.schedulers[1].ctl());
    let before = first.create(&["--gpus", "3", "--for", "1h", "--wait"]);

    // Its kernel takes a request for it, which it will find when it wakes and still believes to lead.
    cell.schedulers[0].process().freeze();
    let body = r#"{"account":"acme","class":"on-demand","shape":{"kind":"gpus","count":8},
        "sku":"h200","for":"1h"}"#;
    let request = Request::post("/v1/leases", Some("while-frozen"), body);
    let mut unanswered = request.send(first.socket());

    second.wait_to_lead();
    let one = second.create(&["--gpus", "8", "--for", "1h", "--wait"]);
    assert_eq!(
        second.lease(before.id).gpus,
        before.gpus,
        "the other one knows the first lease"
    );

    cell.schedulers[0].process().thaw();
    let answer = Answer::read(&mut unanswered);
    assert_eq!(answer.status, 503, "{answer:?}");

    let told = wait_for("the old leader to know that it is none", || {
        let status = first.wait_for_a_leader();
        let (leader, leading) = (status.leader.clone(), status.leading);
        (!leading && leader.as_deref() == Some("ctl2"))
            .then_some(status)
            .ok_or(format!("{leader:?}, leading {leading}"))
    });
    assert_eq!(told.host, "ctl1");
    let refused = first.refused(
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
    assert_eq!(refused.code, ProblemCode::NotLeader);

    // Asked again where the leader is, the same key makes one lease and not two.
    let asked: LeaseView = request.ask(second.socket()).json();
    let again: LeaseView = request.ask(second.socket()).json();
    assert_eq!(asked.id, again.id);
    let leases = second.leases();
    let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
    assert_eq!(ids, [before.id, one.id, asked.id]);
    assert_eq!(
        asked.state,
        LeaseState::Requested,
        "eight more GPUs on one node there are not"
    );
    assert_no_gpu_is_held_twice(&leases);

    let head = second.status().seq;
    first.wait_for_status("the old leader's log to have followed", |status| {
        status.seq >= head
    });
    let logs: Vec<_> = cell.schedulers.iter().map(|s| s.log_file()).collect();
    let report = wait_for("both logs to be whole", || {
        let report = second.verify(&logs);
        let last = report.head.as_ref().map_or(0, |head| head.seq);
        if last >= head.0 {
            Ok(report)
        } else {
            Err(last)
        }
    });
    assert!(
        report.files.iter().all(|file| file.gaps.is_empty()),
        "{report:?}"
    );
}

#[test]
fn a_standby_answers_questions_and_names_the_leader() {
    let cell = Cell::in_use(2, 1);
    let (leader, standby) = (cell.schedulers[0].ctl(), cell.schedulers[1].ctl());
    let lease = leader.create(&["--gpus", "3", "--for", "1h", "--wait"]);
    let head = leader.status().seq;

    let status = standby.wait_for_status("the standby to have followed", |s| s.seq >= head);
    assert_eq!(
        (status.leader.as_deref(), status.leading),
        (Some("ctl1"), false)
    );
    let seen = standby.lease(lease.id);
    assert_eq!((seen.state, seen.gpus), (LeaseState::Active, lease.gpus));

    let refused = standby.refused(8, &["leases", "end", "--now", &lease.id.to_string()]);
    assert_eq!(refused.code, ProblemCode::NotLeader);
    assert!(refused.retryable);
    assert!(refused.detail.contains("ctl1"), "{refused}");
    assert_eq!(
        leader.lease(lease.id).state,
        LeaseState::Active,
        "nothing was changed"
    );
}

#[test]
fn a_leader_that_stops_hands_over_at_once() {
    let mut cell = Cell::in_use(2, 1);
    let lease = cell.ctl().create(&["--gpus", "3", "--for", "1h", "--wait"]);
    let ended = cell.schedulers[0].process().stop();
    assert!(ended.success(), "{ended}");

    let second = cell.schedulers[1].ctl();
    second.wait_to_lead();
    second.ok(&["leases", "end", "--now", &lease.id.to_string()]);
    second.wait_for_state(lease.id, LeaseState::Closed);
}
