//! GPUs that cannot be let, and who is given them: nobody.

use super::Broken;
use super::ledger::decode;
use crate::store::Store;
use leasehold_common::ids::{NodeIndex, NodeName};
use leasehold_common::keys::Key;
use leasehold_common::lease::{GpuSlots, LeaseRecord, LeaseState};
use leasehold_common::node::{Action, FleetRecord, HealthReport, Verdict, WordKind};
use leasehold_core::{Batch, Event};
use std::collections::BTreeMap;

/// What every node's agent said last, as far as a leader has been told.
#[derive(Debug, Clone, Default)]
pub struct Delivered(BTreeMap<NodeName, HealthReport>);

impl Delivered {
    /// What a leader reads when it begins.
    pub const fn loaded(reports: BTreeMap<NodeName, HealthReport>) -> Self {
        Self(reports)
    }

    /// Takes what a leader is told.
    pub fn hear(&mut self, event: &Event) {
        if let Event::Health(node, report) = event {
            match report {
                Some(report) => drop(self.0.insert(node.clone(), report.as_ref().clone())),
                None => drop(self.0.remove(node)),
            }
        }
    }

    /// GPUs of a node that its agent's last word keeps from being let, and no operator's lets.
    fn unfit(&self, fleet: &FleetRecord) -> GpuSlots {
        let Some(report) = self.0.get(&fleet.name) else {
            return GpuSlots::NONE;
        };
        let node = report.findings.iter().any(|found| asks(found.action));
        let gpus = (0_u8..).zip(&fleet.gpus).filter(|(_, gpu)| {
            let is_said = gpu.words.iter().any(|word| word.says == WordKind::Override);
            let of_gpu = match report.gpus.get(&gpu.uuid) {
                None => true,
                Some(health) => asks(health.action) || is_out(health.verdict),
            };
            !is_said && (node || of_gpu)
        });
        gpus.fold(GpuSlots::NONE, |slots, (slot, _)| slots.with(slot))
    }
}

const fn asks(action: Action) -> bool {
    !matches!(action, Action::None | Action::RestartApp)
}

const fn is_out(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Unhealthy | Verdict::Unresponsive | Verdict::Lost
    )
}

/// A batch that was decided between two moments gives nobody a GPU that could be let at neither, and
/// begins no lease on one.
pub fn nobody_gets_them(
    before: &Delivered,
    after: &Delivered,
    batch: &Batch,
    store: &Store,
) -> Result<(), Broken> {
    let leases = batch.puts.iter().filter_map(|(key, value)| {
        let Key::Lease(id) = key else { return None };
        Some((*id, value))
    });
    let mut fleet: Option<BTreeMap<NodeIndex, FleetRecord>> = None;
    for (id, value) in leases {
        let new: LeaseRecord = decode(value)?;
        let old = store.get(&Key::Lease(id));
        let old: Option<LeaseRecord> = old.map(|old| decode(&old.value)).transpose()?;
        let fleet = match &fleet {
            Some(fleet) => fleet,
            None => fleet.insert(nodes(batch, store)?),
        };
        for node in new.nodes() {
            let given = given(old.as_ref(), &new, node);
            let Some(record) = fleet.get(&node).filter(|_| !given.is_empty()) else {
                continue;
            };
            let unfit = before.unfit(record).common(after.unfit(record));
            let both = given.common(unfit);
            if !both.is_empty() {
                return Err(Broken::new(
                    "nobody is given a GPU that cannot be let",
                    format!(
                        "lease {id} is {} on gpus {both} of {}",
                        new.state, record.name
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// What a lease is given of a node by this change, or begins on.
fn given(old: Option<&LeaseRecord>, new: &LeaseRecord, node: NodeIndex) -> GpuSlots {
    let rank = |lease: &LeaseRecord| match lease.state {
        LeaseState::Held | LeaseState::Scheduled => 1,
        LeaseState::Preparing | LeaseState::Active | LeaseState::Draining => 2,
        LeaseState::Requested
        | LeaseState::Releasing
        | LeaseState::Settling
        | LeaseState::Closed
        | LeaseState::Rejected
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => 0,
    };
    let has = |lease: &LeaseRecord| {
        let segment = lease.segment().filter(|s| s.nodes.contains(node));
        segment.map_or(GpuSlots::NONE, |segment| {
            let some = segment.gpus.get(&node).copied();
            some.unwrap_or(GpuSlots(u16::MAX))
        })
    };
    let stays = old.filter(|old| rank(old) >= rank(new));
    if rank(new) == 0 {
        return GpuSlots::NONE;
    }
    has(new).minus(stays.map_or(GpuSlots::NONE, has))
}

/// The nodes as this batch leaves them.
fn nodes(batch: &Batch, store: &Store) -> Result<BTreeMap<NodeIndex, FleetRecord>, Broken> {
    let mut fleet = BTreeMap::new();
    let stored = store.all().map(|(key, stored)| (key, &stored.value[..]));
    let put = batch.puts.iter().map(|(key, value)| (key, &value[..]));
    for (key, value) in stored.chain(put) {
        if let Key::Fleet(_) = key {
            let record: FleetRecord = decode(value)?;
            fleet.insert(record.index, record);
        }
    }
    Ok(fleet)
}
