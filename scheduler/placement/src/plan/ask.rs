//! A request as decisions need it: names looked up once, and the time it would have.

use super::slices::Wish;
use super::window::Window;
use crate::cell::{
    AccountId, Cell, Hold, Node, Party, SkuId, SkuIndex, Stance, may_share_domain, other,
};
use crate::request::Request;
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Granularity, Isolation, Policy};
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
    /// Slices: so many GPUs where it has none with slices yet, bounded in the same way.
    Slices(u8),
}

/// A request, looked up in one cell, for one start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) cell: &'a Cell,
    pub(super) request: &'a Request,
    pub(super) window: Window,
    pub(super) side: Side,
    pub(super) need: Need,
    /// The slices asked for; absent where none are, or such as no GPU of the SKU has.
    pub(super) wish: Option<Wish<'a>>,
    /// The most GPUs a node of the SKU has; none where there is no such node.
    pub(super) largest: u8,
    pub(super) sku: Option<(SkuId, &'a SkuIndex)>,
    /// The most one of its GPUs may draw, in watts; absent for the SKU's default limit.
    pub(super) cap: Option<u32>,
    /// How many passes of cleaning there are after it at most.
    pub(super) passes: u32,
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
        let sku = cell.index().sku(&request.sku).map(|(sku, _)| sku);
        let geometry = sku.and_then(|sku| cell.geometry(sku));
        let described = sku.and_then(|sku| cell.described(sku));
        let wish = Wish::new(&request.shape, geometry, described, largest);
        let need = match request.shape {
            Shape::Nodes { .. } | Shape::Unit { .. } => Need::Whole,
            Shape::Gpus { count } => {
                Need::Gpus(u8::try_from(count).unwrap_or(u8::MAX).min(largest))
            }
            Shape::Slices { .. } => Need::Slices(
                wish.and_then(|wish| wish.gpus)
                    .unwrap_or(u8::MAX)
                    .min(largest),
            ),
        };
        let sku = cell.index().sku(&request.sku).filter(|_| largest > 0);
        Self {
            cell,
            request,
            window: Window::new(request, policy, now, start),
            side: request.side(),
            need,
            wish,
            largest,
            sku,
            cap: request.gpu_cap_watts,
            passes: passes_after(&request.shape, cell, sku),
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
            slices_only: self.wish.is_some(),
        }
    }

    /// A node of the cell.
    pub(super) fn look(&self, node: NodeIndex) -> (&'a Node, &'a Stance) {
        let known = self
            .cell
            .node(node)
            .expect("the index names nodes of the cell");
        (known, self.stance(node))
    }

    /// How a node of the cell stands.
    pub(super) fn stance(&self, node: NodeIndex) -> &'a Stance {
        let stance = self.cell.index().stance(node);
        stance.expect("every node of the cell stands")
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
            Need::Gpus(count) | Need::Slices(count) => *gpus >= count,
        })
    }

    /// What so many free GPUs are to the request: GPUs, or memory slices where it asks for slices.
    pub(super) const fn loose(&self, free: u8) -> u8 {
        // 16 GPUs have 128 memory slices.
        if self.wish.is_some() { free * 8 } else { free }
    }

    /// Whether a node with so many GPUs has what is asked of one, as asked.
    pub(super) fn is_large_enough(&self, gpus: u8) -> bool {
        match self.request.shape {
            Shape::Gpus { count } => u32::from(gpus) >= count,
            Shape::Slices { .. } => {
                let least = self.wish.and_then(|wish| wish.gpus);
                least.is_some_and(|least| gpus >= least)
            }
            Shape::Nodes { .. } | Shape::Unit { .. } => gpus > 0,
        }
    }

    /// Whether what nodes are now decides, each by itself: it would start now, and takes of each node
    /// what goes with its GPUs.
    pub(super) fn is_present(&self) -> bool {
        let counts_all = self.without.is_none() && self.request.host.is_none();
        let alone = self.apart.granularity != Granularity::Domain;
        self.window.start <= self.window.now && counts_all && alone
    }

    /// The holds on other nodes of a node's domain that keep the request off that node while they are
    /// there: the other side's, where domains are kept apart.
    pub(super) fn barring_mates(&self, node: &Node) -> impl Iterator<Item = &'a Hold> {
        let (cell, side, apart) = (self.cell, self.side, self.apart);
        let is_used = || {
            let (_, pool) = cell.index().pools.of(node.index);
            pool.is_used_by(other(side), node.sku)
        };
        let is_asked = apart.granularity == Granularity::Domain && is_used();
        let mates = is_asked.then(|| cell.mates(node.index, node.sku));
        let holds = mates
            .into_iter()
            .flatten()
            .flat_map(|mate| cell.holds(mate));
        holds.filter(move |hold| {
            let serves = hold.serves();
            serves.is_some_and(|theirs| !may_share_domain(side, theirs, apart))
        })
    }

    /// The same as far as a node is concerned: where cleaning has to wait for its hour, that hour depends on
    /// what is above the node.
    pub(super) fn on(&self, node: NodeIndex) -> Self {
        self.washed_end().map_or(*self, |end| {
            self.cleaned_from(self.cell.last_pass(node, end, self.passes))
        })
    }

    /// When it would end, where hardware has to wait for its hour to be cleaned after that.
    pub(super) fn washed_end(&self) -> Option<Timestamp> {
        self.window.end.filter(|_| self.cell.is_washing())
    }

    /// The same where the last of its hardware is begun to be cleaned then.
    pub(super) const fn cleaned_from(&self, pass: Timestamp) -> Self {
        Self {
            window: self.window.cleaned_from(pass),
            ..*self
        }
    }

    /// Whether whoever has something of a node keeps everybody else off it, and all nodes are needed
    /// until the same instant: then how a node stands until then says all that is asked of it.
    pub(super) fn stands_alone(&self) -> bool {
        self.apart == Isolation::default() && !self.cell.is_washing()
    }

    /// Whether a node is found by when its first booking begins: nobody has it, and that is after
    /// the window.
    pub(super) fn is_by_next(&self, stance: &Stance) -> bool {
        let begins_after = |next| self.window.until().is_some_and(|until| next >= until);
        self.stands_alone()
            && !stance.is_mixed
            && stance.tenant.is_none()
            && stance.next.is_some_and(begins_after)
    }

    /// Whether a hold wants hardware when the request would, and counts.
    pub(super) fn clashes(&self, hold: &Hold) -> bool {
        self.window.clashes(hold) && self.without.is_none_or(|gone| !gone.contains(&hold.lease))
    }

    /// Whether a node is where the request may go at all.
    pub(super) fn reaches(&self, node: &Node) -> bool {
        match &self.request.shape {
            Shape::Unit { prefix } => prefix.holds(&node.spec.path),
            Shape::Nodes { .. } | Shape::Gpus { .. } | Shape::Slices { .. } => true,
        }
    }

    /// How close together its nodes must be. Everything below a place is together as it is.
    pub(super) const fn within(&self) -> Locality {
        match &self.request.shape {
            Shape::Unit { .. } => Locality::Cell,
            Shape::Nodes { .. } | Shape::Gpus { .. } | Shape::Slices { .. } => self.request.within,
        }
    }

    /// The size of unit of which it takes only whole ones.
    pub(super) const fn whole(&self) -> Option<Locality> {
        self.request.shape.whole_units()
    }

    /// Whether what is kept of all nodes says how many of them fit: each is judged by itself, and as it
    /// stands now.
    pub(super) fn is_counted(&self) -> bool {
        let is_unit = matches!(self.request.shape, Shape::Unit { .. });
        self.is_present() && !is_unit && self.whole().is_none()
    }

    /// Whether one node is all it takes.
    pub(super) fn is_small(&self) -> bool {
        matches!(
            self.request.shape,
            Shape::Gpus { .. }
                | Shape::Slices { .. }
                | Shape::Nodes {
                    count: 1,
                    spares: 0,
                    whole: None,
                    ..
                }
        )
    }
}

/// How many passes of cleaning there are at most after a lease of that shape: of a gang of more nodes
/// than there are, as many as there are.
fn passes_after(shape: &Shape, cell: &Cell, sku: Option<(SkuId, &SkuIndex)>) -> u32 {
    let all = sku.map_or(1, |(_, index)| index.nodes);
    match shape {
        Shape::Gpus { .. } | Shape::Slices { .. } => 1,
        Shape::Nodes { count, spares, .. } => {
            let asked = count.saturating_mul(spares.saturating_add(1));
            asked.min(all)
        }
        // It is counted node by node, and asked only where that matters.
        Shape::Unit { prefix } if cell.is_washing() => {
            let is_in_it = |node: &Node| {
                Some(node.sku) == sku.map(|(sku, _)| sku) && prefix.holds(&node.spec.path)
            };
            let below = cell.in_order().filter(|(_, node)| is_in_it(node));
            u32::try_from(below.count()).unwrap_or(u32::MAX)
        }
        Shape::Unit { .. } => all,
    }
}
