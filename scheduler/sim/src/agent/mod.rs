//! One agent process on its node: the real grant rules over a model disk and a model of access.
//!
//! [`disk`] outlives the process, [`report`] is what it says of the node. What it *does* is
//! [`Agent::access`]: whoever stands there can use those GPUs.

mod disk;
mod report;

use crate::checker::Broken;
use crate::inventory::{cell, gpus_of, node_name};
use crate::rng::Rng;
use crate::store::Store;
use disk::Disk;
use leasehold_agent_core::grants::{Facts, GrantBook, Step, decide};
use leasehold_agent_core::publish;
use leasehold_common::grant::{AckRecord, Grant, GrantsRecord, RefusalReason, SealedGrant};
use leasehold_common::ids::{GpuUuid, LeaseId, NodeName};
use leasehold_common::keys::Key;
use leasehold_common::node::{Action, HealthReport, Verdict};
use leasehold_common::record::{self, Unknown, Version};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A node with its agent.
#[derive(Debug)]
pub struct Agent {
    /// Its name.
    pub name: NodeName,
    /// How far its clock is ahead of true time, in milliseconds.
    pub skew_ms: i64,
    /// GPUs that have fallen off the bus.
    pub lost: BTreeSet<GpuUuid>,
    /// GPUs that do not do well, with the verdict on each and what is to be done.
    pub sick: BTreeMap<GpuUuid, (Verdict, Action)>,
    /// What is to be done about the node itself, where something is.
    pub ails: Option<Action>,
    /// GPUs with a process that no lease explains.
    pub occupied: BTreeSet<GpuUuid>,
    /// What it wrongly says of itself.
    pub lie: Option<Lie>,
    /// Who has access to what: environment files, for want of fences.
    pub access: BTreeMap<LeaseId, BTreeSet<Device>>,
    /// Leases it has just ended, when by its clock, and the end that it had last been told.
    pub ended: Vec<(LeaseId, Timestamp, Option<Timestamp>)>,
    /// That a grant names a GPU which another lease has at that time.
    pub overlap: Option<String>,
    gpus: BTreeSet<GpuUuid>,
    disk: Disk,
    process: Option<Process>,
    boots: u32,
}

/// What an agent may wrongly say of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// It stands elsewhere.
    Place,
    /// It has a GPU of the node after it.
    Gpu,
    /// It is another node.
    Name,
    /// Nothing that can be read.
    Garbage,
}

/// What is lost in a crash.
#[derive(Debug)]
struct Process {
    book: GrantBook,
    received: Option<BTreeMap<LeaseId, SealedGrant>>,
    seen: Seen,
    steps: VecDeque<Step>,
    /// The end of each lease as it was when its grants were last read.
    told: BTreeMap<LeaseId, Option<Timestamp>>,
    said: Said,
}

/// Which value of its grants was read last: incarnation and revision.
type Seen = Option<(u32, u64)>;

#[derive(Debug, Default)]
struct Said {
    incarnation: u32,
    report: Option<(Option<Lie>, bool)>,
    health: Option<HealthReport>,
    acks: Option<(AckRecord, Timestamp)>,
}

/// How far an agent may get before something else happens.
#[derive(Debug, Clone, Copy)]
pub struct Budget(pub u32);

impl Budget {
    fn spend(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

impl Agent {
    /// A node that was never switched on.
    pub fn new(n: usize, rng: &mut Rng) -> Self {
        Self {
            name: node_name(n),
            skew_ms: i64::try_from(rng.below(4000)).unwrap_or_default() - 2000,
            lost: BTreeSet::new(),
            sick: BTreeMap::new(),
            ails: None,
            occupied: BTreeSet::new(),
            lie: None,
            access: BTreeMap::new(),
            ended: Vec::new(),
            overlap: None,
            gpus: gpus_of(n),
            disk: Disk::default(),
            process: None,
            boots: 0,
        }
    }

    /// Whether the agent's process is there.
    pub const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The process is gone; what it had not written is lost, and whoever has access keeps it.
    pub fn crash(&mut self) {
        self.process = None;
    }

    /// A process begins: it reads its disk, and puts access right as its disk says.
    pub fn start(&mut self) {
        self.boots += 1;
        let book = self.disk.book();
        let serving = book.serving();
        self.access = serving
            .map(|(lease, entry)| (lease, devices(entry.grant())))
            .collect();
        self.process = Some(Process {
            book,
            received: None,
            seen: None,
            steps: VecDeque::new(),
            told: BTreeMap::new(),
            said: Said::default(),
        });
    }

    /// Its clock.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_unix_ms(now.unix_ms() + self.skew_ms)
    }

    /// When its clock next changes something.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let book = &self.process.as_ref()?.book;
        let at = book.next_wake(self.clock(now))?;
        Some(Timestamp::from_unix_ms(at.unix_ms() - self.skew_ms))
    }

    /// Renews its liveness key while it runs.
    pub fn keep_alive(&self, store: &mut Store, now: Timestamp) {
        if self.is_running() {
            store.keep_live(&self.name, now);
        }
    }

    /// Reads, decides, carries out and says what it can, one effect of the budget at a time.
    ///
    /// # Errors
    /// What it does breaks an invariant.
    pub fn run(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        mut budget: Budget,
    ) -> Result<(), Broken> {
        let clock = self.clock(now);
        if self.process.is_none() {
            return Ok(());
        }
        while self.has_steps() {
            if !budget.spend() {
                return Ok(());
            }
            self.carry_out(clock);
        }
        self.look(store, clock);
        while self.has_steps() {
            if !budget.spend() {
                return Ok(());
            }
            self.carry_out(clock);
        }
        self.check_access(clock)?;
        self.say(store, now, clock, budget);
        Ok(())
    }

    fn has_steps(&self) -> bool {
        self.process.as_ref().is_some_and(|p| !p.steps.is_empty())
    }

    /// Reads its grants if they have changed, and decides.
    fn look(&mut self, store: &Store, clock: Timestamp) {
        let Some(process) = &mut self.process else {
            return;
        };
        let stored = store.get(&Key::Grants(self.name.clone()));
        let seen = (store.incarnation(), stored.map_or(0, |s| s.revision));
        if process.seen != Some(seen) {
            let record: Option<GrantsRecord> =
                stored.map(|s| record::decode(&s.value).expect("leaders write grants"));
            process.received = Some(record.map(|r| r.grants).unwrap_or_default());
            process.seen = Some(seen);
        }
        process.book.count(clock, |_| None);
        let gpus = self.gpus.difference(&self.lost).cloned().collect();
        let explained = process.book.serving_gpus();
        let occupied = self.occupied.difference(&explained).cloned().collect();
        let facts = Facts {
            cell: &cell(),
            node: &self.name,
            gpus: &gpus,
            occupied: &occupied,
        };
        let live = process.book.live();
        process
            .told
            .extend(live.map(|(lease, entry)| (lease, entry.grant().access_end)));
        process.steps = decide(&mut process.book, process.received.as_ref(), &facts, clock).into();
    }

    fn carry_out(&mut self, clock: Timestamp) {
        let Some(process) = &mut self.process else {
            return;
        };
        match process.steps.pop_front() {
            None => {}
            Some(Step::Keep(lease)) => self.disk.keep(&process.book, lease),
            Some(Step::WriteEnv(lease)) => {
                if let Some(entry) = process.book.entry(lease) {
                    self.access.insert(lease, devices(entry.grant()));
                }
            }
            Some(Step::RemoveEnv(lease)) => {
                self.access.remove(&lease);
                let told = process.told.get(&lease).copied().flatten();
                self.ended.push((lease, clock, told));
            }
            Some(Step::Retire(lease)) => self.disk.retire(&process.book, lease),
        }
    }

    /// What must hold whenever everything that was decided has been carried out.
    fn check_access(&self, clock: Timestamp) -> Result<(), Broken> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        let mut taken: Vec<(&Device, LeaseId)> = Vec::new();
        for (lease, devices) in &self.access {
            for (gpu, start) in devices {
                // A GPU that is let whole is no other lease's, and no slice is two leases'.
                let mut others = taken.iter().filter(|(_, other)| other != lease);
                let clash = others.find(|((theirs, at), _)| {
                    theirs == gpu && (start.is_none() || at.is_none() || start == at)
                });
                if let Some((_, other)) = clash {
                    return Err(Broken::new(
                        "a GPU serves one lease at a time",
                        format!("{gpu} of {} serves leases {other} and {lease}", self.name),
                    ));
                }
            }
            taken.extend(devices.iter().map(|device| (device, *lease)));
            let end = process
                .book
                .entry(*lease)
                .map(|entry| entry.grant().access_end);
            if end.is_none_or(|end| end.is_some_and(|end| end <= clock)) {
                return Err(Broken::new(
                    "no lease is served after its end",
                    format!(
                        "{} serves lease {lease} at {clock}, its end is {end:?}",
                        self.name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn say(&mut self, store: &mut Store, now: Timestamp, clock: Timestamp, mut budget: Budget) {
        if let Some(process) = &mut self.process
            && process.said.incarnation != store.incarnation()
        {
            process.said = Said {
                incarnation: store.incarnation(),
                ..Said::default()
            };
        }
        let news = (self.lie, self.lost.is_empty());
        let said_before = self.process.as_ref().and_then(|p| p.said.report);
        let report = (said_before != Some(news)).then(|| self.report());
        let health = self.health(clock);
        let boot_id = self.boot_id();
        let Some(process) = &mut self.process else {
            return;
        };
        let acks = AckRecord {
            version: Version::CURRENT,
            node: self.name.clone(),
            boot_id: boot_id.clone(),
            epoch: process.book.epoch(),
            leases: process.book.acks(),
            unknown: Unknown::default(),
        };
        let said = &mut process.said;
        if let Some(report) = report
            && budget.spend()
        {
            store.put(Key::Node(self.name.clone()), report);
            said.report = Some(news);
        }
        if publish::due(said.health.as_ref(), &health, clock) && budget.spend() {
            store.put(Key::Health(self.name.clone()), record::encode(&health));
            said.health = Some(health);
        }
        if store.get(&Key::Live(self.name.clone())).is_none() && budget.spend() {
            let live = report::live(&boot_id, process.book.epoch());
            store.put_live(&self.name, live, now);
        }
        self.overlap = acks.leases.iter().find_map(|(lease, ack)| {
            let is = ack.refused == Some(RefusalReason::Overlap);
            is.then(|| format!("{} refuses lease {lease}: {}", self.name, ack.detail))
        });
        let last = said.acks.as_ref().map(|(acks, at)| (acks, *at));
        if publish::acks_due(last, &acks, clock) && budget.spend() {
            // What is said of a meter has to be on disk: a meter never falls.
            self.disk.keep_all(&process.book);
            store.put(Key::Acks(self.name.clone()), record::encode(&acks));
            said.acks = Some((acks, clock));
        }
    }
}

/// What somebody can use: a whole GPU, or the slice of it that begins at a memory slice.
pub type Device = (GpuUuid, Option<u8>);

fn devices(grant: &Grant) -> BTreeSet<Device> {
    if grant.slices.is_empty() {
        return grant.gpus.iter().map(|gpu| (gpu.clone(), None)).collect();
    }
    let slices = grant.slices.iter();
    slices
        .map(|slice| (slice.gpu.clone(), Some(slice.start)))
        .collect()
}
