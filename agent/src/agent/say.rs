//! What the agent says of what it knows.

use super::desk::Desk;
use super::outbox::Outgoing;
use leasehold_agent_core::publish;
use leasehold_common::grant::AckRecord;
use leasehold_common::node::{GpuHealth, GpuInfo, HealthReport, LiveRecord, NodeReport, Versions};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::Timestamp;

impl Desk {
    /// Puts into the outbox what is worth saying, and says whether there was anything.
    pub fn publish(&mut self, outgoing: &mut Outgoing, now: Timestamp) -> bool {
        let before = outgoing.clone();
        outgoing.contacts = self.contacts;
        if let Some(versions) = &self.versions {
            outgoing.report = Some(self.report(versions.clone()));
        }
        if self.has_read_the_hardware() {
            let report = self.health_report(now);
            if publish::due(self.said_health.as_ref(), &report, now) {
                self.said_health = Some(report.clone());
                outgoing.health = Some(report);
            }
        }
        if self.acks_are_due(now) && self.work.is_done() {
            let acks = self.acks();
            self.said_acks = Some((acks.clone(), now));
            outgoing.acks = Some(acks);
        }
        *outgoing != before
    }

    /// Acknowledgements answer grants: none are given before grants were received and considered.
    pub(super) fn acks_are_due(&self, now: Timestamp) -> bool {
        let said = self.said_acks.as_ref().map(|(acks, at)| (acks, *at));
        self.received.is_some()
            && self.has_read_the_hardware()
            && publish::acks_due(said, &self.acks(), now)
    }

    fn acks(&self) -> AckRecord {
        AckRecord {
            version: Version::CURRENT,
            node: self.settings.node.clone(),
            boot_id: self.facts.boot_id.clone(),
            epoch: self.book.epoch(),
            leases: self.book.acks(),
            unknown: Unknown::default(),
        }
    }

    fn report(&self, versions: Versions) -> NodeReport {
        let mut gpus: Vec<GpuInfo> = self.gpus.values().cloned().collect();
        gpus.sort_by_key(|gpu| gpu.index);
        NodeReport {
            version: Version::CURRENT,
            node: self.settings.node.clone(),
            boot_id: self.facts.boot_id.clone(),
            started: self.started,
            sku: self.settings.sku.clone(),
            path: self.settings.topology.clone(),
            gpus,
            cpu: self.facts.cpu.clone(),
            memory: self.facts.memory,
            versions,
            unknown: Unknown::default(),
        }
    }

    fn health_report(&self, now: Timestamp) -> HealthReport {
        let troubles: Vec<&str> = self.troubles.values().map(String::as_str).collect();
        HealthReport {
            version: Version::CURRENT,
            node: self.settings.node.clone(),
            boot_id: self.facts.boot_id.clone(),
            at: now,
            gpus: self.health.clone(),
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
            findings: self.node_state.findings(),
            unknown: Unknown::default(),
        }
    }

    /// What the sign of life says.
    pub fn live_record(&self) -> LiveRecord {
        LiveRecord {
            version: Version::CURRENT,
            boot_id: self.facts.boot_id.clone(),
            epoch: self.book.epoch(),
            unknown: Unknown::default(),
        }
    }

    /// What it does and waits for, in words.
    pub fn status(&self) -> String {
        if !self.has_read_the_hardware() {
            return "reading the hardware".to_owned();
        }
        let fit = |health: &&GpuHealth| health.verdict.can_be_let();
        let mut words = format!(
            "{} GPUs, {} fit to be let; {} leases served",
            self.gpus.len(),
            self.health.values().filter(fit).count(),
            self.book.serving().count()
        );
        if self.contact_lost {
            words += "; waiting for the store";
        } else if self.received.is_none() {
            words += "; waiting for grants";
        }
        for trouble in self.troubles.values() {
            words += "; ";
            words += trouble;
        }
        words
    }
}
