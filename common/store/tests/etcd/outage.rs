//! Servers that die and servers that freeze.

use crate::support::etcd_server::{EtcdServer, Wish};
use crate::support::{eventually, next, put, put_of, value, what};
use leasehold_common::time::Span;
use leasehold_store::election::campaign;
use leasehold_store::{Revision, Store, StoreError, Watch, WatchMessage};
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn durable() -> Option<EtcdServer> {
    EtcdServer::start_as(Wish {
        durable: true,
        ..Wish::default()
    })
    .await
}

/// Reads a watch until it has seen this revision; what it delivered, contact notes left out.
async fn seen_until(watch: &mut Watch, last: Revision) -> Vec<Revision> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        match next(watch).await {
            WatchMessage::Changes(changes) => {
                seen.extend(changes.iter().map(|change| what(change).1));
            }
            WatchMessage::ContactLost | WatchMessage::ContactBack => {}
            WatchMessage::Snapshot(_) => panic!("nothing was compacted"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_no_gap_in_a_watch_and_loses_nothing() {
    let Some(mut server) = durable().await else {
        return;
    };
    let store = server.store().await;
    let from = put(&store, "/c/begin", "x").await.revision;
    let mut watch = store.watch("/c/", from).await.unwrap();
    let mut written = Vec::new();
    for round in 0..3 {
        for i in 0..20 {
            let key = format!("/c/{round}/{i}");
            written.push(put(&store, &key, "x").await.revision);
        }
        server.kill();
        let down = store.commit(put_of("/c/down", "x")).await;
        assert!(
            matches!(
                down,
                Err(StoreError::Unavailable { .. } | StoreError::Unknown { .. })
            ),
            "{down:?}"
        );
        server.restart().await;
    }
    let last = eventually("the server takes writes again", async || {
        store.commit(put_of("/c/end", "x")).await.ok()
    })
    .await;

    let mut seen = seen_until(&mut watch, last.revision).await;
    assert!(seen.is_sorted_by(|a, b| a < b), "out of order or twice");
    // Apart from the end, everything seen was acknowledged, or its outcome was unknown.
    seen.retain(|revision| written.contains(revision));
    assert_eq!(seen, written);
    assert_eq!(store.list("/c/2/").await.unwrap().entries.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_an_error_in_time_and_a_watch_says_so() {
    let Some(server) = EtcdServer::start().await else {
        return;
    };
    let store = server.store().await;
    let from = put(&store, "/c/a", "before").await.revision;
    let mut watch = store.watch("/c/", from).await.unwrap();

    server.freeze();
    let begun = Instant::now();
    let write = store.commit(put_of("/c/a", "during")).await;
    // It was sent, and may be applied as soon as the server goes on.
    assert!(
        matches!(write, Err(StoreError::Unknown { .. })),
        "{write:?}"
    );
    let read = store.get("/c/a").await;
    assert!(
        matches!(read, Err(StoreError::Unavailable { .. })),
        "{read:?}"
    );
    // Two seconds a call, and a read is tried twice.
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(next(&mut watch).await, WatchMessage::ContactLost);

    server.thaw();
    let after = eventually("the server takes writes again", async || {
        store.commit(put_of("/c/b", "after")).await.ok()
    })
    .await;
    assert_eq!(next(&mut watch).await, WatchMessage::ContactBack);
    let seen = seen_until(&mut watch, after.revision).await;
    assert!(seen.is_sorted_by(|a, b| a < b), "out of order or twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_key_survives_a_restart_of_the_server() {
    let Some(mut server) = durable().await else {
        return;
    };
    let store = server.store().await;
    let ttl = Span::from_secs(3);
    let keeper = store.keep("/c/live/n1", "x".into(), ttl, vec![], true);
    let keeper = keeper.await.unwrap();
    server.kill();
    eventually("the keeper notices", async || {
        (keeper.unconfirmed_for() > ttl.std()).then_some(())
    })
    .await;
    server.restart().await;
    eventually("the key is confirmed again", async || {
        (keeper.unconfirmed_for() < ttl.std()).then_some(())
    })
    .await;
    assert_eq!(value(&store, "/c/live/n1").await.as_deref(), Some("x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_stops_by_itself_when_the_server_is_frozen() {
    let Some(server) = EtcdServer::start().await else {
        return;
    };
    let store: Arc<dyn Store> = Arc::new(server.store().await);
    let (ttl, margin) = (Span::from_secs(4), Span::from_secs(1));
    let key = "/c/election/leader";
    let leadership = campaign(Arc::clone(&store), key, "a".into(), ttl).await;
    let leadership = leadership.unwrap();
    assert!(leadership.is_valid(margin));
    server.freeze();
    eventually("it no longer trusts its leadership", async || {
        (!leadership.is_valid(margin)).then_some(())
    })
    .await;
    leadership.lost().await;
    server.thaw();
    // It does not come back to life, whatever the server says now.
    assert!(!leadership.is_valid(Span::ZERO));
}
