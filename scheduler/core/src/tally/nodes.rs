//! Nodes and their GPUs, counted.

use super::{Count, GpuUse, SILENT_NAMED, SIZES, SkuTally, Tally};
use crate::maintenance::Booker;
use crate::node::{Node, Presence};
use crate::state::State;
use leasehold_common::class::Side;
use leasehold_common::ids::{NodeName, SkuName};
use leasehold_common::lease::GpuSlots;
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::time::Timestamp;

/// What its holds say of a node now.
struct Held {
    /// GPUs that leases have.
    slots: GpuSlots,
    /// Whose they are; absent where nobody has any.
    side: Option<Side>,
    /// Whether anybody has anything of it now, a maintenance too.
    is_taken: bool,
}

impl State {
    pub(super) fn count_node(&self, count: &mut Count, node: &Node, now: Timestamp) {
        let held = self.held(node, now);
        let tally = &mut count.tally;
        *tally
            .nodes
            .entry((held.side, self.state_of(node)))
            .or_insert(0) += 1;
        if node.fleet.state == NodeState::Quarantined {
            let why = node.fleet.reason.clone();
            *tally.quarantined.entry(why).or_insert(0) += 1;
        }
        for flag in node.fleet.flags.keys() {
            *tally.flagged.entry(flag.clone()).or_insert(0) += 1;
        }
        presence(tally, &node.fleet.name, node.presence);
        let drawn = node.drawn.as_ref().map_or(0, |drawn| drawn.mw);
        count.below(&node.fleet.path, |watts| watts.drawn_mw += drawn);
        self.count_gpus(count, node, &held, now);
    }

    fn held(&self, node: &Node, now: Timestamp) -> Held {
        let mut held = Held {
            slots: GpuSlots::NONE,
            side: None,
            is_taken: false,
        };
        let holds = self.cell.holds(node.fleet.index);
        for hold in holds.filter(|hold| hold.has_at(now) && !self.is_tentative(hold)) {
            held.is_taken = true;
            if Booker::of(hold.lease).lease().is_some() {
                held.slots = held.slots.union(hold.slots);
                held.side.get_or_insert(hold.holder.class.side());
            }
        }
        held
    }

    fn count_gpus(&self, count: &mut Count, node: &Node, held: &Held, now: Timestamp) {
        let gpus = u8::try_from(node.fleet.gpus.len()).unwrap_or(u8::MAX);
        let all = GpuSlots::first(gpus);
        let leased = held.slots.common(all);
        let condition = self.cell.condition(node.fleet.index);
        let healthy = condition.map_or(GpuSlots::NONE, |condition| condition.healthy);
        let sick = all.minus(leased).minus(healthy);
        let free = self.gpus_free(node, now);
        let open = all.len() - leased.len() - sick.len();
        let sku = count.sku(&node.fleet.sku);
        for (at, number) in [
            (GpuUse::Leased, leased.len()),
            (GpuUse::Sick, sick.len()),
            (GpuUse::Free, free.min(open)),
            (GpuUse::Closed, open.saturating_sub(free)),
        ] {
            if number > 0 {
                *sku.gpus.entry((held.side, at)).or_insert(0) += u64::from(number);
            }
        }
        let sides: &[Side] = match (held.side, node.fleet.owner) {
            (Some(Side::Internal), _) | (None, Owner::Internal) => &[Side::Internal],
            (Some(Side::Tenant), _) => &[Side::Tenant],
            (None, Owner::Sellable) => Side::ALL,
            (None, Owner::Spare | Owner::Repair) => &[],
        };
        let is_whole = !held.is_taken && free == gpus && gpus > 0;
        let gpus = u32::from(gpus);
        for side in sides {
            for size in SIZES.iter().filter(|size| **size <= gpus) {
                let fit = u64::from(u32::from(free) / size);
                *sku.placeable.entry((*side, *size)).or_insert(0) += fit;
            }
            if is_whole {
                *sku.idle.entry((*side, gpus)).or_insert(0) += 1;
            }
        }
    }

    /// Nodes that report and were never admitted.
    pub(super) fn count_strangers(&self, tally: &mut Tally) {
        for (name, stranger) in &self.strangers {
            *tally
                .nodes
                .entry((None, NodeState::Registering))
                .or_insert(0) += 1;
            presence(tally, name, stranger.presence);
        }
    }
}

impl Count {
    /// What there is of a SKU: its name is copied once, and not for each of a hundred thousand nodes.
    fn sku(&mut self, name: &SkuName) -> &mut SkuTally {
        let skus = &mut self.tally.skus;
        if !skus.contains_key(name) {
            skus.insert(name.clone(), SkuTally::default());
        }
        skus.get_mut(name).expect("it was put there")
    }
}

impl SkuTally {
    /// Sizes beyond one node are whole nodes together, wherever they stand.
    pub(super) fn finish(&mut self) {
        for ((side, gpus), nodes) in std::mem::take(&mut self.idle) {
            let beyond = |size: &&u32| **size > gpus && size.is_multiple_of(gpus);
            for size in SIZES.iter().filter(beyond) {
                let leases = nodes / u64::from(size / gpus);
                *self.placeable.entry((side, *size)).or_insert(0) += leases;
            }
        }
    }
}

fn presence(tally: &mut Tally, name: &NodeName, presence: Presence) {
    match presence {
        Presence::Here => tally.agents_here += 1,
        Presence::Unknown => {}
        Presence::Silent { since } => {
            tally.agents_silent += 1;
            tally.silent.insert((since, name.clone()));
            if tally.silent.len() > SILENT_NAMED {
                tally.silent.pop_last();
            }
        }
    }
}
