//! Transactions.

use crate::support::{delete, put, put_of, value};
use leasehold_store::{Guard, Revision, Store, StoreError, TXN_MAX_OPS, Txn};
use std::sync::Arc;

fn absent(key: &str) -> Guard {
    Guard::Absent { key: key.into() }
}

fn created_at(key: &str, revision: Revision) -> Guard {
    let key = key.into();
    Guard::CreatedAt { key, revision }
}

fn modified_at(key: &str, revision: Revision) -> Guard {
    let key = key.into();
    Guard::ModifiedAt { key, revision }
}

pub async fn a_transaction_is_applied_whole_when_its_guards_hold(store: Arc<dyn Store>) {
    let first = put(&*store, "/c/head", "1").await.revision;
    let second = put(&*store, "/c/head", "2").await.revision;
    put(&*store, "/c/old", "x").await;
    assert!(second > first);

    let txn = Txn {
        guards: vec![
            created_at("/c/head", first),
            modified_at("/c/head", second),
            absent("/c/new"),
        ],
        puts: vec![
            ("/c/head".into(), "3".into()),
            ("/c/new".into(), "y".into()),
        ],
        deletes: vec!["/c/old".into(), "/c/never-was".into()],
    };
    let committed = store.commit(txn).await.unwrap();

    let head = store.get("/c/head").await.unwrap().unwrap();
    assert_eq!(head.value, b"3");
    assert_eq!((head.created, head.modified), (first, committed.revision));
    let new = store.get("/c/new").await.unwrap().unwrap();
    assert_eq!(new.created, committed.revision);
    assert_eq!(value(&*store, "/c/old").await, None);
}

pub async fn a_guard_that_fails_changes_nothing(store: Arc<dyn Store>) {
    let created = put(&*store, "/c/a", "1").await.revision;
    let modified = put(&*store, "/c/a", "2").await.revision;
    let gone = put(&*store, "/c/gone", "x").await.revision;
    let before = delete(&*store, "/c/gone").await.revision;

    for failing in [
        absent("/c/a"),
        created_at("/c/a", modified),
        modified_at("/c/a", created),
        created_at("/c/gone", gone),
        modified_at("/c/gone", gone),
    ] {
        let mut txn = put_of("/c/b", "new");
        txn.deletes.push("/c/a".into());
        // One that fails among some that hold.
        txn.guards = vec![absent("/c/b"), failing.clone(), created_at("/c/a", created)];
        let refused = store.commit(txn).await;
        assert!(
            matches!(refused, Err(StoreError::GuardFailed)),
            "{failing:?}"
        );
    }

    let listing = store.list("/c/").await.unwrap();
    assert_eq!(listing.revision, before);
    assert_eq!(listing.entries.len(), 1);
    assert_eq!(listing.entries[0].value, b"2");
}

pub async fn of_many_that_race_for_a_key_one_wins(store: Arc<dyn Store>) {
    let race = (0..32).map(|i| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut txn = put_of("/c/prize", &format!("racer {i}"));
            txn.guards.push(absent("/c/prize"));
            match store.commit(txn).await {
                Ok(_) => Some(format!("racer {i}")),
                Err(StoreError::GuardFailed) => None,
                Err(other) => panic!("{other}"),
            }
        })
    });
    let mut winners = Vec::new();
    for racer in race.collect::<Vec<_>>() {
        winners.extend(racer.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(value(&*store, "/c/prize").await, winners.pop());
}

pub async fn the_largest_transaction_is_applied(store: Arc<dyn Store>) {
    let key = |kind: &str, i: usize| format!("/c/{kind}/{i}");
    let txn = Txn {
        guards: (0..TXN_MAX_OPS).map(|i| absent(&key("g", i))).collect(),
        // 128 × 10,900 bytes are just below the limit.
        puts: (0..TXN_MAX_OPS)
            .map(|i| (key("p", i), vec![7; 10_900]))
            .collect(),
        deletes: Vec::new(),
    };
    store.commit(txn).await.unwrap();
    assert_eq!(store.list("/c/p/").await.unwrap().entries.len(), 128);
}

pub async fn one_operation_too_many_is_refused_before_it_is_sent(store: Arc<dyn Store>) {
    let before = put(&*store, "/c/a", "1").await.revision;
    let txn = Txn {
        puts: (0..TXN_MAX_OPS)
            .map(|i| (format!("/c/p/{i}"), vec![]))
            .collect(),
        deletes: vec!["/c/a".into()],
        ..Txn::default()
    };
    let refused = store.commit(txn).await.unwrap_err();
    // The words are ours; etcd's are "too many operations in txn request".
    assert_eq!(
        refused.to_string(),
        "transaction too large: operations 129, allowed is 128"
    );

    let mut twice = put_of("/c/b", "1");
    twice.puts.push(("/c/b".into(), "2".into()));
    let refused = store.commit(twice).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));

    let huge = put_of("/c/b", &"x".repeat(1_400_000));
    let refused = store.commit(huge).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));

    assert_eq!(store.list("/c/").await.unwrap().revision, before);
}
