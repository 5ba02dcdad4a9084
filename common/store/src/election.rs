//! Leader election, from what every [`Store`] can do: one key that the leader keeps.
//!
//! ```text
//!   campaign ─► key absent? ── yes ─► keep it, guarded by its absence ─► Leadership
//!                  ▲    no │                       │ somebody was faster
//!                  └───────┴── wait: a watch on the key, and a look at it from time to time
//! ```
//!
//! Three things make a leader, and none of them alone:
//! - **The fence.** [`Leadership::guard`] names the revision at which its key was created. It stands
//!   in every transaction of a leader, so that one who does not know yet that he has been replaced
//!   changes nothing. This is what correctness rests on.
//! - **The clock.** [`Leadership::is_valid`] is false once the last confirmation is older than the TTL
//!   less a margin: a leader that was frozen stops by itself before another one can begin.
//! - **The watch.** [`Leadership::lost`] tells when the key is gone or somebody else's.

use crate::model::{
    Change, Guard, Keeper, Listing, Revision, Store, StoreError, Watch, WatchMessage,
};
use leasehold_common::time::Span;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a candidate relies on its watch before it looks at the key itself, and how long it waits
/// after an error. A watch misses nothing; this is for the day on which it does.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Before a watch that the store has ended is opened again: stores do that only when in trouble.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until nobody leads, then leads. Standing by through an outage of the store is a candidate's
/// work, so it returns an error only where waiting is of no use.
///
/// Two candidates that run for one key should have different `candidate` values, for the people who
/// read them; the election itself does not need it.
///
/// # Errors
/// [`StoreError::Denied`], [`StoreError::TooLarge`], [`StoreError::Settings`] and
/// [`StoreError::Database`].
pub async fn campaign(
    store: Arc<dyn Store>,
    key: &str,
    candidate: Vec<u8>,
    ttl: Span,
) -> Result<Leadership, StoreError> {
    loop {
        match try_once(&store, key, &candidate, ttl).await {
            Ok(Some(leadership)) => return Ok(leadership),
            // The key was there and has changed, or somebody was faster: look again.
            Ok(None) | Err(StoreError::GuardFailed) => {}
            Err(
                error @ (StoreError::Unknown { .. }
                | StoreError::Unavailable { .. }
                | StoreError::NoSpace { .. }),
            ) => {
                tracing::warn!(%key, %error, "cannot campaign, waiting");
                tokio::time::sleep(LOOK_AGAIN_AFTER.min(ttl.std())).await;
            }
            Err(
                error @ (StoreError::Denied { .. }
                | StoreError::TooLarge { .. }
                | StoreError::Settings { .. }
                | StoreError::Database { .. }),
            ) => return Err(error),
        }
    }
}

/// Who leads: the value of the key; `None` while nobody does.
///
/// # Errors
/// Those of [`Store::get`].
pub async fn leader(store: &dyn Store, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.get(key).await?.map(|entry| entry.value))
}

/// Leads where nobody does; otherwise waits until the key changes, and returns `None`.
async fn try_once(
    store: &Arc<dyn Store>,
    key: &str,
    candidate: &[u8],
    ttl: Span,
) -> Result<Option<Leadership>, StoreError> {
    let listing = store.list(key).await?;
    if holds(&listing, key) {
        let mut watch = store.watch(key, listing.revision).await?;
        let until = Instant::now() + LOOK_AGAIN_AFTER;
        // Woken too early, it looks at the key and waits again.
        let _ = timeout_at(until, until_changed(&mut watch)).await;
        return Ok(None);
    }
    let absent = vec![Guard::Absent {
        key: key.to_owned(),
    }];
    let keeper = store
        .keep(key, candidate.to_vec(), ttl, absent, false)
        .await?;
    Leadership::begin(store, key, ttl, keeper).await.map(Some)
}

fn holds(listing: &Listing, key: &str) -> bool {
    listing.entries.iter().any(|entry| entry.key == key)
}

async fn until_changed(watch: &mut Watch) {
    loop {
        match watch.recv().await {
            Some(WatchMessage::ContactLost | WatchMessage::ContactBack) => {}
            Some(WatchMessage::Changes(_) | WatchMessage::Snapshot(_)) | None => return,
        }
    }
}

/// Being the leader. Dropped without [`Leadership::resign`], the key stays for its TTL.
#[derive(Debug)]
pub struct Leadership {
    key: String,
    created: Revision,
    ttl: Span,
    keeper: Arc<dyn Keeper>,
    lost: CancellationToken,
    observer: JoinHandle<()>,
}

impl Leadership {
    async fn begin(
        store: &Arc<dyn Store>,
        key: &str,
        ttl: Span,
        keeper: Box<dyn Keeper>,
    ) -> Result<Self, StoreError> {
        let created = keeper.put_at();
        let watch = match store.watch(key, created).await {
            Ok(watch) => watch,
            Err(error) => {
                // Leading without knowing when it ends is worse than not leading.
                let _ = keeper.release().await;
                return Err(error);
            }
        };
        let keeper: Arc<dyn Keeper> = Arc::from(keeper);
        let lost = CancellationToken::new();
        let observer = Observer {
            store: Arc::clone(store),
            key: key.to_owned(),
            created,
            ttl,
            keeper: Arc::clone(&keeper),
        };
        let told = lost.clone();
        Ok(Self {
            key: key.to_owned(),
            created,
            ttl,
            keeper,
            lost,
            observer: tokio::spawn(async move {
                observer.until_lost(watch).await;
                told.cancel();
            }),
        })
    }

    /// The fence: what must stand in every transaction of this leader.
    pub fn guard(&self) -> Guard {
        Guard::CreatedAt {
            key: self.key.clone(),
            revision: self.created,
        }
    }

    /// Whether it certainly still leads, and will for `margin` more: what is begun on this must end
    /// within the margin, or be fenced.
    pub fn is_valid(&self, margin: Span) -> bool {
        let trusted = self.ttl.std().saturating_sub(margin.std());
        !self.lost.is_cancelled() && self.keeper.unconfirmed_for() < trusted
    }

    /// Returns once it no longer leads: the key is gone or somebody else's, or nobody has confirmed
    /// it for a whole TTL.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Ends it now, so that the next one need not wait for the TTL.
    ///
    /// # Errors
    /// Those of [`Keeper::release`]; the key then stays for its TTL.
    pub async fn resign(self) -> Result<(), StoreError> {
        self.lost.cancel();
        self.keeper.release().await
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.observer.abort();
    }
}

/// Looks for the end of a leadership.
struct Observer {
    store: Arc<dyn Store>,
    key: String,
    created: Revision,
    ttl: Span,
    keeper: Arc<dyn Keeper>,
}

impl Observer {
    async fn until_lost(&self, mut watch: Watch) {
        loop {
            let left = self.ttl.std().saturating_sub(self.keeper.unconfirmed_for());
            if left.is_zero() {
                return;
            }
            // Confirmations push the end on; it is looked at when it was due.
            match timeout_at(Instant::now() + left, watch.recv()).await {
                Err(_) => {}
                Ok(Some(message)) if self.ends_with(&message) => return,
                Ok(Some(_)) => {}
                Ok(None) => {
                    tokio::time::sleep(PAUSE).await;
                    match self.store.watch(&self.key, self.created).await {
                        Ok(again) => watch = again,
                        Err(_) => return,
                    }
                }
            }
        }
    }

    /// Whether a message says that the key, as this leader created it, is no more.
    fn ends_with(&self, message: &WatchMessage) -> bool {
        let another = |created: Revision| created != self.created;
        match message {
            WatchMessage::Changes(changes) => changes.iter().any(|change| match change {
                Change::Put(entry) => another(entry.created),
                Change::Delete { .. } => true,
            }),
            WatchMessage::Snapshot(listing) => {
                let ours = |entry: &crate::model::Entry| entry.key == self.key;
                let found = listing.entries.iter().find(|entry| ours(entry));
                found.is_none_or(|entry| another(entry.created))
            }
            WatchMessage::ContactLost | WatchMessage::ContactBack => false,
        }
    }
}
