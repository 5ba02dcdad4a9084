//! What the store does alone: transactions of the form that a commit of the scheduler has.

use crate::load::{AsyncWork, share_out};
use anyhow::Result;
use leasehold_store::{Guard, Store, Txn};
use std::sync::Arc;

/// Outside every cell's key space, so that nobody watches.
const PREFIX: &str = "/leasehold-bench/";

/// About what the ledger's head, one commit's log and the record of a lease of one GPU take.
const HEAD_BYTES: usize = 200;
const LOG_BYTES: usize = 2000;
const LEASE_BYTES: usize = 1700;

/// Transactions a second: one guard and three puts each, from so many clients at once. Nothing is
/// batched: each client waits for its own.
pub async fn measure(store: Arc<dyn Store>, clients: u32, count: u32) -> Result<f64> {
    let leader = format!("{PREFIX}leader");
    let term = Txn {
        puts: vec![(leader.clone(), Vec::new())],
        ..Txn::default()
    };
    let revision = store.commit(term).await?.revision;
    let guard = Guard::CreatedAt {
        key: leader,
        revision,
    };
    let clients: Vec<_> = (0..clients).map(|_| Arc::clone(&store)).collect();
    let done = share_out(&clients, count, Transaction { guard }).await?;
    Ok(f64::from(count) / done.took.as_secs_f64())
}

#[derive(Clone)]
struct Transaction {
    guard: Guard,
}

impl AsyncWork<dyn Store, ()> for Transaction {
    async fn run(&self, store: &(dyn Store + 'static), piece: u32) -> Result<()> {
        let put = |key: String, bytes| (format!("{PREFIX}{key}"), vec![b'x'; bytes]);
        store
            .commit(Txn {
                guards: vec![self.guard.clone()],
                puts: vec![
                    put("head".into(), HEAD_BYTES),
                    put(format!("log/{piece:020}"), LOG_BYTES),
                    put(format!("leases/{piece:020}"), LEASE_BYTES),
                ],
                deletes: Vec::new(),
            })
            .await?;
        Ok(())
    }
}
