//! Listings.

use crate::support::put;
use leasehold_store::{Store, Txn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub async fn more_than_a_page_is_listed_at_one_revision(store: Arc<dyn Store>) {
    let keys: Vec<String> = (0..2500).map(|i| format!("/c/leases/{i:05}")).collect();
    for some in keys.chunks(100) {
        let puts = some.iter().map(|key| (key.clone(), "0".into())).collect();
        let txn = Txn {
            puts,
            ..Txn::default()
        };
        store.commit(txn).await.unwrap();
    }

    // The first and the last key, pages apart, are only ever changed together.
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        let ends = [keys[0].clone(), keys[2499].clone()];
        async move {
            let mut n = 0_u64;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                let puts = ends.clone().map(|key| (key, n.to_string().into()));
                let txn = Txn {
                    puts: puts.into(),
                    ..Txn::default()
                };
                store.commit(txn).await.unwrap();
            }
            n
        }
    });
    for _ in 0..10 {
        let listing = store.list("/c/leases/").await.unwrap();
        let listed: Vec<&String> = listing.entries.iter().map(|e| &e.key).collect();
        assert_eq!(listed, keys.iter().collect::<Vec<_>>());
        assert_eq!(listing.entries[0].value, listing.entries[2499].value);
        let newest = listing.entries.iter().map(|e| e.modified).max();
        assert!(newest.unwrap() <= listing.revision);
    }
    done.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
}

pub async fn a_prefix_is_a_folder_or_one_key(store: Arc<dyn Store>) {
    for key in ["/c/live/n1", "/c/live/n10", "/c/live0", "/c/lives/n1", "/d"] {
        put(&*store, key, "x").await;
    }
    let keys = async |prefix: &str| -> Vec<String> {
        let listing = store.list(prefix).await.unwrap();
        listing.entries.into_iter().map(|e| e.key).collect()
    };
    assert_eq!(keys("/c/live/").await, ["/c/live/n1", "/c/live/n10"]);
    assert_eq!(keys("/c/live/n1").await, ["/c/live/n1"]);
    assert_eq!(keys("/c/nothing/").await, [""; 0]);
    assert_eq!(keys("").await.len(), 5);
}
