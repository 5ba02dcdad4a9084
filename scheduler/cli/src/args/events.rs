//! `leasectl events` and `leasectl explain`.

use clap::Args;
use leasehold_common::ids::{LeaseId, Seq};

/// `events`.
#[derive(Debug, Clone, Args)]
pub struct Events {
    /// Go on with what happens from now on, until interrupted.
    #[arg(short, long)]
    pub follow: bool,
    /// What came after this record.
    #[arg(long, value_name = "SEQ")]
    pub since: Option<Seq>,
}

/// `explain`.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// The lease's number.
    pub id: LeaseId,
}
