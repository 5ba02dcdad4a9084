//! The published experiment over all given lists and seeds, as one table.
//!
//! `cargo run --release -p leasehold-sim --example openb_table -- DATA [POLICY...]`, where DATA has
//! the folders `openb` and `fgd`.

use anyhow::Context;
use leasehold_sim::openb::{Experiment, Order, Policy, run};
use std::path::Path;

const LISTS: [&str; 4] = ["default", "gpuspec33", "gpushare40", "multigpu20"];
const SEEDS: std::ops::RangeInclusive<u64> = 42..=46;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let data = args.next().context("usage: openb_table DATA [POLICY...]")?;
    let named: Result<Vec<Policy>, String> = args.map(|word| word.parse()).collect();
    let mut policies = named.map_err(anyhow::Error::msg)?;
    if policies.is_empty() {
        policies = Policy::ALL.to_vec();
    }
    println!(
        "{:<11} {:<10} mean @90 @100 @110 @130, then per second",
        "list", "policy"
    );
    for list in LISTS {
        for policy in &policies {
            let mut sums = [0.0; 4];
            let mut rates = Vec::new();
            for seed in SEEDS {
                let report = run(&experiment(Path::new(&data), list, *policy, seed))?;
                for (sum, value) in sums.iter_mut().zip(report.allocated_pct_at.values()) {
                    *sum += value.unwrap_or(f64::NAN) / 5.0;
                }
                anyhow::ensure!(report.checker_violations == 0, "{list} {policy} {seed}");
                rates.push(report.decisions_per_second);
            }
            let [at90, at100, at110, at130] = sums;
            let policy = policy.word();
            println!(
                "{list:<11} {policy:<10} {at90:.2} {at100:.2} {at110:.2} {at130:.2} {rates:?}"
            );
        }
    }
    Ok(())
}

fn experiment(data: &Path, list: &str, policy: Policy, seed: u64) -> Experiment {
    let lists = data.join("openb");
    Experiment {
        nodes: lists.join("openb_node_list_gpu_node.csv"),
        pods: lists.join(format!("openb_pod_list_{list}.csv")),
        order: Order::Seed(seed),
        policy,
        times: 1,
    }
}
