//! `leasectl nodes`.

use super::{Write, value};
use clap::{Args, Subcommand};
use leasehold_common::ids::NodeName;
use leasehold_common::node::NodeState;
use leasehold_common::time::Timestamp;
use std::path::PathBuf;

/// What can be done with nodes.
#[derive(Debug, Clone, Subcommand)]
pub enum Nodes {
    /// List nodes, folded by equal state.
    Ls(ListNodes),
    /// Everything known of one node.
    Show(ShowNode),
    /// Admit the nodes of an inventory: columns node,hall,row,rack,domain,sku
    /// and perhaps owner. One bad line, and none is admitted.
    Import(ImportNodes),
    /// Accept nodes as they report themselves: new ones, and frozen ones whose place or hardware
    /// has changed.
    Admit(AdmitNodes),
    /// Keep new leases away; running ones go on. This is Slurm's drain, not Kubernetes' or Nomad's.
    ///
    /// Leases on bare metal cannot move: nothing is evicted, and a lease that runs ends when it would
    /// have. Bookings to come go elsewhere where other nodes are free; the others are named and do
    /// not begin here. One bad name, and nothing is changed.
    #[command(visible_alias = "cordon")]
    Drain(DrainNodes),
    /// Let nodes again that were drained, whoever drained them. Other flags stay.
    #[command(visible_alias = "uncordon")]
    Undrain(UndrainNodes),
    /// Take every flag from nodes, and name those that are out of service all the same: `nodes
    /// admit` takes back what is quarantined.
    Resume(ResumeNodes),
}

/// `nodes ls`.
#[derive(Debug, Clone, Args)]
pub struct ListNodes {
    /// One line per node.
    #[arg(short = 'N', long)]
    pub per_node: bool,
    /// Only nodes in this state.
    #[arg(long, value_parser = value::node_state())]
    pub state: Option<NodeState>,
    /// Only nodes that are drained or out of service: why, by whom and since when (sinfo -R).
    #[arg(short = 'R', long, conflicts_with = "per_node")]
    pub reasons: bool,
}

/// `nodes drain`.
#[derive(Debug, Clone, Args)]
pub struct DrainNodes {
    /// Which, such as h[001-016,020].
    #[arg(value_name = "HOSTLIST", required = true)]
    pub nodes: Vec<String>,
    /// Why, for whoever meets it.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Let them again at this instant, such as 2026-12-01T22:00:00Z [default: when somebody undrains].
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<Timestamp>,
    /// Flag them for maintenance instead: somebody works on them. Beside a drain, with a reason of
    /// its own.
    #[arg(long)]
    pub maintenance: bool,
    /// Say what runs there and what could go elsewhere; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Return when no lease is on them any more; exit 7 if --timeout runs out first.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `nodes undrain`.
#[derive(Debug, Clone, Args)]
pub struct UndrainNodes {
    /// Which, such as h[001-016,020].
    #[arg(value_name = "HOSTLIST", required = true)]
    pub nodes: Vec<String>,
    /// The flag for maintenance instead.
    #[arg(long)]
    pub maintenance: bool,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Say what would change; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `nodes resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeNodes {
    /// Which, such as h[001-016,020].
    #[arg(value_name = "HOSTLIST", required = true)]
    pub nodes: Vec<String>,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Say what would change; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `nodes show`.
#[derive(Debug, Clone, Args)]
pub struct ShowNode {
    /// Its host name.
    pub node: NodeName,
}

/// `nodes import`.
#[derive(Debug, Clone, Args)]
pub struct ImportNodes {
    /// The inventory, CSV; `-` for standard input.
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// Show adds, moves and errors by line; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `nodes admit`.
#[derive(Debug, Clone, Args)]
pub struct AdmitNodes {
    /// Which, such as h[001-016,020].
    #[arg(value_name = "HOSTLIST", required = true)]
    pub nodes: Vec<String>,
    /// Why, for the log.
    #[arg(long)]
    pub reason: Option<String>,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
