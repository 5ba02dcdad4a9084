//! What the life cycle lets the packing engine use of a node.

use crate::node::{Node, Presence};
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::GpuSlots;
use leasehold_placement::NodeCondition;

impl Node {
    /// How it is, as far as the packing engine is concerned.
    fn condition(&self) -> NodeCondition {
        NodeCondition {
            state: self.fleet.state,
            flagged: !self.fleet.flags.is_empty(),
            silent: self.presence != Presence::Here,
            healthy: self.healthy(),
            last_side: self.fleet.side,
        }
    }
}

impl State {
    /// Tells the packing engine how a node is; where that is news, leases that wait may go on, and
    /// those that are planned on it may not.
    pub(crate) fn refresh_condition(&mut self, index: NodeIndex) {
        let condition = self.nodes[&index].condition();
        let before = self.cell.condition(index);
        let is_news = before != Some(&condition);
        self.cell.set_condition(index, condition);
        self.refresh_draw(index);
        if is_news {
            self.stir_node(index);
            self.want_mending_on(index);
        }
    }

    /// Which slots of a node a lease holds.
    pub(crate) fn slots_of(&self, id: LeaseId, index: NodeIndex) -> GpuSlots {
        let all = GpuSlots::first(u8::try_from(self.nodes[&index].fleet.gpus.len()).unwrap_or(16));
        let hold = self.cell.holds(index).find(|hold| hold.lease == id);
        hold.map_or(GpuSlots::NONE, |hold| hold.slots.common(all))
    }
}
