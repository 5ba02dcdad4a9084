//! A small cell with somebody who commits, agents who answer, and a clock.

use leasehold_common::api::{
    CreateAccount, CreateLease, ExplainView, ImportLine, ImportNodes, LeaseView, NodeView, Problem,
};
use leasehold_common::class::{Class, Side};
use leasehold_common::grant::{AckRecord, AckState, LeaseAck, Meter, Order};
use leasehold_common::ids::{GpuUuid, LeaseId, NodeIndex, NodeName};
use leasehold_common::keys::Key;
use leasehold_common::lease::{Digest, LeaseRecord, LeaseState, Shape};
use leasehold_common::log::{Actor, LogLine, LogRecord, canonical};
use leasehold_common::node::{
    Action, CpuInfo, GpuHealth, GpuInfo, GpuProcess, HealthReason, HealthReport, LiveRecord,
    NodeReport, Reading, Verdict, Versions,
};
use leasehold_common::policy::Policy;
use leasehold_common::record::{self, Unknown, Version};
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use leasehold_common::units::Bytes;
use leasehold_core::command::{Command, Query, View, Write, Written};
use leasehold_core::{
    Batch, CoreSettings, Effect, Event, Liveness, Loaded, RequestId, State, Surroundings, step,
};
use std::collections::{BTreeMap, VecDeque};

/// When every story begins.
pub const MORNING: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

/// A minute, of which stories are made.
pub fn minutes(n: u64) -> Span {
    Span::from_mins(n)
}

pub fn settings() -> CoreSettings {
    CoreSettings {
        cell: "c1".parse().unwrap(),
        host: "ctl1".into(),
        skus: SkuCatalogue::built_in(),
        policy: Policy {
            turnaround: minutes(10),
            ..Policy::default()
        },
        liveness: Liveness::default(),
        prepare_lead: minutes(5),
    }
}

pub fn node(n: usize) -> NodeName {
    format!("h{n:03}").parse().unwrap()
}

pub fn gpu(n: usize, slot: usize) -> GpuUuid {
    format!("GPU-{n}-{slot}").parse().unwrap()
}

/// `acme` wants this for two hours.
pub fn wish(shape: Shape) -> CreateLease {
    CreateLease {
        account: "acme".parse().unwrap(),
        class: Class::OnDemand,
        shape,
        sku: "h200".parse().unwrap(),
        within: Locality::Cell,
        start: None,
        length: Some(minutes(120)),
        until: None,
        host: None,
        gpu_cap_watts: None,
        hold: None,
        name: None,
    }
}

pub fn nodes(count: u32) -> Shape {
    Shape::nodes(count)
}

pub fn gpus(count: u32) -> Shape {
    Shape::gpus(count)
}

pub fn inventory(count: usize) -> ImportNodes {
    let line = |n: usize| ImportLine {
        line: u32::try_from(n).unwrap() + 2,
        node: node(n).to_string(),
        path: format!("hall-a/row-1/rack-{}/d{n}", n / 4),
        sku: "h200".into(),
        owner: None,
    };
    ImportNodes {
        nodes: (0..count).map(line).collect(),
    }
}

/// What the agent of an H200 node reports.
pub fn report(n: usize) -> NodeReport {
    let info = |slot: usize| GpuInfo {
        uuid: gpu(n, slot),
        name: "NVIDIA H200".into(),
        index: u32::try_from(slot).unwrap(),
        minor: None,
        pci: None,
        serial: None,
        memory: None,
        default_limit_mw: None,
        vbios: None,
        numa: None,
    };
    NodeReport {
        version: Version::CURRENT,
        node: node(n),
        boot_id: "boot-1".into(),
        started: MORNING,
        sku: None,
        path: None,
        gpus: (0..8).map(info).collect(),
        cpu: CpuInfo {
            model: "model".into(),
            threads: 192,
            cores: None,
        },
        memory: Bytes::from_mib(1 << 20),
        versions: Versions {
            agent: "0.1.0".into(),
            kernel: "6.8".into(),
            driver: None,
            nvml: None,
        },
        unknown: Unknown::default(),
    }
}

/// Eight GPUs, of which those in `lost` are gone and those in `busy` have somebody's process.
pub fn health(n: usize, lost: &[usize], busy: &[usize]) -> HealthReport {
    let one = |slot: usize| {
        let is_lost = lost.contains(&slot);
        let process = GpuProcess {
            pid: 4711,
            name: Some("python3".into()),
            memory: None,
        };
        let health = GpuHealth {
            verdict: if is_lost {
                Verdict::Lost
            } else {
                Verdict::Healthy
            },
            reasons: is_lost
                .then_some(HealthReason::GpuLost)
                .into_iter()
                .collect(),
            action: Action::None,
            findings: Vec::new(),
            since: MORNING,
            power_mw: Reading::Unsupported,
            limit_mw: Reading::Unsupported,
            temperature: Reading::Unsupported,
            energy_mj: Reading::Unsupported,
            memory_used: Reading::Unsupported,
            ecc_uncorrected: Reading::Unsupported,
            unexplained: busy
                .contains(&slot)
                .then_some(process)
                .into_iter()
                .collect(),
        };
        (gpu(n, slot), health)
    };
    HealthReport {
        version: Version::CURRENT,
        node: node(n),
        boot_id: "boot-1".into(),
        at: MORNING,
        gpus: (0..8).map(one).collect(),
        trouble: None,
        findings: Vec::new(),
        unknown: Unknown::default(),
    }
}

pub fn live() -> LiveRecord {
    LiveRecord {
        version: Version::CURRENT,
        boot_id: "boot-1".into(),
        epoch: leasehold_common::ids::Epoch(1),
        unknown: Unknown::default(),
    }
}

/// The cell, with a clock and a store.
pub struct Cell {
    pub state: State,
    pub now: Timestamp,
    pub stored: BTreeMap<Key, Vec<u8>>,
    pub log: Vec<LogRecord>,
    pub batches: usize,
    asked: u64,
    answers: BTreeMap<RequestId, Result<Written, Problem>>,
}

impl Cell {
    /// In which nothing has happened.
    pub fn empty() -> Self {
        Self {
            state: State::new(settings()),
            now: MORNING,
            stored: BTreeMap::new(),
            log: Vec::new(),
            batches: 0,
            asked: 0,
            answers: BTreeMap::new(),
        }
    }

    /// With so many H200 nodes, four in a rack, all of them available, and the accounts `acme`,
    /// `globex` (tenants) and `research` (internal).
    pub fn of(count: usize) -> Self {
        let mut cell = Self::empty();
        for (name, side) in [
            ("acme", Side::Tenant),
            ("globex", Side::Tenant),
            ("research", Side::Internal),
        ] {
            cell.account(name, side, None);
        }
        cell.import(&inventory(count)).unwrap();
        (0..count).for_each(|n| cell.agent_appears(n));
        cell
    }

    pub fn account(&mut self, name: &str, side: Side, quota_gpus: Option<u32>) {
        let wish = CreateAccount {
            name: name.parse().unwrap(),
            side,
            quota_gpus,
        };
        self.ask(Command::CreateAccount(wish)).unwrap();
    }

    pub fn import(&mut self, wish: &ImportNodes) -> Result<Written, Problem> {
        self.ask(Command::ImportNodes(wish.clone()))
    }

    /// Its agent starts and says that all is well.
    pub fn agent_appears(&mut self, n: usize) {
        self.tell([
            Event::Live(node(n), Some(live())),
            Event::Report(node(n), Some(Box::new(report(n)))),
            Event::Health(node(n), Some(Box::new(health(n, &[], &[])))),
        ]);
    }

    /// Things happen, and everything that follows from them is decided and committed.
    pub fn tell(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut events: VecDeque<Event> = events.into_iter().collect();
        loop {
            let step = step(&mut self.state, &mut events, self.now);
            if let Some(batch) = step.batch {
                self.commit(batch);
            }
            for effect in step.effects {
                if let Effect::Answer { id, result } = effect {
                    self.answers.insert(id, *result);
                }
            }
            if !step.more {
                return;
            }
        }
    }

    fn commit(&mut self, batch: Batch) {
        let operations = batch.puts.len() + batch.deletes.len() + 2;
        assert!(operations <= 128, "{operations} operations in one commit");
        self.batches += 1;
        self.stored.insert(Key::Head, record::encode(&batch.head));
        self.stored.extend(batch.puts);
        for key in &batch.deletes {
            self.stored.remove(key);
        }
        for line in &batch.commit.records {
            let opened = LogLine::open(&canonical(line), None).unwrap();
            if let LogLine::Record(record) = opened.line {
                self.log.push(*record);
            }
        }
    }

    pub fn pass(&mut self, span: Span) {
        self.now = self.now + span;
        self.tell([]);
    }

    /// Asks as an operator who names no key.
    pub fn ask(&mut self, command: Command) -> Result<Written, Problem> {
        self.write(Write {
            command,
            idempotency: None,
            dry_run: false,
            if_match: None,
        })
    }

    /// Asks under a key, as a client that may have to ask again.
    pub fn ask_as(&mut self, key: &str, command: Command) -> Result<Written, Problem> {
        let body = Digest::of(format!("{command:?}").as_bytes());
        self.write(Write {
            command,
            idempotency: Some((key.parse().unwrap(), body)),
            dry_run: false,
            if_match: None,
        })
    }

    pub fn write(&mut self, write: Write) -> Result<Written, Problem> {
        self.asked += 1;
        let id = RequestId(self.asked);
        let actor = Actor {
            uid: 1000,
            role: "operator".into(),
            request_id: id.0.to_string(),
            idempotency_key: write.idempotency.as_ref().map(|(key, _)| key.clone()),
        };
        let write = Box::new(write);
        self.tell([Event::Request { id, actor, write }]);
        self.answers.remove(&id).expect("everybody is answered")
    }

    /// A new lease.
    pub fn lease(&mut self, wish: CreateLease) -> LeaseId {
        match self.ask(Command::CreateLease(wish)).unwrap().view {
            View::Lease(lease) => lease.id,
            other => panic!("{other:?}"),
        }
    }

    pub fn record(&self, id: LeaseId) -> &LeaseRecord {
        self.state.lease(id).expect("the story knows it")
    }

    pub fn state_of(&self, id: LeaseId) -> LeaseState {
        self.record(id).state
    }

    pub fn view(&self, id: LeaseId) -> LeaseView {
        match self.query(&Query::Lease(id)) {
            View::Lease(lease) => *lease,
            other => panic!("{other:?}"),
        }
    }

    pub fn node_view(&self, n: usize) -> NodeView {
        match self.query(&Query::Node(node(n))) {
            View::Node(node) => *node,
            other => panic!("{other:?}"),
        }
    }

    pub fn query(&self, query: &Query) -> View {
        self.state.look(query, &around(), self.now).unwrap()
    }

    /// What would become of a request.
    pub fn would_be(&mut self, wish: CreateLease) -> ExplainView {
        let query = Query::Plan(Box::new(wish));
        match self.state.ask(&query, &around(), self.now).unwrap() {
            View::Explain(explained) => *explained,
            other => panic!("{other:?}"),
        }
    }

    /// What is said of a question that makes no sense.
    pub fn refused(&self, query: &Query) -> Problem {
        self.state.look(query, &around(), self.now).unwrap_err()
    }

    /// What the agent of a node says when it does as it is told.
    pub fn obedient(&self, n: usize) -> AckRecord {
        let index = NodeIndex(u32::try_from(n).unwrap());
        let grants = self.state.grants_of(index);
        let grants = grants.iter().flat_map(|record| record.grants.values());
        let leases = grants.map(|sealed| {
            let grant = sealed.open().unwrap();
            let over =
                grant.order == Order::End || grant.access_end.is_some_and(|end| end <= self.now);
            let state = match over {
                true => AckState::Returned,
                false if grant.starts_at <= self.now => AckState::Serving,
                false => AckState::Accepted,
            };
            (grant.lease, ack(grant.term, grant.term_seq, state))
        });
        AckRecord {
            version: Version::CURRENT,
            node: node(n),
            boot_id: "boot-1".into(),
            epoch: leasehold_common::ids::Epoch(1),
            leases: leases.collect(),
            unknown: Unknown::default(),
        }
    }

    /// These agents read their grants, do as they are told and say so.
    pub fn agents_answer(&mut self, nodes: impl IntoIterator<Item = usize>) {
        for n in nodes {
            let acks = self.obedient(n);
            self.tell([Event::Acks(node(n), Some(Box::new(acks)))]);
        }
    }

    /// A new process that knows what is stored and nothing else.
    pub fn reload(&mut self, live_nodes: impl IntoIterator<Item = usize>) {
        let mut loaded = Loaded::default();
        for (key, value) in &self.stored {
            loaded.take(key, value).unwrap();
        }
        for n in live_nodes {
            loaded.live.insert(node(n));
            loaded.reports.insert(node(n), report(n));
            loaded.health.insert(node(n), health(n, &[], &[]));
        }
        self.state = State::load(settings(), loaded, self.now).unwrap();
        self.tell([]);
    }

    /// The words of the log about something, oldest first.
    pub fn words(&self, of: impl Fn(&LogRecord) -> bool) -> Vec<String> {
        let says = |record: &LogRecord| {
            let to = record.attributes.to.as_deref().unwrap_or("");
            format!("{} {to}", record.event_name)
        };
        self.log
            .iter()
            .filter(|record| of(record))
            .map(says)
            .collect()
    }
}

pub fn ack(
    term: leasehold_common::ids::Term,
    term_seq: leasehold_common::ids::Seq,
    state: AckState,
) -> LeaseAck {
    LeaseAck {
        term,
        term_seq,
        state,
        since: MORNING,
        refused: None,
        detail: String::new(),
        meter: Meter::default(),
        certificate: None,
    }
}

pub fn around() -> Surroundings {
    Surroundings {
        host: "ctl1".into(),
        leader: Some("ctl1".into()),
        leading: true,
        store: "model".into(),
        alerts: Vec::new(),
    }
}
