//! What only servers do.

mod auth;
mod outage;
mod tls;

use crate::support::etcd_server::{EtcdServer, dead_url};
use crate::support::{next, put, value};
use leasehold_store::etcd::{EtcdSettings, EtcdStore};
use leasehold_store::{Revision, Store, StoreError, WatchMessage};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_older_than_the_compaction_gets_a_snapshot() {
    let Some(server) = EtcdServer::start().await else {
        return;
    };
    let store = server.store().await;
    let mut revisions = Vec::new();
    for i in 0..10 {
        revisions.push(put(&store, "/c/a", &i.to_string()).await.revision);
    }
    put(&store, "/c/b", "b").await;
    server.compact(revisions[8].0);

    let mut watch = store.watch("/c/", revisions[2]).await.unwrap();
    let WatchMessage::Snapshot(listing) = next(&mut watch).await else {
        panic!("history is gone, and it was not said");
    };
    let keys: Vec<&str> = listing.entries.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["/c/a", "/c/b"]);
    assert_eq!(listing.entries[0].value, b"9");

    // It goes on from there.
    let after = put(&store, "/c/a", "after").await.revision;
    let WatchMessage::Changes(changes) = next(&mut watch).await else {
        panic!("wanted the change");
    };
    assert_eq!(crate::support::what(&changes[0]), ("/c/a", after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_costs_one_try() {
    let Some(server) = EtcdServer::start().await else {
        return;
    };
    let mut settings = server.settings();
    settings.endpoints.insert(0, dead_url());
    settings.endpoints.push(dead_url());
    let store = EtcdStore::connect(settings).await.unwrap();

    let begun = Instant::now();
    for i in 0..50 {
        put(&store, "/c/a", &i.to_string()).await;
    }
    // The endpoint that answers is kept; a balancer would have met the dead ones again and again.
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(value(&store, "/c/a").await.as_deref(), Some("49"));
    assert!(store.describe().contains(&server.url()));
    let warnings = store.warnings().await;
    let dead = |warning: &&String| warning.contains("does not answer");
    assert_eq!(warnings.iter().filter(dead).count(), 2, "{warnings:?}");
}

#[tokio::test]
async fn no_server_at_all_is_an_error_in_time() {
    let settings = EtcdSettings::plain(vec![dead_url(), dead_url()]);
    let begun = Instant::now();
    let error = EtcdStore::connect(settings).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_and_what_is_wrong_with_it_are_named() {
    let Some(server) = EtcdServer::start().await else {
        return;
    };
    let store = server.store().await;
    let described = store.describe();
    assert!(described.starts_with("etcd 3."), "{described}");
    let warnings = store.warnings().await;
    let plain = warnings.iter().any(|warning| warning.contains("no TLS"));
    assert!(plain, "{warnings:?}");
    // A revision that this server never had: it was restored from an older snapshot.
    let mut watch = store.watch("/c/", Revision(1_000_000)).await.unwrap();
    assert!(matches!(
        next(&mut watch).await,
        WatchMessage::Snapshot(listing) if listing.entries.is_empty()
    ));
}
