//! Accounts and leases.

use crate::state::State;
use leasehold_common::account::Account;
use leasehold_common::api::{AccountView, ConditionView, LeaseView, SegmentView};
use leasehold_common::hostlist;
use leasehold_common::ids::{NodeIndex, NodeName};
use leasehold_common::lease::{GpuSlots, LeaseRecord, LeaseState};
use leasehold_common::node_set::NodeSet;
use std::collections::BTreeMap;

/// Lists leave out the GPUs of leases with more nodes than this: a lease of a whole cell has
/// megabytes of them.
const GPUS_LISTED_BELOW: usize = 256;

impl State {
    pub(crate) fn account_view(&self, account: &Account) -> AccountView {
        let leases = self
            .unfinished
            .get(&account.name)
            .map_or(0, |leases| leases.len() as u64);
        AccountView {
            name: account.name.clone(),
            side: account.side,
            quota_gpus: account.quota_gpus,
            used_gpus: self.gpus_of(&account.name),
            leases,
            created: account.created,
        }
    }

    /// A lease; with `whole`, its GPUs however many.
    pub(crate) fn lease_view(&self, lease: &LeaseRecord, whole: bool) -> LeaseView {
        let nodes: NodeSet = lease.segment().map(|s| s.nodes.clone()).unwrap_or_default();
        let count = nodes.len();
        let gpus = nodes
            .iter()
            .take(if whole || count <= GPUS_LISTED_BELOW {
                count
            } else {
                0
            })
            .filter_map(|index| Some((self.node_name(index)?.clone(), self.gpus_on(lease, index))))
            .collect();
        let slices = lease
            .segment()
            .into_iter()
            .flat_map(|segment| &segment.slices);
        let slices = slices
            .filter_map(|(node, on)| Some((self.node_name(*node)?.clone(), on.clone())))
            .collect();
        let waits = lease.state == LeaseState::Requested;
        let why = lease.explanation.as_ref().filter(|_| waits);
        const MILLIJOULES_PER_WATT_HOUR: u64 = 3_600_000;
        LeaseView {
            id: lease.id,
            account: lease.spec.account.clone(),
            side: lease.side,
            class: lease.spec.class,
            state: lease.state,
            since: lease.since,
            conditions: self.condition_views(lease),
            epoch: lease.term.epoch,
            generation: lease.term.generation,
            shape: lease.spec.shape.clone(),
            sku: lease.spec.sku.clone(),
            within: lease.spec.within,
            created: lease.created,
            start: lease.start.or(lease.spec.start),
            end: lease.access_end,
            closed: lease.closed,
            nodes: self.fold(&nodes),
            spares: lease
                .segment()
                .map_or_else(String::new, |s| self.fold(&s.spares)),
            nodes_leaving: self.fold(&lease.former()),
            gpus_leaving: self.gpus_given_up(lease),
            segments: self.segment_views(lease),
            node_count: count as u64,
            nodes_ready: lease.progress.ready.len() as u64,
            nodes_returned: lease.progress.returned.len() as u64,
            gpus,
            slices,
            gpu_count: lease.gpus(self.gpus_per_node(lease)),
            envelope_watts: lease.segment().map_or(0, |s| s.envelope_mw.watts()),
            energy_wh: lease.energy_mj / MILLIJOULES_PER_WATT_HOUR,
            reason: why.and_then(|why| why.reason().cloned()),
            earliest: why.and_then(|why| why.earliest),
            held_until: lease.held_until,
            gpu_cap_watts: lease.spec.gpu_cap_watts,
            host: lease.spec.host,
            name: lease.spec.name.clone(),
        }
    }

    /// Where a lease was and is, where that has changed.
    fn segment_views(&self, lease: &LeaseRecord) -> Vec<SegmentView> {
        let has_changed = lease.placement.len() > 1;
        let segments = lease.placement.iter().filter(|_| has_changed);
        segments
            .map(|segment| SegmentView {
                from: segment.from,
                to: segment.to,
                nodes: self.fold(&segment.nodes),
                spares: self.fold(&segment.spares),
                gpus: self.slots_by_name(segment.gpus.iter().map(|(node, slots)| (*node, *slots))),
                reason: segment.reason.clone(),
            })
            .collect()
    }

    /// What it has given up on nodes that it still has, as long as they have not said that they follow.
    fn gpus_given_up(&self, lease: &LeaseRecord) -> BTreeMap<NodeName, GpuSlots> {
        if lease.progress.shedding.is_none() {
            return BTreeMap::new();
        }
        let former = lease.former();
        let leaving = lease.leaving().into_iter();
        let parts = leaving.filter(|(node, _)| !former.contains(*node));
        self.slots_by_name(parts.filter_map(|(node, left)| Some((node, left.gpus?))))
    }

    fn slots_by_name(
        &self,
        slots: impl Iterator<Item = (NodeIndex, GpuSlots)>,
    ) -> BTreeMap<NodeName, GpuSlots> {
        let each = slots.filter_map(|(node, slots)| Some((self.node_name(node)?.clone(), slots)));
        each.collect()
    }

    fn condition_views(&self, lease: &LeaseRecord) -> Vec<ConditionView> {
        let view = |(kind, condition): (&_, &leasehold_common::lease::Condition)| ConditionView {
            kind: Clone::clone(kind),
            since: condition.since,
            detail: condition.detail.clone(),
            nodes: condition.nodes.as_ref().map(|nodes| self.fold(nodes)),
        };
        lease.conditions.iter().map(view).collect()
    }

    /// A set of nodes as a hostlist.
    pub(crate) fn fold(&self, nodes: &NodeSet) -> String {
        let name = |index: NodeIndex| self.node_name(index).map(|name| name.as_str());
        hostlist::fold(nodes.iter().filter_map(name))
    }
}
