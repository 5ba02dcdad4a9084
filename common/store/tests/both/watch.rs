//! Watches.

use crate::support::{delete, next_changes, put, what};
use leasehold_store::{Change, Revision, Store, Txn};
use std::sync::Arc;

pub async fn changes_come_in_order_and_once(store: Arc<dyn Store>) {
    let from = put(&*store, "/c/a", "before").await.revision;
    let mut watch = store.watch("/c/", from).await.unwrap();
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut written = Vec::new();
            for i in 0..300 {
                let key = format!("/c/{}", i % 7);
                let revision = if i % 5 == 4 {
                    put(&*store, "/c/short-lived", "x").await;
                    delete(&*store, "/c/short-lived").await.revision
                } else {
                    put(&*store, &key, &i.to_string()).await.revision
                };
                written.push(revision);
            }
            written
        }
    });
    let mut seen: Vec<Revision> = Vec::new();
    while seen.len() < 360 {
        for change in next_changes(&mut watch).await {
            seen.push(what(&change).1);
        }
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "out of order or twice");
    let written = writer.await.unwrap();
    assert!(written.iter().all(|revision| seen.contains(revision)));
}

pub async fn a_watch_from_the_past_begins_there(store: Arc<dyn Store>) {
    let mut revisions = Vec::new();
    for i in 0..20 {
        revisions.push(put(&*store, "/c/a", &i.to_string()).await.revision);
    }
    let mut watch = store.watch("/c/a", revisions[9]).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 10 {
        for change in next_changes(&mut watch).await {
            match change {
                Change::Put(entry) => seen.push(String::from_utf8(entry.value).unwrap()),
                Change::Delete { .. } => panic!("nothing was deleted"),
            }
        }
    }
    let wanted: Vec<String> = (10..20).map(|i| i.to_string()).collect();
    assert_eq!(seen, wanted);
}

pub async fn a_transaction_is_one_message(store: Arc<dyn Store>) {
    let from = put(&*store, "/c/gone", "x").await.revision;
    let mut watch = store.watch("/c/", from).await.unwrap();
    let txn = Txn {
        puts: (0..100)
            .map(|i| (format!("/c/{i}"), vec![1; 500]))
            .collect(),
        deletes: vec!["/c/gone".into()],
        ..Txn::default()
    };
    let revision = store.commit(txn).await.unwrap().revision;
    let changes = next_changes(&mut watch).await;
    assert_eq!(changes.len(), 101);
    assert!(changes.iter().all(|change| what(change).1 == revision));
}

pub async fn a_watch_sees_its_own_keys_only(store: Arc<dyn Store>) {
    let from = put(&*store, "/c/grants/n1", "0").await.revision;
    let mut folder = store.watch("/c/grants/", from).await.unwrap();
    let mut key = store.watch("/c/grants/n1", from).await.unwrap();
    put(&*store, "/c/acks/n1", "x").await;
    put(&*store, "/c/grants/n10", "x").await;
    put(&*store, "/c/grants/n1", "x").await;

    let changes = next_changes(&mut key).await;
    assert_eq!(what(&changes[0]).0, "/c/grants/n1");

    let mut seen = Vec::new();
    while seen.len() < 2 {
        let changes = next_changes(&mut folder).await;
        seen.extend(changes.iter().map(|change| what(change).0.to_owned()));
    }
    assert_eq!(seen, ["/c/grants/n10", "/c/grants/n1"]);
}
