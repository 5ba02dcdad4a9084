//! The node itself: what is seen of it, put together from host, driver and kernel, and judged.

use super::desk::Desk;
use super::sampler::Look;
use crate::gpu::{DriverError, Inventory};
use crate::host::HostLook;
use leasehold_agent_core::node_health::{DriverContact, NodeFacts};
use leasehold_common::time::Timestamp;
use std::path::PathBuf;

/// Where the system's logs are, beside which nothing works for long once they are full.
const LOGS: &str = "/var/log";

/// The folders whose filesystems are looked at.
pub(super) fn folders(state_dir: PathBuf, run_dir: PathBuf) -> Vec<PathBuf> {
    vec![state_dir, run_dir, LOGS.into()]
}

impl Desk {
    /// Takes what a look has of the node.
    pub(super) fn see_node(&mut self, look: &Look) {
        let Some(inventory) = &look.inventory else {
            return;
        };
        let host = look.host.as_ref().map(|(_, host)| host.clone());
        let HostLook {
            pci_gpus,
            switches,
            fabric_manager,
            clock,
            disks,
        } = host.unwrap_or_default();
        self.node = NodeFacts {
            driver: contact(inventory),
            pci_gpus,
            nvml_gpus: inventory.as_ref().ok().map(|found| found.facts.count),
            seen_gpus: u32::try_from(self.gpus.len()).unwrap_or(u32::MAX),
            switches,
            fabric_manager,
            clock,
            disks,
            switch_faults: None,
        };
        self.judge_node(look.at);
    }

    /// Judges the node as it was last seen, with what the kernel has told since.
    pub(super) fn judge_node(&mut self, now: Timestamp) {
        self.node.switch_faults = self.told.switch_faults();
        let rules = self.settings.rules.node();
        self.node_state.observe(&self.node, rules, now);
    }
}

fn contact(inventory: &Result<Inventory, DriverError>) -> DriverContact {
    match inventory {
        Ok(_) => DriverContact::Answers,
        Err(DriverError::NoLibrary { .. }) => DriverContact::NoLibrary,
        Err(DriverError::Mismatch { .. }) => DriverContact::Mismatch,
        Err(DriverError::NoDriver { .. }) => DriverContact::NotLoaded,
        Err(DriverError::Failed { .. } | DriverError::Overdue { .. }) => DriverContact::Unknown,
    }
}
