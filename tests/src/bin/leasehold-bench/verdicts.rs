//! How soon an XID is a verdict in the store, and keeps its GPU from being placed on; and what one GPU that hangs
//! costs the others and a scrape.
//!
//! A real etcd, scheduler and agent, and the simulated library behind the NVML ABI: an XID is an event as the
//! driver gives it, and each is of a code of its own, so that each is a finding that was not there before.

use crate::cell::{CELL, SKU};
use crate::etcd::Etcd;
use crate::latency::Latencies;
use crate::place::{Place, program};
use anyhow::{Context as _, Result, ensure};
use leasectl::client::Client;
use leasehold_common::api::{ImportLine, ImportNodes, Status};
use leasehold_common::ids::{CellName, GpuUuid, IdempotencyKey};
use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::node::{GpuHealth, HealthReport, Verdict};
use leasehold_common::record::decode;
use leasehold_common::time::Span;
use leasehold_gpu_sim::{Change, Node as SimulatedNode, NodeSpec, Scenario, Slot, state};
use leasehold_store::Store as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NODE: &str = "h001";

/// The XID after which a GPU must not be let: an uncontained memory error.
const UNLETTABLE: u32 = 95;

/// XIDs that are findings at once and take no GPU away: numbers that NVIDIA does not use, which are to be looked at.
const CODES: [u32; 25] = [
    1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30,
];

/// The most XIDs of which each is a finding that was not there before.
pub const MOST_XIDS: i64 = 200;

/// GPUs of the node.
const GPUS: u32 = 8;

/// What was measured.
#[derive(Debug, Clone)]
pub struct Verdicts {
    /// The store it went through.
    pub store: String,
    /// From the XID to its finding in the store.
    pub stored: Latencies,
    /// How many XIDs that were.
    pub xids: u32,
    /// From the XID to one GPU less that the scheduler would place on.
    pub unplaced: Latencies,
    /// The answers to a scrape while one GPU hung.
    pub scrapes: Latencies,
    /// The oldest reading of the seven others meanwhile, in seconds.
    pub oldest: f64,
}

/// Runs a cell of one node and makes its GPUs fail.
pub async fn measure(parent: &Path, xids: u32, hang: Duration) -> Result<Verdicts> {
    Place::with(parent, async |place| {
        let mut node = Node::start(place).await?;
        eprintln!(
            "Verdicts: {xids} XIDs, then a GPU that hangs for {} s",
            hang.as_secs()
        );
        let stored = node.report_xids(place, xids).await?;
        let unplaced = node.lose_gpus(place).await?;
        let (scrapes, oldest) = node.hang(place, hang).await?;
        Ok(Verdicts {
            store: node.etcd.store.describe(),
            stored,
            xids,
            unplaced,
            scrapes,
            oldest,
        })
    })
    .await
    .context("verdicts")
}

struct Node {
    etcd: Etcd,
    client: Client,
    metrics: String,
    library: PathBuf,
    scenario: Scenario,
    gpus: Vec<GpuUuid>,
}

impl Node {
    async fn start(place: &Place) -> Result<Self> {
        let etcd = Etcd::start(place).await?;
        let socket = place.path("control.sock");
        let scheduler = place.path("scheduler.toml");
        std::fs::write(
            &scheduler,
            format!(
                "cell = {CELL:?}\nhost = \"bench\"\nstate_dir = {:?}\nlog_dir = {:?}\n\
                 [control]\nsocket = {socket:?}\n\
                 [store]\nkind = \"etcd\"\nendpoints = [{:?}]\n\
                 [log]\nlevel = \"warn\"\n",
                place.path("scheduler"),
                place.path("log"),
                etcd.url,
            ),
        )?;
        let mut command = program("leasehold-scheduler")?;
        command.arg("--config").arg(scheduler);
        place.start("scheduler", command)?;

        let spec = NodeSpec::new(NODE.parse()?, SKU.parse()?);
        let scenario = Scenario::new(spec);
        let folder = place.path("nvml");
        std::fs::create_dir(&folder)?;
        let library = nvml_sim::install(&folder, &scenario)?;
        let metrics = free_address()?;
        let agent = place.path("agent.toml");
        std::fs::write(
            &agent,
            format!(
                "cell = {CELL:?}\nnode = {NODE:?}\nsku = {SKU:?}\ntopology = \"hall-1/row-1/rack-1/{NODE}\"\n\
                 state_dir = {:?}\nrun_dir = {:?}\n\
                 [store]\nkind = \"etcd\"\nendpoints = [{:?}]\n\
                 [gpu]\nnvml = {library:?}\npoll = \"1s\"\nkernel_log = \"off\"\n\
                 [metrics]\nlisten = {metrics:?}\n\
                 [log]\nlevel = \"error\"\n",
                place.path("agent"),
                place.path("run"),
                etcd.url,
            ),
        )?;
        let mut command = program("leasehold-agent")?;
        command.arg("--config").arg(agent);
        place.start("agent", command)?;

        let client = Client::new(&socket, Span::from_secs(30));
        let import = ImportNodes {
            nodes: vec![ImportLine {
                line: 0,
                node: NODE.into(),
                path: format!("hall-1/row-1/rack-1/{NODE}"),
                sku: SKU.into(),
                owner: None,
            }],
        };
        let key: IdempotencyKey = "bench-import".parse()?;
        let admit = async || Ok(client.post("/v1/nodes/import", &import, &key).await.ok());
        place.wait_for("the node is admitted", admit).await?;
        let mut node = Self {
            etcd,
            client,
            metrics,
            library,
            scenario,
            gpus: Vec::new(),
        };
        let free = async || Ok((node.free().await? == u64::from(GPUS)).then_some(()));
        place.wait_for("every GPU can be let", free).await?;
        let report = node
            .health()
            .await?
            .context("a node that can be let has reported")?;
        let simulated = SimulatedNode::new(&node.scenario.node)?;
        let identities = simulated.gpus().iter().map(|gpu| gpu.identity());
        node.gpus = identities.map(|identity| identity.uuid.clone()).collect();
        ensure!(
            node.gpus.iter().all(|gpu| report.gpus.contains_key(gpu)),
            "the node reports other GPUs than it has"
        );
        Ok(node)
    }

    async fn report_xids(&mut self, place: &Place, count: u32) -> Result<Latencies> {
        let mut times = Latencies::default();
        let all = CODES
            .iter()
            .flat_map(|code| (0..GPUS).map(move |slot| (*code, slot)));
        for (code, slot) in all.take(usize::try_from(count)?) {
            let begin = self.happen(Change::RaiseXid {
                gpu: Slot(slot),
                xid: code,
            })?;
            let gpu = self.gpus[slot as usize].clone();
            let words = format!("XID {code} ");
            let is_there =
                |gpu: &GpuHealth| gpu.findings.iter().any(|f| f.evidence.starts_with(&words));
            let look = async || {
                let found = self
                    .health()
                    .await?
                    .and_then(|report| report.gpus.get(&gpu).map(is_there));
                Ok(found.filter(|found| *found))
            };
            place.wait_for("the XID is in the store", look).await?;
            times.push(begin.elapsed());
        }
        Ok(times)
    }

    async fn lose_gpus(&mut self, place: &Place) -> Result<Latencies> {
        let mut times = Latencies::default();
        // The last one is to hang.
        for slot in 0..GPUS - 1 {
            let before = self.free().await?;
            let begin = self.happen(Change::RaiseXid {
                gpu: Slot(slot),
                xid: UNLETTABLE,
            })?;
            if before == 0 {
                break;
            }
            let less = async || Ok((self.free().await? < before).then_some(()));
            place
                .wait_for("the scheduler has a GPU less to place on", less)
                .await?;
            times.push(begin.elapsed());
        }
        Ok(times)
    }

    async fn hang(&mut self, place: &Place, time: Duration) -> Result<(Latencies, f64)> {
        let hung = GPUS - 1;
        self.happen(Change::SetHung {
            gpu: Slot(hung),
            hung: true,
        })?;
        let gpu = self.gpus[hung as usize].clone();
        let silent = async || {
            let report = self.health().await?;
            let verdict = report.and_then(|report| report.gpus.get(&gpu).map(|gpu| gpu.verdict));
            Ok((verdict == Some(Verdict::Unresponsive)).then_some(()))
        };
        place.wait_for("the GPU is unresponsive", silent).await?;
        let (mut times, mut oldest) = (Latencies::default(), 0.0_f64);
        let until = Instant::now() + time;
        while Instant::now() < until {
            let begin = Instant::now();
            let page = scrape(&self.metrics)?;
            times.push(begin.elapsed());
            let ages = ages(&page, gpu.as_str());
            ensure!(
                ages.len() == GPUS as usize - 1,
                "a scrape has the age of {} readings",
                ages.len()
            );
            oldest = ages.into_iter().fold(oldest, f64::max);
            place.let_run(Duration::from_millis(100)).await?;
        }
        Ok((times, oldest))
    }

    /// Lets something happen now.
    fn happen(&mut self, change: Change) -> Result<Instant> {
        self.scenario = self.scenario.clone().then(change);
        let begin = Instant::now();
        state::write(&nvml_sim::state_path(&self.library), &self.scenario)?;
        Ok(begin)
    }

    async fn health(&self) -> Result<Option<HealthReport>> {
        let cell: CellName = CELL.parse()?;
        let key = KeySpace::new(&cell).key(&Key::Health(NODE.parse()?));
        let Some(value) = self.etcd.store.get(&key).await? else {
            return Ok(None);
        };
        Ok(Some(decode(&value.value)?))
    }

    async fn free(&self) -> Result<u64> {
        let Ok(answer) = self.client.get("/v1/status").await else {
            return Ok(0);
        };
        let status: Status = answer.read()?;
        Ok(status.gpus_free)
    }
}

fn free_address() -> Result<String> {
    let held = std::net::TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(held.local_addr()?.to_string())
}

/// One page, as Prometheus asks for it.
fn scrape(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connect to the agent's metrics")?;
    stream.write_all(
        b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n",
    )?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    ensure!(
        page.starts_with("HTTP/1.1 200"),
        "the scrape was refused: {page:.80}"
    );
    Ok(page)
}

/// The ages of all readings but that of one GPU, in seconds.
fn ages(page: &str, but: &str) -> Vec<f64> {
    page.lines()
        .filter(|line| {
            line.starts_with("leasehold_agent_gpu_reading_age_seconds") && !line.contains(but)
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_the_others() {
        let page = "leasehold_agent_gpu_reading_age_seconds{UUID=\"GPU-1\"} 0.5\n\
                    leasehold_agent_gpu_reading_age_seconds{UUID=\"GPU-2\"} 90\n\
                    leasehold_agent_ready 1\n";
        assert_eq!(ages(page, "GPU-2"), [0.5]);
    }
}
