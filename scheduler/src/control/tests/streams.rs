use super::harness::{Ask, DEADLINE, Daemon, until};
use crate::control::serve::Limits;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Reads a stream until it has this much of text.
async fn read(body: &mut Incoming, length: usize) -> String {
    let mut text = Vec::new();
    let reading = async {
        while text.len() < length {
            let frame = body.frame().await.expect("the stream goes on").unwrap();
            text.extend_from_slice(&frame.into_data().unwrap());
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap();
    String::from_utf8(text).unwrap()
}

fn sse(seq: u64) -> String {
    format!("id: {seq}\nevent: lease.state\ndata: {}\n\n", json(seq))
}

fn json(seq: u64) -> String {
    format!("{{\"event_name\":\"lease.state\",\"seq\":{seq}}}")
}

#[tokio::test]
async fn past_events_end_at_the_head() {
    let daemon = Daemon::start();
    let reply = daemon.get("/v1/events?follow=false&since=3").await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.body, sse(4) + &sse(5));
    let ask = Ask::get("/v1/events?follow=false").with("accept", "application/x-ndjson");
    let reply = daemon.ask(ask).await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let lines = String::from_utf8(reply.body.to_vec()).unwrap();
    assert_eq!(
        lines,
        (1..=5).map(|seq| json(seq) + "\n").collect::<String>()
    );
}

#[tokio::test]
async fn a_stream_is_resumed_after_its_last_event_and_ends_with_the_daemon() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    let ask = Ask::get("/v1/events?since=1").with("last-event-id", "4");
    let mut body = client.send(ask).await.into_body();
    assert_eq!(read(&mut body, sse(5).len()).await, sse(5));
    daemon.shutdown.cancel();
    let end = tokio::time::timeout(DEADLINE, body.frame()).await.unwrap();
    assert!(end.is_none(), "the stream ends as it should: {end:?}");
    tokio::time::timeout(DEADLINE, daemon.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn one_stream_too_many_is_refused_until_another_ends() {
    let daemon = Daemon::within(Limits {
        streams: 1,
        ..Limits::USUAL
    });
    let mut client = daemon.client().await;
    let first = client.send(Ask::get("/v1/events")).await;
    assert_eq!(first.status(), 200);
    let second = daemon.get("/v1/events").await;
    assert_eq!(second.problem(), (429, "too-many-pending".into()));
    assert_eq!(daemon.get("/v1/status").await.status, 200);
    drop(first);
    drop(client);
    until("its place is free", async || {
        let reply = daemon.get("/v1/events?follow=false&since=5").await;
        reply.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_place_that_is_no_number_is_refused() {
    let daemon = Daemon::start();
    let ask = Ask::get("/v1/events").with("last-event-id", "latest");
    let reply = daemon.ask(ask).await;
    assert_eq!(reply.problem(), (422, "invalid-field".into()));
    assert_eq!(reply.json()["field"], "last-event-id");
}
