//! A request as decisions need it: names looked up once, and the time it would have.

use super::window::Window;
use crate::cell::{AccountId, Cell, Hold, Node, Party, SkuId, SkuIndex, Stance};
use crate::request::Request;
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Isolation, Policy};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Locality;
use std::collections::BTreeSet;

/// What it needs of each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// All of it.
    Whole,
    /// So many GPUs; never more than the largest node of the SKU has, because what no sound node
    /// could give is no node's fault.
    Gpus(u8),
}

/// A request, looked up in one cell, for one start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) cell: &'a Cell,
    pub(super) request: &'a Request,
    pub(super) window: Window,
    pub(super) side: Side,
    pub(super) need: Need,
    /// The most GPUs a node of the SKU has; none where there is no such node.
    pub(super) largest: u8,
    pub(super) sku: Option<(SkuId, &'a SkuIndex)>,
    /// The most one of its GPUs may draw, in watts; absent for the SKU's default limit.
    pub(super) cap: Option<u32>,
    /// Absent for an account that never had anything here.
    pub(super) account: Option<AccountId>,
    /// How hardware of the SKU is kept apart.
    pub(super) apart: Isolation,
    /// Leases that are taken not to be there, when it is asked about a start to come.
    pub(super) without: Option<&'a BTreeSet<LeaseId>>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        cell: &'a Cell,
        request: &'a Request,
        policy: &Policy,
        now: Timestamp,
        start: Timestamp,
    ) -> Self {
        let largest = cell.largest_node(&request.sku).unwrap_or(0);
        let need = match request.shape {
            Shape::Nodes { .. } | Shape::Unit { .. } => Need::Whole,
            Shape::Gpus { count } => {
                Need::Gpus(u8::try_from(count).unwrap_or(u8::MAX).min(largest))
            }
        };
        let sku = cell.index().sku(&request.sku).filter(|_| largest > 0);
        Self {
            cell,
            request,
            window: Window::new(request, policy, now, start),
            side: request.side(),
            need,
            largest,
            sku,
            cap: request.gpu_cap_watts,
            account: cell.index().account(&request.account),
            apart: sku.map(|(_, index)| index.apart).unwrap_or_default(),
            without: None,
        }
    }

    /// The same request at another start.
    pub(super) fn at(&self, start: Timestamp) -> Self {
        Self {
            window: self.window.starting(self.request, start),
            ..*self
        }
    }

    /// Who asks, as somebody on a node.
    pub(super) const fn party(&self) -> Party {
        Party {
            account: self.account,
            side: self.side,
            slices_only: false,
        }
    }

    /// A node of the cell.
    pub(super) fn look(&self, node: NodeIndex) -> (&'a Node, &'a Stance) {
        let known = self
            .cell
            .node(node)
            .expect("the index names nodes of the cell");
        let stance = self.cell.index().stance(node);
        (known, stance.expect("every node of the cell stands"))
    }

    /// Every node of the SKU, by number.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeIndex, &'a Stance)> {
        let wanted = self.sku.map(|(sku, _)| sku);
        let all = self.cell.index().stances();
        all.filter(move |(_, stance)| Some(stance.sku) == wanted)
    }

    /// How many GPUs nodes of the SKU have that are large enough.
    pub(super) fn sizes(&self) -> impl Iterator<Item = u8> {
        let sizes = self.cell.sizes(&self.request.sku);
        let need = self.need;
        sizes.filter(move |gpus| match need {
            Need::Whole => true,
            Need::Gpus(count) => *gpus >= count,
        })
    }

    /// Whether a node with so many GPUs has what is asked of one, as asked.
    pub(super) fn is_large_enough(&self, gpus: u8) -> bool {
        match self.request.shape {
            Shape::Gpus { count } => u32::from(gpus) >= count,
            Shape::Nodes { .. } | Shape::Unit { .. } => gpus > 0,
        }
    }

    /// Whether what nodes are now decides: it would start now, and takes of each node what goes with
    /// its GPUs.
    pub(super) fn is_present(&self) -> bool {
        let counts_all = self.without.is_none() && self.request.host.is_none();
        self.window.start <= self.window.now && counts_all
    }

    /// Whether a hold wants hardware when the request would, and counts.
    pub(super) fn clashes(&self, hold: &Hold) -> bool {
        self.window.clashes(hold) && self.without.is_none_or(|gone| !gone.contains(&hold.lease))
    }

    /// Whether a node is where the request may go at all.
    pub(super) fn reaches(&self, node: &Node) -> bool {
        match &self.request.shape {
            Shape::Unit { prefix } => prefix.holds(&node.spec.path),
            Shape::Nodes { .. } | Shape::Gpus { .. } => true,
        }
    }

    /// How close together its nodes must be. Everything below a place is together as it is.
    pub(super) const fn within(&self) -> Locality {
        match &self.request.shape {
            Shape::Unit { .. } => Locality::Cell,
            Shape::Nodes { .. } | Shape::Gpus { .. } => self.request.within,
        }
    }

    /// Whether one node is all it takes.
    pub(super) fn is_small(&self) -> bool {
        matches!(
            self.request.shape,
            Shape::Gpus { .. }
                | Shape::Nodes {
                    count: 1,
                    spares: 0,
                    ..
                }
        )
    }
}
