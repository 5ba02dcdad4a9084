//! A scheduler's duty: following while another leads, deciding while it leads itself.
//!
//! ```text
//!            ┌──────────── campaign won ───────────┐
//!            │                                     ▼
//!   follow: the store's changes          lead: events ─► step ─► commit ─► log file ─► answers
//!   into a state for reads,                      one batch in flight           and grants
//!   commits into the log file                      │
//!            ▲                                     │ deposed, outcome unsettled, clock wrong
//!            └─────────────────────────────────────┘ the state is dropped and loaded again
//! ```
//!
//! One task owns the state. Requests reach it as [`Message`]s; while a batch is in flight reads wait
//! as well, because the state is ahead of the ledger then.
//!
//! Who does what: `lead` and `follow` are the two halves of the picture, `load` reads the
//! store, `feed` turns its changes into events, `commit` applies a batch and settles unknown
//! outcomes, `journal` is the log file and the live feed of records, `fanout` writes grants,
//! `trim` keeps the store small, `counting` counts the cell for whoever watches, `past` answers for leases that only the log has, `recovery` brings back a ledger that was restored from the
//! past, `clock` says when this host's time cannot be trusted.

mod clock;
mod commit;
mod counting;
mod fanout;
mod feed;
mod follow;
mod journal;
mod lead;
mod load;
mod message;
mod past;
mod recovery;
mod trim;

pub use clock::{Clock, HostClock, Synchronisation};
pub use journal::Journal;
pub use message::{Desk, Message};

use crate::log_file::LogFileError;
use crate::metrics::Metrics;
use lead::Outcome;
use leasehold_common::keys::{Folder, KeySpace};
use leasehold_common::time::Span;
use leasehold_core::{CoreSettings, LoadError};
use leasehold_store::{Store, StoreError, election};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long a scheduler rests after something went wrong before it tries again: long enough not to
/// hammer a store that is down, short against any grace.
const REST: Duration = Duration::from_secs(1);

/// The longest a loop sleeps: the watchdog, the clock and the leader's key are looked at as often.
const BEAT: Duration = Duration::from_secs(1);

/// What a scheduler needs to know to do its duty.
#[derive(Debug, Clone)]
pub struct DutySettings {
    /// Limits and lengths of time for the core; `host` is this scheduler's name.
    pub core: CoreSettings,
    /// How long the leader's key outlives its keeper.
    pub leader_ttl: Span,
    /// What an operator must know first, besides what the store and the state say.
    pub alerts: Vec<String>,
}

/// Everything the halves of a duty share.
#[derive(Debug)]
pub(crate) struct Office {
    pub settings: DutySettings,
    pub store: Arc<dyn Store>,
    pub keys: KeySpace,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    pub messages: mpsc::Receiver<Message>,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
}

/// Why a turn of duty could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DutyError {
    #[error("store")]
    Store(#[from] StoreError),
    #[error("ledger")]
    Load(#[from] LoadError),
    #[error("placement log")]
    Log(#[from] LogFileError),
}

/// Does a scheduler's duty until shutdown: follows, campaigns, leads, and begins anew whenever a
/// turn ends.
pub async fn serve(
    settings: DutySettings,
    store: Arc<dyn Store>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    messages: mpsc::Receiver<Message>,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let keys = KeySpace::new(&settings.core.cell);
    let mut settings = settings;
    let warnings = store.warnings().await;
    for warning in &warnings {
        warn!("{warning}");
    }
    settings.alerts.extend(warnings);
    let mut office = Office {
        settings,
        store,
        keys,
        journal,
        clock,
        messages,
        metrics,
        shutdown,
    };
    while !office.shutdown.is_cancelled() {
        if let Err(e) = office.turn().await {
            let error = anyhow::Error::from(e);
            warn!(
                error = format!("{error:#}"),
                "this turn of duty ended, the next begins"
            );
            office.rest(&format!("{error:#}")).await;
        }
    }
}

impl Office {
    /// What an operator must know first.
    fn alerts(&self) -> Vec<String> {
        let distrust = self.clock.distrust();
        let distrust = distrust.map(|why| format!("the clock cannot be trusted: {why}"));
        let settled = self.settings.alerts.iter().cloned();
        settled.chain(distrust).chain(self.clock.remark()).collect()
    }

    fn leader_key(&self) -> String {
        format!("{}leader", self.keys.folder(Folder::Election))
    }

    /// One turn: follow until elected, then lead until that ends.
    async fn turn(&mut self) -> Result<(), DutyError> {
        let (key, host) = (
            self.leader_key(),
            self.settings.core.host.clone().into_bytes(),
        );
        let store = Arc::clone(&self.store);
        let mut campaign = Box::pin(election::campaign(
            store,
            &key,
            host,
            self.settings.leader_ttl,
        ));
        let Some(leadership) = self.follow(&mut campaign).await? else {
            return Ok(());
        };
        drop(campaign);
        info!(host = self.settings.core.host, "elected");
        let outcome = self.lead(&leadership).await;
        match &outcome {
            Ok(Outcome::Shutdown) => {
                if let Err(e) = leadership.resign().await {
                    warn!(error = %e, "the leader's key is left to its TTL");
                }
            }
            Ok(Outcome::Deposed) => warn!("another scheduler leads now, or may"),
            Ok(Outcome::Again(why)) => {
                info!(why, "the state is loaded again");
                if let Err(e) = leadership.resign().await {
                    warn!(error = %e, "the leader's key is left to its TTL");
                }
            }
            Ok(Outcome::ClockWrong(why)) => {
                error!(why, "nothing is decided: the clock cannot be trusted");
                if let Err(e) = leadership.resign().await {
                    warn!(error = %e, "the leader's key is left to its TTL");
                }
                // Another host may have a better clock, and gets the time to be elected.
                self.rest(&format!("the clock cannot be trusted: {why}"))
                    .await;
            }
            Err(_) => drop(leadership),
        }
        outcome.map(|_| ())
    }

    /// Waits a moment, telling whoever asks why nothing is answered.
    async fn rest(&mut self, why: &str) {
        leasehold_daemon::notify::watchdog();
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = refuse_for(&mut self.messages, REST, why) => {}
        }
    }
}

/// For a moment, tells whoever asks that the ledger cannot be used, and why.
pub async fn refuse_for(messages: &mut mpsc::Receiver<Message>, moment: Duration, why: &str) {
    let over = tokio::time::sleep(moment);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            message = messages.recv() => match message {
                Some(message) => message.refuse(&format!("the ledger cannot be used: {why}")),
                None => return,
            },
        }
    }
}

#[cfg(test)]
mod tests;
