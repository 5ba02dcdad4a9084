//! `leasehold-sim`: many lives, one seed each.

use anyhow::{Context, bail};
use clap::Parser;
use leasehold_sim::load::Load;
use leasehold_sim::{Failure, REGRESSIONS, run};
use std::io::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Runs the scheduler's and the agent's cores over a model store, with a fault at every effect.
#[derive(Debug, Parser)]
#[command(version)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Try the packing engine under load instead.
    #[command(subcommand)]
    load: Option<Load>,
    /// The seeds to run, as FIRST..END; seeds that failed once are run before them.
    #[arg(long, default_value = "0..10000", value_parser = seeds)]
    seeds: Range<u64>,
    /// How many things happen in each life before it comes to rest.
    #[arg(long, default_value_t = 60)]
    steps: u32,
    /// How many lives are lived at once.
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Say what happened in each life.
    #[arg(long)]
    verbose: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds such as 0..10000");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let first: u64 = first.parse().map_err(|_| wrong())?;
    let end: u64 = end.parse().map_err(|_| wrong())?;
    (first < end).then_some(first..end).ok_or_else(wrong)
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(load) = &args.load {
        println!("{}", load.run()?);
        return Ok(());
    }
    // A panic is a finding: it is told with its seed, once.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let lives = Lives {
        args: &args,
        count: AtomicU64::new(0),
        placed: AtomicU64::new(0),
        records: AtomicU64::new(0),
        epochs: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let failed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads.max(1))
            .map(|at| {
                scope.spawn({
                    let lives = &lives;
                    move || lives.some(at)
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended
            .filter_map(|end| end.ok().flatten())
            .min_by_key(|failure| failure.seed)
    });
    if let Some(failure) = failed {
        println!("\n{failure}");
        std::process::exit(1);
    }
    let (count, took) = (lives.count.into_inner(), begun.elapsed().as_millis());
    if count == 0 {
        bail!("no seed was run");
    }
    let rate = u128::from(count) * 1000 / took.max(1);
    println!(
        "{count} seeds in {}.{:03} s ({rate} a second): {} log records, {} leases placed, {} \
         recoveries, no invariant broken",
        took / 1000,
        took % 1000,
        lives.records.into_inner(),
        lives.placed.into_inner(),
        lives.epochs.into_inner(),
    );
    std::io::stdout().flush().context("write to stdout")
}

struct Lives<'a> {
    args: &'a Args,
    count: AtomicU64,
    placed: AtomicU64,
    records: AtomicU64,
    epochs: AtomicU64,
    stop: AtomicBool,
}

impl Lives<'_> {
    /// Every so-many-th life; the first that fails.
    fn some(&self, at: u64) -> Option<Box<Failure>> {
        let threads = usize::try_from(self.args.threads.max(1)).unwrap_or(1);
        let seeds = REGRESSIONS.iter().copied().chain(self.args.seeds.clone());
        let skip = usize::try_from(at).unwrap_or(0);
        for seed in seeds.skip(skip).step_by(threads) {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            match run(seed, self.args.steps) {
                Ok(tally) => self.count(seed, tally),
                Err(failure) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Some(failure);
                }
            }
        }
        None
    }

    fn count(&self, seed: u64, tally: leasehold_sim::Summary) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        self.placed.fetch_add(tally.placed, Ordering::Relaxed);
        self.records.fetch_add(tally.records, Ordering::Relaxed);
        self.epochs.fetch_add(tally.epochs, Ordering::Relaxed);
        if self.args.verbose {
            println!("seed {seed}: {tally:?}");
        } else if count.is_multiple_of(1000) {
            println!("{count} seeds");
        }
    }
}
