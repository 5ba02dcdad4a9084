//! Keys that live as long as their keeper.

use crate::support::{PATIENCE, delete, eventually, next_changes, put, value, what};
use leasehold_common::time::Span;
use leasehold_store::{Change, Guard, Keeper, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const KEY: &str = "/c/live/n1";
/// Above the two seconds that etcd grants at least, so that a busy machine is no dead keeper.
const TTL: Span = Span::from_secs(3);

async fn kept(store: &Arc<dyn Store>, text: &str, put_back: bool) -> Box<dyn Keeper> {
    let keeper = store.keep(KEY, text.into(), TTL, vec![], put_back).await;
    keeper.unwrap()
}

pub async fn a_kept_key_outlives_its_ttl_and_not_its_keeper(store: Arc<dyn Store>) {
    let keeper = kept(&store, "alive", false).await;
    let entry = store.get(KEY).await.unwrap().unwrap();
    assert_eq!(entry.created, keeper.put_at());

    // Nothing happens to it for twice its TTL.
    let mut watch = store.watch(KEY, keeper.put_at()).await.unwrap();
    let quiet = timeout(2 * TTL.std(), watch.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert!(keeper.unconfirmed_for() < TTL.std());

    drop(keeper);
    let changes = next_changes(&mut watch).await;
    assert!(matches!(&changes[..], [Change::Delete { key, .. }] if key == KEY));
}

pub async fn a_released_key_goes_at_once(store: Arc<dyn Store>) {
    let long = Span::from_mins(10);
    let keeper = store.keep(KEY, "x".into(), long, vec![], true).await;
    let keeper = keeper.unwrap();
    keeper.release().await.unwrap();
    assert_eq!(value(&*store, KEY).await, None);

    // Released is released, even where vanished keys are put back.
    let mut watch = store.watch(KEY, keeper.put_at()).await.unwrap();
    next_changes(&mut watch).await;
    let quiet = timeout(Duration::from_secs(1), watch.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

pub async fn a_key_that_vanishes_is_put_back(store: Arc<dyn Store>) {
    let keeper = kept(&store, "alive", true).await;
    let deleted = delete(&*store, KEY).await.revision;
    let mut watch = store.watch(KEY, deleted).await.unwrap();
    let changes = next_changes(&mut watch).await;
    assert!(matches!(&changes[..], [Change::Put(entry)] if entry.value == b"alive"));
    eventually("the key is confirmed again", async || {
        (keeper.unconfirmed_for() < TTL.std()).then_some(())
    })
    .await;
    // And it still lives with its keeper.
    drop(keeper);
    let changes = next_changes(&mut watch).await;
    assert_eq!(what(&changes[0]).0, KEY);
    assert_eq!(value(&*store, KEY).await, None);
}

pub async fn a_key_that_vanishes_is_lost_where_it_is_not_to_be_put_back(store: Arc<dyn Store>) {
    let keeper = kept(&store, "leader", false).await;
    delete(&*store, KEY).await;
    let refused = keeper.set("still me".into()).await;
    assert!(matches!(refused, Err(StoreError::GuardFailed)));
    eventually("nobody confirms the key any more", async || {
        (keeper.unconfirmed_for() > TTL.std()).then_some(())
    })
    .await;
    assert_eq!(value(&*store, KEY).await, None);
}

pub async fn a_kept_value_can_be_changed(store: Arc<dyn Store>) {
    let keeper = kept(&store, "one", true).await;
    keeper.set("two".into()).await.unwrap();
    assert_eq!(value(&*store, KEY).await.as_deref(), Some("two"));

    // It is the new value that is put back.
    let deleted = delete(&*store, KEY).await.revision;
    let mut watch = store.watch(KEY, deleted).await.unwrap();
    let changes = next_changes(&mut watch).await;
    assert!(matches!(&changes[..], [Change::Put(entry)] if entry.value == b"two"));

    // And the changed key goes with its keeper.
    drop(keeper);
    let gone = next_changes(&mut watch).await;
    assert!(matches!(gone[..], [Change::Delete { .. }]));
}

pub async fn a_new_keeper_takes_a_key_over(store: Arc<dyn Store>) {
    let old = kept(&store, "before the restart", true).await;
    let new = kept(&store, "after the restart", true).await;
    drop(old);
    let mut watch = store.watch(KEY, new.put_at()).await.unwrap();
    let quiet = timeout(2 * TTL.std(), watch.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let text = value(&*store, KEY).await;
    assert_eq!(text.as_deref(), Some("after the restart"));

    // An ordinary put takes it from both: it now lives for ever.
    put(&*store, KEY, "by hand").await;
    next_changes(&mut watch).await;
    drop(new);
    let quiet = timeout(2 * TTL.std(), watch.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

pub async fn a_guard_keeps_a_second_keeper_out(store: Arc<dyn Store>) {
    let absent = || vec![Guard::Absent { key: KEY.into() }];
    let first = store.keep(KEY, "first".into(), TTL, absent(), false);
    let first = timeout(PATIENCE, first).await.unwrap().unwrap();
    let second = store.keep(KEY, "second".into(), TTL, absent(), false).await;
    assert!(matches!(second, Err(StoreError::GuardFailed)));
    assert_eq!(value(&*store, KEY).await.as_deref(), Some("first"));
    first.release().await.unwrap();
    let third = store.keep(KEY, "third".into(), TTL, absent(), false).await;
    assert!(third.is_ok());
}
