//! `leasectl leases`.

use super::{Write, value};
use clap::{ArgGroup, Args, Subcommand};
use leasehold_common::class::Class;
use leasehold_common::ids::{AccountName, LeaseId, SkuName};
use leasehold_common::lease::LeaseState;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;

/// What can be done with leases.
#[derive(Debug, Clone, Subcommand)]
pub enum Leases {
    /// Ask for hardware.
    Create(CreateLease),
    /// List leases.
    Ls(ListLeases),
    /// Everything known of one lease.
    Show(ShowLease),
    /// End a lease that has begun: with its class's notice, or at once with --now.
    End(EndLease),
    /// Withdraw a lease that has not begun.
    Cancel(CancelLease),
}

/// `leases create`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("shape").required(true))]
pub struct CreateLease {
    /// Who is to hold it.
    #[arg(long)]
    pub account: AccountName,
    /// What is promised, and who may be reclaimed for whom.
    #[arg(long, value_parser = value::class())]
    pub class: Class,
    /// A gang of whole nodes: all of them or none.
    #[arg(long, value_name = "N", group = "shape", value_parser = value::count, allow_negative_numbers = true)]
    pub nodes: Option<u32>,
    /// GPUs of one node.
    #[arg(long, value_name = "N", group = "shape", value_parser = value::count, allow_negative_numbers = true)]
    pub gpus: Option<u32>,
    /// The kind of node, such as h200 or gb200.
    #[arg(long)]
    pub sku: SkuName,
    /// The largest unit its nodes may be spread over.
    #[arg(long, value_name = "UNIT", value_parser = value::locality(), default_value = "cell")]
    pub within: Locality,
    /// Not before this instant, such as 2026-11-22T09:00:00Z [default: as soon as possible].
    #[arg(long, value_name = "INSTANT")]
    pub start: Option<Timestamp>,
    /// For how long, such as 90m or 30d. Without --for and --until the end is open, which internal
    /// classes may have.
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    pub length: Option<Span>,
    /// Until this instant, however late it starts.
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<Timestamp>,
    /// What its holder calls it.
    #[arg(long)]
    pub name: Option<String>,
    /// Return when it is active; exit 7 if --timeout runs out first.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Say what would be decided; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `leases ls`.
#[derive(Debug, Clone, Args)]
pub struct ListLeases {
    /// Those that are over, too.
    #[arg(short, long)]
    pub all: bool,
    /// Only this account's.
    #[arg(long)]
    pub account: Option<AccountName>,
    /// Only those in this state.
    #[arg(long, value_parser = value::lease_state())]
    pub state: Option<LeaseState>,
}

/// `leases show`.
#[derive(Debug, Clone, Args)]
pub struct ShowLease {
    /// Its number.
    pub id: LeaseId,
}

/// `leases end`.
#[derive(Debug, Clone, Args)]
pub struct EndLease {
    /// Its number.
    pub id: LeaseId,
    /// Without the notice of its class: access ends as soon as the nodes hear of it.
    #[arg(long)]
    pub now: bool,
    /// The number of GPUs the lease holds: the confirmation that an end without notice wants for
    /// more than 64 nodes where there is no terminal to ask on.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub confirm_gpus: Option<u64>,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `leases cancel`.
#[derive(Debug, Clone, Args)]
pub struct CancelLease {
    /// Its number.
    pub id: LeaseId,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
