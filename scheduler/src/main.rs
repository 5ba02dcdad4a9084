//! `leasehold-scheduler`: the scheduler as a program of its own.

use anyhow::Context as _;
use clap::Parser;
use leasehold_daemon::metrics::Server;
use leasehold_daemon::settings::Layers;
use leasehold_daemon::shutdown::Signals;
use leasehold_daemon::{logging, notify, socket, store};
use leasehold_scheduler::control::serve;
use leasehold_scheduler::duty::{
    self, Clock as _, Desk, DutySettings, HostClock, Journal, Synchronisation,
};
use leasehold_scheduler::log_file::{LogSettings, PlacementLog};
use leasehold_scheduler::metrics::Metrics;
use leasehold_scheduler::settings::Settings;
use leasehold_store::StoreError;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The pause between two tries to reach a store that does not answer at the start.
const STORE_RETRY: Duration = Duration::from_secs(2);

/// The scheduler of one cell: keeps its ledger, packs leases onto its nodes, logs why.
///
/// Several may run for one cell; one of them leads, the others follow and answer questions.
#[derive(Debug, Parser)]
#[command(name = "leasehold-scheduler", version)]
struct Cli {
    /// Settings; FILE.d/*.toml are read after it.
    #[arg(
        long,
        value_name = "FILE",
        env = "LEASEHOLD_SCHEDULER_CONFIG",
        default_value = "/etc/leasehold/scheduler.toml"
    )]
    config: PathBuf,
    /// Check the settings, say every mistake in them, and start nothing.
    #[arg(long)]
    check_config: bool,
    /// Set any key, such as leader.ttl=15s.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("leasehold-scheduler: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let hostname = nix::unistd::gethostname().context("the host has no name")?;
    let layers = Layers::new("scheduler")
        .file(&cli.config)
        .environment(std::env::vars());
    let layers = cli.set.iter().fold(layers, |layers, set| layers.set(set));
    let settings = Settings::read(layers, &hostname.to_string_lossy())?;
    if cli.check_config {
        println!("{}: ok", cli.config.display());
        return Ok(());
    }
    logging::init(&settings.log_level)?;
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let signals = Signals::install()?;
    tasks.spawn(signals.cancel(shutdown.clone()));
    serve_cell(settings, shutdown.clone()).await?;
    notify::stopping("stopping");
    tasks.shutdown().await;
    Ok(())
}

async fn serve_cell(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let clock = Arc::new(HostClock::new(if settings.require_synchronised_clock {
        Synchronisation::Required
    } else {
        Synchronisation::Remarked
    }));
    std::fs::create_dir_all(&settings.log_dir)
        .with_context(|| format!("cannot make {}", settings.log_dir.display()))?;
    let log = LogSettings {
        path: settings.log_path(),
        cell: settings.core.cell.clone(),
        host: settings.core.host.clone(),
        rotate_bytes: settings.log_rotate_bytes,
    };
    let (log, opened) = PlacementLog::open(log, clock.now()).context("placement log")?;
    if let Some(repaired) = opened.repaired {
        warn!(repaired, "the placement log was mended");
    }
    let journal = Journal::new(log);
    let (desk, mut messages) = Desk::new(journal.clone());
    // Callers are served from here on, and told what is waited for.
    let listener = socket::listen("control", &settings.control)?;
    let roles = settings.roles.clone();
    let control = tokio::spawn(serve(listener, Arc::new(desk), roles, shutdown.clone()));
    let metrics = Metrics::new(&settings.metrics);
    let mut scraped = JoinSet::new();
    // A port that is not to be had costs the metrics and nothing else.
    match Server::bind(&settings.metrics).await {
        Ok(Some(server)) => {
            let pages = metrics.pages(&journal);
            scraped.spawn(server.run(pages, shutdown.clone()));
        }
        Ok(None) => {}
        Err(e) => error!(
            error = format!("{:#}", anyhow::Error::from(e)),
            "no metrics"
        ),
    }
    notify::ready("waiting for the store");
    let store = loop {
        match store::open(&settings.store).await {
            Ok(store) => break store,
            Err(e @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. })) => {
                warn!(error = %e, "the store cannot be reached, tried again");
                notify::status(&format!("waiting for the store: {e}"));
                notify::watchdog();
                let why = e.to_string();
                tokio::select! {
                    () = duty::refuse_for(&mut messages, STORE_RETRY, &why) => {}
                    () = shutdown.cancelled() => return Ok(()),
                }
            }
            Err(e) => return Err(e).context("store"),
        }
    };
    info!(store = store.describe(), cell = %settings.core.cell, "serving");
    notify::status(&format!("serving cell {}", settings.core.cell));
    let duty = DutySettings {
        core: settings.core,
        leader_ttl: settings.leader_ttl,
        alerts: Vec::new(),
    };
    duty::serve(duty, store, journal, clock, messages, metrics, shutdown).await;
    scraped.join_all().await;
    control.await.context("control socket")
}
