use super::harness::{Ask, Daemon};
use leasehold_common::api::{BODY_MAX_BYTES, EndLease, SurplusShape};
use leasehold_common::ids::{Generation, LeaseId, MaintenanceId, NodeName};
use leasehold_common::lease::{Digest, LeaseState};
use leasehold_common::node::NodeState;
use leasehold_common::time::Span;
use leasehold_core::command::{Command, Query};

const ACME: &str = r#"{"name":"acme","side":"tenant"}"#;

#[tokio::test]
async fn every_question_reaches_the_scheduler() {
    let daemon = Daemon::start();
    let h1: NodeName = "h001".parse().unwrap();
    let leases = |all, account: Option<&str>, state| Query::Leases {
        all,
        account: account.map(|name| name.parse().unwrap()),
        state,
    };
    for (path, query) in [
        ("/v1/status", Query::Status),
        ("/v1/nodes", Query::Nodes { state: None }),
        (
            "/v1/nodes?state=available",
            Query::Nodes {
                state: Some(NodeState::Available),
            },
        ),
        ("/v1/nodes/h001", Query::Node("h001".parse().unwrap())),
        (
            "/v1/gpus?unhealthy",
            Query::Gpus {
                node: None,
                unhealthy: true,
            },
        ),
        (
            "/v1/gpus?node=h001",
            Query::Gpus {
                node: Some(h1.clone()),
                unhealthy: false,
            },
        ),
        ("/v1/gpus/h001/3", Query::Gpu(h1, 3)),
        ("/v1/accounts", Query::Accounts),
        ("/v1/accounts/acme", Query::Account("acme".parse().unwrap())),
        ("/v1/leases", leases(false, None, None)),
        ("/v1/leases?all", leases(true, None, None)),
        (
            "/v1/leases?all=false&account=acme&state=active",
            leases(false, Some("acme"), Some(LeaseState::Active)),
        ),
        ("/v1/leases/7", Query::Lease(LeaseId(7))),
        ("/v1/leases/7/explain", Query::Explain(LeaseId(7))),
        ("/v1/policies", Query::Policies),
        ("/v1/policies/current", Query::Policy(None)),
        ("/v1/policies/3", Query::Policy(Some(3))),
        ("/v1/power", Query::Power { prefix: None }),
        (
            "/v1/power?prefix=hall-a/row-1",
            Query::Power {
                prefix: Some("hall-a/row-1".parse().unwrap()),
            },
        ),
        (
            "/v1/surplus?for=30d&shape=domains",
            Query::Surplus {
                horizon: Span::from_hours(720),
                sku: None,
                shape: Some(SurplusShape::Domains),
            },
        ),
        ("/v1/maintenance", Query::Maintenances { all: false }),
        ("/v1/maintenance?all", Query::Maintenances { all: true }),
        ("/v1/maintenance/4", Query::Maintenance(MaintenanceId(4))),
    ] {
        let reply = daemon.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(daemon.fake.last_query(), query, "{path}");
    }
    assert_eq!(daemon.get("/v1/leases/7").await.header("etag"), "\"3\"");
}

#[tokio::test]
async fn the_api_says_what_it_is() {
    let daemon = Daemon::start();
    let version = daemon.get("/v1").await.json();
    assert_eq!(version["api"], "v1");
    let api = daemon.get("/v1/openapi.json").await.json();
    assert!(api["paths"]["/v1/leases"]["post"].is_object());
}

#[test]
fn the_description_of_the_api_changes_only_on_purpose() {
    insta::assert_snapshot!("openapi", crate::control::openapi::text());
}

#[tokio::test]
async fn a_write_carries_who_asked_and_what_they_called_it() {
    let daemon = Daemon::start();
    let ask = || Ask::post("/v1/accounts", ACME).with("idempotency-key", "k-1");
    let reply = daemon.ask(ask()).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.json()["name"], "acme");
    let (actor, write) = daemon.fake.last_write();
    assert_eq!(actor.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(actor.role, "owner");
    assert_eq!(actor.request_id, reply.header("x-request-id"));
    let (key, body) = write.idempotency.unwrap();
    assert_eq!(key.as_str(), "k-1");
    assert_eq!(
        body,
        Digest::of(format!("POST /v1/accounts\n{ACME}").as_bytes())
    );
    assert!(!write.dry_run);

    // The same again has the same digest, another body or path another.
    daemon.ask(ask()).await;
    assert_eq!(daemon.fake.last_write().1.idempotency.unwrap().1, body);
    let other = ACME.replace("acme", "other");
    daemon
        .ask(Ask::post("/v1/accounts", other).with("idempotency-key", "k-1"))
        .await;
    assert_ne!(daemon.fake.last_write().1.idempotency.unwrap().1, body);
}

#[tokio::test]
async fn a_write_may_be_dry_and_may_want_a_generation() {
    let daemon = Daemon::start();
    daemon.post("/v1/accounts?dry_run", ACME).await;
    assert!(daemon.fake.last_write().1.dry_run);
    for (text, generation) in [
        ("\"3\"", Some(Generation(3))),
        ("3", Some(Generation(3))),
        ("*", None),
    ] {
        let ask = Ask::post("/v1/leases/7/end", "").with("if-match", text);
        daemon.ask(ask).await;
        let write = daemon.fake.last_write().1;
        assert_eq!(write.if_match, generation);
        assert_eq!(write.idempotency, None);
        let ended = Command::EndLease(LeaseId(7), EndLease::default());
        assert_eq!(write.command, ended);
    }
    daemon.post("/v1/leases/8/cancel", "").await;
    let cancelled = Command::CancelLease(LeaseId(8));
    assert_eq!(daemon.fake.last_write().1.command, cancelled);
}

#[tokio::test]
async fn every_rule_of_the_house_is_written_through_the_same_gate() {
    let daemon = Daemon::start();
    for (path, body, wanted) in [
        (
            "/v1/policies",
            r#"{"policy":{"turnaround":"10m"},"why":"x"}"#,
            "SetPolicy",
        ),
        ("/v1/policies/rollback", r#"{"to":2}"#, "RollbackPolicy"),
        (
            "/v1/power",
            r#"{"prefix":"hall-a","steps":[{"watts":420000},{"from":"2027-01-01T00:00:00Z","watts":null}]}"#,
            "SetPowerBudget",
        ),
        (
            "/v1/maintenance",
            r#"{"nodes":"h001","to":"2027-01-01T00:00:00Z","reason":"plates"}"#,
            "CreateMaintenance",
        ),
        ("/v1/maintenance/4/end", "", "EndMaintenance"),
        ("/v1/leases/7/extend", r#"{"for":"2h"}"#, "ExtendLease"),
        ("/v1/leases/7/shrink", r#"{"nodes":2}"#, "ShrinkLease"),
        ("/v1/leases/7/replace", r#"{"node":"h003"}"#, "ReplaceNode"),
        ("/v1/leases/7/commit", "", "CommitLease"),
        (
            "/v1/gpus/acknowledge",
            r#"{"gpus":["h001:0"],"reason":"x","of":"TooHot"}"#,
            "SayOfGpus(Acknowledge",
        ),
        (
            "/v1/gpus/override",
            r#"{"gpus":["h001:0"],"verdict":"healthy","reason":"x","for":"1d"}"#,
            "SayOfGpus(Override",
        ),
        (
            "/v1/gpus/withdraw",
            r#"{"gpus":["h001:0"],"reason":"x"}"#,
            "SayOfGpus(Withdraw",
        ),
    ] {
        let ask = Ask::post(path, body).with("if-match", "\"3\"");
        assert_eq!(daemon.ask(ask).await.status, 201, "{path}");
        let write = daemon.fake.last_write().1;
        let said = format!("{:?}", write.command);
        assert!(said.starts_with(wanted), "{path}: {said}");
        assert_eq!(write.if_match, Some(Generation(3)));
    }
}

#[tokio::test]
async fn the_answer_to_a_retry_says_so() {
    let daemon = Daemon::start();
    let first = daemon.post("/v1/accounts", ACME).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = r#"{"name":"again","side":"tenant"}"#;
    let again = daemon.post("/v1/accounts", again).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn every_refusal_is_a_problem_and_reaches_nobody() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    let too_large = format!("{{\"name\":\"{}\"}}", "x".repeat(3 * BODY_MAX_BYTES));
    let seen = |status: u16, code: &str| (status, code.to_owned());
    for (ask, wanted) in [
        (Ask::get("/"), seen(404, "no-such-route")),
        (Ask::get("/v1/lease/7"), seen(404, "no-such-route")),
        (Ask::post("/v1/status", ""), seen(405, "no-such-route")),
        (
            Ask::method("DELETE", "/v1/leases/7", ""),
            seen(405, "no-such-route"),
        ),
        (Ask::get("/v1/leases?al"), seen(422, "invalid-field")),
        (Ask::get("/v1/leases?all=maybe"), seen(422, "invalid-field")),
        (
            Ask::get("/v1/leases?state=gone"),
            seen(422, "invalid-field"),
        ),
        (Ask::get("/v1/leases/seven"), seen(422, "invalid-field")),
        (Ask::get("/v1/nodes/h%20%2F1"), seen(422, "invalid-field")),
        (Ask::get("/v1/nodes/h%ff"), seen(422, "invalid-field")),
        (Ask::post("/v1/accounts", "{"), seen(400, "invalid-body")),
        (Ask::post("/v1/accounts", ""), seen(400, "invalid-body")),
        (
            Ask::post(
                "/v1/accounts",
                r#"{"name":"acme","side":"tenant","quota":5}"#,
            ),
            seen(400, "invalid-body"),
        ),
        (
            Ask::post(
                "/v1/accounts",
                r#"{"name":"acme","side":"tenant","quota_gpus":-5}"#,
            ),
            seen(422, "invalid-field"),
        ),
        (
            Ask::post("/v1/leases/7/cancel", "{\"now\":true}"),
            seen(400, "invalid-body"),
        ),
        (
            Ask::post("/v1/accounts?dryrun", ACME),
            seen(422, "invalid-field"),
        ),
        (
            Ask::post("/v1/accounts", ACME).with("idempotency-key", "no spaces"),
            seen(422, "invalid-field"),
        ),
        (
            Ask::post("/v1/leases/7/end", "").with("if-match", "\"new\""),
            seen(422, "invalid-field"),
        ),
        (Ask::get("/v1/policies/newest"), seen(422, "invalid-field")),
        (
            Ask::get("/v1/power?prefix=a//b"),
            seen(422, "invalid-field"),
        ),
        (
            Ask::post("/v1/policies", r#"{"policy":{"turnaruond":"10m"}}"#),
            seen(400, "invalid-body"),
        ),
        (
            Ask::post(
                "/v1/policies",
                r#"{"policy":{"floors":[{"side":"both","sku":"h200","nodes":1}]}}"#,
            ),
            seen(422, "invalid-field"),
        ),
        (
            // A budget is never lifted by leaving the watts out.
            Ask::post("/v1/power", r#"{"prefix":"hall-a","steps":[{}]}"#),
            seen(400, "invalid-body"),
        ),
        (
            Ask::post("/v1/maintenance", r#"{"nodes":"h001"}"#),
            seen(400, "invalid-body"),
        ),
        (
            Ask::post("/v1/leases/7/extend", r#"{"for":"soon"}"#),
            seen(422, "invalid-field"),
        ),
        (
            Ask::post("/v1/accounts", too_large),
            seen(413, "body-too-large"),
        ),
    ] {
        let what = format!("{} {}", ask.0.method(), ask.0.uri());
        let reply = client.ask(ask).await;
        assert_eq!(reply.problem(), wanted, "{what}");
        assert!(!reply.header("x-request-id").is_empty());
    }
    assert_eq!(daemon.fake.written(), 0);
    assert!(daemon.fake.queries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_schedulers_own_refusals_arrive_as_they_are() {
    let daemon = Daemon::start();
    let taken = r#"{"name":"taken","side":"tenant"}"#;
    let reply = daemon.post("/v1/accounts", taken).await;
    assert_eq!(reply.problem(), (409, "account-exists".into()));
    assert_eq!(reply.json()["detail"], "it is taken");
    let reply = daemon.get("/v1/leases/404").await;
    assert_eq!(reply.problem(), (404, "unknown-lease".into()));
}

#[tokio::test]
async fn a_defect_costs_one_request() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    let bomb = Ask::post("/v1/accounts", r#"{"name":"bomb","side":"tenant"}"#);
    assert_eq!(client.ask(bomb).await.problem(), (500, "internal".into()));
    let next = client.ask(Ask::get("/v1/accounts")).await;
    assert_eq!(next.status, 200, "the connection goes on");
}
