//! What the hardware has told, as it bears on the verdicts.
//!
//! ```text
//!   NVML event ──► ┐ by PCI address, code and time:              ┌─► GpuState of that GPU
//!   kernel line ─► ┴ each error once, with the kernel's words ──►┤
//!                                                                └─► switches: the node's
//! ```
//!
//! What the kernel said before the agent began is found in its log; what an agent before this one has taken of
//! that is not taken again.

use super::desk::Desk;
use super::listener::Heard;
use crate::gpu::event::{GpuEvent, GpuEventKind};
use crate::kernel_log::KernelNews;
use leasehold_agent_core::kernel_log::{
    GpuMessage, MigInstance, PciAddress, SXid, Seen, Severity, WINDOW, Witness, XidIncidents,
    XidSighting,
};
use leasehold_agent_core::node_health::SwitchFault;
use leasehold_agent_core::verdict::{Event, Instance, Observation, Xid};
use leasehold_common::ids::{AccountName, GpuUuid};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// How much is kept of what was told before it is known which GPU is where. The kernel's own buffer holds as
/// much.
const MOST_WAITING: usize = 10_000;

/// Fallen off the bus.
const OFF_THE_BUS: u32 = 79;

/// What is remembered of what was told.
#[derive(Debug)]
pub(super) struct Told {
    incidents: XidIncidents,
    /// Which GPU is where, as the kernel says: also of one that the driver does not find.
    places: BTreeMap<PciAddress, GpuUuid>,
    /// What the kernel told before any GPU was known.
    waiting: VecDeque<KernelNews>,
    /// The last record of the kernel's log that was taken.
    pub(super) kernel_seq: Option<u64>,
    /// Switches that have reported a fatal error in this boot.
    switches: BTreeMap<PciAddress, SXid>,
    /// Whether the kernel's log was ever caught up with.
    follows_kernel: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            incidents: XidIncidents::new(WINDOW),
            places: BTreeMap::new(),
            waiting: VecDeque::new(),
            kernel_seq: None,
            switches: BTreeMap::new(),
            follows_kernel: false,
        }
    }
}

impl Told {
    /// Fatal errors of switches in this boot; absent where the kernel's log is not followed.
    pub(super) fn switch_faults(&self) -> Option<Vec<SwitchFault>> {
        let faults = self.switches.values().cloned().map(SwitchFault);
        self.follows_kernel.then(|| faults.collect())
    }

    /// Another boot: the switches were set up anew, and the kernel counts from the beginning.
    pub(super) fn reboot(&mut self) {
        *self = Self {
            places: std::mem::take(&mut self.places),
            follows_kernel: self.follows_kernel,
            ..Self::default()
        };
    }
}

impl Desk {
    /// Takes what was told.
    pub fn hear_hardware(&mut self, heard: Heard, now: Timestamp) {
        match heard {
            Heard::Driver { event, at } => self.driver_says(&event, at, now),
            Heard::Kernel(news)
                if self.gpus.is_empty() && matches!(news, KernelNews::Told { .. }) =>
            {
                if self.told.waiting.len() < MOST_WAITING {
                    self.told.waiting.push_back(news);
                }
            }
            Heard::Kernel(news) => self.kernel_news(news, now),
        }
    }

    /// It is known now which GPU is where.
    pub(super) fn hear_what_waited(&mut self, now: Timestamp) {
        while let Some(news) = self.told.waiting.pop_front() {
            self.kernel_news(news, now);
        }
    }

    fn driver_says(&mut self, event: &GpuEvent, at: Timestamp, now: Timestamp) {
        match event.what {
            GpuEventKind::Xid(code) => {
                let code = u32::try_from(code).unwrap_or(u32::MAX);
                let mig = event.gpu_instance.map(|gpu_instance| MigInstance {
                    gpu_instance,
                    compute_instance: event.compute_instance,
                });
                let sighting = self.place_of(&event.gpu).map(|pci| XidSighting {
                    pci,
                    mig,
                    code,
                    at,
                    by: Witness::Nvml,
                });
                let at = match sighting.map(|sighting| self.told.incidents.see(sighting)) {
                    // The kernel has told it, with words.
                    Some(Seen::Known { .. }) if mig.is_none() => return,
                    Some(Seen::Known { then }) => then,
                    Some(Seen::New | Seen::Again) | None => at,
                };
                self.xid(&event.gpu, code, mig, String::new(), at, now);
            }
            // Readings say the same with numbers: the sampler looks at once.
            GpuEventKind::SingleBitEcc
            | GpuEventKind::DoubleBitEcc
            | GpuEventKind::Unavailable
            | GpuEventKind::RecoveryAction(_) => {}
        }
    }

    fn kernel_news(&mut self, news: KernelNews, now: Timestamp) {
        match news {
            KernelNews::Told {
                message,
                at,
                seq,
                backlog,
            } => {
                let is_taken = self.told.kernel_seq.is_some_and(|taken| seq <= taken);
                if !(backlog && is_taken) {
                    self.kernel_says(message, at, now);
                    self.told.kernel_seq = self.told.kernel_seq.max(Some(seq));
                }
            }
            KernelNews::CaughtUp { records } => {
                tracing::info!(records, "the kernel's log is followed");
                self.troubles.remove("kernel_log");
                self.told.follows_kernel = true;
                self.judge_node(now);
            }
            KernelNews::Lost { records, backlog } => {
                if !backlog {
                    tracing::warn!(records, "lines of the kernel's log are lost");
                }
            }
            KernelNews::Malformed { records } => {
                tracing::debug!(records, "lines of the kernel's log are not understood");
            }
            KernelNews::Unreadable(why) => {
                let why = format!("{why}: what the driver says only there is not seen");
                self.say_trouble("kernel_log", &why);
            }
        }
    }

    fn kernel_says(&mut self, message: GpuMessage, at: Timestamp, now: Timestamp) {
        match message {
            GpuMessage::Xid(xid) => {
                self.kernel_xid(xid.pci, xid.code, xid.mig, xid.text, at, now);
            }
            GpuMessage::OffBus { pci } => {
                let is_told = self.told.incidents.of(pci).any(|incident| {
                    incident.code == OFF_THE_BUS && at.since(incident.last) <= WINDOW
                });
                if !is_told {
                    let words = "fallen off the bus".to_owned();
                    self.kernel_xid(pci, OFF_THE_BUS, None, words, at, now);
                }
            }
            GpuMessage::Identity { pci, uuid } => {
                self.told.places.insert(pci, uuid);
            }
            GpuMessage::SXid(sxid) => match sxid.severity {
                Some(Severity::Fatal) => {
                    tracing::error!(%sxid, "an NVSwitch has reported a fatal error");
                    self.told.switches.entry(sxid.pci).or_insert(sxid);
                    self.judge_node(now);
                }
                Some(Severity::NonFatal) => {
                    tracing::warn!(%sxid, "an NVSwitch has reported an error");
                }
                None => {}
            },
            GpuMessage::DriverLoading { version, .. } => {
                tracing::info!(version, "the driver is loaded");
                self.tell_all(&Event::DriverReload { at }, now);
            }
            GpuMessage::DriverUnloaded => tracing::info!("the driver is unloaded"),
            GpuMessage::Suppressed { by, lines } => {
                tracing::debug!(by, lines, "the kernel has kept lines of the driver back");
            }
        }
    }

    fn kernel_xid(
        &mut self,
        pci: PciAddress,
        code: u32,
        mig: Option<MigInstance>,
        words: String,
        at: Timestamp,
        now: Timestamp,
    ) {
        let seen = self.told.incidents.see(XidSighting {
            pci,
            mig,
            code,
            at,
            by: Witness::KernelLog,
        });
        let at = match seen {
            // Told again for its words, at the time of which it is known.
            Seen::Known { then } => then,
            Seen::New | Seen::Again => at,
        };
        match self.gpu_at(pci) {
            Some(gpu) => self.xid(&gpu, code, mig, words, at, now),
            None => tracing::warn!(%pci, code, words, "an XID of a GPU that is not known"),
        }
    }

    fn xid(
        &mut self,
        gpu: &GpuUuid,
        code: u32,
        mig: Option<MigInstance>,
        words: String,
        at: Timestamp,
        now: Timestamp,
    ) {
        tracing::warn!(%gpu, code, words, "XID");
        let xid = Xid {
            at,
            code,
            gpu: gpu.clone(),
            instance: mig.map(|mig| Instance {
                gpu: mig.gpu_instance,
                compute: mig.compute_instance,
            }),
            tenant: self.holder_of(gpu),
            words,
        };
        self.tell(gpu, &Event::Xid(xid), now);
    }

    /// Who has the GPU: of one that is divided among several accounts nobody alone.
    fn holder_of(&self, gpu: &GpuUuid) -> Option<AccountName> {
        let mut holders = self
            .book
            .serving()
            .map(|(_, entry)| entry.grant())
            .filter(|grant| {
                let slices = grant.slices.iter().map(|slice| &slice.gpu);
                grant.gpus.iter().chain(slices).any(|held| held == gpu)
            })
            .map(|grant| &grant.account);
        let first = holders.next()?;
        holders.all(|other| other == first).then(|| first.clone())
    }

    /// Something has happened to every GPU.
    pub(super) fn tell_all(&mut self, event: &Event, now: Timestamp) {
        let gpus: Vec<GpuUuid> = self.states.keys().cloned().collect();
        for gpu in gpus {
            self.tell(&gpu, event, now);
        }
    }

    fn tell(&mut self, gpu: &GpuUuid, event: &Event, now: Timestamp) {
        let seen = Observation {
            sample: None,
            events: std::slice::from_ref(event),
        };
        let rules = std::sync::Arc::clone(&self.settings.rules);
        self.state_of(gpu, now).observe(&seen, now, &rules);
    }

    fn place_of(&self, gpu: &GpuUuid) -> Option<PciAddress> {
        let told = self.told.places.iter().find(|(_, known)| *known == gpu);
        let listed = self
            .gpus
            .get(gpu)
            .and_then(|info| info.pci.as_ref()?.parse().ok());
        listed.or(told.map(|(pci, _)| *pci))
    }

    fn gpu_at(&self, pci: PciAddress) -> Option<GpuUuid> {
        let is_there = |info: &&leasehold_common::node::GpuInfo| {
            info.pci.as_ref().and_then(|text| text.parse().ok()) == Some(pci)
        };
        let listed = self
            .gpus
            .values()
            .find(is_there)
            .map(|info| info.uuid.clone());
        listed.or_else(|| self.told.places.get(&pci).cloned())
    }
}
