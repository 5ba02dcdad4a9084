//! The agent's state, and what it does in a turn.

use super::memory::Memory;
use super::sampler::Look;
use super::told::Told;
use super::words::Words;
use super::work::Work;
use crate::channel::GrantNews;
use crate::disk::{DiskError, EnvFiles, GrantFiles, HealthFile};
use crate::gpu::{DriverError, Inventory};
use crate::host::{Host, HostFacts};
use crate::settings::NodeSettings;
use leasehold_agent_core::grants::{Facts, GrantBook, Step, decide};
use leasehold_agent_core::node_health::{NodeFacts, NodeState};
use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_agent_core::verdict::{Event, GpuState, Observation, report};
use leasehold_common::grant::{AckRecord, SealedGrant};
use leasehold_common::ids::{GpuUuid, LeaseId};
use leasehold_common::node::{GpuHealth, GpuInfo, HealthReport, Verdict, Versions};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything the agent knows.
#[derive(Debug)]
pub struct Desk {
    pub(super) settings: NodeSettings,
    pub(super) started: Timestamp,
    pub(super) host: Arc<dyn Host>,
    pub(super) facts: HostFacts,
    pub(super) book: GrantBook,
    /// The grants as last received; absent before they were.
    pub(super) received: Option<BTreeMap<LeaseId, SealedGrant>>,
    /// What operators say of its GPUs, until the verdicts have heard it.
    pub(super) words: Words,
    pub(super) work: Work,
    /// Every GPU that was seen since the start.
    pub(super) gpus: BTreeMap<GpuUuid, GpuInfo>,
    pub(super) versions: Option<Versions>,
    pub(super) samples: BTreeMap<GpuUuid, GpuSample>,
    pub(super) health: BTreeMap<GpuUuid, GpuHealth>,
    /// What is remembered of each GPU between readings.
    pub(super) states: BTreeMap<GpuUuid, GpuState>,
    /// What of that is on disk.
    pub(super) memory: Memory,
    /// What the driver and the kernel have told by themselves.
    pub(super) told: Told,
    /// The node as it was last seen, and what is made of it.
    pub(super) node: NodeFacts,
    pub(super) node_state: NodeState,
    /// Whether the driver was not to be used when it was last asked.
    driver_is_away: bool,
    /// What is wrong and is no GPU's fault, by where it comes from.
    pub(super) troubles: BTreeMap<&'static str, String>,
    pub(super) contact_lost: bool,
    pub(super) contacts: u64,
    pub(super) said_health: Option<HealthReport>,
    pub(super) said_acks: Option<(AckRecord, Timestamp)>,
}

impl Desk {
    /// With what is on disk.
    ///
    /// # Errors
    /// A state folder that cannot be read.
    pub fn open(
        settings: NodeSettings,
        facts: HostFacts,
        files: GrantFiles,
        env: EnvFiles,
        host: Arc<dyn Host>,
        now: Timestamp,
    ) -> Result<Self, DiskError> {
        let kept = files.load()?;
        let health = HealthFile::new(&settings.state_dir);
        let mut troubles = BTreeMap::new();
        for file in &kept.unreadable {
            tracing::error!(file, "a grant on disk cannot be read");
        }
        if !kept.unreadable.is_empty() {
            troubles.insert("disk", kept.unreadable.join("; "));
        }
        let mut work = Work::new(files, env);
        work.restore(&kept.book);
        let mut desk = Self {
            settings,
            started: now,
            host,
            facts,
            book: kept.book,
            received: None,
            words: Words::new(),
            work,
            gpus: BTreeMap::new(),
            versions: None,
            samples: BTreeMap::new(),
            health: BTreeMap::new(),
            states: BTreeMap::new(),
            memory: Memory::new(health),
            told: Told::default(),
            node: NodeFacts::default(),
            node_state: NodeState::default(),
            driver_is_away: false,
            troubles,
            contact_lost: false,
            contacts: 0,
            said_health: None,
            said_acks: None,
        };
        desk.remember(now);
        Ok(desk)
    }

    /// Takes news of the grants.
    pub fn hear(&mut self, news: GrantNews) {
        match news {
            GrantNews::Now(record) => {
                self.troubles.remove("grants");
                self.regain_contact();
                let record = record.map(|record| (record.grants, record.words));
                let (grants, words) = record.unwrap_or_default();
                (self.received, self.words) = (Some(grants), words);
            }
            GrantNews::Unreadable(why) => {
                tracing::error!(
                    why,
                    "grants cannot be read; what was received before stands"
                );
                self.troubles
                    .insert("grants", format!("grants cannot be read: {why}"));
            }
            GrantNews::ContactLost(why) => {
                // Before anything was heard the store is only not open yet.
                if !self.contact_lost && self.received.is_some() {
                    tracing::warn!(why, "contact lost; leases go on");
                }
                self.contact_lost = true;
            }
            GrantNews::ContactBack => self.regain_contact(),
        }
    }

    fn regain_contact(&mut self) {
        if self.contact_lost {
            tracing::info!("in contact");
            self.contact_lost = false;
            self.contacts += 1;
        }
    }

    /// Takes a look at the hardware.
    pub fn read(&mut self, look: Look) {
        self.notice_driver(&look);
        self.see_node(&look);
        if let Some((host, _)) = look.host {
            let before = std::mem::replace(&mut self.facts, host);
            self.notice_boot(&before.boot_id, look.at);
        }
        match look.inventory {
            None => {}
            Some(Ok(inventory)) => {
                self.take_stock(inventory);
                self.hear_what_waited(look.at);
            }
            Some(Err(e)) => {
                self.say_trouble("driver", &e.to_string());
                // The node reports without its GPUs rather than not at all.
                self.versions.get_or_insert_with(|| versions(&self.facts));
            }
        }
        let rules = Arc::clone(&self.settings.rules);
        for (gpu, sample) in &look.samples {
            let seen = Observation {
                sample: Some(sample),
                events: &[],
            };
            self.state_of(gpu, look.at).observe(&seen, look.at, &rules);
        }
        self.samples.extend(look.samples);
        self.meter(look.at);
    }

    /// A driver that was away and is back has been loaded again: its counters begin anew, and that repairs
    /// nothing. It must be known before they are looked at.
    fn notice_driver(&mut self, look: &Look) {
        let is_back = matches!(look.inventory, Some(Ok(_)))
            || look
                .samples
                .values()
                .any(|s| s.contact == Contact::Answered);
        if self.driver_is_away && is_back {
            self.driver_is_away = false;
            tracing::info!("the driver is back");
            self.tell_all(&Event::DriverReload { at: look.at }, look.at);
        }
        match &look.inventory {
            Some(Err(
                DriverError::NoLibrary { .. }
                | DriverError::Mismatch { .. }
                | DriverError::NoDriver { .. },
            )) => {
                self.driver_is_away = true;
            }
            Some(Ok(_) | Err(DriverError::Failed { .. } | DriverError::Overdue { .. })) | None => {}
        }
    }

    fn meter(&mut self, at: Timestamp) {
        let samples = &self.samples;
        self.book.count(at, |gpu| {
            samples
                .get(gpu)
                .and_then(|sample| sample.energy_mj.value().copied())
        });
    }

    fn take_stock(&mut self, inventory: Inventory) {
        let silent: Vec<String> = inventory
            .unidentified
            .iter()
            .map(|(index, e)| format!("gpu at index {index}: {e}"))
            .collect();
        if silent.is_empty() {
            self.troubles.remove("driver");
        } else {
            self.say_trouble("driver", &silent.join("; "));
        }
        self.versions = Some(Versions {
            driver: inventory.facts.driver,
            nvml: inventory.facts.nvml,
            ..versions(&self.facts)
        });
        let before: Vec<_> = self.gpus.keys().cloned().collect();
        self.gpus.extend(
            inventory
                .gpus
                .into_iter()
                .map(|gpu| (gpu.uuid.clone(), gpu)),
        );
        if !self.gpus.keys().eq(&before) {
            // The environment files name GPUs by index, which is known only now.
            self.work.restore(&self.book);
        }
    }

    pub(super) fn say_trouble(&mut self, of: &'static str, words: &str) {
        if self.troubles.get(of).map(String::as_str) != Some(words) {
            tracing::error!(trouble = words, of, "the node is not in order");
            self.troubles.insert(of, words.to_owned());
        }
    }

    /// Decides, and does what follows.
    pub async fn turn(&mut self, now: Timestamp) {
        self.heed_words(now);
        self.keep_health().await;
        self.judge(now);
        let steps = self.decide(now);
        if !steps.is_empty() {
            log_steps(&steps);
            self.judge(now);
            // A lease that has just begun counts from what the counters show now.
            self.meter(now);
        }
        self.work.add(&steps);
        if self.acks_are_due(now) {
            // A meter that was said must not be forgotten.
            let serving = self.book.serving().map(|(lease, _)| Step::Keep(lease));
            self.work.add(&serving.collect::<Vec<_>>());
        }
        let indexes = self
            .gpus
            .iter()
            .map(|(uuid, gpu)| (uuid.clone(), gpu.index))
            .collect();
        match self.work.carry_out(&self.book, indexes).await {
            Ok(()) => {
                self.troubles.remove("work");
            }
            Err(e) => {
                let source = std::error::Error::source(&e).map(ToString::to_string);
                self.say_trouble("work", &format!("{e}: {}", source.unwrap_or_default()));
            }
        }
    }

    fn decide(&mut self, now: Timestamp) -> Vec<Step> {
        let gpus: BTreeSet<GpuUuid> = self.gpus.keys().cloned().collect();
        let occupied = self
            .health
            .iter()
            .filter(|(_, health)| !health.unexplained.is_empty())
            .map(|(gpu, _)| gpu.clone())
            .collect();
        let facts = Facts {
            cell: &self.settings.cell,
            node: &self.settings.node,
            gpus: &gpus,
            occupied: &occupied,
        };
        // Nothing new is accepted before it is known which GPUs there are and which are free; the
        // clock rules over what was accepted from the first turn on.
        let received = self
            .received
            .as_ref()
            .filter(|_| self.has_read_the_hardware());
        decide(&mut self.book, received, &facts, now)
    }

    fn judge(&mut self, now: Timestamp) {
        let explained = self.book.serving_gpus();
        for (gpu, sample) in &self.samples {
            let before = self.health.get(gpu);
            let Some(state) = self.states.get(gpu) else {
                continue;
            };
            let mut health = report(state, before, sample, explained.contains(gpu), now);
            for process in &mut health.unexplained {
                if process.name.is_none() {
                    process.name = self.host.process_name(process.pid);
                }
            }
            if before.map(|before| before.verdict) != Some(health.verdict) {
                log_verdict(gpu, &health);
            }
            self.health.insert(gpu.clone(), health);
        }
    }

    /// When the clock next changes something.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.book.next_wake(now)
    }

    /// Whether it is known which GPUs there are and how they are, or that they cannot be read.
    pub fn has_read_the_hardware(&self) -> bool {
        self.versions.is_some() && self.gpus.keys().all(|gpu| self.health.contains_key(gpu))
    }
}

fn versions(facts: &HostFacts) -> Versions {
    Versions {
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: facts.kernel.clone(),
        driver: None,
        nvml: None,
    }
}

fn log_steps(steps: &[Step]) {
    for step in steps {
        match step {
            Step::Keep(lease) => tracing::info!(lease_id = %lease, "lease kept on disk"),
            Step::WriteEnv(lease) => tracing::info!(lease_id = %lease, "lease served"),
            Step::RemoveEnv(lease) => tracing::info!(lease_id = %lease, "access ended"),
            Step::Retire(lease) => tracing::info!(lease_id = %lease, "lease returned"),
        }
    }
}

fn log_verdict(gpu: &GpuUuid, health: &GpuHealth) {
    let reasons: Vec<&str> = health.reasons.iter().map(|r| r.as_str()).collect();
    let (verdict, reasons) = (health.verdict, reasons.join(" "));
    match verdict {
        Verdict::Healthy => tracing::info!(%gpu, %verdict, "verdict"),
        Verdict::Degraded => tracing::warn!(%gpu, %verdict, reasons, "verdict"),
        Verdict::Unhealthy | Verdict::Unresponsive | Verdict::Lost => {
            tracing::error!(%gpu, %verdict, reasons, "verdict");
        }
    }
}
