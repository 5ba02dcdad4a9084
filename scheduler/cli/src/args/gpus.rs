//! `leasectl gpus`.

use clap::{Args, Subcommand};
use leasehold_common::ids::NodeName;

/// What can be done with GPUs.
#[derive(Debug, Clone, Subcommand)]
pub enum Gpus {
    /// List GPUs: model, health with since when and why, lease, power and temperature as last
    /// reported.
    Ls(ListGpus),
}

/// `gpus ls`.
#[derive(Debug, Clone, Args)]
pub struct ListGpus {
    /// Only this node's.
    #[arg(long)]
    pub node: Option<NodeName>,
}
