//! The cell, its nodes and its GPUs.

use crate::server::Server;
use leasectl::exit::Exit;
use leasehold_common::api::{
    FlagView, GpuView, ImportReport, ImportedLine, List, NodeChange, NodeView, Status,
};
use leasehold_common::class::Side;
use leasehold_common::ids::{Epoch, LeaseId, NodeIndex, Seq};
use leasehold_common::lease::{Digest, LeaseState};
use leasehold_common::node::{Action, FlagKind, NodeState, Owner, StateReason, Verdict};
use std::collections::BTreeMap;

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn free(number: u32) -> NodeView {
    NodeView {
        name: format!("h{number:03}").parse().unwrap(),
        index: Some(NodeIndex(number)),
        state: NodeState::Available,
        since: Some("2026-11-22T09:00:00Z".parse().unwrap()),
        reason: StateReason::Verified,
        detail: "report agrees with what was admitted".into(),
        live: true,
        path: Some(format!("hall-1/row-1/rack-1/h{number:03}").parse().unwrap()),
        sku: Some("h200".parse().unwrap()),
        owner: Some(Owner::Sellable),
        side: None,
        gpus: 8,
        gpus_free: 8,
        gpus_leased: 0,
        power_watts: 900,
        node_watts: 5_500,
        power_stale: false,
        draws: Vec::new(),
        ailments: Vec::new(),
        leases: Vec::new(),
        maintenance: Vec::new(),
        flags: Vec::new(),
        agent: Some("0.1.0".into()),
        driver: Some("570.86.15".into()),
        trouble: None,
    }
}

fn leased(number: u32) -> NodeView {
    NodeView {
        state: NodeState::Leased,
        side: Some(Side::Tenant),
        gpus_free: 0,
        gpus_leased: 8,
        power_watts: 5_400,
        node_watts: 10_000,
        leases: vec![LeaseId(7)],
        maintenance: Vec::new(),
        ..free(number)
    }
}

/// Drained while lease 7 goes on.
fn drained(number: u32) -> NodeView {
    let flag = FlagView {
        flag: FlagKind::NoNewLeases,
        by: "1000".into(),
        why: "a fan is loud".into(),
        since: "2026-11-22T09:10:00Z".parse().unwrap(),
        until: Some("2026-11-23T06:00:00Z".parse().unwrap()),
    };
    NodeView {
        flags: vec![flag],
        ..leased(number)
    }
}

fn silent(number: u32) -> NodeView {
    NodeView {
        state: NodeState::Unreachable,
        reason: StateReason::NotHeardOf,
        live: false,
        gpus_free: 0,
        ..free(number)
    }
}

#[tokio::test]
async fn nodes_are_folded_by_what_they_have_in_common() {
    let nodes = vec![free(1), free(2), leased(3), free(4), silent(5)];
    let server = Server::saying(200, json(&List::new("NodeList", Seq(9), nodes)));
    insta::assert_snapshot!(server.run("nodes ls").await.out, @"
    NODES           STATE         SKU   COUNT  GPUS(F/L/O/T)  POWER  REASON
    h[001-002,004]  available     h200  3      24/0/0/24      2700W  -
    h003            leased        h200  1      0/8/0/8        5400W  -
    h005            unreachable*  h200  1      0/0/8/8        900W   NotHeardOf
    ");
    insta::assert_snapshot!(server.run("nodes ls -N").await.out, @"
    NODE  STATE         SKU   GPUS(F/L/O/T)  POWER  LEASES  PATH                      REASON
    h001  available     h200  8/0/0/8        900W   -       hall-1/row-1/rack-1/h001  -
    h002  available     h200  8/0/0/8        900W   -       hall-1/row-1/rack-1/h002  -
    h003  leased        h200  0/8/0/8        5400W  7       hall-1/row-1/rack-1/h003  -
    h004  available     h200  8/0/0/8        900W   -       hall-1/row-1/rack-1/h004  -
    h005  unreachable*  h200  0/0/8/8        900W   -       hall-1/row-1/rack-1/h005  NotHeardOf
    ");
    insta::assert_snapshot!(server.run("nodes ls -N -o wide --state leased").await.out, @"
    NODE  STATE         SKU   GPUS(F/L/O/T)  POWER  LEASES  PATH                      REASON      INDEX  OWNER     SIDE    AGENT  DRIVER
    h001  available     h200  8/0/0/8        900W   -       hall-1/row-1/rack-1/h001  -           1      sellable  -       0.1.0  570.86.15
    h002  available     h200  8/0/0/8        900W   -       hall-1/row-1/rack-1/h002  -           2      sellable  -       0.1.0  570.86.15
    h003  leased        h200  0/8/0/8        5400W  7       hall-1/row-1/rack-1/h003  -           3      sellable  tenant  0.1.0  570.86.15
    h004  available     h200  8/0/0/8        900W   -       hall-1/row-1/rack-1/h004  -           4      sellable  -       0.1.0  570.86.15
    h005  unreachable*  h200  0/0/8/8        900W   -       hall-1/row-1/rack-1/h005  NotHeardOf  5      sellable  -       0.1.0  570.86.15
    ");
    assert_eq!(server.asked()[2].line, "GET /v1/nodes?state=leased");
    assert_eq!(
        server.run("nodes ls -o name").await.out,
        "h001\nh002\nh003\nh004\nh005\n"
    );
}

#[tokio::test]
async fn whoever_asks_why_nodes_are_not_let_is_told_who_said_so_and_since_when() {
    let mut both = drained(3);
    both.flags.insert(
        0,
        FlagView {
            flag: FlagKind::Maintenance,
            by: "0".into(),
            why: "new plates".into(),
            until: None,
            ..both.flags[0].clone()
        },
    );
    let nodes = vec![free(1), drained(2), both, drained(4), silent(5)];
    let server = Server::saying(200, json(&List::new("NodeList", Seq(9), nodes)));
    insta::assert_snapshot!(server.run("nodes ls --reasons").await.out, @"
    NODES       COUNT  STATE               FLAG           BY    SINCE              UNTIL              ACTION  REASON
    h[002,004]  2      leased+drain        no-new-leases  1000  2026-11-22T09:10Z  2026-11-23T06:00Z  -       a fan is loud
    h003        1      leased+maint+drain  maintenance    0     2026-11-22T09:10Z  -                  -       new plates
    h003        1      leased+maint+drain  no-new-leases  1000  2026-11-22T09:10Z  2026-11-23T06:00Z  -       a fan is loud
    h005        1      unreachable*        -              -     2026-11-22T09:00Z  -                  -       NotHeardOf: report agrees with what was admitted
    ");
    insta::assert_snapshot!(server.run("nodes ls").await.out, @"
    NODES       STATE               SKU   COUNT  GPUS(F/L/O/T)  POWER   REASON
    h001        available           h200  1      8/0/0/8        900W    -
    h[002,004]  leased+drain        h200  2      0/16/0/16      10.8kW  -
    h003        leased+maint+drain  h200  1      0/8/0/8        5400W   -
    h005        unreachable*        h200  1      0/0/8/8        900W    NotHeardOf
    ");
    let server = Server::saying(200, json(&drained(2)));
    insta::assert_snapshot!(server.run("nodes show h002").await.out, @"
    node     h002
    index    2
    state    leased+drain since 2026-11-22T09:00:00Z
    reason   Verified: report agrees with what was admitted
    flags    no-new-leases by 1000 since 2026-11-22T09:10:00Z until 2026-11-23T06:00:00Z: a fan is loud
    path     hall-1/row-1/rack-1/h002
    sku      h200
    owner    sellable
    side     tenant
    gpus     0/8/0/8 (free/leased/other/total)
    power    5400 W, 10.0 kW with the rest of the node
    leases   7
    agent    0.1.0
    driver   570.86.15
    ");
}

#[tokio::test]
async fn a_node_is_shown_on_a_page() {
    let server = Server::saying(200, json(&silent(5)));
    insta::assert_snapshot!(server.run("nodes show h005").await.out, @"
    node     h005
    index    5
    state    unreachable* since 2026-11-22T09:00:00Z
    reason   NotHeardOf: report agrees with what was admitted
    path     hall-1/row-1/rack-1/h005
    sku      h200
    owner    sellable
    gpus     0/0/8/8 (free/leased/other/total)
    power    900 W, 5500 W with the rest of the node
    agent    0.1.0
    driver   570.86.15
    ");
}

#[tokio::test]
async fn gpus_that_do_not_say_show_a_dash() {
    let gpu = GpuView {
        node: "h001".parse().unwrap(),
        slot: 0,
        uuid: "GPU-5f3b9d1e-0000-0000-0000-000000000001".parse().unwrap(),
        sku: "h200".parse().unwrap(),
        node_state: NodeState::Leased,
        verdict: Some(Verdict::Healthy),
        since: Some("2026-11-22T09:00:00Z".parse().unwrap()),
        reasons: Vec::new(),
        action: Some(Action::None),
        can_be_let: true,
        out_until: None,
        findings: Vec::new(),
        words: Vec::new(),
        lease: Some(LeaseId(7)),
        power_watts: Some(612),
        limit_watts: Some(700),
        celsius: Some(64),
        memory_used_mib: Some(81_559),
        ecc_uncorrected: Some(0),
    };
    let mute = GpuView {
        slot: 1,
        uuid: "GPU-77aa0000-0000-0000-0000-000000000002".parse().unwrap(),
        verdict: None,
        since: None,
        reasons: vec!["no report yet".into()],
        action: None,
        can_be_let: false,
        lease: None,
        power_watts: None,
        limit_watts: None,
        celsius: None,
        memory_used_mib: None,
        ecc_uncorrected: None,
        ..gpu.clone()
    };
    let server = Server::saying(200, json(&List::new("GpuList", Seq(9), vec![gpu, mute])));
    insta::assert_snapshot!(server.run("gpus ls --node h001").await.out, @"
    NODE  IDX  UUID      SKU   STATE   HEALTH   SINCE              LEASE  MEM       POWER/CAP  TEMP  ECC  ACTION  REASON
    h001  0    5f3b9d1e  h200  leased  healthy  2026-11-22T09:00Z  7      81559MiB  612/700W   64C   0    -       -
    h001  1    77aa0000  h200  leased  -        -                  -      -         -          -     -    -       no report yet
    ");
    assert_eq!(server.asked()[0].line, "GET /v1/gpus?node=h001");
}

#[tokio::test]
async fn status_begins_with_what_an_operator_must_know() {
    let status = Status {
        cell: "c1".parse().unwrap(),
        host: "ctl-1".into(),
        leader: Some("ctl-1".into()),
        leading: true,
        alerts: vec!["SIMULATED 16xh200, embedded store".into()],
        frozen: Some("the store is 500 records behind the log".into()),
        brake: false,
        store: "embedded".into(),
        epoch: Epoch(1),
        seq: Seq(88),
        log_hash: Digest::ZERO,
        now: "2026-11-22T09:26:00Z".parse().unwrap(),
        nodes: BTreeMap::from([(NodeState::Available, 12), (NodeState::Leased, 4)]),
        node_count: 16,
        nodes_live: 16,
        gpus: 128,
        gpus_free: 96,
        gpus_leased: 32,
        power_watts: 31_200,
        envelope_watts: 40_800,
        leases: BTreeMap::from([(LeaseState::Active, 1), (LeaseState::Requested, 2)]),
        pending: BTreeMap::from([("Capacity".into(), 2)]),
    };
    insta::assert_snapshot!(Server::saying(200, json(&status)).run("status").await.out, @"
    # decisions are frozen: the store is 500 records behind the log
    # SIMULATED 16xh200, embedded store
    cell      c1
    leader    ctl-1 (this host)
    store     embedded
    ledger    epoch 1, record 88, 2026-11-22T09:26:00Z
    log head  b3:0000000000000000000000000000000000000000000000000000000000000000
    nodes     16: 12 available · 4 leased
    live      16 of 16
    gpus      128: 96 free · 32 leased
    power     31.2 kW drawn, 40.8 kW promised
    leases    3: 2 requested · 1 active
    pending   2: 2 Capacity
    ");
}

#[tokio::test]
async fn an_import_shows_what_changes_line_by_line() {
    let report = ImportReport {
        dry_run: true,
        added: 1,
        moved: 1,
        same: 1,
        errors: 1,
        lines: vec![
            ImportedLine {
                line: 2,
                node: "h001".into(),
                outcome: NodeChange::Add,
            },
            ImportedLine {
                line: 3,
                node: "h002".into(),
                outcome: NodeChange::Same,
            },
            ImportedLine {
                line: 4,
                node: "h003".into(),
                outcome: NodeChange::Move {
                    what: vec!["path a/1/1/1 -> a/1/2/1".into()],
                },
            },
            ImportedLine {
                line: 5,
                node: "h004".into(),
                outcome: NodeChange::Error {
                    field: "sku".into(),
                    value: "h2000".into(),
                    detail: "no such SKU, allowed is a100, h100, h200".into(),
                },
            },
        ],
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.csv");
    std::fs::write(&file, "node,hall,row,rack,domain,sku\nh001,a,1,1,1,h200\n").unwrap();
    let server = Server::saying(200, json(&report));
    let ran = server
        .run(&format!("nodes import {} --dry-run", file.display()))
        .await;
    assert_eq!(ran.exit, Exit::Usage, "{ran:?}");
    insta::assert_snapshot!(ran.out, @r#"
    LINE  NODE  CHANGE  DETAIL
    2     h001  add     -
    4     h003  move    path a/1/1/1 -> a/1/2/1
    5     h004  error   sku "h2000": no such SKU, allowed is a100, h100, h200
    nothing was changed: 1 added, 1 moved, 1 the same, 1 wrong
    "#);
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/nodes/import?dry_run=true");
    insta::assert_snapshot!(asked.body, @r#"
    {"nodes":[{"line":2,"node":"h001","path":"a/1/1/1","sku":"h200"}]}
    "#);
}

#[tokio::test]
async fn nodes_are_admitted_by_hostlist() {
    let server = Server::saying(200, "{}");
    let ran = server
        .run("nodes admit h[001-003] h004 --reason recabled")
        .await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Exit::Ok, "admitted h[001-004]\n"),
        "{ran:?}"
    );
    assert_eq!(
        server.asked()[0].body,
        r#"{"nodes":"h[001-004]","reason":"recabled"}"#
    );
}
