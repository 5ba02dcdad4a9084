//! What scrapes see of what the agent knows.

use super::desk::Desk;
use crate::metrics::{GpuShown, LeaseShown, Snapshot};
use leasehold_agent_core::grants::Entry;
use leasehold_common::ids::{GpuUuid, LeaseId};
use leasehold_common::node::GpuHealth;
use std::time::Instant;

impl Desk {
    /// All of it, as it is now.
    pub fn shown(&self) -> Snapshot {
        Snapshot {
            at: Instant::now(),
            is_ready: self.has_read_the_hardware(),
            troubles: self.troubles.len(),
            gpus: self
                .health
                .iter()
                .map(|(uuid, h)| self.gpu(uuid, h))
                .collect(),
            leases: self
                .book
                .live()
                .map(|(lease, entry)| of(lease, entry))
                .collect(),
            ended: self.book.ended().len(),
            refused: self.book.refused(),
            is_in_contact: !self.contact_lost && self.received.is_some(),
            contacts: self.contacts,
        }
    }

    fn gpu(&self, uuid: &GpuUuid, health: &GpuHealth) -> GpuShown {
        let states = self.states.get(uuid).into_iter();
        let xids = states.flat_map(|state| state.xids());
        GpuShown {
            uuid: uuid.clone(),
            verdict: health.verdict,
            action: health.action,
            reasons: health.reasons.len(),
            xids: xids.map(|(code, count)| (code, count.total)).collect(),
            unexplained: health.unexplained.len(),
        }
    }
}

fn of(lease: LeaseId, entry: &Entry) -> LeaseShown {
    let grant = entry.grant();
    LeaseShown {
        lease,
        account: grant.account.clone(),
        side: grant.side,
        class: grant.class,
        phase: entry.phase(),
        gpus: grant.gpus.clone(),
        meter: entry.meter().total(),
    }
}
