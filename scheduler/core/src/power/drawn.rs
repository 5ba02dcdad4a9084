//! What nodes draw, and its sum over every place above them, kept by differences.
//!
//! Of a node counts what its GPUs drew when its agent last said so, and for the rest of it what its
//! SKU allows; where an agent measures the node as a whole, [`State::draw_of`] is the place to take
//! that instead. What a silent node last said still counts, and is marked as old.

use crate::node::{Node, Presence};
use crate::state::State;
use leasehold_common::ids::NodeIndex;
use leasehold_common::node::NodeState;
use leasehold_common::topology::{Locality, Prefix, TopologyPath};
use std::collections::BTreeMap;

/// The most that the GPUs of one node are believed to draw: a megawatt, many times what any has.
const GPUS_MAX_MW: u64 = 1_000_000_000;

/// What one node draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeDraw {
    /// All of it, in milliwatts.
    pub mw: u64,
    /// Whether its agent is silent.
    pub is_stale: bool,
    path: TopologyPath,
}

/// What the nodes below a place draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Drawn {
    /// Nodes that have said what they draw.
    pub nodes: u32,
    /// All of it, in milliwatts.
    pub mw: u64,
    /// How much of that was said by agents that are silent now.
    pub stale_mw: u64,
}

/// The sums, by place.
#[derive(Debug, Clone, Default)]
pub(crate) struct DrawnBelow(BTreeMap<Prefix, Drawn>);

impl DrawnBelow {
    /// Below a place.
    pub fn get(&self, prefix: &Prefix) -> Drawn {
        self.0.get(prefix).copied().unwrap_or_default()
    }

    fn change(&mut self, draw: &NodeDraw, add: bool) {
        let change = |sum: &mut u64, by: u64| {
            *sum = if add { *sum + by } else { *sum - by };
        };
        for level in Locality::ALL {
            let prefix = draw.path.unit(level);
            let drawn = self.0.entry(prefix.clone()).or_default();
            drawn.nodes = if add {
                drawn.nodes + 1
            } else {
                drawn.nodes - 1
            };
            change(&mut drawn.mw, draw.mw);
            if draw.is_stale {
                change(&mut drawn.stale_mw, draw.mw);
            }
            if drawn.nodes == 0 {
                self.0.remove(&prefix);
            }
        }
    }
}

impl State {
    /// Brings the sums up to date after a node, its report or its presence has changed.
    pub(crate) fn refresh_draw(&mut self, index: NodeIndex) {
        let node = &self.nodes[&index];
        let now = self.draw_of(node);
        if node.drawn == now {
            return;
        }
        let node = self.nodes.get_mut(&index).expect("it was there above");
        let before = std::mem::replace(&mut node.drawn, now.clone());
        for (draw, add) in [(before, false), (now, true)] {
            if let Some(draw) = draw {
                self.drawn.change(&draw, add);
            }
        }
    }

    /// What a node draws; absent while nobody has said, and of one that is gone for good.
    fn draw_of(&self, node: &Node) -> Option<NodeDraw> {
        let health = node.health.as_ref()?;
        if node.fleet.state == NodeState::Retired {
            return None;
        }
        let sku = self.settings.skus.get(&node.fleet.sku);
        let overhead = sku.map_or(0, |sku| u64::from(sku.overhead_watts) * 1000);
        Some(NodeDraw {
            mw: health.power().0.min(GPUS_MAX_MW) + overhead,
            is_stale: node.presence != Presence::Here,
            path: node.fleet.path.clone(),
        })
    }
}
