//! What a store is: the trait and the values that go through it.

use async_trait::async_trait;
use leasehold_common::time::Span;
use std::fmt;
use tokio::sync::mpsc;

/// The most puts and deletes, and separately the most guards, one transaction may have: etcd's
/// default `--max-txn-ops`. Checked before anything is sent.
pub const TXN_MAX_OPS: usize = 128;

/// The most bytes one transaction may carry: below etcd's default request limit of 1.5 MiB, with
/// room for keys and framing.
pub const TXN_MAX_BYTES: usize = 1_400_000;

/// The store's own count of changes. Only compared with others of the same store: it goes backwards
/// when a snapshot is restored, and never leaves the store's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub i64);

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The full key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// When the key was created.
    pub created: Revision,
    /// When it was last changed.
    pub modified: Revision,
}

/// All keys below a prefix, at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The revision at which this was true.
    pub revision: Revision,
    /// The entries, sorted by key.
    pub entries: Vec<Entry>,
}

/// What must hold for a transaction to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The key does not exist.
    Absent {
        /// The full key.
        key: String,
    },
    /// The key was created at this revision and exists since.
    CreatedAt {
        /// The full key.
        key: String,
        /// The revision.
        revision: Revision,
    },
    /// The key was last changed at this revision.
    ModifiedAt {
        /// The full key.
        key: String,
        /// The revision.
        revision: Revision,
    },
}

/// Changes that are applied together, if all guards hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    /// What must hold.
    pub guards: Vec<Guard>,
    /// Keys to set.
    pub puts: Vec<(String, Vec<u8>)>,
    /// Keys to remove; one that does not exist is no error.
    pub deletes: Vec<String>,
}

/// A transaction that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its revision: the `modified` of every key it set.
    pub revision: Revision,
}

/// A change to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key was set.
    Put(Entry),
    /// The key is gone.
    Delete {
        /// The full key.
        key: String,
        /// When.
        revision: Revision,
    },
}

/// What a watch delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchMessage {
    /// Changes, in order; a revision is never split over two messages.
    Changes(Vec<Change>),
    /// History is gone: this is all there is now, and replaces everything delivered before.
    Snapshot(Listing),
    /// The store has not answered for a while; what was delivered may be old.
    ContactLost,
    /// The store answers again; nothing was missed.
    ContactBack,
}

/// A watch. Dropping it ends it.
pub type Watch = mpsc::Receiver<WatchMessage>;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A guard did not hold; nothing was changed.
    #[error("a guard did not hold, nothing was changed")]
    GuardFailed,
    /// Nobody can say whether the transaction was applied: the connection broke after it was sent.
    #[error("outcome unknown: {detail}")]
    Unknown {
        /// What happened.
        detail: String,
    },
    /// The store did not answer in time or cannot be reached; nothing was changed.
    #[error("store unavailable: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// The transaction is larger than the store takes; it was not sent.
    #[error("transaction too large: {what} {size}, allowed is {allowed}")]
    TooLarge {
        /// `operations`, `guards`, `bytes` or `changes of one key`.
        what: &'static str,
        /// How many.
        size: usize,
        /// How many may be.
        allowed: usize,
    },
    /// The caller's credentials do not allow it: a fault of configuration, not to be retried.
    #[error("not permitted on {key}: {detail}")]
    Denied {
        /// The key or prefix.
        key: String,
        /// The store's words.
        detail: String,
    },
    /// The store is full; reads and deletes still work.
    #[error("store is full: {detail}")]
    NoSpace {
        /// The store's words.
        detail: String,
    },
    /// The settings of the store cannot be used: a fault of configuration, found while connecting.
    #[error("store settings: {what}: {detail}")]
    Settings {
        /// The setting, or the file it names.
        what: String,
        /// What is wrong, and what is allowed.
        detail: String,
    },
    /// The database on disk cannot be used.
    #[error("database {path}: {detail}")]
    Database {
        /// Its file.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// Keeps one key alive. The key carries a TTL in the store; the keeper renews it, grants it anew
/// when the store has dropped it, and puts the key back when it has vanished.
#[async_trait]
pub trait Keeper: Send + Sync + fmt::Debug {
    /// How long ago the store last confirmed the key. Only a confirmed answer counts, never a
    /// renewal that was merely sent.
    fn unconfirmed_for(&self) -> std::time::Duration;
    /// The revision of the keeper's first put. Where that put was guarded by [`Guard::Absent`] the
    /// key was created by it, and [`Guard::CreatedAt`] this revision holds as long as the key lives.
    fn put_at(&self) -> Revision;
    /// Changes the key's value; it is put at once.
    ///
    /// # Errors
    /// [`StoreError::GuardFailed`] where the key is no longer this keeper's.
    async fn set(&self, value: Vec<u8>) -> Result<(), StoreError>;
    /// Removes the key now instead of leaving it to its TTL.
    async fn release(&self) -> Result<(), StoreError>;
}

/// A place for a cell's records. See the crate's essay for what every implementation promises.
///
/// A prefix ends in `/` and means every key below it; one that does not end in `/` means exactly
/// that key, which is all that an agent's credentials may read. The empty prefix is the whole store.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// One key; `None` where it does not exist.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// All keys of a prefix, at one revision, sorted, paged underneath.
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError>;

    /// Applies a transaction if all its guards hold.
    ///
    /// # Errors
    /// [`StoreError::GuardFailed`] and [`StoreError::TooLarge`] change nothing;
    /// [`StoreError::Unknown`] may have. A key that is set or removed twice in one transaction is
    /// `TooLarge` as well.
    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError>;

    /// Watches all keys of a prefix, from the first change after `after` on.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError>;

    /// Puts a key that lives only as long as its keeper, `ttl` longer at most; takes it over where
    /// it exists. With guards, the first put is guarded; later ones put back only what vanished
    /// where `put_back` is true.
    async fn keep(
        &self,
        key: &str,
        value: Vec<u8>,
        ttl: Span,
        guards: Vec<Guard>,
        put_back: bool,
    ) -> Result<Box<dyn Keeper>, StoreError>;

    /// What this store is, in words: `etcd 3.4.23 at https://…`, `embedded store`.
    fn describe(&self) -> String;

    /// What an operator should know about this store: an old server version, no TLS. Asked once at
    /// start.
    async fn warnings(&self) -> Vec<String>;
}
