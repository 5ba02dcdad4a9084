//! `leasectl gpus`.

use super::{Write, value};
use clap::{Args, Subcommand};
use leasehold_common::ids::NodeName;
use leasehold_common::node::Verdict;

/// What can be done with GPUs.
#[derive(Debug, Clone, Subcommand)]
pub enum Gpus {
    /// List GPUs: model, health with since when, why and what to do, lease, power and temperature as
    /// last reported.
    Ls(ListGpus),
    /// Everything known of one GPU: what was found on it, and what operators say.
    Show(ShowGpu),
    /// Say that what was found has been dealt with, an rma too. Its agent forgets it once its signal
    /// is gone.
    ///
    /// What is found again later is found again. The GPU is let when its agent says that it is well.
    #[command(visible_alias = "acknowledge")]
    Ack(AckGpus),
    /// Put another verdict in the place of the agent's, for a time: it decides at once. A GPU that
    /// does not answer stays what it is.
    Override(OverrideGpus),
    /// Take back what was overridden, whoever did it.
    Withdraw(WithdrawGpus),
}

/// `gpus ls`.
#[derive(Debug, Clone, Args)]
pub struct ListGpus {
    /// Only this node's.
    #[arg(long)]
    pub node: Option<NodeName>,
    /// Only those that are not healthy or cannot be let, with what was seen.
    #[arg(short = 'U', long)]
    pub unhealthy: bool,
}

/// `gpus show`.
#[derive(Debug, Clone, Args)]
pub struct ShowGpu {
    /// Its node and number there, such as h001/3.
    #[arg(value_name = "NODE/IDX", value_parser = value::gpu)]
    pub gpu: (NodeName, u32),
}

/// `gpus ack`.
#[derive(Debug, Clone, Args)]
pub struct AckGpus {
    /// Which, such as h001:0, h001:0-3,5 or h[001-004]:0.
    #[arg(value_name = "NODE:IDX", required = true)]
    pub gpus: Vec<String>,
    /// Why, for whoever meets it.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only what has this reason, such as RowRemapFailed [default: all of it].
    #[arg(long, value_name = "REASON")]
    pub of: Option<String>,
    /// For how long, such as 24h, or until which instant [default: 24h].
    #[arg(long, value_name = "LENGTH|INSTANT", value_parser = value::end)]
    pub until: Option<value::End>,
    /// Show the GPUs; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `gpus override`.
#[derive(Debug, Clone, Args)]
pub struct OverrideGpus {
    /// Which, such as h001:0, h001:0-3,5 or h[001-004]:0.
    #[arg(value_name = "NODE:IDX", required = true)]
    pub gpus: Vec<String>,
    /// The verdict: healthy, degraded or unhealthy.
    #[arg(long, value_parser = value::verdict())]
    pub verdict: Verdict,
    /// Why, for whoever meets it.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// For how long, such as 24h, or until which instant.
    #[arg(long, value_name = "LENGTH|INSTANT", value_parser = value::end)]
    pub until: value::End,
    /// Show the GPUs; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `gpus withdraw`.
#[derive(Debug, Clone, Args)]
pub struct WithdrawGpus {
    /// Which, such as h001:0, h001:0-3,5 or h[001-004]:0.
    #[arg(value_name = "NODE:IDX", required = true)]
    pub gpus: Vec<String>,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Show the GPUs; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
