//! Elections.

use crate::support::{PATIENCE, delete, eventually, put_of, value};
use leasehold_common::time::Span;
use leasehold_store::election::{Leadership, campaign, leader};
use leasehold_store::{Store, StoreError};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::timeout;

const KEY: &str = "/c/election/leader";
const TTL: Span = Span::from_secs(5);
const MARGIN: Span = Span::from_secs(1);

async fn run_for(store: Arc<dyn Store>, name: &'static str) -> (&'static str, Leadership) {
    let won = timeout(PATIENCE, campaign(store, KEY, name.into(), TTL)).await;
    (name, won.expect("nobody ever won").unwrap())
}

/// A transaction that only the leader may make.
async fn lead(
    store: &dyn Store,
    leadership_guard: leasehold_store::Guard,
    text: &str,
) -> Result<(), StoreError> {
    let mut txn = put_of("/c/ledger/head", text);
    txn.guards.push(leadership_guard);
    store.commit(txn).await.map(drop)
}

pub async fn of_two_candidates_one_leads_and_the_other_follows(store: Arc<dyn Store>) {
    let mut race = JoinSet::new();
    race.spawn(run_for(Arc::clone(&store), "a"));
    race.spawn(run_for(Arc::clone(&store), "b"));

    let (first, leadership) = race.join_next().await.unwrap().unwrap();
    assert!(leadership.is_valid(MARGIN));
    let known = leader(&*store, KEY).await.unwrap();
    assert_eq!(known, Some(first.into()));
    lead(&*store, leadership.guard(), first).await.unwrap();
    assert!(race.try_join_next().is_none(), "two leaders");

    leadership.resign().await.unwrap();
    let (second, leadership) = race.join_next().await.unwrap().unwrap();
    assert_ne!(first, second);
    lead(&*store, leadership.guard(), second).await.unwrap();
    let head = value(&*store, "/c/ledger/head").await;
    assert_eq!(head.as_deref(), Some(second));
}

pub async fn a_leader_that_resigned_is_fenced(store: Arc<dyn Store>) {
    let (_, first) = run_for(Arc::clone(&store), "a").await;
    let old_guard = first.guard();
    lead(&*store, old_guard.clone(), "1").await.unwrap();
    first.resign().await.unwrap();

    let late = lead(&*store, old_guard.clone(), "2").await;
    assert!(matches!(late, Err(StoreError::GuardFailed)));

    // The same candidate again is not the same leadership.
    let (_, second) = run_for(Arc::clone(&store), "a").await;
    let late = lead(&*store, old_guard, "3").await;
    assert!(matches!(late, Err(StoreError::GuardFailed)));
    lead(&*store, second.guard(), "4").await.unwrap();
    let head = value(&*store, "/c/ledger/head").await;
    assert_eq!(head.as_deref(), Some("4"));
}

pub async fn a_leader_whose_key_is_deleted_is_lost(store: Arc<dyn Store>) {
    let (_, leadership) = run_for(Arc::clone(&store), "a").await;
    delete(&*store, KEY).await;
    timeout(PATIENCE, leadership.lost()).await.unwrap();
    assert!(!leadership.is_valid(Span::ZERO));
    let late = lead(&*store, leadership.guard(), "1").await;
    assert!(matches!(late, Err(StoreError::GuardFailed)));
}

pub async fn a_leader_that_vanishes_is_replaced(store: Arc<dyn Store>) {
    let (_, first) = run_for(Arc::clone(&store), "a").await;
    let guard = first.guard();
    let follower = tokio::spawn(run_for(Arc::clone(&store), "b"));
    drop(first);
    let (_, second) = follower.await.unwrap();
    assert_ne!(second.guard(), guard);
    eventually("the new leader is known", async || {
        (leader(&*store, KEY).await.unwrap()? == b"b").then_some(())
    })
    .await;
}
