//! What a daemon shows to whoever scrapes it: OpenMetrics over HTTP, on loopback or a Unix socket.
//!
//! ```text
//!   the daemon's task ── publishes ──► what it last knew ◄── reads ── GET /metrics
//!                                                        ◄── reads ── GET /metrics/tenants
//! ```
//!
//! - A scrape asks no device, no store and no task: it reads what was last published. So it answers as fast
//!   while a GPU hangs or the store is away, and nothing waits for it.
//! - What names accounts or leases stands on [`Page::Tenants`] alone, which is shown only where the settings
//!   say so.
//! - Nothing listens beyond this host: there is no TLS and no login here, so whoever is to scrape from
//!   elsewhere comes through a proxy that has both.
//!
//! `listen` is the settings and where they lead, `serve` the HTTP, `sheet` how a snapshot becomes
//! families of series, [`process`] what every process can say of itself, `classic` the older text format.
//!
//! Not here: which series there are. Each daemon has its own.

mod classic;
mod listen;
pub mod process;
mod serve;
mod sheet;

pub use listen::{Address, InvalidAddress, MetricsFragment, MetricsSettings};
pub use prometheus_client::registry::{Registry, Unit};
pub use serve::{MetricsError, Pages, Server};
pub use sheet::Sheet;

/// A page there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// What names no tenant.
    Public,
    /// What names accounts and leases.
    Tenants,
}

impl Page {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Public => "/metrics",
            Self::Tenants => "/metrics/tenants",
        }
    }

    /// The page at a path.
    pub fn at(path: &str) -> Option<Self> {
        [Self::Public, Self::Tenants]
            .into_iter()
            .find(|page| page.path() == path)
    }
}

#[cfg(test)]
mod tests;
