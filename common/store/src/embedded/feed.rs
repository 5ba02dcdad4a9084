//! What has changed lately, for watches: a bounded history, and a broadcast of what comes.

use super::database::Database;
use crate::model::{Change, Revision, Watch, WatchMessage};
use crate::scope::Scope;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// How far back a watch may begin, in transactions. A watcher that was away for longer gets a
/// snapshot, which is cheap here.
const HISTORY: usize = 4096;
/// The same in bytes, since one transaction may carry more than a megabyte.
const HISTORY_BYTES: usize = 32 << 20;
/// Transactions a watch may be behind before it is given a snapshot instead.
const BEHIND: usize = 1024;
/// Messages a watcher may leave unread.
const BUFFER: usize = 256;

/// What one transaction changed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) revision: Revision,
    pub(super) changes: Vec<Change>,
    /// The keeper whose put this was, so that it knows its own from somebody else's.
    pub(super) keeper: Option<u64>,
}

impl Batch {
    fn bytes(&self) -> usize {
        let size = |change: &Change| match change {
            Change::Put(entry) => entry.key.len() + entry.value.len(),
            Change::Delete { key, .. } => key.len(),
        };
        self.changes.iter().map(size).sum()
    }
}

/// The history and its listeners.
#[derive(Debug)]
pub(super) struct Feed {
    recent: Mutex<Recent>,
    to: broadcast::Sender<Arc<Batch>>,
}

#[derive(Debug)]
struct Recent {
    /// The revision before the oldest batch: what a watch may begin after.
    floor: Revision,
    /// The newest revision published.
    newest: Revision,
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
}

impl Feed {
    /// Without history, as after opening.
    pub(super) fn starting_at(revision: Revision) -> Self {
        Self {
            recent: Mutex::new(Recent {
                floor: revision,
                newest: revision,
                batches: VecDeque::new(),
                bytes: 0,
            }),
            to: broadcast::Sender::new(BEHIND),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().expect("never held over a panic")
    }

    /// Tells what was committed, in order.
    pub(super) fn publish(&self, batches: Vec<Batch>) {
        let mut recent = self.recent();
        for batch in batches {
            let batch = Arc::new(batch);
            recent.push(Arc::clone(&batch));
            // Nobody listens: that is no fault.
            let _ = self.to.send(batch);
        }
    }

    /// What comes from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.to.subscribe()
    }

    /// What came after a revision, and what comes from now on, without a gap between them; no
    /// history where it no longer reaches back that far.
    fn since(&self, after: Revision) -> (Option<Vec<Arc<Batch>>>, broadcast::Receiver<Arc<Batch>>) {
        let recent = self.recent();
        let live = self.to.subscribe();
        if after < recent.floor {
            return (None, live);
        }
        let newer = recent.batches.iter().filter(|batch| batch.revision > after);
        (Some(newer.cloned().collect()), live)
    }

    fn newest(&self) -> Revision {
        self.recent().newest
    }
}

impl Recent {
    fn push(&mut self, batch: Arc<Batch>) {
        self.newest = batch.revision;
        self.bytes += batch.bytes();
        self.batches.push_back(batch);
        while self.batches.len() > HISTORY || self.bytes > HISTORY_BYTES {
            let Some(oldest) = self.batches.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
            self.floor = oldest.revision;
        }
    }
}

/// Starts a watch; its task ends with the receiver or with the store.
pub(super) fn watch(
    feed: &Arc<Feed>,
    database: &Arc<Database>,
    scope: Scope,
    after: Revision,
    closing: CancellationToken,
) -> Watch {
    let (to, watch) = mpsc::channel(BUFFER);
    let (history, live) = feed.since(after);
    let watcher = Watcher {
        feed: Arc::clone(feed),
        database: Arc::downgrade(database),
        scope,
        last: after,
        to,
        live,
    };
    tokio::spawn(async move {
        tokio::select! {
            () = closing.cancelled() => {}
            Gone = watcher.run(history) => {}
        }
    });
    watch
}

struct Watcher {
    feed: Arc<Feed>,
    /// Weak: a watch that outlives its store by a moment does not hold the file open.
    database: Weak<Database>,
    scope: Scope,
    /// The last revision that was delivered or looked at.
    last: Revision,
    to: mpsc::Sender<WatchMessage>,
    live: broadcast::Receiver<Arc<Batch>>,
}

/// Nobody listens any more, or there is nothing more to hear.
struct Gone;

impl Watcher {
    async fn run(mut self, history: Option<Vec<Arc<Batch>>>) -> Gone {
        match self.follow(history).await {
            Ok(never) => match never {},
            Err(gone) => gone,
        }
    }

    async fn follow(
        &mut self,
        history: Option<Vec<Arc<Batch>>>,
    ) -> Result<std::convert::Infallible, Gone> {
        match history {
            None => self.snapshot().await?,
            Some(_) if self.is_from_the_future() => self.snapshot().await?,
            Some(batches) => {
                for batch in batches {
                    self.deliver(&batch).await?;
                }
            }
        }
        loop {
            let next = tokio::select! {
                () = self.to.closed() => return Err(Gone),
                next = self.live.recv() => next,
            };
            match next {
                Ok(batch) => self.deliver(&batch).await?,
                Err(RecvError::Lagged(_)) => self.snapshot().await?,
                Err(RecvError::Closed) => return Err(Gone),
            }
        }
    }

    /// The caller has seen a revision that this database never had: an older copy of the file was
    /// put in place. What has been committed but not yet published is no such case.
    fn is_from_the_future(&self) -> bool {
        let newest = || self.database.upgrade()?.revision().ok();
        self.last > self.feed.newest() && newest().is_some_and(|newest| self.last > newest)
    }

    async fn snapshot(&mut self) -> Result<(), Gone> {
        let (database, scope) = (self.database.upgrade().ok_or(Gone)?, self.scope.clone());
        let listed = tokio::task::spawn_blocking(move || database.list(&scope)).await;
        let Ok(Ok(listing)) = listed else {
            // A database that cannot be read ends its watches: its users see the same error.
            return Err(Gone);
        };
        self.last = listing.revision;
        self.send(WatchMessage::Snapshot(listing)).await
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<(), Gone> {
        if batch.revision <= self.last {
            return Ok(());
        }
        self.last = batch.revision;
        let wanted = |change: &&Change| match change {
            Change::Put(entry) => self.scope.holds(&entry.key),
            Change::Delete { key, .. } => self.scope.holds(key),
        };
        let changes: Vec<Change> = batch.changes.iter().filter(wanted).cloned().collect();
        if changes.is_empty() {
            return Ok(());
        }
        self.send(WatchMessage::Changes(changes)).await
    }

    async fn send(&self, message: WatchMessage) -> Result<(), Gone> {
        self.to.send(message).await.map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(revision: i64, bytes: usize) -> Batch {
        Batch {
            revision: Revision(revision),
            changes: vec![Change::Delete {
                key: "k".repeat(bytes),
                revision: Revision(revision),
            }],
            keeper: None,
        }
    }

    #[test]
    fn history_is_bounded_in_number_and_in_bytes() {
        let feed = Feed::starting_at(Revision(10));
        assert!(feed.since(Revision(9)).0.is_none());
        assert_eq!(feed.since(Revision(10)).0.unwrap().len(), 0);

        let last = 10 + i64::try_from(HISTORY).unwrap() + 5;
        feed.publish((11..=last).map(|revision| batch(revision, 1)).collect());
        assert!(feed.since(Revision(14)).0.is_none());
        assert_eq!(feed.since(Revision(15)).0.unwrap().len(), HISTORY);

        feed.publish(vec![batch(last + 1, HISTORY_BYTES)]);
        assert!(feed.since(Revision(last - 1)).0.is_none());
        assert_eq!(feed.since(Revision(last)).0.unwrap().len(), 1);
    }
}
