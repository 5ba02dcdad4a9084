use super::harness::{Ask, DEADLINE, Daemon, until};
use crate::control::serve::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const SLOW: &str = r#"{"name":"slow","side":"tenant"}"#;

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let daemon = Daemon::within(Limits {
        request: Duration::from_millis(50),
        ..Limits::USUAL
    });
    let reply = daemon.post("/v1/accounts", SLOW).await;
    assert_eq!(reply.problem(), (504, "timeout".into()));
    assert_eq!(reply.json()["retryable"], true);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let daemon = Daemon::within(Limits {
        head: Duration::from_millis(50),
        ..Limits::USUAL
    });
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    stream.write_all(b"GET /v1/status HT").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection stays open");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let daemon = Daemon::within(Limits {
        connections: 2,
        ..Limits::USUAL
    });
    let (mut first, mut second) = (daemon.client().await, daemon.client().await);
    first.ask(Ask::get("/v1/status")).await;
    second.ask(Ask::get("/v1/status")).await;
    let mut third = daemon.client().await;
    let mut waiting = Box::pin(third.ask(Ask::get("/v1/status")));
    for _ in 0..20 {
        assert!(
            futures::poll!(&mut waiting).is_pending(),
            "served beyond the limit"
        );
        second.ask(Ask::get("/v1/status")).await;
    }
    drop(first);
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test]
async fn a_shutdown_finishes_what_was_begun() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    let slow = tokio::spawn(async move { client.ask(Ask::post("/v1/accounts", SLOW)).await });
    until("the write has begun", async || daemon.fake.written() == 1).await;
    daemon.shutdown.cancel();
    until("new clients are refused", async || {
        UnixStream::connect(&daemon.socket).await.is_err()
    })
    .await;
    daemon.fake.go_on.add_permits(1);
    assert_eq!(slow.await.unwrap().status, 201);
    tokio::time::timeout(DEADLINE, daemon.task)
        .await
        .unwrap()
        .unwrap();
    assert!(!daemon.socket.exists());
}
