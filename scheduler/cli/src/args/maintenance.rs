//! `leasectl maintenance`.

use super::Write;
use clap::{Args, Subcommand};
use leasehold_common::ids::MaintenanceId;
use leasehold_common::time::Timestamp;

/// What can be done with maintenance.
#[derive(Debug, Clone, Subcommand)]
pub enum Maintenance {
    /// Keep nodes free for the people who look after them, from one instant to another.
    ///
    /// Nobody is let on them in that time, and nothing is done to them. Where a lease or another
    /// maintenance is booked on them in that time, all of these are named, nothing is changed, and
    /// the exit code is 6: end, or wait for, what stands in the way, or choose another time.
    Create(CreateMaintenance),
    /// List what is booked or under way; with --all, also what is over.
    Ls(ListMaintenance),
    /// End one, or withdraw one that has not begun: its nodes may be let again.
    End(EndMaintenance),
}

/// `maintenance create`.
#[derive(Debug, Clone, Args)]
pub struct CreateMaintenance {
    /// The nodes, such as h[001-016].
    #[arg(long, value_name = "HOSTLIST")]
    pub nodes: String,
    /// From this instant, such as 2026-12-01T22:00:00Z [default: now].
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<Timestamp>,
    /// Until this instant.
    #[arg(long, value_name = "INSTANT")]
    pub to: Timestamp,
    /// Why, for whoever meets it.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Say what stands in the way; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `maintenance ls`.
#[derive(Debug, Clone, Args)]
pub struct ListMaintenance {
    /// Also what is over.
    #[arg(short, long)]
    pub all: bool,
}

/// `maintenance end`.
#[derive(Debug, Clone, Args)]
pub struct EndMaintenance {
    /// Its number.
    pub id: MaintenanceId,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
