//! GPUs that are not in order, and what operators say of them.

use crate::server::Server;
use clap::Parser as _;
use leasectl::args::Cli;
use leasectl::exit::Exit;
use serde_json::{Value, json};

const UUID: &str = "GPU-5f3b9d1e-0000-0000-0000-000000000001";

fn gpu(besides: Value) -> Value {
    let mut gpu = json!({"node": "h001", "slot": 3, "uuid": UUID, "sku": "h200",
        "node_state": "leased", "verdict": "unhealthy", "since": "2026-11-22T09:00:00Z",
        "reasons": ["MemoryFault"], "action": "reset-gpu", "can_be_let": false,
        "findings": [{"reason": "MemoryFault", "since": "2026-11-22T08:59:00Z",
            "evidence": "XID 95: uncontained memory error", "action": "reset-gpu"}],
        "lease": 7, "power_watts": 98, "limit_watts": 700, "celsius": 41,
        "memory_used_mib": 0, "ecc_uncorrected": 1});
    for (name, value) in besides.as_object().unwrap() {
        gpu[name] = value.clone();
    }
    gpu
}

fn word(says: &str, besides: Value) -> Value {
    let mut word = json!({"says": says, "by": "1000", "why": "burnt in",
        "at": "2026-11-22T10:00:00Z", "until": "2026-11-23T10:00:00Z"});
    for (name, value) in besides.as_object().unwrap() {
        word[name] = value.clone();
    }
    word
}

fn list(gpus: Value) -> String {
    json!({"apiVersion": "v1", "kind": "GpuList", "index": 9, "items": gpus}).to_string()
}

fn is_wrong(words: &str) -> bool {
    let words = ["leasectl"].into_iter().chain(words.split(' '));
    Cli::try_parse_from(words).is_err()
}

#[tokio::test]
async fn those_that_are_not_in_order_are_listed_with_what_was_seen() {
    let overridden = gpu(json!({"slot": 4, "can_be_let": true,
        "words": [word("override", json!({"verdict": "healthy"}))]}));
    let waits = gpu(
        json!({"slot": 5, "verdict": "healthy", "reasons": [], "action": "none",
        "findings": [], "out_until": "2026-11-22T09:40:00Z"}),
    );
    let server = Server::saying(200, list(json!([gpu(json!({})), overridden, waits])));
    let ran = server.run("gpus ls --unhealthy --node h001").await;
    insta::assert_snapshot!(ran.out, @"
    NODE  IDX  UUID      STATE   HEALTH              LET                SINCE              LEASE  ACTION     REASON       SEEN
    h001  3    5f3b9d1e  leased  unhealthy           no                 2026-11-22T09:00Z  7      reset-gpu  MemoryFault  XID 95: uncontained memory error
    h001  4    5f3b9d1e  leased  unhealthy+override  yes                2026-11-22T09:00Z  7      reset-gpu  MemoryFault  XID 95: uncontained memory error
    h001  5    5f3b9d1e  leased  healthy             2026-11-22T09:40Z  2026-11-22T09:00Z  7      -          -            -
    ");
    assert_eq!(
        server.asked()[0].line,
        "GET /v1/gpus?node=h001&unhealthy=true"
    );
}

#[tokio::test]
async fn one_is_shown_with_all_that_was_found_and_said() {
    let words = json!([
        word("override", json!({"verdict": "healthy"})),
        word(
            "acknowledge",
            json!({"reason": "RowRemapFailed", "why": "board replaced"})
        ),
    ]);
    let server = Server::saying(200, gpu(json!({"words": words})).to_string());
    let ran = server.run("gpus show h001/3").await;
    insta::assert_snapshot!(ran.out, @"
    gpu      h001/3
    uuid     GPU-5f3b9d1e-0000-0000-0000-000000000001
    sku      h200
    node     leased
    health   unhealthy+override since 2026-11-22T09:00:00Z
    reasons  MemoryFault
    action   reset-gpu
    let      no
    said     override healthy by 1000 at 2026-11-22T10:00:00Z until 2026-11-23T10:00:00Z: burnt in
             acknowledge RowRemapFailed by 1000 at 2026-11-22T10:00:00Z until 2026-11-23T10:00:00Z: board replaced
    lease    7
    power    98/700W
    memory   0 MiB
    celsius  41
    ecc      1
    FOUND        SINCE              ACTION     SEEN
    MemoryFault  2026-11-22T08:59Z  reset-gpu  XID 95: uncontained memory error
    ");
    assert_eq!(server.asked()[0].line, "GET /v1/gpus/h001/3");
    assert!(is_wrong("gpus show h001"));
}

#[tokio::test]
async fn words_are_sent_as_they_are_typed() {
    let server = Server::saying(200, list(json!([gpu(json!({}))])));
    for words in [
        "gpus ack h001:3 h[002-004]:0 --reason replaced --of RowRemapFailed --request-id w1",
        "gpus override h001:3 --verdict healthy --until 24h --reason tested",
        "gpus override h001:3 --verdict unhealthy --until 2026-12-01T22:00:00Z --reason noise --dry-run",
        "gpus withdraw h001:3 --reason wrong",
    ] {
        assert_eq!(server.run(words).await.exit, Exit::Ok, "{words}");
    }
    let asked = server.asked();
    let sent: Vec<String> = asked
        .iter()
        .map(|asked| format!("{} {}", asked.line, asked.body))
        .collect();
    insta::assert_snapshot!(sent.join("\n"), @r#"
    POST /v1/gpus/acknowledge {"gpus":["h001:3","h[002-004]:0"],"reason":"replaced","of":"RowRemapFailed"}
    POST /v1/gpus/override {"gpus":["h001:3"],"verdict":"healthy","reason":"tested","for":"1d"}
    POST /v1/gpus/override?dry_run=true {"gpus":["h001:3"],"verdict":"unhealthy","reason":"noise","until":"2026-12-01T22:00:00.000Z"}
    POST /v1/gpus/withdraw {"gpus":["h001:3"],"reason":"wrong"}
    "#);
    assert_eq!(asked[0].key, "w1");
    for wrong in [
        "gpus override h001:3 --verdict fine --until 1h --reason x",
        "gpus override h001:3 --verdict healthy --reason x",
        "gpus ack h001:3",
    ] {
        assert!(is_wrong(wrong), "{wrong}");
    }
}

#[tokio::test]
async fn nodes_say_what_ails_them_among_their_reasons() {
    let ailment = |slot: Value, verdict: &str, action: &str| {
        json!({"slot": slot, "verdict": verdict, "reasons": ["GpuLost"], "action": action,
            "since": "2026-11-22T09:00:00Z", "evidence": "XID 79", "can_be_let": false})
    };
    let node = json!({"name": "h001", "index": 1, "state": "leased",
        "since": "2026-11-22T08:00:00Z", "reason": "Verified", "detail": "", "live": false,
        "path": null, "sku": "h200", "owner": "sellable", "side": null, "gpus": 8, "gpus_free": 6,
        "gpus_leased": 0, "power_watts": 800, "node_watts": 5400, "power_stale": true,
        "draws": [{"slot": 0, "watts": 98, "limit_watts": 700}, {"slot": 1}],
        "ailments": [ailment(Value::Null, "unhealthy", "reboot-node"),
            ailment(json!(3), "lost", "reboot-node")],
        "leases": [], "agent": null, "driver": null, "trouble": null});
    let nodes = json!({"apiVersion": "v1", "kind": "NodeList", "index": 9, "items": [node]});
    let server = Server::saying(200, nodes.to_string());
    insta::assert_snapshot!(server.run("nodes ls --reasons").await.out, @"
    NODES  COUNT  STATE    FLAG  BY  SINCE              UNTIL  ACTION       REASON
    h001   1      leased*  -     -   2026-11-22T09:00Z  -      reboot-node  gpu 3 lost (GpuLost): XID 79
    h001   1      leased*  -     -   2026-11-22T09:00Z  -      reboot-node  node unhealthy (GpuLost): XID 79
    ");
    let server = Server::saying(200, node.to_string());
    insta::assert_snapshot!(server.run("nodes show h001").await.out, @"
    node     h001
    index    1
    state    leased* since 2026-11-22T08:00:00Z
    reason   Verified
    sku      h200
    owner    sellable
    gpus     6/0/2/8 (free/leased/other/total)
    power    800 W, 5400 W with the rest of the node (old)
    draws    0: 98/700W  1: -/-W
    health   node unhealthy (GpuLost): XID 79; do: reboot-node; since 2026-11-22T09:00:00Z
             gpu 3 lost (GpuLost): XID 79; do: reboot-node; since 2026-11-22T09:00:00Z
    ");
}
