//! What the stories stand on.

pub mod certificates;
pub mod etcd_server;
pub mod gateway;

use leasehold_store::{Change, Committed, Entry, Revision, Store, Txn, Watch, WatchMessage};
use std::time::Duration;
use tokio::time::{Instant, interval, timeout};

/// How long anything may take before a test fails. Generous: it measures the machine, not the store.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `found` has something, and fails with `what` where it never does.
pub async fn eventually<T>(what: &str, found: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut look = interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        if let Some(found) = found().await {
            return found;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
    }
}

/// The next message of a watch.
pub async fn next(watch: &mut Watch) -> WatchMessage {
    let message = timeout(PATIENCE, watch.recv()).await;
    let message = message.expect("the watch was silent for too long");
    message.expect("the watch ended")
}

/// The next changes of a watch, which must be changes.
pub async fn next_changes(watch: &mut Watch) -> Vec<Change> {
    match next(watch).await {
        WatchMessage::Changes(changes) => changes,
        other => panic!("wanted changes, got {other:?}"),
    }
}

/// Sets one key.
pub async fn put(store: &dyn Store, key: &str, value: &str) -> Committed {
    store.commit(put_of(key, value)).await.unwrap()
}

/// A transaction that sets one key.
pub fn put_of(key: &str, value: &str) -> Txn {
    Txn {
        puts: vec![(key.to_owned(), value.into())],
        ..Txn::default()
    }
}

/// Removes one key.
pub async fn delete(store: &dyn Store, key: &str) -> Committed {
    let txn = Txn {
        deletes: vec![key.to_owned()],
        ..Txn::default()
    };
    store.commit(txn).await.unwrap()
}

/// The value of a key, as text.
pub async fn value(store: &dyn Store, key: &str) -> Option<String> {
    let entry: Option<Entry> = store.get(key).await.unwrap();
    entry.map(|entry| String::from_utf8(entry.value).unwrap())
}

/// The key and revision of a change.
pub fn what(change: &Change) -> (&str, Revision) {
    match change {
        Change::Put(entry) => (&entry.key, entry.modified),
        Change::Delete { key, revision } => (key, *revision),
    }
}
