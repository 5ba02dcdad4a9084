//! One simulated node with its agent, and the scheduler's end of the store.

use crate::channel::CutChannel;
use crate::wall_clock::HandClock;
use leasehold_agent::clock::Clock;
use leasehold_agent::gpu::simulated::{SimulatedDriver, SimulatedNode};
use leasehold_agent::host::SimulatedHost;
use leasehold_agent::kernel_log::LogSource;
use leasehold_agent::metrics::Metrics;
use leasehold_agent::store_channel::StoreChannel;
use leasehold_agent::{AgentError, NodeSettings, Surroundings};
use leasehold_common::class::{Class, Side};
use leasehold_common::grant::{
    AckRecord, AckState, DisconnectPolicy, Grant, GrantsRecord, LeaseAck, Order, SealedGrant,
};
use leasehold_common::ids::{CellName, Epoch, Generation, GpuUuid, LeaseId, NodeIndex, Seq, Term};
use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::node::{HealthReport, LiveRecord, NodeReport, Word};
use leasehold_common::record::{Record, Unknown, Version, decode, encode};
use leasehold_common::time::Span;
use leasehold_gpu_sim::{Change, Node, NodeSpec};
use leasehold_store::embedded::EmbeddedStore;
use leasehold_store::{Store, Txn};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Rig {
    pub clock: Arc<HandClock>,
    pub node: Arc<SimulatedNode>,
    pub channel: Arc<CutChannel>,
    pub store: Arc<dyn Store>,
    /// The store as the agent sees it: absent before it is open.
    pub opened: watch::Sender<Option<Arc<dyn Store>>>,
    /// The kernel's log; none unless a test gives one.
    pub kernel_log: Option<LogSource>,
    /// What is shown of the agent.
    pub metrics: Metrics,
    keys: KeySpace,
    folder: TempDir,
    agent: Option<(CancellationToken, JoinHandle<Result<(), AgentError>>)>,
}

impl Rig {
    /// A healthy node of eight H200 whose agent runs.
    pub async fn running() -> Self {
        let mut rig = Self::stopped(true).await;
        rig.start();
        rig
    }

    /// The same, before its agent was started.
    pub async fn stopped(connected: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(
            EmbeddedStore::open(&folder.path().join("store.redb"))
                .await
                .unwrap(),
        );
        let cell: CellName = "c1".parse().unwrap();
        let spec = NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap());
        let clock = HandClock::new();
        let (opened, opening) = watch::channel(Some(Arc::clone(&store)));
        let inner = StoreChannel::opening(opening, &cell, "h001".parse().unwrap());
        Self {
            node: SimulatedNode::new(Node::new(&spec).unwrap(), Arc::clone(&clock) as _),
            channel: CutChannel::new(Arc::new(inner), connected),
            clock,
            store,
            opened,
            kernel_log: None,
            metrics: Metrics::default(),
            keys: KeySpace::new(&cell),
            folder,
            agent: None,
        }
    }

    /// What the agent keeps.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn start(&mut self) {
        let mut settings = NodeSettings::new(
            "c1".parse().unwrap(),
            "h001".parse().unwrap(),
            self.state_dir(),
            self.folder.path().join("run"),
        );
        settings.poll = Span::from_millis(10);
        settings.ttl = Span::from_secs(3);
        settings.sku = Some("h200".parse().unwrap());
        let with = Surroundings {
            driver: Arc::new(SimulatedDriver(Arc::clone(&self.node))),
            host: Arc::new(SimulatedHost(Arc::clone(&self.node))),
            kernel_log: self.kernel_log.clone(),
            clock: Arc::clone(&self.clock) as _,
            channel: Arc::clone(&self.channel) as _,
            metrics: self.metrics.clone(),
        };
        let shutdown = CancellationToken::new();
        let agent = leasehold_agent::run(settings, with, shutdown.clone(), |_| {});
        self.agent = Some((shutdown, tokio::spawn(agent)));
    }

    pub async fn stop(&mut self) {
        if let Some((shutdown, agent)) = self.agent.take() {
            shutdown.cancel();
            agent.await.unwrap().unwrap();
        }
    }

    pub fn apply(&self, change: &Change) {
        self.node.apply(change).unwrap();
    }

    pub fn gpu(&self, slot: usize) -> GpuUuid {
        self.node
            .look(|node| node.gpus()[slot].identity().uuid.clone())
    }

    /// A grant from now on, for so long.
    pub fn grant(&self, lease: u64, generation: u64, slots: &[usize], length: Span) -> Grant {
        let now = self.clock.now();
        Grant {
            version: Version::CURRENT,
            cell: "c1".parse().unwrap(),
            lease: LeaseId(lease),
            term: Term {
                epoch: Epoch(1),
                generation: Generation(generation),
            },
            term_seq: Seq(generation),
            node: "h001".parse().unwrap(),
            rank: 0,
            order: Order::Serve,
            gpus: slots.iter().map(|slot| self.gpu(*slot)).collect(),
            slices: Vec::new(),
            account: "acme".parse().unwrap(),
            side: Side::Tenant,
            class: Class::OnDemand,
            starts_at: now,
            access_end: Some(now + length),
            wipe_not_before: Some(now + length),
            notice: Span::from_mins(10),
            disconnect_policy: DisconnectPolicy::EnforceAtEnd,
            gpu_cap_mw: None,
            isolation_ref: None,
            requires: Vec::new(),
            issuer: "s1".into(),
        }
    }

    /// What the scheduler writes.
    pub async fn issue(&self, grants: &[Grant]) {
        self.issue_with(grants, BTreeMap::new()).await;
    }

    /// The same with what operators say of GPUs.
    pub async fn issue_with(&self, grants: &[Grant], words: BTreeMap<GpuUuid, Vec<Word>>) {
        let record = GrantsRecord {
            version: Version::CURRENT,
            node: "h001".parse().unwrap(),
            index: NodeIndex(0),
            grants: grants
                .iter()
                .map(|grant| (grant.lease, SealedGrant::unsigned(grant)))
                .collect(),
            words,
            unknown: Unknown::default(),
        };
        self.put(Key::Grants("h001".parse().unwrap()), encode(&record))
            .await;
    }

    pub async fn put(&self, key: Key, value: Vec<u8>) {
        let txn = Txn {
            puts: vec![(self.keys.key(&key), value)],
            ..Txn::default()
        };
        self.store.commit(txn).await.unwrap();
    }

    pub async fn report(&self) -> Option<NodeReport> {
        self.record(Key::Node("h001".parse().unwrap())).await
    }

    pub async fn health(&self) -> Option<HealthReport> {
        self.record(Key::Health("h001".parse().unwrap())).await
    }

    pub async fn acks(&self) -> Option<AckRecord> {
        self.record(Key::Acks("h001".parse().unwrap())).await
    }

    pub async fn live(&self) -> Option<LiveRecord> {
        self.record(Key::Live("h001".parse().unwrap())).await
    }

    /// The answer for one lease, once it is in this state.
    pub async fn acked(&self, lease: u64, state: AckState) -> LeaseAck {
        let what = format!("lease {lease} {state}");
        until(&what, async || {
            let acks = self.acks().await?;
            let ack = acks.leases.get(&LeaseId(lease))?;
            (ack.state == state).then(|| ack.clone())
        })
        .await
    }

    pub fn env_file(&self, lease: u64) -> PathBuf {
        self.folder.path().join(format!("run/leases/{lease}.env"))
    }

    pub fn grant_file(&self, lease: u64) -> PathBuf {
        self.folder
            .path()
            .join(format!("state/grants/{lease}.json"))
    }

    async fn record<R: Record>(&self, key: Key) -> Option<R> {
        let entry = self.store.get(&self.keys.key(&key)).await.unwrap()?;
        Some(decode(&entry.value).unwrap())
    }
}

/// Asks again and again until there is an answer.
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} for: {what}"))
}
