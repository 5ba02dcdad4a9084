//! The agents of the cell, in this process.

use crate::simulate::Placed;
use leasehold_agent::clock::SystemClock;
use leasehold_agent::gpu::GpuDriver;
use leasehold_agent::gpu::nvml::{LIBRARY, NvmlDriver};
use leasehold_agent::gpu::simulated::{SimulatedDriver, SimulatedNode};
use leasehold_agent::host::{Host, LinuxHost, SimulatedHost};
use leasehold_agent::kernel_log::{DEVICE, LogFrom, LogSource};
use leasehold_agent::metrics::Metrics;
use leasehold_agent::store_channel::StoreChannel;
use leasehold_agent::{NodeSettings, Surroundings, run};
use leasehold_common::ids::{CellName, NodeName};
use leasehold_common::time::Span;
use leasehold_gpu_sim::{Node, NodeSpec, UnknownSku};
use leasehold_store::Store;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// How long a node counts as alive here. Nothing but this process keeps its keys, so a short time
/// says the same as a long one and shows sooner.
const TTL: Span = Span::from_secs(15);

/// With more nodes than this, GPUs are read less often: what is a second's work for one node is a
/// core's for thousands.
const READ_OFTEN_UP_TO: usize = 256;

/// Makes the simulated nodes.
///
/// # Errors
/// A SKU that the model does not know.
pub fn simulated(placed: &[Placed]) -> Result<BTreeMap<NodeName, Arc<SimulatedNode>>, UnknownSku> {
    let make = |node: &Placed| {
        let spec = NodeSpec::new(node.name.clone(), node.sku.clone());
        let made = SimulatedNode::new(Node::new(&spec)?, Arc::new(SystemClock));
        Ok((node.name.clone(), made))
    };
    placed.iter().map(make).collect()
}

/// Starts an agent for each simulated node.
pub fn start_simulated(
    tasks: &mut JoinSet<()>,
    cell: &CellName,
    state: &Path,
    placed: &[Placed],
    nodes: &BTreeMap<NodeName, Arc<SimulatedNode>>,
    store: &Arc<dyn Store>,
    shutdown: &CancellationToken,
) {
    for at in placed {
        let node = Arc::clone(&nodes[&at.name]);
        let mut settings = settings(cell, &at.name, state);
        settings.sku = Some(at.sku.clone());
        settings.topology = Some(at.path.clone());
        if placed.len() > READ_OFTEN_UP_TO {
            settings.poll = Span::from_secs(10);
        }
        let hardware = Hardware {
            driver: Arc::new(SimulatedDriver(Arc::clone(&node))),
            host: Arc::new(SimulatedHost(node)),
            kernel_log: None,
        };
        start(tasks, settings, hardware, store, shutdown);
    }
}

/// The settings of an agent in this process.
pub fn settings(cell: &CellName, node: &NodeName, state: &Path) -> NodeSettings {
    let folder = state.join("nodes").join(node.as_str());
    let mut settings = NodeSettings::new(
        cell.clone(),
        node.clone(),
        folder.clone(),
        folder.join("run"),
    );
    settings.ttl = TTL;
    settings
}

/// What an agent looks after.
#[derive(Debug)]
pub struct Hardware {
    driver: Arc<dyn GpuDriver>,
    host: Arc<dyn Host>,
    kernel_log: Option<LogSource>,
}

impl Hardware {
    /// This host's own.
    pub fn own() -> Self {
        Self {
            driver: Arc::new(NvmlDriver::new(Path::new(LIBRARY))),
            host: Arc::new(LinuxHost),
            kernel_log: Some(LogSource::since_boot(LogFrom::Path(DEVICE.into()))),
        }
    }
}

/// Starts one agent.
pub fn start(
    tasks: &mut JoinSet<()>,
    settings: NodeSettings,
    hardware: Hardware,
    store: &Arc<dyn Store>,
    shutdown: &CancellationToken,
) {
    let node = settings.node.clone();
    let channel = Arc::new(StoreChannel::new(
        Arc::clone(store),
        &settings.cell,
        settings.node.clone(),
    ));
    let Hardware {
        driver,
        host,
        kernel_log,
    } = hardware;
    let with = Surroundings {
        driver,
        host,
        kernel_log,
        clock: Arc::new(SystemClock),
        channel,
        metrics: Metrics::default(),
    };
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        if let Err(e) = run(settings, with, shutdown, |_| {}).await {
            let e = e_chain(&e);
            error!(%node, error = e, "the agent could not start");
        }
    });
}

fn e_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
