//! What outlives an agent's process.

use leasehold_agent_core::grants::{Ended, Entry, GrantBook, Phase};
use leasehold_agent_core::meter::RunningMeter;
use leasehold_common::grant::SealedGrant;
use leasehold_common::ids::LeaseId;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// A lease as it was last written.
#[derive(Debug, Clone)]
struct Kept {
    sealed: SealedGrant,
    phase: Phase,
    since: Timestamp,
    meter: RunningMeter,
}

/// The disk. Every write is synced, so a crash loses none.
#[derive(Debug, Default)]
pub struct Disk {
    live: BTreeMap<LeaseId, Kept>,
    ended: BTreeMap<LeaseId, Ended>,
}

impl Disk {
    /// What it says.
    pub fn book(&self) -> GrantBook {
        let entry = |kept: &Kept| {
            let Kept {
                sealed,
                phase,
                since,
                meter,
            } = kept.clone();
            Entry::restored(sealed, phase, since, meter).expect("what was accepted reads back")
        };
        let live = self.live.iter().map(|(lease, kept)| (*lease, entry(kept)));
        GrantBook::restored(live.collect(), self.ended.clone())
    }

    /// Writes a lease as it now is.
    pub fn keep(&mut self, book: &GrantBook, lease: LeaseId) {
        if let Some(entry) = book.entry(lease) {
            let kept = Kept {
                sealed: entry.sealed().clone(),
                phase: entry.phase(),
                since: entry.since(),
                meter: entry.meter().clone(),
            };
            self.live.insert(lease, kept);
        }
    }

    /// Writes every lease as it now is.
    pub fn keep_all(&mut self, book: &GrantBook) {
        let serving: Vec<LeaseId> = book.serving().map(|(lease, _)| lease).collect();
        serving.into_iter().for_each(|lease| self.keep(book, lease));
    }

    /// Writes the list of ended leases, then takes the lease off.
    pub fn retire(&mut self, book: &GrantBook, lease: LeaseId) {
        self.ended.clone_from(book.ended());
        self.live.remove(&lease);
    }
}
