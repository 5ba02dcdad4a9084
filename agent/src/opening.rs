//! Opens the store, however long that takes.
//!
//! An agent that waited for its store before it began would not end a lease on time after a reboot
//! during an outage. So it begins without, and this goes on trying beside it: also where the store
//! refuses its login, because a certificate that has expired is no reason to forget a lease.

use leasehold_daemon::store::{self, StoreSettings};
use leasehold_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The wait after the first try that failed, doubled each time up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_secs(1);

/// How long a store that is there may be overlooked.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Tries until the store is open, hands it over, and says what is to be known about it.
pub async fn open(settings: &StoreSettings, to: watch::Sender<Option<Arc<dyn Store>>>) {
    let mut wait = RETRY;
    let mut told = String::new();
    let store = loop {
        match store::open(settings).await {
            Ok(store) => break store,
            Err(e) => {
                let words = e.to_string();
                if words != told {
                    tracing::warn!(error = words, "the store does not open; leases go on");
                    told = words;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    };
    tracing::info!(store = store.describe(), "store open");
    to.send_replace(Some(Arc::clone(&store)));
    for warning in store.warnings().await {
        tracing::warn!(warning, "store");
    }
}
