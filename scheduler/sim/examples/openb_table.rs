//! The published experiment over many lists and seeds, as tables.
//!
//! `cargo run --release -p leasehold-sim --example openb_table -- DATA [PART] [POLICY...]`, where DATA
//! has the folder `openb`, and PART is `published` (the four lists, seeds 42 to 46), `larger` (the
//! same at ten times the nodes and events, seed 42) or `held-out` (lists in other mixes, drawn for
//! seeds that no weight was set by).

use anyhow::{Context, ensure};
use leasehold_sim::openb::{Arrivals, Policy, Report, Trace, placer, replay};
use std::path::Path;

const LISTS: [&str; 4] = ["default", "gpuspec33", "gpushare40", "multigpu20"];

/// Lists nobody published: from which, and in what mix.
const MIXES: [(&str, &str); 14] = [
    ("default", "cpu:20"),
    ("default", "cpu:28"),
    ("default", "cpu:40"),
    ("default", "cpu:60"),
    ("default", "share:80"),
    ("default", "share:100"),
    ("default", "picky:20"),
    ("default", "picky:50"),
    ("default", "cpu:25,picky:20"),
    ("default", "cpu:40,picky:20"),
    ("default", "cpu:30,share:90"),
    ("gpuspec33", "cpu:30"),
    ("gpushare40", "cpu:30"),
    ("multigpu20", "cpu:40"),
];

/// Their seeds.
const DRAWN: std::ops::RangeInclusive<u64> = 301..=305;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: openb_table DATA [published|larger|held-out] [POLICY...]";
    let data = args.next().context(usage)?;
    let part = args.next().unwrap_or_else(|| "published".to_owned());
    let named: Result<Vec<Policy>, String> = args.map(|word| word.parse()).collect();
    let named = named.map_err(anyhow::Error::msg)?;
    let policies = |usual: &[Policy]| match named.is_empty() {
        true => usual.to_vec(),
        false => named.clone(),
    };
    let all = [Policy::Leasehold, Policy::Fgd, Policy::BestFit];
    println!(
        "{:<26} {:<10} mean @90 @100 @110 @130, then decisions per second (p50, p99 in µs)",
        "list", "policy"
    );
    match part.as_str() {
        "published" => {
            for list in LISTS {
                let trace = read(Path::new(&data), list)?;
                let drawn = |_: u64| trace.clone();
                table(list, drawn, &policies(&Policy::ALL), 42..=46, 1)?;
            }
        }
        "larger" => {
            for list in LISTS {
                let trace = read(Path::new(&data), list)?;
                let drawn = |_: u64| trace.clone();
                table(list, drawn, &policies(&all[..1]), 42..=42, 10)?;
            }
        }
        "held-out" => {
            for (list, mix) in MIXES {
                let trace = read(Path::new(&data), list)?;
                let variation = mix.parse().map_err(anyhow::Error::msg)?;
                let drawn = |seed| trace.clone().varied(variation, seed);
                table(&format!("{list} {mix}"), drawn, &policies(&all), DRAWN, 1)?;
            }
        }
        other => anyhow::bail!("{other:?} is no part; {usage}"),
    }
    Ok(())
}

fn read(data: &Path, list: &str) -> anyhow::Result<Trace> {
    let lists = data.join("openb");
    let nodes = lists.join("openb_node_list_gpu_node.csv");
    let pods = lists.join(format!("openb_pod_list_{list}.csv"));
    Ok(Trace::read(&nodes, &pods)?)
}

/// One line for each policy: means over the seeds.
fn table(
    name: &str,
    list: impl Fn(u64) -> Trace,
    policies: &[Policy],
    seeds: std::ops::RangeInclusive<u64>,
    times: u32,
) -> anyhow::Result<()> {
    let count = seeds.clone().count() as f64;
    for policy in policies {
        let mut sums = [0.0; 4];
        let mut rates = Vec::new();
        for seed in seeds.clone() {
            let trace = list(seed);
            let arrivals = Arrivals::of_seed(&trace, seed).repeated(times);
            let trace = trace.repeated(times);
            let mut placer = placer(&trace, &arrivals, *policy, seed);
            let outcome = replay(&trace, &arrivals, placer.as_mut());
            let report = Report::new(*policy, &outcome, trace.capacity_milli());
            for (sum, value) in sums.iter_mut().zip(report.allocated_pct_at.values()) {
                *sum += value.unwrap_or(f64::NAN) / count;
            }
            ensure!(report.checker_violations == 0, "{name} {policy} {seed}");
            let (rate, p50, p99) = (report.decisions_per_second, report.p50_us, report.p99_us);
            rates.push(format!("{rate} ({p50}, {p99})"));
        }
        let [at90, at100, at110, at130] = sums;
        let (policy, rates) = (policy.word(), rates.join(" "));
        println!("{name:<26} {policy:<10} {at90:.2} {at100:.2} {at110:.2} {at130:.2}  {rates}");
    }
    Ok(())
}
