//! A whole cell in one process.

use crate::nodes::Hardware;
use crate::own::{self, HostSize};
use crate::simulate::{Fleet, Placed};
use crate::{inject, nodes};
use anyhow::{Context as _, bail};
use leasehold_agent::gpu::GpuDriver as _;
use leasehold_agent::gpu::nvml::{LIBRARY, NvmlDriver};
use leasehold_agent::host::{Host as _, LinuxHost};
use leasehold_common::api::{ImportLine, ImportNodes, Status};
use leasehold_common::ids::CellName;
use leasehold_common::log::Actor;
use leasehold_common::node::NodeState;
use leasehold_common::policy::Policy;
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Span;
use leasehold_core::command::{Command, Query, View, Write};
use leasehold_core::{CoreSettings, Liveness};
use leasehold_daemon::metrics::{MetricsSettings, Server};
use leasehold_daemon::socket::{SocketSettings, listen};
use leasehold_scheduler::control::{Roles, Service as _, serve};
use leasehold_scheduler::duty::{
    self, Clock as _, Desk, DutySettings, HostClock, Journal, Synchronisation,
};
use leasehold_scheduler::log_file::{LogSettings, PlacementLog};
use leasehold_scheduler::metrics::Metrics;
use leasehold_store::Store;
use leasehold_store::embedded::EmbeddedStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A log file larger than this is put aside and a new one begun.
const ROTATE_BYTES: u64 = 256 << 20;

/// How long the first lines wait for the nodes to be there.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Debug, Clone)]
pub struct CellSettings {
    /// The cell's name.
    pub cell: CellName,
    /// Where everything is kept.
    pub state: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// Where the scheduler is shown to whoever scrapes.
    pub metrics: MetricsSettings,
    /// What to simulate, and where it stands; absent for this host's own GPUs.
    pub simulate: Option<(Fleet, Vec<Placed>)>,
}

/// Runs a cell until `shutdown`. `say` gets the first lines: what is not real, and how the cell is.
///
/// # Errors
/// Anything that keeps it from starting. Once it runs, only `shutdown` ends it.
pub async fn run(
    settings: CellSettings,
    shutdown: CancellationToken,
    say: impl Fn(&str),
) -> anyhow::Result<()> {
    let state = &settings.state;
    std::fs::create_dir_all(state)
        .with_context(|| format!("cannot make state folder {}", state.display()))?;
    let mut skus = SkuCatalogue::built_in();
    let own = match settings.simulate {
        Some(_) => None,
        None => Some(own_gpus(&mut skus)?),
    };
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&state.join("store.redb")).await?);
    let clock = Arc::new(HostClock::new(Synchronisation::Ignored));
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let log = LogSettings {
        path: state.join("placements.jsonl"),
        cell: settings.cell.clone(),
        host: host.clone(),
        rotate_bytes: ROTATE_BYTES,
    };
    let (log, opened) = PlacementLog::open(log, clock.now())?;
    if let Some(repaired) = opened.repaired {
        warn!(repaired, "the placement log was mended");
    }
    let journal = Journal::new(log);
    let (desk, messages) = Desk::new(journal.clone());
    let listener = listen(
        "control",
        &SocketSettings {
            path: settings.socket.clone(),
            mode: 0o660,
            group: None,
        },
    )?;
    let metrics = Metrics::new(&settings.metrics);
    let scraped = Server::bind(&settings.metrics).await?;
    say(&not_real(&settings));

    let mut tasks = JoinSet::new();
    if let Some(server) = scraped {
        tasks.spawn(server.run(metrics.pages(&journal), shutdown.clone()));
    }
    let served = Arc::new(desk.clone());
    tasks.spawn(serve(listener, served, Roles::default(), shutdown.clone()));
    let duty = duty_settings(&settings, host, skus);
    tasks.spawn(duty::serve(
        duty,
        Arc::clone(&store),
        journal,
        clock,
        messages,
        metrics,
        shutdown.clone(),
    ));
    let places = match &settings.simulate {
        Some((_, placed)) => {
            inject::prepare(state)?;
            let simulated = nodes::simulated(placed)?;
            let cell = &settings.cell;
            nodes::start_simulated(
                &mut tasks, cell, state, placed, &simulated, &store, &shutdown,
            );
            tasks.spawn(inject::follow(state.clone(), simulated, shutdown.clone()));
            placed.clone()
        }
        None => {
            let placed = own.expect("looked for above");
            let agent = nodes::settings(&settings.cell, &placed.name, state);
            nodes::start(&mut tasks, agent, Hardware::own(), &store, &shutdown);
            vec![placed]
        }
    };
    tokio::select! {
        status = settle(&desk, &places) => say(&how_it_is(&status?, &settings)),
        () = shutdown.cancelled() => {}
    }
    shutdown.cancelled().await;
    tasks.join_all().await;
    Ok(())
}

fn duty_settings(settings: &CellSettings, host: String, skus: SkuCatalogue) -> DutySettings {
    let alerts = match &settings.simulate {
        Some((fleet, _)) => vec![format!("{fleet} are simulated: no GPU here is real")],
        None => Vec::new(),
    };
    let core = CoreSettings {
        cell: settings.cell.clone(),
        host,
        skus,
        policy: Policy {
            turnaround: Span::ZERO,
            ..Policy::default()
        },
        liveness: Liveness::default(),
        prepare_lead: Span::from_secs(30),
    };
    DutySettings {
        core,
        leader_ttl: Span::from_secs(12),
        alerts,
    }
}

/// This host as a node: its GPUs say what it is sold as.
fn own_gpus(skus: &mut SkuCatalogue) -> anyhow::Result<Placed> {
    let hint = "to try things out without a GPU: leasehold --simulate 16xh200";
    let driver = NvmlDriver::new(Path::new(LIBRARY));
    let facts = driver
        .facts()
        .with_context(|| format!("no GPU can be read ({hint})"))?;
    let gpus: Vec<_> = (0..facts.count)
        .map(|index| driver.identify(index))
        .collect::<Result<_, _>>()?;
    let host = LinuxHost.facts()?;
    let size = HostSize {
        cpus: host.cpu.threads,
        memory: host.memory,
    };
    let sku = own::kind(&gpus, size, skus).context(hint)?;
    let name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let placed = Placed {
        name: name.parse()?,
        path: "local/local/local/local".parse()?,
        sku: sku.name.clone(),
    };
    skus.extend(vec![sku])?;
    Ok(placed)
}

/// Admits the nodes, and waits until they can be let or it is clear that some cannot.
async fn settle(desk: &Desk, places: &[Placed]) -> anyhow::Result<Status> {
    let deadline = Instant::now() + FIRST_LOOK;
    let import = ImportNodes {
        nodes: places.iter().map(line).collect(),
    };
    while let Err(problem) = desk.submit(local(), write(import.clone())).await {
        if Instant::now() > deadline {
            return Err(problem.into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    loop {
        let View::Status(status) = desk.read(Query::Status).await? else {
            bail!("the scheduler answered another question");
        };
        let coming: u64 = [
            NodeState::Registering,
            NodeState::Verifying,
            NodeState::Unreachable,
        ]
        .iter()
        .filter_map(|state| status.nodes.get(state))
        .sum();
        let here = status.nodes_live == status.node_count;
        if (coming == 0 && here) || status.frozen.is_some() || Instant::now() > deadline {
            info!(
                nodes = status.node_count,
                live = status.nodes_live,
                "the cell is there"
            );
            return Ok(*status);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn line(node: &Placed) -> ImportLine {
    ImportLine {
        line: 0,
        node: node.name.to_string(),
        path: node.path.to_string(),
        sku: node.sku.to_string(),
        owner: None,
    }
}

fn write(import: ImportNodes) -> Write {
    let command = Command::ImportNodes(import);
    Write {
        command,
        idempotency: None,
        dry_run: false,
        if_match: None,
    }
}

/// This process, asking itself.
fn local() -> Actor {
    Actor {
        uid: nix::unistd::geteuid().as_raw(),
        role: "owner".into(),
        request_id: "startup".into(),
        idempotency_key: None,
    }
}

/// What is not real here, in one line.
fn not_real(settings: &CellSettings) -> String {
    match &settings.simulate {
        Some((fleet, _)) => {
            format!("SIMULATED {fleet}, embedded store, no TLS, fences OFF, network isolation NONE")
        }
        None => {
            "this host's GPUs, embedded store, no TLS, fences OFF, network isolation NONE".into()
        }
    }
}

/// How the cell is, in a few lines.
fn how_it_is(status: &Status, settings: &CellSettings) -> String {
    let states: Vec<String> = status
        .nodes
        .iter()
        .map(|(s, n)| format!("{n} {s}"))
        .collect();
    let mut lines = vec![
        format!("nodes   {}", states.join(", ")),
        format!(
            "gpus    {} can be let, {} leased, of {}",
            status.gpus_free, status.gpus_leased, status.gpus
        ),
        format!(
            "power   {} W drawn, {} W leased",
            status.power_watts, status.envelope_watts
        ),
        format!(
            "ledger  epoch {}, record {} {}",
            status.epoch, status.seq, status.log_hash
        ),
        format!(
            "log     {}",
            settings.state.join("placements.jsonl").display()
        ),
        format!("socket  {}", settings.socket.display()),
    ];
    if let Some(address) = &settings.metrics.listen {
        lines.push(format!("metrics {address}"));
    }
    lines.extend(status.alerts.iter().map(|alert| format!("# {alert}")));
    let leases: u64 = status.leases.values().sum();
    if leases > 0 {
        lines.push(format!("leases  {leases} live, picked up where they were"));
    }
    lines.join("\n")
}
