//! What each node is told, grants and words: derived from lease and node records, and from nothing else, so that any
//! leader derives the same.

use crate::event::Effect;
use crate::state::State;
use leasehold_common::grant::{
    DisconnectPolicy, Grant, GrantedSlice, GrantsRecord, Order, REQUIRES_MIG, SealedGrant,
};
use leasehold_common::ids::{GpuUuid, LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::node::Word;
use leasehold_common::record::{Unknown, Version};
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;

impl State {
    /// Has the grants of all nodes of a lease written again.
    pub(crate) fn regrant(&mut self, id: LeaseId) {
        let nodes = self.leases[&id].nodes().map(Effect::Grants);
        self.draft.effects.extend(nodes);
    }

    /// All that a node is told, its grants and operators' words on its GPUs, as it should stand in the
    /// store; `None` where that is nothing and its key is to be removed.
    pub fn grants_of(&self, index: NodeIndex) -> Option<GrantsRecord> {
        let node = self.nodes.get(&index)?;
        let grants: BTreeMap<LeaseId, SealedGrant> = node
            .leases
            .iter()
            .filter_map(|id| self.leases.get(id))
            .filter_map(|lease| Some((lease.id, self.grant(lease, index)?)))
            .map(|(id, grant)| (id, SealedGrant::unsigned(&grant)))
            .collect();
        let words = node.fleet.gpus.iter().filter(|gpu| !gpu.words.is_empty());
        let words: BTreeMap<GpuUuid, Vec<Word>> = words
            .map(|gpu| (gpu.uuid.clone(), gpu.words.clone()))
            .collect();
        (!grants.is_empty() || !words.is_empty()).then(|| GrantsRecord {
            version: Version::CURRENT,
            node: node.fleet.name.clone(),
            index,
            grants,
            words,
            unknown: Unknown::default(),
        })
    }

    fn grant(&self, lease: &LeaseRecord, index: NodeIndex) -> Option<Grant> {
        let order = match lease.state {
            LeaseState::Preparing | LeaseState::Active | LeaseState::Draining => Order::Serve,
            // Kept until the return of the hardware is recorded, however long that takes.
            LeaseState::Releasing | LeaseState::Settling | LeaseState::Closed => Order::End,
            LeaseState::Requested
            | LeaseState::Held
            | LeaseState::Scheduled
            | LeaseState::Rejected
            | LeaseState::Lapsed
            | LeaseState::Cancelled
            | LeaseState::Failed => return None,
        };
        let last = lease.segment()?;
        let segment = lease.segment_with(index)?;
        let has_it = last.nodes.contains(index);
        // A node that has left is told to end it until the return of its hardware is recorded.
        let order = if has_it { order } else { Order::End };
        let cap = lease.spec.gpu_cap_watts;
        let rank = segment.rank(index)?;
        Some(Grant {
            version: Version::CURRENT,
            cell: self.settings.cell.clone(),
            lease: lease.id,
            term: lease.term,
            term_seq: lease.term_seq,
            node: self.nodes[&index].fleet.name.clone(),
            rank: u32::try_from(rank).expect("a cell has far fewer nodes"),
            order,
            gpus: self.gpus_on(lease, index),
            slices: self.slices_on(lease, index),
            account: lease.spec.account.clone(),
            side: lease.side,
            class: lease.spec.class,
            starts_at: lease.start.unwrap_or(segment.from),
            access_end: if has_it { lease.access_end } else { segment.to },
            wipe_not_before: lease.wipe_not_before,
            notice: lease.notice(),
            disconnect_policy: DisconnectPolicy::EnforceAtEnd,
            gpu_cap_mw: cap.map(|watts| MilliWatts::from_watts(watts.into())),
            isolation_ref: None,
            requires: match segment.slices.is_empty() {
                true => Vec::new(),
                false => vec![REQUIRES_MIG.to_owned()],
            },
            issuer: self.settings.cell.to_string(),
        })
    }

    /// A lease's slices on one of its nodes, in order of slot and start.
    pub(crate) fn slices_on(&self, lease: &LeaseRecord, index: NodeIndex) -> Vec<GrantedSlice> {
        let slices = lease
            .segment_with(index)
            .and_then(|segment| segment.slices.get(&index));
        let node = self.nodes.get(&index);
        let (Some(slices), Some(node)) = (slices, node) else {
            return Vec::new();
        };
        let granted = slices.iter().filter_map(|slice| {
            let gpu = node.fleet.gpus.get(usize::from(slice.gpu))?;
            Some(GrantedSlice {
                gpu: gpu.uuid.clone(),
                profile: slice.profile.clone(),
                start: slice.start,
            })
        });
        granted.collect()
    }

    /// A lease's GPUs on one of its nodes, in slot order.
    pub(crate) fn gpus_on(&self, lease: &LeaseRecord, index: NodeIndex) -> Vec<GpuUuid> {
        let Some(node) = self.nodes.get(&index) else {
            return Vec::new();
        };
        let segment = lease.segment_with(index);
        let some = segment.and_then(|segment| segment.gpus.get(&index));
        (0_u8..)
            .zip(&node.fleet.gpus)
            .filter(|(slot, _)| some.is_none_or(|slots| slots.contains(*slot)))
            .map(|(_, gpu)| gpu.uuid.clone())
            .collect()
    }
}
