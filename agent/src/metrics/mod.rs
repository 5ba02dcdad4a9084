//! What an agent shows to whoever scrapes it.
//!
//! ```text
//!   desk ───── a snapshot a turn ──► ┐                    ┌─ /metrics          public
//!   sampler ── when a GPU answered ─►├ Metrics ◄── scrape ┤
//!   outbox ─── what was delivered ──►┘                    └─ /metrics/tenants  tenants
//! ```
//!
//! A scrape reads memory and nothing else, so it is answered as fast while a GPU hangs; the ages of the readings then
//! tell. What DCGM's exporter has (draw, temperature, clocks, memory, ECC) is not repeated: here stands what the agent
//! makes of it, by the label `UUID` that both have.
//!
//! A snapshot is made only where somebody may ask for it: a thousand agents in one process cost nothing more.
//!
//! Not here: the HTTP and the settings (`leasehold_daemon::metrics`).

mod counts;
mod public;
mod snapshot;
mod tenants;

pub use counts::{CallCounts, Counts, Delivered, Readings};
pub use snapshot::{GpuShown, LeaseShown, Snapshot};

use leasehold_common::ids::NodeName;
use leasehold_daemon::metrics::{MetricsSettings, Pages, process};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tokio::sync::watch;

/// The last snapshot, as scrapes see it; absent before the first.
type Shown = watch::Receiver<Option<Arc<Snapshot>>>;

/// What is shown of one agent, for those who show it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// What is counted where it happens.
    pub counts: Counts,
    shown: watch::Sender<Option<Arc<Snapshot>>>,
}

impl Metrics {
    /// Shows this from now on. It is made only if somebody may read it.
    pub fn show(&self, snapshot: impl FnOnce() -> Snapshot) {
        if self.shown.receiver_count() > 0 {
            self.shown.send_replace(Some(Arc::new(snapshot())));
        }
    }

    /// The pages, of which snapshots are made from now on.
    pub fn pages(&self, node: &NodeName, settings: &MetricsSettings) -> Pages {
        let mut pages = Pages::default();
        process::register(&mut pages.public);
        public::register(
            pages.public.sub_registry_with_label(label(node)),
            &self.counts,
            self.shown.subscribe(),
        );
        pages.tenants = settings.tenants.then(|| {
            let mut registry = Registry::default();
            let of_node = registry.sub_registry_with_label(label(node));
            tenants::register(of_node, self.shown.subscribe());
            registry
        });
        pages
    }
}

fn label(
    node: &NodeName,
) -> (
    std::borrow::Cow<'static, str>,
    std::borrow::Cow<'static, str>,
) {
    ("node".into(), node.to_string().into())
}
