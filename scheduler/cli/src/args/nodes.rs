//! `leasectl nodes`.

use super::{Write, value};
use clap::{Args, Subcommand};
use leasehold_common::ids::NodeName;
use leasehold_common::node::NodeState;
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
