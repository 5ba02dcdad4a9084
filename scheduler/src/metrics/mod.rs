//! What a scheduler shows to whoever scrapes it.
//!
//! ```text
//!   duty ── a tally every few seconds ──► ┐                    ┌─ /metrics          public, cell
//!        ── what was decided ───────────► ├ Metrics ◄── scrape ┤
//!   journal ── how the log is ──────────► ┘                    └─ /metrics/tenants  tenants
//! ```
//!
//! A scrape reads memory and asks nobody. What is the cell's (nodes, leases, watts) comes from the leader alone, so that
//! sums over schedulers are right; a standby shows what is its own.
//!
//! Reasons, states and verdicts are spelled as on the command line and in the log. A partition of the cell is a *side*
//! here, and a tenant an *account*.
//!
//! What is used is not summed here: agents meter it, and show it by lease and account.
//!
//! Not here: the HTTP and the settings (`leasehold_daemon::metrics`), and the counting (`leasehold_core::tally`).

mod cell;
mod decided;
mod log;
mod public;
mod tenants;

pub use log::LogCounts;

use crate::duty::Journal;
use decided::Decided;
use leasehold_common::class::Side;
use leasehold_common::ids::LeaseId;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::time::Timestamp;
use leasehold_core::tally::Tally;
use leasehold_daemon::metrics::{MetricsSettings, Pages, process};
use leasehold_store::Revision;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A tally, and when it was finished.
#[derive(Debug)]
struct Dated {
    tally: Tally,
    /// The scheduler's own clock then: ages go on from there.
    now: Timestamp,
    at: Instant,
}

/// The last tally, as scrapes see it; absent where this scheduler does not lead.
type Shown = watch::Receiver<Option<Arc<Dated>>>;

/// What is shown of one scheduler. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    leading: Gauge,
    revision: Gauge,
    decided: Decided,
    tally: watch::Sender<Option<Arc<Dated>>>,
    with_tenants: bool,
}

impl Metrics {
    /// Of which these are shown.
    pub fn new(settings: &MetricsSettings) -> Self {
        Self {
            with_tenants: settings.tenants,
            ..Self::default()
        }
    }

    /// The pages. From now on the cell is counted for them.
    pub fn pages(&self, journal: &Journal) -> Pages {
        let mut pages = Pages::default();
        process::register(&mut pages.public);
        public::register(&mut pages.public, self);
        self.decided.register(&mut pages.public);
        journal.counts().register(&mut pages.public);
        cell::register(&mut pages.public, self.tally.subscribe());
        pages.tenants = self.with_tenants.then(|| {
            let mut registry = Registry::default();
            tenants::register(&mut registry, self.tally.subscribe());
            registry
        });
        pages
    }

    /// Whether anybody may ask for a tally, and if so whether for one with tenants.
    pub(crate) fn wants_tally(&self) -> Option<bool> {
        (self.tally.receiver_count() > 0).then_some(self.with_tenants)
    }

    /// Shows a tally from now on.
    pub(crate) fn show(&self, tally: Tally, now: Timestamp) {
        let at = Instant::now();
        self.tally
            .send_replace(Some(Arc::new(Dated { tally, now, at })));
    }

    /// This scheduler leads from now on.
    pub(crate) fn lead(&self) {
        self.leading.set(1);
    }

    /// It does not lead any more: what it last counted is not the cell's any longer.
    pub(crate) fn lay_down(&self) {
        self.leading.set(0);
        self.tally.send_replace(None);
    }

    /// One step of the core took so long.
    pub(crate) fn passed(&self, took: Duration) {
        self.decided.passed(took);
    }

    /// The store is known to be at this revision.
    pub(crate) fn at_revision(&self, revision: Revision) {
        self.revision.set(revision.0);
    }

    /// A batch is in the store. `asked` knows the side of a lease and when it was requested.
    pub(crate) fn committed(
        &self,
        commit: &CommitRecord,
        asked: impl Fn(LeaseId) -> Option<(Side, Timestamp)>,
        now: Timestamp,
    ) {
        self.decided.committed(commit, asked, now);
    }
}
