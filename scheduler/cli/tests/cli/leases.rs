//! Leases asked for, waited for, listed, explained and ended.

use crate::server::{Asked, Reply, Server};
use leasectl::exit::Exit;
use leasehold_common::api::{LeaseView, List, SegmentView};
use leasehold_common::class::{Class, Side};
use leasehold_common::explain::Reason;
use leasehold_common::ids::{Epoch, Generation, LeaseId, Seq};
use leasehold_common::lease::{GpuSlots, HostShare, LeaseState, SegmentReason, Shape};
use leasehold_common::topology::Locality;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lease 7: four nodes of acme's, for two hours from 09:14.
fn active() -> LeaseView {
    LeaseView {
        id: LeaseId(7),
        account: "acme".parse().unwrap(),
        side: Side::Tenant,
        class: Class::OnDemand,
        state: LeaseState::Active,
        since: "2026-11-22T09:14:02Z".parse().unwrap(),
        conditions: Vec::new(),
        epoch: Epoch(1),
        generation: Generation(1),
        shape: Shape::nodes(4),
        sku: "h200".parse().unwrap(),
        within: Locality::Rack,
        created: "2026-11-22T09:14:00Z".parse().unwrap(),
        start: Some("2026-11-22T09:14:00Z".parse().unwrap()),
        end: Some("2026-11-22T11:14:00Z".parse().unwrap()),
        closed: None,
        nodes: "h[001-004]".into(),
        spares: String::new(),
        nodes_leaving: String::new(),
        gpus_leaving: BTreeMap::new(),
        segments: Vec::new(),
        node_count: 4,
        nodes_ready: 4,
        nodes_returned: 0,
        gpus: BTreeMap::new(),
        slices: BTreeMap::new(),
        gpu_count: 32,
        envelope_watts: 40_800,
        energy_wh: 0,
        reason: None,
        earliest: None,
        held_until: None,
        gpu_cap_watts: None,
        host: None,
        name: None,
    }
}

/// Lease 8: two GPUs that wait for room.
fn waiting() -> LeaseView {
    LeaseView {
        id: LeaseId(8),
        state: LeaseState::Requested,
        shape: Shape::gpus(2),
        within: Locality::Cell,
        start: None,
        end: None,
        nodes: String::new(),
        node_count: 0,
        nodes_ready: 0,
        gpu_count: 0,
        envelope_watts: 0,
        reason: Some(Reason::Capacity),
        earliest: Some("2026-11-22T10:40:00Z".parse().unwrap()),
        ..active()
    }
}

/// A lease too large to be ended by a slip of the hand.
fn huge() -> LeaseView {
    LeaseView {
        node_count: 65,
        gpu_count: 520,
        nodes: "h[001-065]".into(),
        ..active()
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// Shows `lease`, and answers a write with it as it is after that.
fn server_with(lease: LeaseView, after: LeaseState) -> Server {
    Server::start(move |asked: &Asked| {
        let state = if asked.line.starts_with("POST") {
            after
        } else {
            lease.state
        };
        Reply::Json(
            200,
            json(&LeaseView {
                state,
                ..lease.clone()
            }),
        )
    })
}

fn writes(server: &Server) -> Vec<Asked> {
    server
        .asked()
        .into_iter()
        .filter(|asked| asked.line.starts_with("POST"))
        .collect()
}

const CREATE: &str =
    "leases create --account acme --class on-demand --nodes 4 --sku h200 --within rack --for 2h";

#[tokio::test]
async fn a_lease_is_asked_for_as_the_api_has_it() {
    let server = Server::saying(201, json(&active()));
    let ran = server
        .run(&format!("{CREATE} --request-id r1 -o json"))
        .await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let asked = &server.asked()[0];
    assert_eq!(
        (asked.line.as_str(), asked.key.as_str()),
        ("POST /v1/leases", "r1")
    );
    insta::assert_snapshot!(asked.body, @r#"
    {"account":"acme","class":"on-demand","shape":{"kind":"nodes","count":4},"sku":"h200","within":"rack","for":"2h"}
    "#);
    let shown: LeaseView = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown, active());
}

#[tokio::test]
async fn a_dry_run_says_by_its_exit_code_whether_it_would_be_placed() {
    let placed = Server::saying(200, json(&active()));
    let ran = placed.run(&format!("{CREATE} --dry-run -o name")).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "7\n"), "{ran:?}");
    assert_eq!(placed.asked()[0].line, "POST /v1/leases?dry_run=true");
    let ran = Server::saying(200, json(&waiting()))
        .run(&format!("{CREATE} --dry-run -q"))
        .await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Pending, ""));
}

#[tokio::test]
async fn waiting_tells_what_is_waited_for_and_ends_when_the_lease_is_active() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Json(201, json(&waiting())),
        // The scheduler restarts in the middle.
        1 | 2 => Reply::HangUp,
        3 => Reply::Json(
            200,
            json(&LeaseView {
                state: LeaseState::Preparing,
                ..active()
            }),
        ),
        _ => Reply::Json(200, json(&active())),
    });
    let ran = server.run(&format!("{CREATE} --wait -o name")).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "7\n"), "{ran:?}");
    insta::assert_snapshot!(ran.err, @"
    leasectl: lease 8 is requested: Capacity, not before 2026-11-22T10:40:00Z
    leasectl: lease 7 is preparing
    ");
}

#[tokio::test]
async fn waiting_that_runs_out_exits_7_and_shows_the_lease_as_it_is() {
    let server = Server::saying(201, json(&waiting()));
    let ran = server
        .run(&format!("{CREATE} --wait --timeout 20ms -q -o json"))
        .await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Pending, ""));
    assert_eq!(
        serde_json::from_str::<LeaseView>(&ran.out).unwrap(),
        waiting()
    );
}

#[tokio::test]
async fn leases_are_listed_for_people_for_scripts_and_for_programs() {
    let list = List::new("LeaseList", Seq(88), vec![active(), waiting()]);
    let server = Server::saying(200, json(&list));
    let table = server
        .run("leases ls --all --account acme --state active")
        .await;
    assert_eq!(
        server.asked()[0].line,
        "GET /v1/leases?all=true&account=acme&state=active"
    );
    insta::assert_snapshot!(table.out, @"
    ID  ACCOUNT  CLASS      STATE      SKU   SHAPE    GPUS  NODES(REASON)  START              END                LEFT
    7   acme     on-demand  active     h200  nodes:4  32    h[001-004]     2026-11-22T09:14Z  2026-11-22T11:14Z  1h47m
    8   acme     on-demand  requested  h200  gpus:2   -     (Capacity)     2026-11-22T10:40Z  -                  -
    ");
    insta::assert_snapshot!(server.run("leases ls -o wide --no-headers").await.out, @"
    7  acme  on-demand  active     h200  nodes:4  32  h[001-004]  2026-11-22T09:14Z  2026-11-22T11:14Z  1h47m  rack  1.1  4/4  40800  -  -
    8  acme  on-demand  requested  h200  gpus:2   -   (Capacity)  2026-11-22T10:40Z  -                  -      cell  1.1  0/0  0      -  -
    ");
    assert_eq!(server.run("leases ls -o name").await.out, "7\n8\n");
    assert_eq!(
        server.run("leases ls -o jsonl").await.out.lines().count(),
        2
    );
    let whole = server.run("leases ls -o json").await.out;
    assert_eq!(
        serde_json::from_str::<List<LeaseView>>(&whole).unwrap(),
        list
    );
    assert!(
        whole.starts_with("{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"LeaseList\""),
        "{whole}"
    );
}

#[tokio::test]
async fn a_lease_is_shown_on_a_page() {
    insta::assert_snapshot!(Server::saying(200, json(&active())).run("leases show 7").await.out, @"
    lease     7
    account   acme (tenant)
    class     on-demand
    state     active for 12m
    wants     4 nodes of h200, within one rack
    nodes     h[001-004]
    ready     4 of 4
    gpus      32
    power     40.8 kW promised
    energy    0 Wh
    start     2026-11-22T09:14:00Z
    end       2026-11-22T11:14:00Z (1h47m left)
    terms     1.1
    created   2026-11-22T09:14:00Z
    ");
    insta::assert_snapshot!(Server::saying(200, json(&waiting())).run("leases show 8").await.out, @"
    lease     8
    account   acme (tenant)
    class     on-demand
    state     requested for 12m
    reason    Capacity
    earliest  2026-11-22T10:40:00Z
    wants     2 gpus of h200, anywhere in the cell
    ready     0 of 0
    gpus      0
    power     0 W promised
    energy    0 Wh
    terms     1.1
    created   2026-11-22T09:14:00Z
    ");
}

#[tokio::test]
async fn gpus_that_a_lease_has_given_up_are_shown_until_its_node_follows() {
    let at = |text: &str| text.parse().unwrap();
    let on = |gpus: u16| BTreeMap::from([("h001".parse().unwrap(), GpuSlots(gpus))]);
    let segment = |from, to, gpus, reason| SegmentView {
        from: at(from),
        to: Some(at(to)),
        nodes: "h001".into(),
        spares: String::new(),
        gpus: on(gpus),
        reason,
    };
    let (began, shrunk, end) = (
        "2026-11-22T09:14:00Z",
        "2026-11-22T09:20:00Z",
        "2026-11-22T11:14:00Z",
    );
    let less = LeaseView {
        shape: Shape::gpus(4),
        gpus_leaving: on(0xf0),
        segments: vec![
            segment(began, shrunk, 0xff, SegmentReason::Placed),
            segment(shrunk, end, 0x0f, SegmentReason::Shrunk),
        ],
        ..active()
    };
    let server = Server::saying(200, json(&less));
    let shown = server.run("leases show 7").await.out;
    let lines = shown.lines();
    let told: Vec<&str> = lines
        .filter(|line| line.starts_with("leaving") || line.starts_with("segment"))
        .collect();
    assert_eq!(
        told,
        [
            "leaving   gpus 4-7 of h001",
            "segment   2026-11-22T09:14:00Z to 2026-11-22T09:20:00Z: h001, gpus 0-7 of h001 (placed)",
            "segment   2026-11-22T09:20:00Z to 2026-11-22T11:14:00Z: h001, gpus 0-3 of h001 (shrunk)",
        ]
    );
}

#[tokio::test]
async fn spares_and_a_share_of_the_host_are_shown() {
    let at = |text: &str| text.parse().unwrap();
    let spared = LeaseView {
        shape: Shape::Nodes {
            count: 3,
            at_least: None,
            spares: 1,
            whole: None,
        },
        spares: "h004".into(),
        segments: vec![
            SegmentView {
                from: at("2026-11-22T09:14:00Z"),
                to: Some(at("2026-11-22T09:20:00Z")),
                nodes: "h[001-003,005]".into(),
                spares: "h005".into(),
                gpus: BTreeMap::new(),
                reason: SegmentReason::Placed,
            },
            SegmentView {
                from: at("2026-11-22T09:20:00Z"),
                to: Some(at("2026-11-22T11:14:00Z")),
                nodes: "h[001-004]".into(),
                spares: "h004".into(),
                gpus: BTreeMap::new(),
                reason: SegmentReason::Replaced,
            },
        ],
        ..active()
    };
    let server = Server::saying(200, json(&spared));
    insta::assert_snapshot!(server.run("leases show 7").await.out, @"
    lease     7
    account   acme (tenant)
    class     on-demand
    state     active for 12m
    wants     3 nodes and 1 spare in each domain of h200, within one rack
    nodes     h[001-004]
    spares    h004
    ready     4 of 4
    gpus      32
    power     40.8 kW promised
    energy    0 Wh
    start     2026-11-22T09:14:00Z
    end       2026-11-22T11:14:00Z (1h47m left)
    terms     1.1
    created   2026-11-22T09:14:00Z
    segment   2026-11-22T09:14:00Z to 2026-11-22T09:20:00Z: h[001-003,005], spare h005 (placed)
    segment   2026-11-22T09:20:00Z to 2026-11-22T11:14:00Z: h[001-004], spare h004 (replaced)
    ");
    let shared = LeaseView {
        shape: Shape::gpus(2),
        host: Some(HostShare {
            cpu_milli: 500,
            memory_mib: 900,
        }),
        nodes: "h001".into(),
        node_count: 1,
        nodes_ready: 1,
        gpu_count: 2,
        ..active()
    };
    let server = Server::saying(200, json(&shared));
    let shown = server.run("leases show 7").await.out;
    assert!(
        shown.contains("host      0.5 hardware threads and 900 MiB on each node\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_script_ends_a_lease_without_being_asked() {
    let server = server_with(active(), LeaseState::Draining);
    let ran = server.run("leases end 7").await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(
        ran.out,
        "lease 7 is draining, access ends 2026-11-22T11:14Z\n"
    );
    let ended = &writes(&server)[0];
    assert_eq!(ended.line, "POST /v1/leases/7/end");
    assert_eq!(ended.body, r#"{"now":false}"#);
}

#[tokio::test]
async fn at_a_terminal_the_end_of_a_lease_is_asked_about() {
    let server = server_with(active(), LeaseState::Releasing);
    let ran = server.run_and_type("leases end 7 --now", "n").await;
    assert_eq!((ran.exit, writes(&server).len()), (Exit::Refused, 0));
    insta::assert_snapshot!(ran.err, @"
    End lease 7 of acme (on-demand, active, 4 nodes: h[001-004]) at once, without notice? [y/N] leasectl: not confirmed, nothing was changed: the answer was not yes
    ");
    let ran = server.run_and_type("leases end 7 --now", "y").await;
    assert_eq!((ran.exit, writes(&server).len()), (Exit::Ok, 1));
    let ran = server.run_and_type("leases end 7 --yes", "n").await;
    assert_eq!((ran.exit, writes(&server).len()), (Exit::Ok, 2), "{ran:?}");
}

#[tokio::test]
async fn ending_more_than_64_nodes_at_once_wants_the_number_of_gpus() {
    let server = server_with(huge(), LeaseState::Releasing);
    let ran = server.run("leases end 7 --now --yes").await;
    assert_eq!((ran.exit, writes(&server).len()), (Exit::Refused, 0));
    insta::assert_snapshot!(ran.err, @"
    leasectl: not confirmed, nothing was changed: lease 7 of acme holds 520 GPUs on 65 nodes; to end it at once takes --confirm-gpus 520
    ");
    let ran = server.run("leases end 7 --now --confirm-gpus 65").await;
    assert_eq!((ran.exit, writes(&server).len()), (Exit::Refused, 0));
    insta::assert_snapshot!(ran.err, @r#"
    leasectl: not confirmed, nothing was changed: lease 7 of acme holds 520 GPUs on 65 nodes, not "65"
    "#);
    let ran = server.run_and_type("leases end 7 --now", "yes").await;
    assert_eq!((ran.exit, writes(&server).len()), (Exit::Refused, 0));
    insta::assert_snapshot!(ran.err, @r#"
    lease 7 of acme holds 520 GPUs on 65 nodes. Type the number of GPUs to end it at once: leasectl: not confirmed, nothing was changed: lease 7 of acme holds 520 GPUs on 65 nodes, not "yes"
    "#);

    let preparing = server_with(
        LeaseView {
            state: LeaseState::Preparing,
            ..huge()
        },
        LeaseState::Releasing,
    );
    let ran = preparing.run("leases end 7").await;
    assert_eq!((ran.exit, writes(&preparing).len()), (Exit::Refused, 0));

    let ran = server.run_and_type("leases end 7 --now", "520\n").await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let ran = server.run("leases end 7 --now --confirm-gpus 520").await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let bodies: Vec<String> = writes(&server)
        .into_iter()
        .map(|asked| asked.body)
        .collect();
    assert_eq!(bodies, [r#"{"now":true,"confirm_gpus":520}"#; 2]);
}

#[tokio::test]
async fn a_lease_that_has_not_begun_is_cancelled() {
    let server = server_with(waiting(), LeaseState::Cancelled);
    let ran = server.run("leases cancel 8").await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Exit::Ok, "lease 8 is cancelled\n"),
        "{ran:?}"
    );
    assert_eq!(writes(&server)[0].line, "POST /v1/leases/8/cancel");
}

#[tokio::test]
async fn slices_are_asked_for_by_profile_each_once() {
    const ASKED: &str = "leases create --account acme --class on-demand --sku h200 --for 1h";
    let server = Server::saying(201, json(&active()));
    let ran = server
        .run(&format!("{ASKED} --slice 1g.18gb:3 --slice 3g.71gb:1"))
        .await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let sent: serde_json::Value = serde_json::from_str(&writes(&server)[0].body).unwrap();
    let profiles = serde_json::json!({"kind": "slices", "profiles": {"1g.18gb": 3, "3g.71gb": 1}});
    assert_eq!(sent["shape"], profiles);
    let ran = server
        .run(&format!("{ASKED} --slice 1g.18gb:1 --slice 1g.18gb:2"))
        .await;
    assert_eq!(
        (ran.exit, writes(&server).len()),
        (Exit::Usage, 1),
        "{ran:?}"
    );
    let words = "leases shrink 7 --yes --slice 1g.18gb:1 --slice 1g.18gb:2";
    let ran = server.run(words).await;
    assert_eq!(
        (ran.exit, writes(&server).len()),
        (Exit::Usage, 1),
        "{ran:?}"
    );
}
