//! `leasehold simulate openb`.

use super::{Output, told};
use clap::Args;
use leasehold_sim::openb::{Experiment, Order, Policy, run};
use std::path::PathBuf;

/// The published experiment: which files, in which order, and who decides.
#[derive(Debug, Args)]
pub struct Openb {
    /// The fleet: a CSV file with columns sn,cpu_milli,memory_mib,gpu,model.
    #[arg(long, value_name = "FILE")]
    nodes: PathBuf,
    /// The requests: a CSV file with columns name,cpu_milli,memory_mib,num_gpu,gpu_milli and, where
    /// models matter, gpu_spec.
    #[arg(long, value_name = "FILE")]
    pods: PathBuf,
    /// The order of arrival: a CSV file with column name. Without it, --seed draws one.
    #[arg(long, value_name = "FILE", requires = "ranks")]
    events: Option<PathBuf>,
    /// Who wins among equal nodes: a CSV file with columns node,tie_rank.
    #[arg(long, value_name = "FILE", requires = "events")]
    ranks: Option<PathBuf>,
    /// Draw the order of arrival and the ranks as the publication does, number for number.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 42,
        conflicts_with = "events"
    )]
    seed: u64,
    /// Who decides: leasehold, fgd, best-fit or random.
    #[arg(long, value_name = "POLICY", default_value = "leasehold")]
    policy: Policy,
    /// Repeat nodes and events so often, to see how speed keeps up.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: u32,
    /// How to tell the figures.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

impl Openb {
    pub(super) fn run(&self) -> anyhow::Result<String> {
        let order = match (&self.events, &self.ranks) {
            (Some(events), Some(ranks)) => Order::Files {
                events: events.clone(),
                ranks: ranks.clone(),
            },
            (None, _) | (_, None) => Order::Seed(self.seed),
        };
        let report = run(&Experiment {
            nodes: self.nodes.clone(),
            pods: self.pods.clone(),
            order,
            policy: self.policy,
            times: self.times,
        })?;
        told(&report, self.output)
    }
}
