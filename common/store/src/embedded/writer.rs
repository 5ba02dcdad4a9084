//! The one thread that writes.
//!
//! A durable commit costs an fsync, 4 ms on an ordinary disk: 250 a second, one by one. So whatever
//! has queued up while the last one ran is committed together, each transaction with its own guards,
//! revision and answer, and nobody is answered before the fsync is done.

use super::database::{Changes, Database, Tables};
use super::feed::{Batch, Feed};
use crate::model::{Committed, Guard, Revision, StoreError, Txn};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Transactions that may wait; above that, callers wait to be let in.
const QUEUE: usize = 1024;
/// Transactions committed together at most: what bounds how long the first of them waits.
const TOGETHER: usize = 256;
/// How long a caller waits for the disk before the outcome counts as unknown.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) struct Order {
    txn: Txn,
    /// The keeper that the puts live with.
    keeper: Option<u64>,
    /// Only if this key lives with this keeper.
    only_if_kept: Option<(String, u64)>,
}

impl Order {
    /// An ordinary transaction.
    pub(super) fn plain(txn: Txn) -> Self {
        Self {
            txn,
            keeper: None,
            only_if_kept: None,
        }
    }

    /// Puts a key that lives with a keeper.
    pub(super) fn kept(keeper: u64, key: &str, value: Vec<u8>, guards: Vec<Guard>) -> Self {
        Self {
            txn: Txn {
                guards,
                puts: vec![(key.to_owned(), value)],
                deletes: Vec::new(),
            },
            keeper: Some(keeper),
            only_if_kept: None,
        }
    }

    /// Changes the value of a key, if it still lives with the keeper.
    pub(super) fn change(keeper: u64, key: &str, value: Vec<u8>) -> Self {
        Self {
            only_if_kept: Some((key.to_owned(), keeper)),
            ..Self::kept(keeper, key, value, Vec::new())
        }
    }

    /// Removes a key, if it still lives with the keeper.
    pub(super) fn remove(keeper: u64, key: &str) -> Self {
        Self {
            txn: Txn {
                deletes: vec![key.to_owned()],
                ..Txn::default()
            },
            keeper: None,
            only_if_kept: Some((key.to_owned(), keeper)),
        }
    }

    /// What it carries, for the limits.
    pub(super) fn txn(&self) -> &Txn {
        &self.txn
    }

    fn is_allowed(&self, tables: &Tables<'_>) -> Result<bool, redb::StorageError> {
        if let Some((key, keeper)) = &self.only_if_kept
            && !tables.is_kept_by(key, *keeper)?
        {
            return Ok(false);
        }
        for guard in &self.txn.guards {
            if !tables.holds(guard)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// The thread and the way to it. Dropping it waits for the commit that is under way, so that the
/// file is closed when the store is gone.
#[derive(Debug)]
pub(super) struct Writer {
    /// Absent once the writer is being dropped.
    queue: Option<mpsc::Sender<(Order, Answer)>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>, feed: Arc<Feed>) -> Result<Self, StoreError> {
        let (queue, orders) = mpsc::channel(QUEUE);
        let run = move || write_until_closed(&database, &feed, orders);
        let thread = std::thread::Builder::new()
            .name("embedded-store".to_owned())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable {
                detail: format!("cannot start the writing thread: {error}"),
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues an order and waits for its outcome.
    pub(super) async fn carry_out(&self, order: Order) -> Result<Committed, StoreError> {
        let unavailable = |detail: &str| StoreError::Unavailable {
            detail: detail.to_owned(),
        };
        let (answer, outcome) = oneshot::channel();
        let queue = self.queue.as_ref().expect("taken in drop only");
        match timeout(DEADLINE, queue.send((order, answer))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(unavailable("the writing thread has ended")),
            Err(_) => return Err(unavailable("the disk is too slow, the queue is full")),
        }
        match timeout(DEADLINE, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Unknown {
                detail: "the writing thread ended before it answered".to_owned(),
            }),
            Err(_) => Err(StoreError::Unknown {
                detail: format!("the disk did not answer within {DEADLINE:?}"),
            }),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.get_mut().map(Option::take);
        if let Ok(Some(thread)) = thread {
            // A panic there has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn write_until_closed(
    database: &Database,
    feed: &Feed,
    mut orders: mpsc::Receiver<(Order, Answer)>,
) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while orders.blocking_recv_many(&mut waiting, TOGETHER) > 0 {
        write(database, feed, &mut waiting);
    }
}

/// Commits what waits, publishes it and answers. Nobody is answered from a transaction that was not
/// durable, not even that a guard failed: it may have failed because of one that was then lost.
fn write(database: &Database, feed: &Feed, waiting: &mut Vec<(Order, Answer)>) {
    let orders = waiting.iter().map(|(order, _)| order);
    match write_together(database, orders) {
        Ok(Written { outcomes, batches }) => {
            feed.publish(batches);
            for ((_, answer), outcome) in waiting.drain(..).zip(outcomes) {
                let outcome = outcome.map(|revision| Committed { revision });
                // A caller that no longer waits has been told that the outcome is unknown.
                let _ = answer.send(outcome.ok_or(StoreError::GuardFailed));
            }
        }
        Err(failure) => {
            tracing::error!(error = %failure.error(), "embedded store cannot write");
            for (_, answer) in waiting.drain(..) {
                let _ = answer.send(Err(failure.error()));
            }
        }
    }
}

/// What a group of orders came to: for each its revision, or none where a guard failed.
struct Written {
    outcomes: Vec<Option<Revision>>,
    batches: Vec<Batch>,
}

/// Why a whole group failed.
enum Failure {
    /// Before the commit: nothing was changed.
    Before(StoreError),
    /// In the commit: the file may hold it or not.
    During(StoreError),
}

impl Failure {
    /// The error for one of the callers.
    fn error(&self) -> StoreError {
        match self {
            Self::During(cause) => StoreError::Unknown {
                detail: format!("commit failed: {cause}"),
            },
            Self::Before(StoreError::NoSpace { detail }) => StoreError::NoSpace {
                detail: detail.clone(),
            },
            Self::Before(StoreError::Database { path, detail }) => StoreError::Database {
                path: path.clone(),
                detail: detail.clone(),
            },
            Self::Before(other) => StoreError::Unavailable {
                detail: other.to_string(),
            },
        }
    }
}

fn write_together<'a>(
    database: &Database,
    orders: impl Iterator<Item = &'a Order>,
) -> Result<Written, Failure> {
    let write = database.begin().map_err(Failure::Before)?;
    let mut tables = database.tables(&write).map_err(Failure::Before)?;
    let mut outcomes = Vec::new();
    let mut batches = Vec::new();
    for order in orders {
        let applied = database.fault(apply(&mut tables, order));
        let applied = applied.map_err(Failure::Before)?;
        outcomes.push(applied.as_ref().map(|batch| batch.revision));
        batches.extend(applied.filter(|batch| !batch.changes.is_empty()));
    }
    drop(tables);
    if batches.is_empty() {
        // Nothing changed, so there is nothing to wait for the disk for.
        database.fault(write.abort()).map_err(Failure::Before)?;
    } else {
        database.fault(write.commit()).map_err(Failure::During)?;
    }
    Ok(Written { outcomes, batches })
}

fn apply(tables: &mut Tables<'_>, order: &Order) -> Result<Option<Batch>, redb::StorageError> {
    if !order.is_allowed(tables)? {
        return Ok(None);
    }
    let (revision, changes) = tables.apply(Changes {
        puts: &order.txn.puts,
        deletes: &order.txn.deletes,
        keeper: order.keeper,
    })?;
    Ok(Some(Batch {
        revision,
        changes,
        keeper: order.keeper,
    }))
}
