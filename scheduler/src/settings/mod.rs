//! The scheduler's settings, checked: the daemon's keys, their defaults and their bounds.
//!
//! Where they come from, and how every mistake is told at once with its place, is in
//! `leasehold_daemon::settings`. Every key stands with its meaning in the sample `scheduler.toml`.
//!
//! Not here: what an operator decides through the API while the scheduler runs (accounts, nodes),
//! and figures that nobody should turn, which are constants beside the code that uses them.

mod check;
mod fragment;

pub use fragment::Fragment;

use crate::control::Roles;
use leasehold_common::time::Span;
use leasehold_core::CoreSettings;
use leasehold_daemon::metrics::MetricsSettings;
use leasehold_daemon::settings::{Layers, SettingsError};
use leasehold_daemon::socket::SocketSettings;
use leasehold_daemon::store::StoreSettings;
use std::path::PathBuf;

/// Everything that is decided before a scheduler starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What decisions are made by: cell, host, SKUs, policy, liveness.
    pub core: CoreSettings,
    /// The scheduler's own files.
    pub state_dir: PathBuf,
    /// The placement log's files.
    pub log_dir: PathBuf,
    /// A log file beyond this size is put aside.
    pub log_rotate_bytes: u64,
    /// What the daemon's own log lets through.
    pub log_level: String,
    /// Whether nothing is decided while this host's clock is not synchronised.
    pub require_synchronised_clock: bool,
    /// The control socket, where systemd has not made it.
    pub control: SocketSettings,
    /// Who may do what through it.
    pub roles: Roles,
    /// Where the ledger is kept.
    pub store: StoreSettings,
    /// How long the others wait for a silent leader.
    pub leader_ttl: Span,
    /// Where it is shown to whoever scrapes.
    pub metrics: MetricsSettings,
}

impl Settings {
    /// Reads and checks the settings. `hostname` is the name of this scheduler unless one is set.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place.
    pub fn read(layers: Layers, hostname: &str) -> Result<Self, SettingsError> {
        let (fragment, mut findings) = layers.read::<Fragment>();
        let settings = check::check(fragment, hostname, &mut findings);
        findings.finish(settings)
    }

    /// The placement log's current file.
    pub fn log_path(&self) -> PathBuf {
        self.log_dir.join("placements.jsonl")
    }
}

#[cfg(test)]
mod tests;
