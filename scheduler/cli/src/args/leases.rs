//! `leasectl leases`.

use super::{Write, value};
use clap::{ArgGroup, Args, Subcommand};
use leasehold_common::class::Class;
use leasehold_common::ids::{AccountName, LeaseId, NodeName, SkuName};
use leasehold_common::lease::LeaseState;
use leasehold_common::mig::MigProfile;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix};

/// What can be done with leases.
#[derive(Debug, Clone, Subcommand)]
pub enum Leases {
    /// Ask for hardware.
    Create(Box<CreateLease>),
    /// List leases.
    Ls(ListLeases),
    /// Everything known of one lease.
    Show(ShowLease),
    /// End a lease that has begun: with its class's notice, or at once with --now.
    End(EndLease),
    /// Put the end of a lease off. Takes until 60 s before access ends to commit; what is booked
    /// behind it is never pushed back, and is named where it is in the way.
    Extend(ExtendLease),
    /// Go on with fewer nodes. The nodes that go end access as soon as they hear of it, without notice,
    /// as `end --now` does; what was on them is gone. A lease that is to give up all of its nodes is
    /// ended.
    Shrink(ShrinkLease),
    /// Give a lease another node in the place of one: a spare of the same domain, or else the nearest
    /// free node within what the lease was asked for. Access on the node that goes ends as soon as it
    /// hears of it; every other node goes on as it is and keeps its rank, and the new one gets the rank
    /// of the old. Refused where nothing is free.
    Replace(ReplaceNode),
    /// Book the hardware that is held for a lease.
    Commit(CommitLease),
    /// Withdraw a lease that has not begun.
    Cancel(CancelLease),
}

/// What can be planned.
#[derive(Debug, Clone, Subcommand)]
pub enum Plan {
    /// Decide a request as if it were made now, and show everything that was weighed: nodes that
    /// were ruled out by each rule, where it would go, what came second and why, or when it could
    /// start and what would let it start sooner.
    ///
    /// Exit 0 it would have its hardware, 7 it would wait, 6 it could never be.
    Create(Box<Wanted>),
}

/// `leases create`.
#[derive(Debug, Clone, Args)]
pub struct CreateLease {
    /// What is asked for.
    #[command(flatten)]
    pub wanted: Wanted,
    /// Return when it is active; exit 7 if --timeout runs out first.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Say what would be decided; change nothing. `plan create` says why as well.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// A request for hardware.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("shape").required(true).multiple(false))]
pub struct Wanted {
    /// Who is to hold it.
    #[arg(long)]
    pub account: AccountName,
    /// What is promised, and who may be reclaimed for whom.
    #[arg(long, value_parser = value::class())]
    pub class: Class,
    /// A gang of whole nodes: all of them or none; with MIN..N, as many as there are, MIN at least.
    #[arg(long, value_name = "N|MIN..N", group = "shape", value_parser = value::count, allow_negative_numbers = true)]
    pub nodes: Option<value::Count>,
    /// Nodes to be kept besides in each domain, so that a failed node is replaced within it.
    #[arg(long, value_name = "N", requires = "nodes")]
    pub spares: Option<u32>,
    /// Only whole units of this size, such as domain or rack: as many as the nodes make, each to its last
    /// node.
    #[arg(long, value_name = "UNIT", requires = "nodes", conflicts_with = "spares", value_parser = value::locality())]
    pub whole: Option<Locality>,
    /// Everything that can be let below a place, such as hall-a or hall-a/row-1; `cell` for the whole
    /// cell.
    #[arg(long, value_name = "PREFIX", group = "shape", value_parser = value::prefix)]
    pub unit: Option<Prefix>,
    /// GPUs of one node.
    #[arg(long, value_name = "N", group = "shape", value_parser = value::number, allow_negative_numbers = true)]
    pub gpus: Option<u32>,
    /// Slices of the GPUs of one node: a MIG profile and how many, such as 1g.18gb:3. May be given for
    /// each profile.
    #[arg(long = "slice", value_name = "PROFILE:N", group = "shape", value_parser = value::slices)]
    pub slices: Vec<(MigProfile, u32)>,
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
    /// The most one of its GPUs may draw, in watts: a lower one may fit where a power budget is short
    /// [default: the SKU's own limit].
    #[arg(long, value_name = "WATTS")]
    pub power_cap_w: Option<u32>,
    /// Hardware threads on each of its nodes, such as 32 or 0.5 [default: the share that goes with its
    /// GPUs].
    #[arg(long, value_name = "N", value_parser = value::cpus)]
    pub cpus: Option<u64>,
    /// Memory on each of its nodes, such as 512GiB [default: the share that goes with its GPUs].
    #[arg(long, value_name = "SIZE", value_parser = value::mebibytes)]
    pub memory: Option<u64>,
    /// Hold the hardware for this long, such as 10m, instead of booking it: `leases commit` books it,
    /// and where that does not come in time it is free again.
    #[arg(long, value_name = "TIME")]
    pub hold: Option<Span>,
    /// What its holder calls it.
    #[arg(long)]
    pub name: Option<String>,
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

/// `leases extend`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("how-long").required(true))]
pub struct ExtendLease {
    /// Its number.
    pub id: LeaseId,
    /// For so long beyond its present end, such as 2h or 30d.
    #[arg(long = "for", value_name = "TIME", group = "how-long")]
    pub length: Option<Span>,
    /// Until this instant.
    #[arg(long, value_name = "INSTANT", group = "how-long")]
    pub until: Option<Timestamp>,
    /// Say whether it could be; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `leases shrink`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("what-stays").required(true))]
pub struct ShrinkLease {
    /// Its number.
    pub id: LeaseId,
    /// So many nodes that work are to stay, 1 at least: those that are not sound go first, then
    /// the smallest parts of domains, then the last ones.
    #[arg(long, value_name = "N", group = "what-stays", value_parser = value::number, allow_negative_numbers = true)]
    pub nodes: Option<u32>,
    /// These nodes go, such as h[001-004].
    #[arg(long, value_name = "HOSTLIST", group = "what-stays")]
    pub drop: Option<String>,
    /// So many GPUs are to stay, of a lease of GPUs: close together, and those that are not sound go first.
    #[arg(long, value_name = "N", group = "what-stays", value_parser = value::number, allow_negative_numbers = true)]
    pub gpus: Option<u32>,
    /// Slices that are to stay, of a lease of slices, such as 1g.18gb:2: a profile and how many. May be given
    /// for each profile; those not named go. What goes is what empties a GPU soonest.
    #[arg(long = "slice", value_name = "PROFILE:N", group = "what-stays", value_parser = value::slices)]
    pub slices: Vec<(MigProfile, u32)>,
    /// Show the lease as it would be; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `leases replace`.
#[derive(Debug, Clone, Args)]
pub struct ReplaceNode {
    /// Its number.
    pub id: LeaseId,
    /// The node that goes.
    #[arg(long, value_name = "NAME")]
    pub node: NodeName,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Show the lease as it would be; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `leases commit`.
#[derive(Debug, Clone, Args)]
pub struct CommitLease {
    /// Its number.
    pub id: LeaseId,
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
