//! A key that lives with its keeper. The store and the keeper are one process here, so there is
//! nothing to renew: the key lives while the keeper does, and its TTL begins when the keeper is
//! dropped.

use super::feed::{Batch, Feed};
use super::writer::{Order, Writer};
use crate::limits;
use crate::model::{Change, Guard, Keeper, Revision, StoreError};
use async_trait::async_trait;
use leasehold_common::time::Span;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What is to be kept, and how.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// This keeper's number, which the key is marked with.
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) ttl: Span,
    pub(super) put_back: bool,
}

/// Puts the key and starts to keep it.
pub(super) async fn keep(
    wish: Wish,
    value: Vec<u8>,
    guards: Vec<Guard>,
    writer: &Arc<Writer>,
    feed: &Feed,
    closing: CancellationToken,
) -> Result<Box<dyn Keeper>, StoreError> {
    let order = Order::kept(wish.id, &wish.key, value.clone(), guards);
    limits::check(order.txn())?;
    // Listens first, so that nothing that happens to the key after its put is missed.
    let changes = feed.listen();
    let put_at = writer.carry_out(order).await?.revision;
    let dropped = CancellationToken::new();
    let kept = Arc::new(Kept {
        wish,
        writer: Arc::downgrade(writer),
        value: Mutex::new(value),
        lost_at: Mutex::new(None),
    });
    // The task belongs to the keeper, outlives it by the TTL at most, and ends with the store.
    tokio::spawn(Arc::clone(&kept).stand_by(put_at, changes, dropped.clone(), closing));
    Ok(Box::new(EmbeddedKeeper {
        kept,
        put_at,
        _dropped: dropped.drop_guard(),
    }))
}

#[derive(Debug)]
struct EmbeddedKeeper {
    kept: Arc<Kept>,
    put_at: Revision,
    _dropped: DropGuard,
}

#[derive(Debug)]
struct Kept {
    wish: Wish,
    /// Weak: a keeper that is waiting for its TTL does not hold the file open.
    writer: Weak<Writer>,
    value: Mutex<Vec<u8>>,
    /// When the key stopped being ours; absent while it is.
    lost_at: Mutex<Option<Instant>>,
}

impl Kept {
    async fn stand_by(
        self: Arc<Self>,
        put_at: Revision,
        mut changes: broadcast::Receiver<Arc<Batch>>,
        dropped: CancellationToken,
        closing: CancellationToken,
    ) {
        loop {
            let next = tokio::select! {
                () = closing.cancelled() => return,
                () = dropped.cancelled() => break,
                next = changes.recv() => next,
            };
            let fate = match next {
                Ok(batch) if batch.revision <= put_at => Fate::Untouched,
                Ok(batch) => self.fate_in(&batch),
                Err(RecvError::Lagged(_)) => self.ask().await,
                Err(RecvError::Closed) => return,
            };
            match fate {
                Fate::Untouched => {}
                Fate::Removed => self.put_back_or_lose().await,
                Fate::Taken => self.lose(),
            }
        }
        tokio::select! {
            () = closing.cancelled() => {}
            () = tokio::time::sleep(self.wish.ttl.std()) => {
                let order = Order::remove(self.wish.id, &self.wish.key);
                // Where it fails the key is somebody else's by now, or goes at the next opening.
                let _ = self.carry_out(order).await;
            }
        }
    }

    fn fate_in(&self, batch: &Batch) -> Fate {
        let of_key = |change: &Change| match change {
            Change::Delete { key, .. } if *key == self.wish.key => Fate::Removed,
            Change::Put(entry) if entry.key == self.wish.key => {
                if batch.keeper == Some(self.wish.id) {
                    Fate::Untouched
                } else {
                    Fate::Taken
                }
            }
            Change::Delete { .. } | Change::Put(_) => Fate::Untouched,
        };
        let fates = batch.changes.iter().map(of_key);
        fates.max().unwrap_or(Fate::Untouched)
    }

    /// Too much has changed to follow. Putting our own value again shows whether the key is ours.
    async fn ask(&self) -> Fate {
        let value = self.value().clone();
        match self
            .carry_out(Order::change(self.wish.id, &self.wish.key, value))
            .await
        {
            Err(StoreError::GuardFailed) => Fate::Removed,
            Ok(_) | Err(_) => Fate::Untouched,
        }
    }

    async fn put_back_or_lose(&self) {
        if !self.wish.put_back || self.lost_at().is_some() {
            return self.lose();
        }
        match self.put_again().await {
            Ok(_) => {
                tracing::warn!(key = %self.wish.key, "kept key had vanished and was put back");
            }
            // It exists; a new value may have put it back before us.
            Err(StoreError::GuardFailed) if self.ask().await == Fate::Untouched => {}
            Err(_) => self.lose(),
        }
    }

    /// From now on it is not ours, and not put back.
    fn lose(&self) {
        self.lost_at().get_or_insert_with(Instant::now);
    }

    fn lost_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.lost_at.lock().expect("never held over a panic")
    }

    async fn put_again(&self) -> Result<Revision, StoreError> {
        let value = self.value().clone();
        let absent = Guard::Absent {
            key: self.wish.key.clone(),
        };
        let order = Order::kept(self.wish.id, &self.wish.key, value, vec![absent]);
        self.carry_out(order).await
    }

    async fn carry_out(&self, order: Order) -> Result<Revision, StoreError> {
        let Some(writer) = self.writer.upgrade() else {
            return Err(StoreError::Unavailable {
                detail: "the store is closed".to_owned(),
            });
        };
        Ok(writer.carry_out(order).await?.revision)
    }

    fn value(&self) -> MutexGuard<'_, Vec<u8>> {
        self.value.lock().expect("never held over a panic")
    }
}

/// What became of the key in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It was not changed, or by this keeper.
    Untouched,
    /// It was removed.
    Removed,
    /// Somebody else has put it.
    Taken,
}

#[async_trait]
impl Keeper for EmbeddedKeeper {
    fn unconfirmed_for(&self) -> Duration {
        match *self.kept.lost_at() {
            Some(lost_at) => lost_at.elapsed(),
            None if self.kept.writer.strong_count() == 0 => Duration::MAX,
            None => Duration::ZERO,
        }
    }

    fn put_at(&self) -> Revision {
        self.put_at
    }

    async fn set(&self, value: Vec<u8>) -> Result<(), StoreError> {
        let wish = &self.kept.wish;
        let order = Order::change(wish.id, &wish.key, value.clone());
        limits::check(order.txn())?;
        let changed = self.kept.carry_out(order).await;
        if let (Err(StoreError::GuardFailed), false) = (&changed, wish.put_back) {
            return Err(StoreError::GuardFailed);
        }
        *self.kept.value() = value;
        match changed {
            Err(StoreError::GuardFailed) => self.kept.put_again().await.map(drop),
            other => other.map(drop),
        }
    }

    async fn release(&self) -> Result<(), StoreError> {
        let wish = &self.kept.wish;
        // No longer put back, whoever removes it from now on.
        self.kept.lose();
        match self.kept.carry_out(Order::remove(wish.id, &wish.key)).await {
            Ok(_) | Err(StoreError::GuardFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
