//! `leasehold`: the all-in-one program.

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use leasehold::cell::{self, CellSettings};
use leasehold::simulate::{self, Fleet};
use leasehold::trials::Trial;
use leasehold::{demo, inject};
use leasehold_common::ids::{CellName, NodeName};
use leasehold_common::sku::SkuCatalogue;
use leasehold_daemon::logging;
use leasehold_daemon::metrics::{Address, MetricsSettings};
use leasehold_daemon::shutdown::Signals;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Scheduler and agents in one process, over an embedded store.
///
/// Without a subcommand it runs a cell until it is stopped: this host's own GPUs, or with
/// --simulate as many as you like. Talk to it with leasectl, or with `leasehold ctl`.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Args)]
struct Run {
    /// Simulate nodes: 16xh200, or a list such as 16xh200,36xgb200. Known are a100, h100, h200,
    /// b200 and gb200.
    #[arg(long, value_name = "LIST")]
    simulate: Option<Fleet>,
    /// Where simulated nodes stand: a CSV file with columns node,hall,row,rack,domain,sku. Without
    /// it: 8 HGX nodes a rack, 8 racks a row, 4 rows a hall; an NVL72 rack is one domain.
    #[arg(long, value_name = "FILE", requires = "simulate")]
    topology: Option<PathBuf>,
    /// Where everything is kept: ledger, placement log, the agents' grants.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/leasehold/local")]
    state: PathBuf,
    /// The control socket.
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/run/leasehold/control.sock"
    )]
    #[arg(env = "LEASEHOLD_SOCKET")]
    socket: PathBuf,
    /// The cell's name.
    #[arg(long, value_name = "NAME", default_value = "local")]
    cell: CellName,
    /// Show metrics there: a loopback address with its port such as 127.0.0.1:9471, or unix: with a
    /// path. They are the scheduler's, with /metrics/tenants; the agents in this process show none.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<Address>,
    /// What is logged to standard error, such as info or leasehold_scheduler=debug.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show Leasehold at work, in a temporary folder: placing, waiting, refusing, failing, being
    /// killed, and getting caught. Takes seconds and leaves nothing behind.
    Demo,
    /// Run leasectl, which this program has built in.
    #[command(disable_help_flag = true)]
    Ctl {
        /// leasectl's arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Try the packing engine on a made-up cell, without running anything. (To run a cell of
    /// simulated nodes, use --simulate.)
    Simulate {
        /// What to try.
        #[command(subcommand)]
        trial: Trial,
    },
    /// Make something happen to a simulated GPU of a cell that runs.
    Inject {
        /// The state folder of that cell.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// The node.
        node: NodeName,
        /// What happens, as JSON: '{"lose_gpu":{"gpu":3}}', '{"restore_gpu":{"gpu":3}}',
        /// '{"set_load":{"gpu":0,"permille":900}}'.
        change: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse() {
        Cli {
            command: Some(Command::Ctl { args }),
            ..
        } => {
            let args = std::iter::once(OsString::from("leasectl")).chain(args);
            leasectl::main(args).await.into()
        }
        Cli {
            command: Some(Command::Demo),
            ..
        } => finish(demo::run().await),
        Cli {
            command: Some(Command::Simulate { trial }),
            ..
        } => finish(trial.run().map(|told| {
            // Whoever listens may have stopped; there is nothing more to say then.
            drop(writeln!(std::io::stdout(), "{told}"));
        })),
        Cli {
            command:
                Some(Command::Inject {
                    state,
                    node,
                    change,
                }),
            ..
        } => finish(inject::append(&state, &node, &change)),
        Cli { command: None, run } => finish(serve(run).await),
    }
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("leasehold: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(run: Run) -> anyhow::Result<()> {
    logging::init(&run.log)?;
    let simulate = run.simulate.map(|fleet| {
        let placed = match &run.topology {
            Some(path) => {
                let lines =
                    leasectl::inventory::from_file(path).map_err(|e| anyhow::anyhow!("{e}"))?;
                simulate::listed(&fleet, lines)
                    .with_context(|| format!("topology {}", path.display()))?
            }
            None => simulate::generate(&fleet, &SkuCatalogue::built_in())?,
        };
        anyhow::Ok((fleet, placed))
    });
    let settings = CellSettings {
        cell: run.cell,
        state: run.state,
        socket: run.socket,
        metrics: MetricsSettings {
            listen: run.metrics,
            tenants: true,
        },
        simulate: simulate.transpose()?,
    };
    let shutdown = CancellationToken::new();
    let signals = Signals::install()?;
    let stop = tokio::spawn(signals.cancel(shutdown.clone()));
    // Whoever started us may have stopped listening; the cell goes on.
    let say = |lines: &str| drop(writeln!(std::io::stdout(), "{lines}"));
    let result = cell::run(settings, shutdown, say).await;
    stop.abort();
    result
}
