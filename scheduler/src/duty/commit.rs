//! Making a batch durable, or knowing that it is not.

use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::ledger::CommitRecord;
use leasehold_common::record;
use leasehold_core::Batch;
use leasehold_store::{Entry, Guard, Revision, Store, StoreError, Txn};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// How often the fate of a commit is asked after, and the commit sent again. With the store's own
/// deadlines this is well above the time in which a leader without contact is deposed.
const TRIES: u32 = 20;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a batch is not known to be durable. In every case the state is to be dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// Somebody else leads, or wrote the ledger.
    #[error("deposed: a guard did not hold")]
    Deposed,
    /// Nobody can say whether it was applied.
    #[error("the outcome of the commit cannot be learned: {0}")]
    Unsettled(StoreError),
    /// The store refuses it; trying again is of no use.
    #[error("the store refuses the commit")]
    Refused(#[source] StoreError),
}

/// Commits a batch: leader key and head are compared, head, log entry and records put, in one
/// transaction. Gives the head's new revision.
///
/// Where the outcome is unknown, `log/<seq>` tells: it carries the digest of its batch. Where it is
/// not there, the same transaction is sent again; the comparison of the head lets it apply at most
/// once.
pub(super) async fn commit(
    store: Arc<dyn Store>,
    keys: KeySpace,
    leader: Guard,
    head: Option<Revision>,
    batch: Arc<Batch>,
) -> Result<Revision, CommitError> {
    let txn = transaction(&keys, leader, head, &batch);
    let log_key = keys.key(&Key::Log(batch.commit.last));
    let mut last = None;
    for _ in 0..TRIES {
        match store.commit(txn.clone()).await {
            Ok(committed) => return Ok(committed.revision),
            Err(StoreError::GuardFailed) if last.is_none() => return Err(CommitError::Deposed),
            // An earlier try of this transaction may be what changed the head.
            Err(StoreError::GuardFailed) => {
                return match store.get(&log_key).await {
                    Ok(entry) => is_ours(entry, &batch).ok_or(CommitError::Deposed),
                    Err(e) => Err(CommitError::Unsettled(e)),
                };
            }
            Err(e @ (StoreError::Unknown { .. } | StoreError::Unavailable { .. })) => {
                warn!(error = %e, "commit not confirmed");
                last = Some(e);
            }
            Err(e) => return Err(CommitError::Refused(e)),
        }
        if let Ok(entry) = store.get(&log_key).await
            && let Some(revision) = is_ours(entry, &batch)
        {
            return Ok(revision);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(CommitError::Unsettled(
        last.expect("every try that went on left its error"),
    ))
}

/// The revision at which this very batch was applied; `None` where the entry is absent or another's.
fn is_ours(entry: Option<Entry>, batch: &Batch) -> Option<Revision> {
    let entry = entry?;
    let commit: CommitRecord = record::decode(&entry.value).ok()?;
    (commit.batch == batch.commit.batch).then_some(entry.modified)
}

fn transaction(keys: &KeySpace, leader: Guard, head: Option<Revision>, batch: &Batch) -> Txn {
    let head_key = keys.key(&Key::Head);
    let head_guard = match head {
        Some(revision) => Guard::ModifiedAt {
            key: head_key.clone(),
            revision,
        },
        None => Guard::Absent {
            key: head_key.clone(),
        },
    };
    let mut puts = vec![
        (head_key, record::encode(&batch.head)),
        (
            keys.key(&Key::Log(batch.commit.last)),
            record::encode(&batch.commit),
        ),
    ];
    puts.extend(
        batch
            .puts
            .iter()
            .map(|(key, value)| (keys.key(key), value.clone())),
    );
    let deletes = batch.deletes.iter().map(|key| keys.key(key)).collect();
    Txn {
        guards: vec![leader, head_guard],
        puts,
        deletes,
    }
}
