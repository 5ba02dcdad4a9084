//! `leasehold-bench`: what the daemons cost and how fast they are, measured from outside.
//!
//! A figure is worth what stands beside it. So every row is made by the programs that operators
//! run, started as processes of their own; every rate comes with what the store underneath does
//! alone, on the same machine a moment later; and the table names machine, command and profile.
//!
//! ```text
//!   main ── socket ── cell ──┬── leasehold                        (embedded)
//!     │       │              └── etcd · leasehold-scheduler · fleet (etcd)
//!     │       └──── raw: the same number of clients straight at the store
//!     ├──── agent, verdicts ── etcd · leasehold-agent · libnvml_sim.so
//!     └──── report: Markdown            place: folder, processes, patience
//! ```
//!
//! Invariants:
//! - A lease counts when its 201 has arrived, and is active when its node has acknowledged its
//!   grant. Both clocks start with the first request of a round.
//! - Capacity never decides: a round is as many leases as there are free GPUs, and the next begins
//!   when all of them have been given back.
//! - Connections are made before the clock starts and kept: the server is measured, not `connect`.
//! - Whatever was started is ended by its process id, also after an error or a signal. After an
//!   error the folder with the processes' logs stays and is named.
//!
//! Not here: the packing engine alone, which `leasehold-sim` measures, and any judgement of whether
//! a figure is good.

mod agent;
mod cell;
mod etcd;
mod fleet;
mod latency;
mod load;
mod machine;
mod place;
mod raw;
mod report;
mod socket;
mod verdicts;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use leasehold_daemon::shutdown::Signals;
use machine::Machine;
use socket::{Backing, SocketSettings};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Measures the daemons from outside, and prints a table in Markdown.
///
/// Figures are only worth quoting with the machine and the command that made them, which the table
/// names, and from a release build.
#[derive(Debug, Parser)]
#[command(name = "leasehold-bench", version)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    /// Where temporary folders are made. A store is as fast as the disk below it: name one that
    /// keeps what it is told to.
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Leases a second through the control socket.
    Socket(Socket),
    /// The agent's memory and CPU, with eight simulated H200 read once a second.
    Agent(Agent),
    /// From an XID to its verdict in the store and to the scheduler; a GPU that hangs, and what it costs the
    /// others.
    Verdicts(Verdicts),
    /// Every row: the agent, its verdicts, and both stores with 1 and 64 clients.
    All(All),
    /// Agents of simulated nodes over an etcd; `socket` starts this.
    #[command(hide = true)]
    Fleet(fleet::FleetSettings),
}

#[derive(Debug, Args)]
struct Socket {
    /// What the ledger is kept in.
    #[arg(long, value_name = "STORE")]
    store: Backing,
    /// How many clients create leases at once, each with a connection of its own: at most as many as
    /// the control socket takes.
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// How many leases are created in all, of one GPU each.
    #[arg(long, value_name = "M", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    leases: u32,
    #[command(flatten)]
    nodes: Nodes,
}

#[derive(Debug, Args)]
struct Nodes {
    /// Simulated nodes of eight H200.
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=5000))]
    nodes: u32,
}

#[derive(Debug, Args)]
struct Agent {
    /// How long the agent is observed.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

#[derive(Debug, Args)]
struct Verdicts {
    /// How many XIDs are raised, one after the other.
    #[arg(long, value_name = "N", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=verdicts::MOST_XIDS))]
    xids: u32,
    /// How long one GPU hangs while the agent is scraped.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    hang_seconds: u32,
}

#[derive(Debug, Args)]
struct All {
    #[command(flatten)]
    agent: Agent,
    #[command(flatten)]
    verdicts: Verdicts,
    /// How many leases 64 clients create; one client creates an eighth of them.
    #[arg(long, value_name = "M", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    leases: u32,
    #[command(flatten)]
    nodes: Nodes,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match Signals::install() {
        // Dropped, a bench ends what it has started. The signal is looked at first: one that went to
        // the whole process group ends the daemons too, and that is then not the news.
        Ok(mut signals) => tokio::select! {
            biased;
            name = signals.wait() => Err(anyhow::anyhow!("stopped by {name}")),
            outcome = run(cli) => outcome,
        },
        Err(e) => Err(e.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("leasehold-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    if !cli.dir.is_dir() {
        bail!("--dir is {:?}, allowed is a folder", cli.dir);
    }
    let dir = cli.dir.as_path();
    let machine = || Machine::look(dir);
    match cli.bench {
        Bench::Fleet(settings) => fleet::run(settings).await,
        Bench::Socket(args) => {
            let settings = SocketSettings {
                backing: args.store,
                clients: args.clients,
                leases: args.leases,
                nodes: args.nodes.nodes,
            };
            let row = socket::measure(dir, &settings).await?;
            println!("{}\n{}", machine()?, report::sockets(&[row]));
            Ok(())
        }
        Bench::Agent(args) => {
            let footprint = agent::measure(dir, seconds(&args)).await?;
            println!("{}\n{}", machine()?, report::agent(&footprint));
            Ok(())
        }
        Bench::Verdicts(args) => {
            let measured = judge(dir, &args).await?;
            println!("{}\n{}", machine()?, report::verdicts(&measured));
            Ok(())
        }
        Bench::All(args) => {
            let footprint = agent::measure(dir, seconds(&args.agent)).await?;
            let judged = judge(dir, &args.verdicts).await?;
            let mut rows = Vec::new();
            for backing in [Backing::Etcd, Backing::Embedded] {
                for (clients, leases) in [(1, args.leases / 8), (64, args.leases)] {
                    let nodes = args.nodes.nodes;
                    let settings = SocketSettings {
                        backing,
                        clients,
                        leases,
                        nodes,
                    };
                    rows.push(socket::measure(dir, &settings).await?);
                }
            }
            let (sockets, agent) = (report::sockets(&rows), report::agent(&footprint));
            let verdicts = report::verdicts(&judged);
            println!("{}\n{sockets}\n{agent}\n{verdicts}", machine()?);
            Ok(())
        }
    }
}

async fn judge(dir: &Path, args: &Verdicts) -> Result<verdicts::Verdicts> {
    let hang = Duration::from_secs(args.hang_seconds.into());
    verdicts::measure(dir, args.xids, hang).await
}

fn seconds(args: &Agent) -> Duration {
    Duration::from_secs(args.seconds.into())
}
