//! `leasectl ledger`.

use super::Write;
use clap::{Args, Subcommand};

/// What can be done with the ledger.
#[derive(Debug, Clone, Subcommand)]
pub enum Ledger {
    /// Resume after the store was restored from the past.
    ///
    /// A scheduler that finds its store older than its log or than what agents enforce decides
    /// nothing. This shows the differences, and when confirmed replays what is known, raises the
    /// epoch and skips every id that was seen. Running leases are not touched.
    Recover(RecoverLedger),
}

/// `ledger recover`.
#[derive(Debug, Clone, Args)]
pub struct RecoverLedger {
    /// Why, for the log.
    #[arg(long)]
    pub reason: Option<String>,
    /// Show the differences; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
