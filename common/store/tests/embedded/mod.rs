//! What only a file does.

mod crash;

use crate::support::{next, put, value};
use leasehold_common::time::Span;
use leasehold_store::embedded::EmbeddedStore;
use leasehold_store::{Store, StoreError, Txn, WatchMessage};

#[tokio::test]
async fn a_second_opener_is_told_that_the_file_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let first = EmbeddedStore::open(&path).await.unwrap();
    let second = EmbeddedStore::open(&path).await.unwrap_err();
    assert_eq!(
        second.to_string(),
        format!(
            "database {}: it is in use by another process",
            path.display()
        )
    );
    drop(first);
    EmbeddedStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "not a database ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = EmbeddedStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let nowhere = EmbeddedStore::open(&dir.path().join("no/such/dir/store.redb")).await;
    assert!(matches!(nowhere, Err(StoreError::Database { .. })));
}

#[tokio::test]
async fn records_and_revisions_outlive_the_process_and_kept_keys_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = EmbeddedStore::open(&path).await.unwrap();
    let created = put(&store, "/c/a", "1").await.revision;
    let modified = put(&store, "/c/a", "2").await.revision;
    let ttl = Span::from_mins(10);
    let keeper = store
        .keep("/c/live/n1", "x".into(), ttl, vec![], true)
        .await;
    let kept_at = keeper.as_ref().unwrap().put_at();
    drop(store);
    assert_eq!(keeper.unwrap().unconfirmed_for(), std::time::Duration::MAX);

    let store = EmbeddedStore::open(&path).await.unwrap();
    let entry = store.get("/c/a").await.unwrap().unwrap();
    assert_eq!((entry.created, entry.modified), (created, modified));
    assert_eq!(value(&store, "/c/live/n1").await, None);
    let next = put(&store, "/c/b", "3").await.revision;
    assert!(next > kept_at, "revisions never come twice");
}

#[tokio::test]
async fn a_watch_older_than_the_history_gets_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = EmbeddedStore::open(&path).await.unwrap();
    let old = put(&store, "/c/a", "1").await.revision;
    put(&store, "/c/a", "2").await;
    put(&store, "/d", "elsewhere").await;
    drop(store);

    let store = EmbeddedStore::open(&path).await.unwrap();
    let mut watch = store.watch("/c/", old).await.unwrap();
    let WatchMessage::Snapshot(listing) = next(&mut watch).await else {
        panic!("history is gone, and it was not said");
    };
    assert_eq!(listing.entries.len(), 1);
    put(&store, "/c/b", "3").await;
    assert!(matches!(next(&mut watch).await, WatchMessage::Changes(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_is_too_slow_gets_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&dir.path().join("store.redb")).await;
    let store = std::sync::Arc::new(store.unwrap());
    let from = put(&*store, "/c/0", "x").await.revision;
    let mut watch = store.watch("/c/", from).await.unwrap();

    // More than the watch and the history behind it can hold, from many at once.
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..50 {
        let store = std::sync::Arc::clone(&store);
        writers.spawn(async move {
            for i in 0..100 {
                put(&*store, &format!("/c/{writer}/{i}"), "x").await;
            }
        });
    }
    writers.join_all().await;
    let last = store.commit(Txn::default()).await.unwrap().revision;

    let mut snapshots = 0;
    loop {
        match next(&mut watch).await {
            WatchMessage::Snapshot(listing) => {
                snapshots += 1;
                if listing.revision == last {
                    assert_eq!(listing.entries.len(), 5001);
                    break;
                }
            }
            WatchMessage::Changes(changes) => {
                let (_, revision) = crate::support::what(&changes[0]);
                assert!(revision < last || snapshots > 0);
                if revision == last {
                    break;
                }
            }
            WatchMessage::ContactLost | WatchMessage::ContactBack => {}
        }
    }
    assert!(snapshots > 0);
}
