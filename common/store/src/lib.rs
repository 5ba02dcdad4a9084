//! The store: where a cell's records are kept.
//!
//! ```text
//!      scheduler, agents ──► trait Store ◄── tests/contract.rs: one suite, run against both
//!               │              ▲     ▲
//!               │         etcd │     │ embedded (redb, one process)
//!           election ──────────┘     └── both keep to `limits` and mean the same by a `scope`
//! ```
//!
//! [`Store`] is small on purpose: ranges with a revision, one kind of guarded transaction, a watch
//! that repairs itself, a key that lives only as long as its keeper. [`election`] is built from
//! those and works over both.
//!
//! What every implementation promises:
//! - Every call ends: there is a deadline on each, and a server that is frozen is an error.
//! - A transaction is applied whole or not at all. Where nobody can say which,
//!   [`StoreError::Unknown`] says so; it is never hidden behind a retry.
//! - An acknowledged transaction survives kill -9 and power loss.
//! - A watch misses nothing: it resumes after the last revision it delivered, and where history is
//!   gone it says [`WatchMessage::Snapshot`] instead of pretending.
//!
//! Not here: what the records mean (`leasehold-common`), and when they are written.

pub mod election;
pub mod embedded;
pub mod etcd;
mod limits;
mod model;
mod scope;

pub use model::{
    Change, Committed, Entry, Guard, Keeper, Listing, Revision, Store, StoreError, TXN_MAX_BYTES,
    TXN_MAX_OPS, Txn, Watch, WatchMessage,
};
