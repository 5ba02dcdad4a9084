//! The command line of each run, and how its figures are told.

use super::buyout::{self, Buyout};
use super::cell::Layout;
use super::churn::{self, Churn};
use super::fill::{self, Fill};
use super::{fleet, trace};
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A run of the packing engine under load.
#[derive(Debug, Subcommand)]
pub enum Load {
    /// Fill a made-up cell from empty.
    Fill(FillArgs),
    /// Keep a made-up cell in a steady state: leases come and end, nodes fail and return.
    Churn(ChurnArgs),
    /// Decide one enormous lease in a part-used cell.
    Buyout(BuyoutArgs),
    /// Replay a list of jobs on a listed fleet.
    Trace(TraceArgs),
}

/// What cell, and how to tell the figures.
#[derive(Debug, Args)]
pub struct Common {
    /// Nodes of the cell.
    #[arg(long, value_name = "N", default_value_t = 12_500)]
    nodes: u32,
    /// GPUs of each node that is an NVLink domain of its own.
    #[arg(long, value_name = "N", default_value_t = 8)]
    gpus: u8,
    /// How many percent of the nodes stand in racks that are one NVLink domain of 18 nodes with
    /// four GPUs each.
    #[arg(long, value_name = "PERCENT")]
    nvl_pct: Option<u32>,
    /// How many percent of what all its nodes can draw the cell and each of its halls is fed with by
    /// day; 0 for no power budgets. By default 95, and 100 for gangs, which are to fill all of it.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=200))]
    fed_pct: Option<u32>,
    /// Where chance comes from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How to tell the figures.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// How figures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One line of JSON.
    Json,
}

/// Options of `fill`.
#[derive(Debug, Args)]
pub struct FillArgs {
    #[command(flatten)]
    common: Common,
    /// What every lease asks for: node, gpu, mig, gang:NODES or mixed.
    #[arg(long, value_name = "SHAPE", default_value = "mixed")]
    shape: Fill,
}

/// Options of `churn`.
#[derive(Debug, Args)]
pub struct ChurnArgs {
    #[command(flatten)]
    common: Common,
    /// How much of the cell is used, in percent of its GPUs.
    #[arg(long, value_name = "PERCENT", default_value_t = 85, value_parser = clap::value_parser!(u32).range(1..=95))]
    used_pct: u32,
    /// Requests decided once the steady state is reached.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    decisions: u64,
}

/// Options of `buyout`.
#[derive(Debug, Args)]
pub struct BuyoutArgs {
    #[command(flatten)]
    common: Common,
    /// GPUs of the lease, rounded up to whole nodes.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    lease_gpus: u32,
    /// How much of the cell is used before, in percent of its GPUs.
    #[arg(long, value_name = "PERCENT", default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=90))]
    used_pct: u32,
}

/// Options of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The fleet: a TOML file of [[group]] with sku, nodes, gpus and, where they are not 8 and 1,
    /// nodes_per_rack and nodes_per_domain.
    #[arg(long, value_name = "FILE")]
    fleet: PathBuf,
    /// The jobs: a CSV file with columns arrives_s,length_s,account,class,sku,gpus,nodes,within.
    #[arg(long, value_name = "FILE")]
    jobs: PathBuf,
    /// How to tell the figures.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

impl Load {
    /// Runs it, and gives what to print.
    ///
    /// # Errors
    /// Where an option or a file cannot be used; which, and why.
    pub fn run(&self) -> anyhow::Result<String> {
        match self {
            Self::Fill(args) => {
                let is_mixed = args.shape == Fill::Mixed;
                let layout = args
                    .common
                    .layout(if is_mixed { MIXED_NVL_PCT } else { 0 })?;
                let fed_pct = args.common.fed_pct.unwrap_or(match args.shape {
                    Fill::Gang(_) => 100,
                    Fill::Node | Fill::Gpu | Fill::Mig | Fill::Mixed => FED_PCT,
                });
                let figures = fill::run(layout, fed_pct, args.shape, args.common.seed);
                args.common.told(&figures)
            }
            Self::Churn(args) => {
                let layout = args.common.layout(MIXED_NVL_PCT)?;
                let churn = Churn {
                    used_pct: args.used_pct,
                    decisions: args.decisions,
                    seed: args.common.seed,
                };
                let fed_pct = args.common.fed_pct.unwrap_or(FED_PCT);
                args.common.told(&churn::run(layout, fed_pct, churn))
            }
            Self::Buyout(args) => {
                let layout = args.common.layout(0)?;
                let buyout = Buyout {
                    lease_gpus: args.lease_gpus,
                    used_pct: args.used_pct,
                    seed: args.common.seed,
                };
                let fed_pct = args.common.fed_pct.unwrap_or(FED_PCT);
                args.common.told(&buyout::run(layout, fed_pct, buyout))
            }
            Self::Trace(args) => {
                let nodes = fleet::nodes(&read(&args.fleet)?)?;
                let jobs = fleet::jobs(&read(&args.jobs)?)?;
                args.output.told(&trace::run(nodes, jobs))
            }
        }
    }
}

/// How much of the cell is whole racks where shapes are mixed and nothing is said: enough for whole
/// domains to be asked for, little enough that the nodes asked for by number are what they say.
const MIXED_NVL_PCT: u32 = 5;

/// What halls are fed with where nothing is said: less than all their nodes can draw, as sites are.
const FED_PCT: u32 = 95;

impl Common {
    fn layout(&self, nvl_pct: u32) -> anyhow::Result<Layout> {
        let nvl_pct = self.nvl_pct.unwrap_or(nvl_pct);
        Ok(Layout::new(self.nodes, self.gpus, nvl_pct)?)
    }

    fn told<T: Serialize + Display>(&self, report: &T) -> anyhow::Result<String> {
        self.output.told(report)
    }
}

impl Output {
    fn told<T: Serialize + Display>(self, report: &T) -> anyhow::Result<String> {
        Ok(match self {
            Self::Table => report.to_string(),
            Self::Json => serde_json::to_string(report)?,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
