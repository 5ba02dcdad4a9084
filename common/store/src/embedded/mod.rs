//! The store of one process: a redb database file, for a single host and for trying things out.
//!
//! ```text
//!   commit, keep ─► queue ─► writer thread ─► database (one fsync for all that wait) ─► answers
//!                                  └─► feed: recent history + broadcast ─► watches, keepers
//!   get, list ─────────────────────► database (a snapshot each, beside the writer)
//! ```
//!
//! What a reader of the trait may count on here:
//! - Revisions are kept in the database and rise by one with every transaction that changes a key.
//! - One process: a second opener is refused while the first lives.
//! - A kept key belongs to this process and is gone when the database is opened again.
//! - A watch of what is older than the history in memory begins with a snapshot.

mod database;
mod feed;
mod keeper;
mod writer;

use crate::limits;
use crate::model::{
    Committed, Entry, Guard, Keeper, Listing, Revision, Store, StoreError, Txn, Watch,
};
use crate::scope::Scope;
use async_trait::async_trait;
use database::Database;
use feed::Feed;
use leasehold_common::time::Span;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::{CancellationToken, DropGuard};
use writer::{Order, Writer};

/// A store in one file, for one process.
#[derive(Debug)]
pub struct EmbeddedStore {
    path: PathBuf,
    database: Arc<Database>,
    feed: Arc<Feed>,
    writer: Arc<Writer>,
    next_keeper: AtomicU64,
    /// Ends the tasks of watches and keepers with the store.
    closing: CancellationToken,
    _closed_on_drop: DropGuard,
}

impl EmbeddedStore {
    /// Opens the database file, and makes it where it does not exist. Must be called in a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`StoreError::Database`] names the file: it is in use, damaged, or cannot be written.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let file = path.to_owned();
        let database = blocking(path, move || Database::open(&file)).await?;
        let database = Arc::new(database);
        let feed = Arc::new(Feed::starting_at(database.revision()?));
        let writer = Writer::start(Arc::clone(&database), Arc::clone(&feed))?;
        let closing = CancellationToken::new();
        Ok(Self {
            path: path.to_owned(),
            database,
            feed,
            writer: Arc::new(writer),
            next_keeper: AtomicU64::new(1),
            _closed_on_drop: closing.clone().drop_guard(),
            closing,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        blocking(&self.path, move || read(&database)).await
    }
}

/// Runs what touches the disk beside the runtime's own threads.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| {
        Err(StoreError::Database {
            path: path.display().to_string(),
            detail: format!("reading it failed: {panic}"),
        })
    })
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let key = key.to_owned();
        self.read(move |database| database.get(&key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        let scope = Scope::of(prefix);
        self.read(move |database| database.list(&scope)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        limits::check(&txn)?;
        self.writer.carry_out(Order::plain(txn)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        let scope = Scope::of(prefix);
        let closing = self.closing.clone();
        let watch = feed::watch(&self.feed, &self.database, scope, after, closing);
        Ok(watch)
    }

    async fn keep(
        &self,
        key: &str,
        value: Vec<u8>,
        ttl: Span,
        guards: Vec<Guard>,
        put_back: bool,
    ) -> Result<Box<dyn Keeper>, StoreError> {
        let wish = keeper::Wish {
            id: self.next_keeper.fetch_add(1, Ordering::Relaxed),
            key: key.to_owned(),
            ttl,
            put_back,
        };
        let closing = self.closing.clone();
        keeper::keep(wish, value, guards, &self.writer, &self.feed, closing).await
    }

    fn describe(&self) -> String {
        format!("embedded store {}", self.path.display())
    }

    async fn warnings(&self) -> Vec<String> {
        vec!["embedded store: one process, no standby".to_owned()]
    }
}
