//! What the node has accepted, and what it remembers of what is over.

use super::slices;
use crate::meter::RunningMeter;
use leasehold_common::grant::{Grant, GrantError, Meter, RefusalReason, SealedGrant};
use leasehold_common::ids::{Epoch, GpuUuid, LeaseId, Seq, Term};
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliJoules;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many ended leases are remembered beyond those whose grant is still there. A store that was
/// restored from the past may show an old grant again, and a lease that has ended must not serve
/// again. At twenty leases a day this reaches back ten days; the whole list is written at every
/// end, which is why it is not longer.
pub const ENDED_MAX: usize = 200;

/// How far a live lease is on this node. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Kept; its time has not come.
    Accepted,
    /// Its holder has access.
    Serving,
}

/// A lease this node has accepted and that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    sealed: SealedGrant,
    grant: Grant,
    phase: Phase,
    since: Timestamp,
    meter: RunningMeter,
}

impl Entry {
    pub(super) fn accepted(sealed: SealedGrant, grant: Grant, now: Timestamp) -> Self {
        Self {
            sealed,
            grant,
            phase: Phase::Accepted,
            since: now,
            meter: RunningMeter::default(),
        }
    }

    /// As it was kept on disk.
    ///
    /// # Errors
    /// A payload that this version cannot read.
    pub fn restored(
        sealed: SealedGrant,
        phase: Phase,
        since: Timestamp,
        meter: RunningMeter,
    ) -> Result<Self, GrantError> {
        Ok(Self {
            grant: sealed.open()?,
            sealed,
            phase,
            since,
            meter,
        })
    }

    /// Takes newer terms over. What was used until now was used under the old ones, which may be of more
    /// GPUs.
    pub(super) fn adopt(&mut self, sealed: SealedGrant, grant: Grant, now: Timestamp) {
        assert!(grant.term > self.grant.term, "terms never go backwards");
        self.count(now, &|_| None);
        self.sealed = sealed;
        self.grant = grant;
    }

    /// Access begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.phase = Phase::Serving;
        self.since = now;
        self.meter.begin(now);
    }

    /// What is remembered of it once it is over.
    pub(super) fn ended(self, now: Timestamp) -> Ended {
        Ended {
            term: self.grant.term,
            term_seq: self.grant.term_seq,
            since: now,
            meter: self.meter.total(),
        }
    }

    /// Counts time up to `now` and what the energy counters have gained.
    pub(super) fn count(
        &mut self,
        now: Timestamp,
        counter: &impl Fn(&GpuUuid) -> Option<MilliJoules>,
    ) {
        if !self.is_serving() {
            return;
        }
        let until = self.grant.access_end.map_or(now, |end| end.min(now));
        let parts = self
            .grant
            .gpus
            .iter()
            .map(|gpu| (gpu, slices::sevenths(&self.grant, gpu)));
        let sevenths = parts.clone().map(|(_, sevenths)| sevenths).sum();
        self.meter.count_sevenths(sevenths, until);
        for (gpu, sevenths) in parts {
            if let Some(counter) = counter(gpu) {
                self.meter.count_share(gpu, counter, sevenths);
            }
        }
    }

    /// Its terms as the text that was received.
    pub const fn sealed(&self) -> &SealedGrant {
        &self.sealed
    }

    /// Its terms.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// How far it is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Since when it is that far.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Its meter.
    pub const fn meter(&self) -> &RunningMeter {
        &self.meter
    }

    /// Whether its holder has access.
    pub const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }
}

/// A lease that is over on this node: remembered, so that it never serves again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The newest terms seen.
    pub term: Term,
    /// The placement-log record that brought them.
    pub term_seq: Seq,
    /// When access ended.
    pub since: Timestamp,
    /// What it used.
    pub meter: Meter,
}

/// Why a grant that was received is not followed, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its terms; zero where it cannot be read.
    pub term: Term,
    /// The placement-log record that brought them.
    pub term_seq: Seq,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: RefusalReason,
    /// The same in words.
    pub detail: String,
}

/// What the node has accepted, remembers and refuses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrantBook {
    pub(super) live: BTreeMap<LeaseId, Entry>,
    pub(super) ended: BTreeMap<LeaseId, Ended>,
    pub(super) refusals: BTreeMap<LeaseId, Refusal>,
    /// The leases of the grants that were last received.
    pub(super) offered: BTreeSet<LeaseId>,
    pub(super) epoch: Epoch,
}

impl GrantBook {
    /// As it was kept on disk. A lease that is in both was cut off between the two writes of its
    /// end, and is over.
    pub fn restored(mut live: BTreeMap<LeaseId, Entry>, ended: BTreeMap<LeaseId, Ended>) -> Self {
        live.retain(|lease, _| !ended.contains_key(lease));
        let epochs = live.values().map(|entry| entry.grant.term.epoch);
        let epoch = epochs
            .chain(ended.values().map(|ended| ended.term.epoch))
            .max()
            .unwrap_or_default();
        Self {
            live,
            ended,
            refusals: BTreeMap::new(),
            offered: BTreeSet::new(),
            epoch,
        }
    }

    /// A live lease.
    pub fn entry(&self, lease: LeaseId) -> Option<&Entry> {
        self.live.get(&lease)
    }

    /// All live leases.
    pub fn live(&self) -> impl Iterator<Item = (LeaseId, &Entry)> {
        self.live.iter().map(|(lease, entry)| (*lease, entry))
    }

    /// Those being served.
    pub fn serving(&self) -> impl Iterator<Item = (LeaseId, &Entry)> {
        self.live().filter(|(_, entry)| entry.is_serving())
    }

    /// The leases that are over.
    pub const fn ended(&self) -> &BTreeMap<LeaseId, Ended> {
        &self.ended
    }

    /// How many grants were received and are not followed.
    pub fn refused(&self) -> usize {
        self.refusals.len()
    }

    /// The highest epoch seen in a grant for this node.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The GPUs on which a lease is served: what runs there is explained.
    pub fn serving_gpus(&self) -> BTreeSet<GpuUuid> {
        self.serving()
            .flat_map(|(_, entry)| entry.grant.gpus.iter().cloned())
            .collect()
    }

    /// Counts time and energy of every lease being served. `counter` is what NVML shows for a GPU.
    pub fn count(&mut self, now: Timestamp, counter: impl Fn(&GpuUuid) -> Option<MilliJoules>) {
        self.live
            .values_mut()
            .for_each(|entry| entry.count(now, &counter));
    }

    /// When after `now` the clock next changes something by itself; absent where it never does.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.live
            .values()
            .flat_map(|entry| {
                let begin = match entry.phase {
                    Phase::Accepted => Some(entry.grant.starts_at),
                    Phase::Serving => None,
                };
                begin.into_iter().chain(entry.grant.access_end)
            })
            .filter(|at| *at > now)
            .min()
    }
}
