//! Nodes drained, waited for, and let again.

use crate::server::{Reply, Server};
use leasectl::exit::Exit;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn booking(lease: u64, state: &str, nodes: &str) -> Value {
    json!({"lease": lease, "account": "acme", "state": state, "nodes": nodes,
        "from": "2026-11-22T09:00:00Z", "to": "2026-11-22T11:00:00Z"})
}

fn flag(kind: &str, by: &str, why: &str) -> Value {
    json!({"flag": kind, "by": by, "why": why, "since": "2026-11-22T08:00:00Z"})
}

fn kept(nodes: &str, kind: &str) -> Value {
    let mut kept = flag(kind, "7", "a disk is full");
    kept["nodes"] = json!(nodes);
    kept
}

/// What came of it, with what is said besides.
fn report(changed: &str, besides: Value) -> String {
    let mut report = json!({"dry_run": false, "changed": changed, "same": "", "kept": [],
        "running": [], "moved": [], "staying": [], "untried": [], "out_of_service": []});
    for (name, value) in besides.as_object().unwrap() {
        report[name] = value.clone();
    }
    report.to_string()
}

fn node(state: &str, gpus_leased: u32, flags: Value) -> String {
    json!({"name": "h001", "index": 1, "state": state, "since": "2026-11-22T08:00:00Z",
        "reason": "Verified", "detail": "", "live": true, "path": null, "sku": "h200",
        "owner": "sellable", "side": null, "gpus": 8, "gpus_free": 0,
        "gpus_leased": gpus_leased, "power_watts": 0, "leases": [7], "flags": flags,
        "agent": null, "driver": null, "trouble": null})
    .to_string()
}

#[tokio::test]
async fn what_runs_there_and_what_is_booked_there_is_told_with_what_becomes_of_it() {
    let besides = json!({
        "same": "h004", "kept": [kept("h005", "no-new-leases")],
        "running": [booking(7, "active", "h[001-002]")],
        "moved": [booking(9, "scheduled", "h002")],
        "staying": [booking(11, "scheduled", "h003")],
    });
    let server = Server::saying(200, report("h[001-003]", besides));
    let ran = server
        .run("nodes drain h[001-003] h004,h005 --reason fan --until 2026-11-23T06:00:00Z --request-id d1")
        .await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    insta::assert_snapshot!(ran.out, @"
    h[001-003] drained
    h004 drained already
    h005 keeps no-new-leases by 7 since 2026-11-22T08:00:00Z: a disk is full
    LEASE  ACCOUNT  STATE      NODES       START              END                BECOMES
    7      acme     active     h[001-002]  2026-11-22T09:00Z  2026-11-22T11:00Z  goes on
    9      acme     scheduled  h002        2026-11-22T09:00Z  2026-11-22T11:00Z  goes elsewhere
    11     acme     scheduled  h003        2026-11-22T09:00Z  2026-11-22T11:00Z  nothing else is free: does not begin here
    ");
    let asked = &server.asked()[0];
    assert_eq!(
        (asked.line.as_str(), asked.key.as_str()),
        ("POST /v1/nodes/drain", "d1")
    );
    insta::assert_snapshot!(asked.body, @r#"
    {"nodes":"h[001-005]","reason":"fan","until":"2026-11-23T06:00:00.000Z"}
    "#);
}

#[tokio::test]
async fn a_dry_run_says_what_could_be() {
    let besides = json!({"dry_run": true, "moved": [booking(9, "scheduled", "h001")],
        "untried": [booking(10, "held", "h001")]});
    let server = Server::saying(200, report("h001", besides));
    let ran = server
        .run("nodes cordon h001 --reason fan --maintenance --dry-run")
        .await;
    insta::assert_snapshot!(format!("{}{}", ran.err, ran.out), @"
    leasectl: dry run: nothing was changed
    h001 would be drained
    LEASE  ACCOUNT  STATE      NODES  START              END                BECOMES
    9      acme     scheduled  h001   2026-11-22T09:00Z  2026-11-22T11:00Z  could go elsewhere
    10     acme     held       h001   2026-11-22T09:00Z  2026-11-22T11:00Z  not tried
    ");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/nodes/drain?dry_run=true");
    assert_eq!(
        asked.body,
        r#"{"nodes":"h001","reason":"fan","flag":"maintenance"}"#
    );
}

#[tokio::test]
async fn nodes_are_let_again_and_what_keeps_them_back_is_named() {
    let besides = json!({"kept": [kept("h001", "maintenance")]});
    let server = Server::saying(200, report("h[001-002]", besides));
    let ran = server
        .run("nodes uncordon h[001-002] --reason repaired")
        .await;
    insta::assert_snapshot!(ran.out, @"
    h[001-002] undrained
    h001 keeps maintenance by 7 since 2026-11-22T08:00:00Z: a disk is full
    ");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/nodes/undrain");
    assert_eq!(asked.body, r#"{"nodes":"h[001-002]","reason":"repaired"}"#);

    let out = json!([{"nodes": "h002", "state": "quarantined", "reason": "NotReturned"}]);
    let besides = json!({"same": "h002", "out_of_service": out});
    let server = Server::saying(200, report("h001", besides));
    let ran = server.run("nodes resume h[001-002]").await;
    insta::assert_snapshot!(ran.out, @"
    h001 undrained
    h002 had no such flag
    h002 is not let: quarantined, NotReturned
    ");
    assert_eq!(server.asked()[0].line, "POST /v1/nodes/resume");
    assert_eq!(server.run("nodes resume h001 -o name").await.out, "h001\n");
}

#[tokio::test]
async fn with_wait_it_returns_when_no_lease_is_on_them() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let drained = json!([flag("no-new-leases", "1000", "fan")]);
        let body = match (request.line.as_str(), asked.fetch_add(1, Ordering::Relaxed)) {
            ("POST /v1/nodes/drain", _) => report("h001", json!({})),
            (_, ..2) => node("leased", 8, drained),
            // What is booked there for later is not waited for.
            (_, _) => node("reserved", 0, drained),
        };
        Reply::Json(200, body)
    });
    let ran = server.run("nodes drain h001 --reason fan --wait").await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(ran.out, "h001 drained\n");
    assert_eq!(ran.err, "leasectl: h001 is leased, lease 7\n");
}

#[tokio::test]
async fn waiting_ends_with_the_patience_of_who_waits_and_with_the_drain() {
    let drained = json!([flag("no-new-leases", "1000", "fan")]);
    for (flags, exit) in [(drained, Exit::Pending), (json!([]), Exit::NotActive)] {
        let server = Server::start(move |request| {
            let body = match request.line.as_str() {
                "POST /v1/nodes/drain" => report("h001", json!({})),
                _ => node("leased", 8, flags.clone()),
            };
            Reply::Json(200, body)
        });
        let ran = server
            .run("--timeout 10ms nodes drain h001 --reason fan --wait")
            .await;
        assert_eq!(ran.exit, exit, "{ran:?}");
    }
}
