//! Policies, power budgets, maintenance, plans and terms as an operator types them.

use crate::server::{Asked, Reply, Server};
use leasectl::exit::Exit;
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const DIGEST: &str = "b3:1111111111111111111111111111111111111111111111111111111111111111";

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("house.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn version(number: u64) -> Value {
    json!({"number": number, "current": true, "digest": DIGEST, "by": 1000,
        "at": "2026-11-22T09:14:02Z", "why": "the hall opens"})
}

fn change(dry_run: bool, breaks: Value) -> String {
    json!({"dry_run": dry_run, "version": version(4), "breaks": breaks}).to_string()
}

fn broken() -> Value {
    json!([{"rule": "ceilings[0].nodes", "lease": 7, "account": "acme", "state": "active",
        "nodes": "h[001-002]", "from": "2026-11-22T09:00:00Z", "to": null,
        "detail": "with it the tenant side has 4 nodes of h200, 2 may be"}])
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

#[tokio::test]
async fn a_policy_is_read_as_toml_and_sent_as_the_api_has_it() {
    let (_dir, path) = file("turnaround = \"30m\"\n");
    let server = Server::saying(201, change(false, json!([])));
    let words = format!("policy set {} --note x --request-id p1", path.display());
    let ran = server.run(&words).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(
        ran.out,
        "policy 4 is in force\nevery booking keeps its rules\n"
    );
    let asked = &server.asked()[0];
    assert_eq!(
        (asked.line.as_str(), asked.key.as_str()),
        ("POST /v1/policies", "p1")
    );
    let body = body(asked);
    assert_eq!(
        (&body["policy"]["turnaround"], &body["why"]),
        (&json!("30m"), &json!("x"))
    );
}

#[tokio::test]
async fn a_dry_run_names_the_bookings_that_the_rules_would_not_have_allowed() {
    let (_dir, path) = file("");
    let server = Server::saying(200, change(true, broken()));
    let ran = server
        .run(&format!("policy set {} --dry-run", path.display()))
        .await;
    assert_eq!(server.asked()[0].line, "POST /v1/policies?dry_run=true");
    insta::assert_snapshot!(format!("{}{}", ran.err, ran.out), @r"
    leasectl: dry run: nothing was changed
    policy 4 would be in force
    1 booking would not have been allowed, and stay:
    LEASE  ACCOUNT  STATE   NODES       START              END   RULE               DETAIL
    7      acme     active  h[001-002]  2026-11-22T09:00Z  open  ceilings[0].nodes  with it the tenant side has 4 nodes of h200, 2 may be
    ");
}

#[tokio::test]
async fn a_policy_that_is_checked_names_the_bookings_that_it_would_not_have_allowed() {
    let (_dir, path) = file("");
    let server = Server::saying(200, change(true, broken()));
    let ran = server
        .run(&format!("policy check {}", path.display()))
        .await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    insta::assert_snapshot!(ran.out, @r"
    the policy can be kept: b3:1111111111111111111111111111111111111111111111111111111111111111
    1 booking would not have been allowed, and stay:
    LEASE  ACCOUNT  STATE   NODES       START              END   RULE               DETAIL
    7      acme     active  h[001-002]  2026-11-22T09:00Z  open  ceilings[0].nodes  with it the tenant side has 4 nodes of h200, 2 may be
    ");
}

#[tokio::test]
async fn a_policy_that_cannot_be_kept_is_told_line_by_line() {
    let (_dir, path) = file("");
    let problem = json!({"type": "urn:leasehold:problem:invalid-policy", "title": "t",
        "status": 422, "detail": "2 things in the policy cannot be kept",
        "code": "invalid-policy", "field": "turnaround", "value": "300d", "allowed": "0s to 7d",
        "findings": [
            {"field": "turnaround", "value": "300d", "allowed": "0s to 7d"},
            {"field": "floors[0].sku", "value": "h9", "allowed": "h100, h200"}]});
    let server = Server::saying(422, problem.to_string());
    let ran = server
        .run(&format!("policy check {}", path.display()))
        .await;
    assert_eq!(ran.exit, Exit::Usage);
    insta::assert_snapshot!(ran.err, @r#"
    leasectl: invalid-policy: 2 things in the policy cannot be kept
      turnaround is "300d", allowed is 0s to 7d
      floors[0].sku is "h9", allowed is h100, h200
    "#);
}

#[tokio::test]
async fn text_that_is_no_policy_is_never_sent() {
    let (_dir, path) = file("turnaruond = \"30m\"\n");
    let server = Server::saying(500, "");
    let ran = server.run(&format!("policy set {}", path.display())).await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.err.contains("turnaruond") && ran.err.contains("line 1"),
        "{}",
        ran.err
    );
    let absent = server.run("policy set /nonexistent.toml").await;
    assert_eq!(absent.exit, Exit::Failed);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn what_get_writes_set_reads() {
    let policy = serde_json::to_value(leasehold_common::policy::Policy::default()).unwrap();
    let view = json!({"version": version(4), "policy": policy}).to_string();
    let server = Server::saying(200, view);
    let ran = server.run("policy get").await;
    assert_eq!(server.asked()[0].line, "GET /v1/policies/current");
    let read = leasehold_common::policy::Policy::from_text(&ran.out).unwrap();
    assert_eq!(read, leasehold_common::policy::Policy::default());
    let ran = server.run("policy get 3 --as json").await;
    assert_eq!(server.asked()[1].line, "GET /v1/policies/3");
    assert!(leasehold_common::policy::Policy::from_text(&ran.out).is_ok());
}

#[tokio::test]
async fn versions_are_listed_with_the_one_in_force_marked() {
    let built_in = json!({"number": 0, "current": false, "digest": DIGEST});
    let list = json!({"apiVersion": "v1", "kind": "PolicyList", "index": 9,
        "items": [version(2), built_in]});
    let server = Server::saying(200, list.to_string());
    insta::assert_snapshot!(server.run("policy ls").await.out, @r"
    POLICY  SET                BY    DIGEST           NOTE
    2*      2026-11-22T09:14Z  1000  b3:111111111111  the hall opens
    0       -                  -     b3:111111111111  built in
    ");
    let rollback = Server::saying(201, change(false, json!([])));
    rollback.run("policy rollback 1").await;
    let asked = &rollback.asked()[0];
    assert_eq!(asked.line, "POST /v1/policies/rollback");
    assert_eq!(body(asked)["to"], 1);
}

fn place(over: Value) -> Value {
    json!({"prefix": "hall-a", "budget_watts": 420_000, "next": {"from": "2026-12-02T06:00:00Z"},
        "steps": [], "nodes": 64, "installed_watts": 652_800, "booked_watts": 102_000,
        "booked_max_watts": 510_000, "booked_max_at": "2026-11-22T12:00:00Z",
        "drawn_watts": 80_400, "stale_watts": 1_200, "nodes_reporting": 60, "over": over, "by": 1000, "at": null, "why": null})
}

#[tokio::test]
async fn a_budget_is_typed_with_units_and_warns_where_it_is_below_what_is_booked() {
    let over = json!({"from": "2026-11-22T12:00:00Z", "watts": 90_000,
        "worst": "2026-11-22T12:00:00Z"});
    let server = Server::saying(200, place(over).to_string());
    let ran = server
        .run("power set-budget hall-a 420kW --then 2026-12-02T06:00:00Z=unlimited --why service")
        .await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let sent = body(&server.asked()[0]);
    assert_eq!(
        sent["steps"],
        json!([{"watts": 420_000}, {"from": "2026-12-02T06:00:00.000Z", "watts": null}])
    );
    insta::assert_snapshot!(format!("{}{}", ran.out, ran.err), @"
    PLACE   BUDGET    BOOKED    PEAK      AT                 INSTALLED  DRAWN     SHARE  NODES  NEXT
    hall-a  420.0 kW  102.0 kW  510.0 kW  2026-11-22T12:00Z  652.8 kW   80.4 kW*  19%    64     unlimited from 2026-12-02T06:00Z
    leasectl: hall-a has up to 90.0 kW more booked than its budget, from 2026-11-22T12:00:00Z on, worst at 2026-11-22T12:00:00Z; booked leases stay
    ");
    server.run("power set-budget cell unlimited").await;
    let sent = body(&server.asked()[1]);
    assert_eq!(
        (&sent["prefix"], &sent["steps"]),
        (&json!(""), &json!([{"watts": null}]))
    );
}

#[tokio::test]
async fn power_is_shown_for_all_places_or_one() {
    // Where there is no budget the share is of what is installed.
    let mut unlimited = place(Value::Null);
    unlimited["prefix"] = json!("hall-b");
    unlimited["budget_watts"] = Value::Null;
    unlimited["next"] = Value::Null;
    unlimited["stale_watts"] = json!(0);
    unlimited["nodes_reporting"] = json!(64);
    let list = json!({"apiVersion": "v1", "kind": "PowerList", "index": 9,
        "items": [place(Value::Null), unlimited]});
    let server = Server::saying(200, list.to_string());
    insta::assert_snapshot!(server.run("power show").await.out, @"
    PLACE   BUDGET     BOOKED    PEAK      AT                 INSTALLED  DRAWN     SHARE  NODES  NEXT
    hall-a  420.0 kW   102.0 kW  510.0 kW  2026-11-22T12:00Z  652.8 kW   80.4 kW*  19%    64     unlimited from 2026-12-02T06:00Z
    hall-b  unlimited  102.0 kW  510.0 kW  2026-11-22T12:00Z  652.8 kW   80.4 kW   12%    64     -
    * hall-a: 1200 W of it said by agents that are silent; 4 nodes have not said what they draw
    ");
    for (words, line) in [
        ("power show", "GET /v1/power"),
        ("power show cell", "GET /v1/power?prefix=/"),
        (
            "power show hall-a/row-1",
            "GET /v1/power?prefix=hall-a/row-1",
        ),
    ] {
        assert_eq!(server.run(words).await.exit, Exit::Ok);
        assert_eq!(server.asked().last().unwrap().line, line);
    }
}

#[tokio::test]
async fn surplus_is_a_table_of_forms() {
    let rows = json!({"from": "2026-11-22T09:14:02Z", "until": "2026-12-22T09:14:02Z", "rows": [
        {"sku": "gb200", "shape": "nodes", "size": 1, "leases": 41,
            "longer": [{"for": "365d", "leases": 36}]},
        {"sku": "gb200", "shape": "domains", "size": 18, "leases": 2,
            "longer": [{"for": "365d", "leases": 1}]}]});
    let server = Server::saying(200, rows.to_string());
    let ran = server.run("surplus --for 30d --sku gb200").await;
    assert_eq!(
        ran.out,
        "SKU    SHAPE    SIZE  LEASES  UNITS  FOR-365D\n\
         gb200  nodes    1     41      41     36\n\
         gb200  domains  18    2       36     1\n"
    );
    let ran = server.run("surplus --shape domains -o name").await;
    assert_eq!(ran.out, "gb200/nodes-1\ngb200/domains-18\n");
    let lines: Vec<String> = server.asked().iter().map(|a| a.line.clone()).collect();
    assert_eq!(
        lines,
        [
            "GET /v1/surplus?for=30d&sku=gb200",
            "GET /v1/surplus?for=1h&shape=domains"
        ]
    );
}

#[tokio::test]
async fn maintenance_names_everything_that_stands_in_its_way() {
    let problem = json!({"type": "urn:leasehold:problem:booked", "title": "t", "status": 409,
        "detail": "h[001-002] are not free: 2 bookings in the way", "code": "booked",
        "conflicts": [
            {"lease": 7, "account": "acme", "state": "active", "nodes": "h001",
                "from": "2026-11-22T09:00:00Z", "to": "2026-11-22T11:00:00Z"},
            {"maintenance": 3, "nodes": "h002", "from": "2026-11-22T09:00:00Z",
                "to": "2026-11-22T11:00:00Z"}]});
    let server = Server::saying(409, problem.to_string());
    let ran = server
        .run("maintenance create --nodes h[001-002] --to 2026-11-22T12:00:00Z --reason plates")
        .await;
    assert_eq!(ran.exit, Exit::Refused);
    insta::assert_snapshot!(ran.err, @r"
    leasectl: booked: h[001-002] are not free: 2 bookings in the way
      lease 7 of acme (active) on h001, 2026-11-22T09:00:00.000Z to 2026-11-22T11:00:00.000Z
      maintenance 3 on h002, 2026-11-22T09:00:00.000Z to 2026-11-22T11:00:00.000Z
    ");
}

#[tokio::test]
async fn maintenance_may_be_booked_without_a_reason() {
    let one = json!({"id": 3, "state": "booked", "active": false, "nodes": "h001",
        "node_count": 1, "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T11:00:00Z",
        "by": 1000, "created": "2026-11-22T09:00:00Z"});
    let server = Server::saying(201, one.to_string());
    let ran = server
        .run(
            "maintenance create --nodes h001 --from 2026-11-22T10:00:00Z --to 2026-11-22T11:00:00Z",
        )
        .await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(body(&server.asked()[0]).get("reason"), None);
    insta::assert_snapshot!(ran.out, @r"
    ID  STATE   NODES  START              END                BY    REASON
    3   booked  h001   2026-11-22T10:00Z  2026-11-22T11:00Z  1000  -
    ");
}

#[tokio::test]
async fn maintenance_is_listed_and_ended() {
    let one = json!({"id": 3, "state": "booked", "active": true, "nodes": "h[001-016]",
        "node_count": 16, "from": "2026-11-22T09:00:00Z", "to": "2026-11-22T11:00:00Z",
        "reason": "new cooling plates", "by": 1000, "created": "2026-11-20T09:00:00Z"});
    let list = json!({"apiVersion": "v1", "kind": "MaintenanceList", "index": 9, "items": [one]});
    let server = Server::start(move |asked| {
        let whole = asked.line.starts_with("GET");
        Reply::Json(
            200,
            if whole {
                list.to_string()
            } else {
                one.to_string()
            },
        )
    });
    insta::assert_snapshot!(server.run("maintenance ls --all").await.out, @r"
    ID  STATE   NODES       START              END                BY    REASON
    3   active  h[001-016]  2026-11-22T09:00Z  2026-11-22T11:00Z  1000  new cooling plates
    ");
    assert_eq!(server.run("maintenance end 3").await.exit, Exit::Ok);
    let lines: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(
        lines,
        ["GET /v1/maintenance?all=true", "POST /v1/maintenance/3/end"]
    );
}

fn lease(state: &str) -> Value {
    json!({"id": 7, "account": "acme", "side": "tenant", "class": "on-demand", "state": state,
        "since": "2026-11-22T09:14:02Z", "conditions": [], "epoch": 1, "generation": 2,
        "shape": {"kind": "nodes", "count": 4}, "sku": "h200", "within": "rack",
        "created": "2026-11-22T09:14:02Z", "end": "2026-11-22T13:14:00Z", "nodes": "h[001-004]",
        "node_count": 4, "nodes_ready": 4, "nodes_returned": 0, "gpus": {}, "gpu_count": 32,
        "envelope_watts": 40_800, "energy_wh": 0})
}

const WANTED: &str = "--account acme --class on-demand --sku h200 --for 2h";

#[tokio::test]
async fn a_plan_ends_with_the_code_of_its_decision() {
    for (outcome, exit) in [
        ("placed", Exit::Ok),
        ("never", Exit::Refused),
        ("wait", Exit::Pending),
    ] {
        let why = json!({"outcome": outcome, "evaluated": 8, "fit": 4});
        let view = json!({"lease": lease("requested"), "explanation": why, "node_names": {}});
        let server = Server::saying(200, view.to_string());
        let ran = server.run(&format!("plan create {WANTED} --nodes 4")).await;
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(
            ran.out.contains("evaluated   8 nodes:  4 fit"),
            "{}",
            ran.out
        );
        assert_eq!(server.asked()[0].line, "POST /v1/plans");
    }
}

#[tokio::test]
async fn every_shape_and_option_goes_to_the_scheduler() {
    let server = Server::saying(201, lease("held").to_string());
    for (words, field, sent) in [
        (
            "--nodes 12..16 --spares 1",
            "shape",
            json!({"kind": "nodes", "count": 16, "at_least": 12, "spares": 1}),
        ),
        (
            "--unit hall-a/row-1",
            "shape",
            json!({"kind": "unit", "prefix": "hall-a/row-1"}),
        ),
        (
            "--unit cell",
            "shape",
            json!({"kind": "unit", "prefix": ""}),
        ),
        ("--gpus 2 --power-cap-w 400", "gpu_cap_watts", json!(400)),
        (
            "--gpus 2 --cpus 24 --memory 256GiB",
            "host",
            json!({"cpu_milli": 24_000, "memory_mib": 262_144}),
        ),
        ("--gpus 2 --cpus 0.5", "host", json!({"cpu_milli": 500})),
        (
            "--gpus 2 --memory 1TiB",
            "host",
            json!({"memory_mib": 1_048_576}),
        ),
        ("--gpus 2 --hold 10m", "hold", json!("10m")),
        (
            "--gpus 2 --start 2026-12-01T22:00:00Z",
            "start",
            json!("2026-12-01T22:00:00.000Z"),
        ),
    ] {
        let ran = server.run(&format!("leases create {WANTED} {words}")).await;
        assert_eq!(ran.exit, Exit::Ok, "{words}: {ran:?}");
        assert_eq!(body(server.asked().last().unwrap())[field], sent, "{words}");
    }
}

#[tokio::test]
async fn a_lease_is_extended_and_a_hold_committed() {
    let server = Server::saying(200, lease("active").to_string());
    let ran = server.run("leases extend 7 --for 2h").await;
    assert_eq!(
        ran.out,
        "lease 7 is active, access ends 2026-11-22T13:14Z\n"
    );
    let asked = server.asked().pop().unwrap();
    assert_eq!(
        (asked.line.as_str(), body(&asked)),
        ("POST /v1/leases/7/extend", json!({"for": "2h"}))
    );
    server
        .run("leases extend 7 --until 2026-12-01T22:00:00Z --dry-run")
        .await;
    assert_eq!(
        server.asked().pop().unwrap().line,
        "POST /v1/leases/7/extend?dry_run=true"
    );
    server.run("leases commit 7").await;
    assert_eq!(
        server.asked().pop().unwrap().line,
        "POST /v1/leases/7/commit"
    );
}

#[tokio::test]
async fn a_lease_goes_on_with_less_or_gets_another_node() {
    let server = Server::saying(200, lease("active").to_string());
    for (words, path, sent) in [
        ("shrink 7 --nodes 2 --yes", "shrink", json!({"nodes": 2})),
        (
            "shrink 7 --drop h[001-002] --yes",
            "shrink",
            json!({"drop": "h[001-002]"}),
        ),
        ("shrink 7 --gpus 4 --yes", "shrink", json!({"gpus": 4})),
        (
            "shrink 7 --slice 1g.18gb:2 --slice 3g.71gb:1 --yes",
            "shrink",
            json!({"slices": {"1g.18gb": 2, "3g.71gb": 1}}),
        ),
        (
            "replace 7 --node h003 --reason broken --yes",
            "replace",
            json!({"node": "h003", "reason": "broken"}),
        ),
        (
            "replace 7 --node h003 --dry-run",
            "replace?dry_run=true",
            json!({"node": "h003"}),
        ),
    ] {
        let ran = server.run(&format!("leases {words}")).await;
        assert_eq!(ran.exit, Exit::Ok, "{words}: {ran:?}");
        let asked = server.asked().pop().unwrap();
        let line = format!("POST /v1/leases/7/{path}");
        assert_eq!((asked.line.as_str(), body(&asked)), (line.as_str(), sent));
    }
}

#[tokio::test]
async fn another_node_that_is_refused_says_what_was_looked_at() {
    let problem = json!({"type": "urn:leasehold:problem:booked", "title": "the hardware is booked",
        "status": 409, "detail": "nothing that lease 7 may have is free in the place of h003: of 3 \
            nodes none fits (1 Flagged, 1 OtherAccount, 1 GpusTaken)",
        "code": "booked", "retryable": true, "lease_state": "active"});
    let server = Server::saying(409, problem.to_string());
    let ran = server.run("leases replace 7 --node h003 --yes").await;
    assert_eq!(ran.exit, Exit::Refused);
    insta::assert_snapshot!(ran.err, @"leasectl: booked: nothing that lease 7 may have is free in the place of h003: of 3 nodes none fits (1 Flagged, 1 OtherAccount, 1 GpusTaken) (lease state: active)");
}
