//! Made-up cells.

use super::terms::Terms;
use leasehold_common::ids::{NodeIndex, SkuName};
use leasehold_common::lease::GpuSlots;
use leasehold_common::node::{NodeState, Owner};
use leasehold_placement::power::Budget;
use leasehold_placement::{Cell, NodeCondition, NodeSpec};
use std::sync::Arc;

/// Nodes in a rack whose nodes are each a domain of their own: 8 of 8 GPUs are what a rack of 80 kW
/// feeds.
const PER_RACK: u32 = 8;
/// Nodes in a rack that is one domain: the compute trays of an NVL72.
const PER_DOMAIN: u32 = 18;
/// GPUs of such a node.
const TRAY_GPUS: u8 = 4;
const RACKS_PER_ROW: u32 = 8;
const ROWS_PER_HALL: u32 = 4;
/// The most nodes a cell may have; the engine is made for an eighth of that.
const MOST_NODES: u32 = 1_000_000;

/// What a made-up cell consists of: racks of eight nodes that are each a domain, and behind them
/// racks that are each one domain of eighteen nodes with four GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// All nodes.
    nodes: u32,
    /// GPUs of each node that is a domain of its own.
    gpus: u8,
    /// Nodes of racks that are one domain: the last ones.
    trays: u32,
}

/// A cell that cannot be made up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLayout {
    /// No nodes, or too many.
    #[error("nodes: {given} is not between 1 and {MOST_NODES}")]
    Nodes {
        /// What was asked.
        given: u32,
    },
    /// No GPUs, or too many.
    #[error("gpus: {given} is not between 1 and 16")]
    Gpus {
        /// What was asked.
        given: u8,
    },
    /// More of a part than of the whole.
    #[error("nvl-pct: {given} is not between 0 and 100")]
    Percent {
        /// What was asked.
        given: u32,
    },
}

impl Layout {
    /// So many nodes with so many GPUs, of which about `nvl_pct` percent, in whole racks, stand in
    /// racks that are one domain and have four GPUs each instead.
    ///
    /// # Errors
    /// A number is out of its range.
    pub fn new(nodes: u32, gpus: u8, nvl_pct: u32) -> Result<Self, InvalidLayout> {
        if !(1..=MOST_NODES).contains(&nodes) {
            return Err(InvalidLayout::Nodes { given: nodes });
        }
        if !(1..=16).contains(&gpus) {
            return Err(InvalidLayout::Gpus { given: gpus });
        }
        if nvl_pct > 100 {
            return Err(InvalidLayout::Percent { given: nvl_pct });
        }
        let racks = u64::from(nodes) * u64::from(nvl_pct) / 100 / u64::from(PER_DOMAIN);
        let trays = u32::try_from(racks).unwrap_or(0) * PER_DOMAIN;
        Ok(Self { nodes, gpus, trays })
    }

    /// How many nodes there are.
    pub const fn nodes(&self) -> u32 {
        self.nodes
    }

    /// How many GPUs there are.
    pub fn all_gpus(&self) -> u64 {
        u64::from(self.nodes - self.trays) * u64::from(self.gpus)
            + u64::from(self.trays) * u64::from(TRAY_GPUS)
    }

    /// GPUs of each node that is a domain of its own.
    pub(super) const fn gpus(&self) -> u8 {
        self.gpus
    }

    /// Nodes in racks that are one domain.
    pub(super) const fn trays(&self) -> u32 {
        self.trays
    }

    /// What a node is sold as.
    pub(super) fn sku(is_tray: bool) -> SkuName {
        let name = if is_tray { "gb200" } else { "h200" };
        name.parse().expect("a valid SKU name")
    }

    /// What a node is: worked out, and so never kept twice.
    pub(super) fn spec(&self, node: NodeIndex) -> NodeSpec {
        let first_tray = self.nodes - self.trays;
        let is_tray = node.0 >= first_tray;
        let (rack, domain) = match node.0.checked_sub(first_tray) {
            Some(tray) => {
                let racks_before = first_tray.div_ceil(PER_RACK);
                (racks_before + tray / PER_DOMAIN, 0)
            }
            None => (node.0 / PER_RACK, node.0 % PER_RACK),
        };
        let row = rack / RACKS_PER_ROW;
        // Padded, so that nodes stand in topology order and each is admitted behind the one before.
        let path = format!(
            "hall-{:04}/row-{}/rack-{}/d{domain}",
            row / ROWS_PER_HALL,
            row % ROWS_PER_HALL,
            rack % RACKS_PER_ROW,
        );
        NodeSpec {
            path: path.parse().expect("numbered places are valid"),
            sku: Self::sku(is_tray),
            gpus: if is_tray { TRAY_GPUS } else { self.gpus },
            owner: Owner::Sellable,
        }
    }
}

/// Where nodes come from.
#[derive(Debug, Clone)]
pub(super) enum Site {
    /// They are made up.
    Made(Layout),
    /// They are listed, by number.
    Listed(Arc<[NodeSpec]>),
}

impl From<Layout> for Site {
    fn from(layout: Layout) -> Self {
        Self::Made(layout)
    }
}

impl Site {
    /// How many nodes there are.
    pub(super) fn nodes(&self) -> u32 {
        match self {
            Self::Made(layout) => layout.nodes(),
            Self::Listed(specs) => u32::try_from(specs.len()).expect("a cell has a million nodes"),
        }
    }

    /// How many GPUs there are.
    pub(super) fn all_gpus(&self) -> u64 {
        match self {
            Self::Made(layout) => layout.all_gpus(),
            Self::Listed(specs) => specs.iter().map(|spec| u64::from(spec.gpus)).sum(),
        }
    }

    /// What a node is.
    pub(super) fn spec(&self, node: NodeIndex) -> NodeSpec {
        match self {
            Self::Made(layout) => layout.spec(node),
            Self::Listed(specs) => specs[node.as_usize()].clone(),
        }
    }

    /// Every node's condition at first: healthy, heard of, and never used.
    pub(super) fn sound(gpus: u8) -> NodeCondition {
        NodeCondition {
            state: NodeState::Available,
            flagged: false,
            silent: false,
            healthy: GpuSlots::first(gpus),
            last_side: None,
        }
    }

    /// The cell, with every node in it and no lease.
    pub(super) fn cell(&self, terms: &Terms) -> Cell {
        let mut cell = Cell::new();
        for sku in &terms.skus {
            cell.describe(sku.clone());
        }
        for node in (0..self.nodes()).map(NodeIndex) {
            let spec = self.spec(node);
            let condition = Self::sound(spec.gpus);
            cell.set_node(node, spec);
            cell.set_condition(node, condition);
        }
        for (place, steps) in &terms.budgets {
            let budget = Budget::new(steps.clone()).expect("made-up steps are in order");
            cell.set_budget(place, Some(budget));
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::super::driver::BIRTH;
    use super::*;

    #[test]
    fn the_last_racks_are_one_domain_each() {
        let layout = Layout::new(100, 8, 40).unwrap();
        let place = |node| layout.spec(NodeIndex(node)).path.to_string();
        assert_eq!(layout.trays(), 36);
        assert_eq!(layout.all_gpus(), 64 * 8 + 36 * 4);
        assert_eq!(place(9), "hall-0000/row-0/rack-1/d1");
        assert_eq!(place(64), "hall-0000/row-1/rack-0/d0");
        assert_eq!(place(99), "hall-0000/row-1/rack-1/d0");
        let terms = Terms::of(layout, 95, BIRTH);
        Site::from(layout).cell(&terms).check();
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let refused = Layout::new(0, 8, 0).unwrap_err().to_string();
        assert_eq!(refused, "nodes: 0 is not between 1 and 1000000");
        let refused = Layout::new(10, 17, 0).unwrap_err().to_string();
        assert_eq!(refused, "gpus: 17 is not between 1 and 16");
    }
}
