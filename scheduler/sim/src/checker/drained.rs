//! Drained nodes, and who begins on them: nobody.

use super::Broken;
use super::ledger::decode;
use crate::store::Bytes;
use leasehold_common::ids::NodeIndex;
use leasehold_common::keys::Key;
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::node::{FlagKind, FleetRecord};
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// The flags on each node, by when they were set.
#[derive(Debug, Clone, Default)]
pub(super) struct Drained(BTreeMap<NodeIndex, BTreeMap<FlagKind, Timestamp>>);

impl Drained {
    /// Takes a record in, if it is a node's.
    pub fn take(&mut self, key: &Key, value: &Bytes) -> Result<(), Broken> {
        if matches!(key, Key::Fleet(_)) {
            let fleet: FleetRecord = decode(value)?;
            let flags = fleet.flags.into_iter();
            let flags = flags.map(|(kind, flag)| (kind, flag.since)).collect();
            self.0.insert(fleet.index, flags);
        }
        Ok(())
    }

    /// No lease began, by a commit with `self` before and `after` after it, on a node that was
    /// drained all the time.
    pub fn nobody_begins(
        &self,
        after: &Self,
        old: Option<&LeaseRecord>,
        new: &LeaseRecord,
    ) -> Result<(), Broken> {
        if !has_begun(new.state) {
            return Ok(());
        }
        let old = old.filter(|old| has_begun(old.state));
        let is_new = |index: &NodeIndex| old.is_none_or(|old| old.nodes().all(|n| n != *index));
        let is_drained = |index: &NodeIndex| {
            let (before, after) = (self.0.get(index), after.0.get(index));
            let mut flags = before.into_iter().flatten();
            flags.any(|(kind, since)| after.is_some_and(|after| after.get(kind) == Some(since)))
        };
        match new.nodes().find(|n| is_new(n) && is_drained(n)) {
            None => Ok(()),
            Some(index) => Err(Broken::new(
                "no lease begins on a drained node",
                format!("lease {} is {} on node {index}", new.id, new.state),
            )),
        }
    }
}

const fn has_begun(state: LeaseState) -> bool {
    matches!(
        state,
        LeaseState::Preparing | LeaseState::Active | LeaseState::Draining
    )
}
