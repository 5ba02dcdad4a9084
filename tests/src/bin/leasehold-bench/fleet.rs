//! Agents of simulated nodes over an etcd, in a process of their own: sixty-four agent processes
//! would measure the machine's patience with processes, and three would have 24 GPUs to let.

use crate::cell::CELL;
use anyhow::Result;
use clap::Args;
use leasehold::nodes;
use leasehold::simulate::{Fleet, Placed, generate};
use leasehold_common::ids::CellName;
use leasehold_common::sku::SkuCatalogue;
use leasehold_daemon::logging;
use leasehold_store::Store;
use leasehold_store::etcd::{EtcdSettings, EtcdStore};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What to simulate, and where to report.
#[derive(Debug, Args)]
pub struct FleetSettings {
    /// etcd's client URL.
    #[arg(long, value_name = "URL")]
    etcd: String,
    /// Nodes of eight H200.
    #[arg(long, value_name = "N")]
    nodes: u32,
    /// Where the agents keep their grants.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

/// Runs the agents until the process is ended.
pub async fn run(settings: FleetSettings) -> Result<()> {
    logging::init("warn")?;
    let etcd = EtcdSettings::plain(vec![settings.etcd]);
    let store: Arc<dyn Store> = Arc::new(EtcdStore::connect(etcd).await?);
    let cell: CellName = CELL.parse()?;
    let placed = placed(settings.nodes)?;
    let simulated = nodes::simulated(&placed)?;
    let mut tasks = JoinSet::new();
    let shutdown = CancellationToken::new();
    nodes::start_simulated(
        &mut tasks,
        &cell,
        &settings.state,
        &placed,
        &simulated,
        &store,
        &shutdown,
    );
    tasks.join_all().await;
    Ok(())
}

/// The nodes, where they stand and what they are.
pub fn placed(nodes: u32) -> Result<Vec<Placed>> {
    let fleet: Fleet = format!("{nodes}xh200").parse()?;
    Ok(generate(&fleet, &SkuCatalogue::built_in())?)
}
