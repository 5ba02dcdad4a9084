//! Grants on their way to the nodes.
//!
//! `grants/<node>` is derived from committed records and can be written again at any time. So it is
//! written afterwards, in small transactions that are guarded by the leader's key, newest value
//! only; what is already there is skipped.

use leasehold_common::grant::GRANTS_MAX_BYTES;
use leasehold_common::ids::NodeName;
use leasehold_common::keys::{Folder, Key, KeySpace};
use leasehold_store::{Guard, Store, StoreError, Txn};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// Nodes per transaction: below the store's 128 operations.
const PER_TXN: usize = 100;

/// The pause after a transaction that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What a node's grants should be; `None`: it should have none.
type Wanted = Option<Vec<u8>>;

/// Takes derived grants and has them written. One entry a node, so bounded by the cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    wanted: Arc<Mutex<BTreeMap<NodeName, Wanted>>>,
    news: Arc<Notify>,
}

impl Outbox {
    /// Leaves a node's grants to be written, in place of any that were left before.
    pub fn put(&self, node: NodeName, grants: Wanted) {
        if grants
            .as_ref()
            .is_some_and(|bytes| bytes.len() > GRANTS_MAX_BYTES)
        {
            error!(%node, "grants are larger than {GRANTS_MAX_BYTES} bytes and are not sent");
            return;
        }
        self.lock().insert(node, grants);
        self.news.notify_one();
    }

    fn take(&self) -> Vec<(NodeName, Wanted)> {
        let mut wanted = self.lock();
        let mut taken = Vec::with_capacity(PER_TXN);
        while taken.len() < PER_TXN
            && let Some(one) = wanted.pop_first()
        {
            taken.push(one);
        }
        taken
    }

    /// Puts back what could not be written, unless something newer has been left since.
    fn put_back(&self, nodes: Vec<(NodeName, Wanted)>) {
        let mut wanted = self.lock();
        for (node, grants) in nodes {
            wanted.entry(node).or_insert(grants);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeName, Wanted>> {
        self.wanted
            .lock()
            .expect("nobody panics while holding the outbox")
    }
}

/// Writes what the outbox holds until cancelled or deposed.
pub(super) async fn deliver(
    store: Arc<dyn Store>,
    keys: KeySpace,
    leader: Guard,
    outbox: Outbox,
    over: CancellationToken,
) {
    let mut there = match there(&*store, &keys).await {
        Ok(there) => there,
        // Nothing is skipped then.
        Err(e) => {
            warn!(error = %e, "grants cannot be listed");
            BTreeMap::new()
        }
    };
    while !over.is_cancelled() {
        let mut batch = outbox.take();
        if batch.is_empty() {
            tokio::select! {
                () = outbox.news.notified() => continue,
                () = over.cancelled() => return,
            }
        }
        batch.retain(|(node, grants)| there.get(node) != grants.as_ref());
        if batch.is_empty() {
            continue;
        }
        let mut txn = Txn {
            guards: vec![leader.clone()],
            ..Txn::default()
        };
        for (node, grants) in &batch {
            let key = keys.key(&Key::Grants(node.clone()));
            match grants {
                Some(bytes) => txn.puts.push((key, bytes.clone())),
                None => txn.deletes.push(key),
            }
        }
        match store.commit(txn).await {
            Ok(_) => batch.into_iter().for_each(|(node, grants)| match grants {
                Some(bytes) => drop(there.insert(node, bytes)),
                None => drop(there.remove(&node)),
            }),
            Err(StoreError::GuardFailed) => return,
            Err(e) => {
                warn!(error = %e, nodes = batch.len(), "grants not written, tried again");
                // What stands there now is not known.
                batch.iter().for_each(|(node, _)| drop(there.remove(node)));
                outbox.put_back(batch);
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = over.cancelled() => return,
                }
            }
        }
    }
}

async fn there(
    store: &dyn Store,
    keys: &KeySpace,
) -> Result<BTreeMap<NodeName, Vec<u8>>, StoreError> {
    let listing = store.list(&keys.folder(Folder::Grants)).await?;
    let grants = listing
        .entries
        .into_iter()
        .filter_map(|entry| match keys.parse(&entry.key)? {
            Key::Grants(node) => Some((node, entry.value)),
            _ => None,
        });
    Ok(grants.collect())
}
