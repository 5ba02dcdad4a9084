//! The client against connections that break.

use crate::server::{Reply, Server};
use leasectl::exit::Exit;
use std::sync::atomic::{AtomicUsize, Ordering};

const ACCOUNT: &str = r#"{"name":"acme","side":"tenant","quota_gpus":512,"used_gpus":0,"leases":0,
    "created":"2026-11-22T09:14:02.000Z"}"#;

/// Hangs up on the first `count` requests.
fn server_that_hangs_up(count: usize) -> Server {
    let seen = AtomicUsize::new(0);
    Server::start(move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) < count {
            Reply::HangUp
        } else {
            Reply::Json(201, ACCOUNT.to_owned())
        }
    })
}

const CREATE: &str = "accounts create acme --side tenant --quota-gpus 512";

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_sent_once_more_under_the_same_key() {
    let server = server_that_hangs_up(1);
    let ran = server.run(CREATE).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0].line, "POST /v1/accounts");
    assert_eq!(
        asked[0].body,
        r#"{"name":"acme","side":"tenant","quota_gpus":512}"#
    );
    assert_eq!(asked[0].key.len(), 36, "a UUID: {}", asked[0].key);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_twice_names_the_key_to_ask_with() {
    let server = server_that_hangs_up(9);
    let ran = server.run(&format!("{CREATE} --request-id order-17")).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert_eq!(server.asked().len(), 2);
    assert!(
        ran.err
            .contains("repeat the command with --request-id order-17"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("was lost before the answer"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn where_nobody_listens_the_command_says_so_and_exits_8() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock");
    let ran = crate::server::run(&socket, "status", None).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    let told = ran.err.replace(dir.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(told, @"
    leasectl: no scheduler answers on DIR/none.sock: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_after_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mute.sock");
    // Connections are accepted by the kernel; nobody ever reads them.
    let _mute = tokio::net::UnixListener::bind(&socket).unwrap();
    let ran = crate::server::run(&socket, "status --timeout 50ms", None).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(
        ran.err.contains("has not answered within 50ms"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn past_events_are_lines() {
    let event = r#"{"seq":17,"epoch":1,"cell":"c1","time_unix_nano":"1763802842000000000","event_name":"account.changed","subject":{"account":"acme"}}"#;
    let server = Server::saying(200, format!("{event}\n{event}\n"));
    let ran = server.run("events --since 16").await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(
        server.asked()[0].line,
        "GET /v1/events?since=16&follow=false"
    );
    assert_eq!(ran.out.lines().count(), 2);
    assert!(
        ran.out.contains("account.changed") && ran.out.contains("account acme"),
        "{}",
        ran.out
    );
    let ran = server.run("events -o jsonl").await;
    assert_eq!(ran.out, format!("{event}\n{event}\n"));
}
