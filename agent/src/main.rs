//! `leasehold-agent`: the agent as a program of its own.

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use leasehold_agent::clock::{Clock as _, SystemClock};
use leasehold_agent::gpu::nvml::{LIBRARY, NvmlDriver};
use leasehold_agent::host::LinuxHost;
use leasehold_agent::kernel_log::LogSource;
use leasehold_agent::metrics::Metrics;
use leasehold_agent::probe::probe;
use leasehold_agent::settings::Settings;
use leasehold_agent::store_channel::StoreChannel;
use leasehold_agent::{Progress, Surroundings, opening};
use leasehold_common::ids::NodeName;
use leasehold_common::node::HealthReason;
use leasehold_common::time::Span;
use leasehold_daemon::metrics::{MetricsSettings, Server};
use leasehold_daemon::settings::Layers;
use leasehold_daemon::shutdown::Signals;
use leasehold_daemon::{logging, notify};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The agent of one node: reads its GPUs, keeps its grants, acknowledges them.
#[derive(Debug, Parser)]
#[command(
    name = "leasehold-agent",
    version,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, Args)]
struct Daemon {
    /// Settings; FILE.d/*.toml are read after it.
    #[arg(
        long,
        value_name = "FILE",
        env = "LEASEHOLD_AGENT_CONFIG",
        default_value = "/etc/leasehold/agent.toml"
    )]
    config: PathBuf,
    /// Check the settings, say every mistake in them, and start nothing.
    #[arg(long)]
    check_config: bool,
    /// The node's name, instead of the host's.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The NVML library, by name or path.
    #[arg(long, value_name = "PATH")]
    nvml: Option<String>,
    /// Set any key, such as liveness.ttl=30s.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take one complete reading of this host's GPUs and print it. Writes nothing, needs no etcd.
    Probe(Probe),
    /// Say whether this host's GPUs can be let: exit code 0 for all, 1 where something is to be looked at, 2
    /// where something cannot be let, with a line for each finding. Writes nothing, needs no etcd.
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// The NVML library, by name or path.
    #[arg(long, value_name = "PATH", default_value = LIBRARY)]
    nvml: PathBuf,
    /// How many GPUs there should be; otherwise as many as the driver finds.
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// A finding that is held against nobody, such as ClockUnsynchronised. Can be given again.
    #[arg(long, value_name = "REASON", value_parser = known_reason)]
    ignore: Vec<HealthReason>,
    /// How long one call to the driver may take.
    #[arg(long, value_name = "TIME", default_value = "5s")]
    timeout: Span,
}

/// One of the reasons that this version has; another would be ignored in vain.
fn known_reason(text: &str) -> Result<HealthReason, String> {
    let known = || HealthReason::ALL.iter();
    let found = known().find(|reason| reason.as_str() == text);
    found.cloned().ok_or_else(|| {
        let all: Vec<&str> = known().map(HealthReason::as_str).collect();
        format!("allowed is one of {}", all.join(", "))
    })
}

#[derive(Debug, Args)]
struct Probe {
    /// The NVML library, by name or path.
    #[arg(long, value_name = "PATH", default_value = LIBRARY)]
    nvml: PathBuf,
    /// How the reading is printed.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    /// How long one call to the driver may take.
    #[arg(long, value_name = "TIME", default_value = "5s")]
    timeout: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns.
    Table,
    /// One JSON document.
    Json,
}

/// What is left behind at the end: threads in a driver that does not answer are not waited for.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    // An agent is to be small, and hardly ever has two things to do at once.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let outcome = runtime.context("start the runtime").and_then(|runtime| {
        let outcome = runtime.block_on(async {
            match cli.command {
                Some(Command::Probe(args)) => print_probe(&args).await.map(success),
                Some(Command::Check(args)) => Ok(print_check(&args).await),
                None => run(&cli.daemon).await.map(success),
            }
        });
        runtime.shutdown_timeout(SHUTDOWN_MAX);
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(e) => {
            eprintln!("leasehold-agent: {e:#}");
            ExitCode::FAILURE
        }
    }
}

const fn success((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

async fn print_check(args: &Check) -> ExitCode {
    let driver = Arc::new(NvmlDriver::new(&args.nvml));
    let probed = probe(driver, &LinuxHost, args.timeout.std(), SystemClock.now()).await;
    let check = leasehold_agent::check::Check::of(&probed, args.gpus, &args.ignore);
    print!("{check}");
    ExitCode::from(check.grade.code())
}

async fn print_probe(args: &Probe) -> anyhow::Result<()> {
    let driver = Arc::new(NvmlDriver::new(&args.nvml));
    let reading = probe(driver, &LinuxHost, args.timeout.std(), SystemClock.now()).await?;
    match args.output {
        Output::Table => print!("{}", reading.table()),
        Output::Json => println!("{}", serde_json::to_string_pretty(&reading)?),
    }
    Ok(())
}

async fn run(args: &Daemon) -> anyhow::Result<()> {
    let settings = settings(args)?;
    if args.check_config {
        println!("{}: the settings are in order", args.config.display());
        return Ok(());
    }
    logging::init(&settings.log)?;
    let signals = Signals::install().context("catch signals")?;
    let shutdown = CancellationToken::new();

    let (node, metrics) = (settings.node, Metrics::default());
    let name = node.node.clone();
    let (opened, store) = watch::channel(None);
    let channel = StoreChannel::opening(store, &node.cell, node.node.clone());
    let with = Surroundings {
        driver: Arc::new(NvmlDriver::new(&settings.nvml)),
        host: Arc::new(LinuxHost),
        kernel_log: settings.kernel_log.map(LogSource::since_boot),
        clock: Arc::new(SystemClock),
        channel: Arc::new(channel),
        metrics: metrics.clone(),
    };
    tracing::info!(node = %node.node, cell = %node.cell, "agent starts");
    let agent = leasehold_agent::run(node, with, shutdown.clone(), tell_systemd);
    let (outcome, (), (), _) = tokio::join!(
        async {
            let outcome = agent.await;
            shutdown.cancel();
            outcome
        },
        signals.cancel(shutdown.clone()),
        show(&metrics, &name, &settings.metrics, &shutdown),
        shutdown.run_until_cancelled(opening::open(&settings.store, opened)),
    );
    notify::stopping("stopping; leases go on");
    outcome.context("run the agent")
}

/// Shows the metrics until shutdown. A port that is not to be had costs them and nothing else: no lease is to
/// wait for whoever scrapes.
async fn show(
    metrics: &Metrics,
    node: &NodeName,
    settings: &MetricsSettings,
    shutdown: &CancellationToken,
) {
    match Server::bind(settings).await {
        Ok(Some(server)) => {
            let pages = metrics.pages(node, settings);
            server.run(pages, shutdown.clone()).await;
        }
        Ok(None) => {}
        Err(e) => tracing::error!(
            error = format!("{:#}", anyhow::Error::from(e)),
            "no metrics"
        ),
    }
}

fn settings(args: &Daemon) -> anyhow::Result<Settings> {
    let layers = Layers::new("agent")
        .file(&args.config)
        .environment(std::env::vars())
        .flag("--node", "node", args.node.as_deref())
        .flag("--nvml", "gpu.nvml", args.nvml.as_deref());
    let layers = args.set.iter().fold(layers, |layers, set| layers.set(set));
    Ok(Settings::from_layers(layers)?)
}

fn tell_systemd(progress: Progress) {
    match progress {
        Progress::Ready(status) => notify::ready(&status),
        Progress::Status(status) => notify::status(&status),
        Progress::Turn => notify::watchdog(),
    }
}
