//! The cell as the engine sees it: every node with what it is, what is the matter with it, and who
//! has it when.
//!
//! It is kept by small changes and read in place by every decision. `node` is one node and the holds
//! on it, `booking` what a lease has and the only code that changes holds, `lifted` puts back what was
//! taken out for a while. `beside` is who may be where somebody else is. `carved` files nodes with slices
//! of GPUs let. `stance` is how a node stands now, `ahead` how it will before each booking to come, `pool`
//! which nodes are packed together, and `index` what decisions look up in all of that. `passes` is when a
//! node is made clean, `queue` which hours are left for that, and `recount` who has them when all are
//! counted again. `grid` is what is kept by unit: watts, idle nodes and pools.
//! `check` proves that what is kept twice agrees, and `plain` is a copy for those who trust none of it.

mod ahead;
mod beside;
mod book_error;
mod booking;
mod carved;
mod check;
mod grid;
mod index;
mod lifted;
mod node;
mod passes;
mod plain;
mod pool;
mod queue;
mod recount;
mod stance;

pub use book_error::BookError;
pub use booking::{Booked, Booking};
pub use lifted::Lifted;
pub use node::{Hold, Holder, NodeCondition, NodeSpec};

pub(crate) use ahead::{ByNext, Outlook};
pub(crate) use beside::{Party, may_share_domain};
pub(crate) use carved::{Carved, Class, GPUS, Gone};
pub(crate) use grid::{Grid, envelope, envelope_of_parts};
pub(crate) use index::{Index, SkuIndex};
pub(crate) use node::Node;
pub(crate) use pool::{PoolId, PoolKey};
pub(crate) use stance::{AccountId, Fitness, Group, Kind, NEVER, SkuId, Stance, number, other};

use crate::mig::Geometry;
use crate::power::Budget;
use ahead::Prospects;
use leasehold_common::ids::{LeaseId, NodeIndex, SkuName};
use leasehold_common::lease::GpuSlots;
use leasehold_common::policy::Policy;
use leasehold_common::sku::Sku;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Prefix;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All nodes of one cell and the bookings on them.
///
/// Changing a condition or a booking costs the nodes it touches, and their few holds. Admitting or
/// removing a node also shifts four bytes of the topology order for every node behind it, 50 KB in
/// a cell of 12,500: less than a tree would cost each decision that walks it.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// By node index. Indices are never used again, so there are holes.
    nodes: Vec<Option<Node>>,
    /// Every node, by place and then index: a unit is a range of this.
    order: Vec<NodeIndex>,
    /// By place in the order, how many parts of its path a node shares with the one before it, none
    /// for the first: where a unit of some size begins, kept because every gang asks for it and only
    /// admission changes it.
    shared: Vec<u8>,
    /// What each lease has.
    bookings: BTreeMap<LeaseId, Booked>,
    /// How many nodes of a SKU have how many GPUs; kept so that an unknown SKU is known at once.
    skus: BTreeMap<SkuName, BTreeMap<u8, u32>>,
    /// What decisions look up.
    index: Index,
    /// Units: their budgets and the watts booked, their idle nodes and their pools.
    grid: Grid,
    /// What nodes of a SKU have, where that was said; by the SKU's number.
    described: Vec<Option<Sku>>,
    /// How its GPUs are partitioned, where they can be; by the SKU's number.
    geometries: Vec<Option<Arc<Geometry>>>,
    /// Nodes with slices of GPUs let.
    carved: Carved,
    /// When hardware is made clean after leases.
    washing: passes::Washing,
    /// The present, as far as the index is concerned: which bookings have begun.
    now: Timestamp,
}

/// Cells are equal where their nodes and bookings are: the index follows from those. When hardware is made
/// clean does not, until passes are counted again: who came first has the first hour, and that is not
/// compared.
impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        fn all(cell: &Cell) -> impl Iterator<Item = Option<(&NodeSpec, &NodeCondition, &[Hold])>> {
            let nodes = cell.nodes.iter().map(Option::as_ref);
            nodes.map(|node| Some((&node?.spec, &node?.condition, node?.holds.as_slice())))
        }
        self.order == other.order
            && self.bookings == other.bookings
            && self.now == other.now
            && all(self).eq(all(other))
    }
}

impl Eq for Cell {}

/// A node that cannot be removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node {node} is booked for lease {lease}")]
pub struct NodeHeld {
    /// The node.
    pub node: NodeIndex,
    /// The first lease on it.
    pub lease: LeaseId,
}

impl Cell {
    /// A cell without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Admits a node, or changes what one is. Holds on it stay as they are; a new node lets nobody
    /// on it before its condition is set.
    pub fn set_node(&mut self, index: NodeIndex, spec: NodeSpec) {
        // A node that moves takes the watts of the leases on it along.
        for (load, minutes) in self.loads_on(index) {
            self.grid.spare(&[load], minutes);
        }
        self.move_passes(index, false);
        let known = self.slot(index).take();
        let (condition, holds) = match known {
            Some(node) => {
                self.forget(index, &node);
                (node.condition, node.holds)
            }
            None => (NodeCondition::UNKNOWN, Vec::new()),
        };
        let counts = self.skus.entry(spec.sku.clone()).or_default();
        *counts.entry(spec.gpus).or_default() += 1;
        let sku = self.index.sku_id(&spec.sku);
        let node = Node::new(index, spec, sku, condition, holds);
        let place = self.place_of(index, &node);
        self.order.insert(place, index);
        self.shared.insert(place, 0);
        self.grid.admit(index, &node.spec.path);
        for moved in self.index.pools.admit(index, &node.spec.path) {
            self.move_pool(moved);
        }
        let (pool, _) = self.index.pools.of(index);
        self.grid.add_pool(index, pool);
        self.watch_pool(pool);
        *self.slot(index) = Some(node);
        self.compare_neighbours(place);
        self.compare_neighbours(place + 1);
        self.restance(index);
        self.heed(index);
        for (load, minutes) in self.loads_on(index) {
            self.grid.draw(&[load], minutes);
        }
        self.watch();
        self.move_passes(index, true);
    }

    /// Says what nodes of a SKU have besides GPUs, and what they draw. Watts, CPU and memory of a SKU
    /// that was not described are not counted. To be said before anything of it is booked.
    pub fn describe(&mut self, sku: Sku) {
        let sku_id = self.index.sku_id(&sku.name);
        let id = usize::from(sku_id.0);
        if self.described.len() <= id {
            self.described.resize(id + 1, None);
            self.geometries.resize(id + 1, None);
        }
        self.geometries[id] = carved::geometry_of(&sku);
        let size = u32::from(sku.nodes_per_domain);
        self.described[id] = Some(sku);
        let of_it = |(index, node): (NodeIndex, &Node)| (node.sku == sku_id).then_some(index);
        let of_it: Vec<NodeIndex> = self.in_order().filter_map(of_it).collect();
        for index in &of_it {
            self.enter(*index, None);
        }
        self.index.set_domain_size(sku_id, size);
        for index in of_it {
            self.heed(index);
            self.restance(index);
        }
    }

    /// Sets the budget of everything below a place, or takes it away. What is booked stays booked,
    /// whether the budget allows it or not.
    pub fn set_budget(&mut self, prefix: &Prefix, budget: Option<Budget>) {
        let mut booked = Vec::new();
        for known in self.bookings.values() {
            let minutes = known.booking.minutes();
            booked.extend(self.loads(&known.booking).into_iter().map(|l| (l, minutes)));
        }
        self.grid.set_budget(prefix, budget, booked);
        self.watch();
    }

    /// Tells the cell the policy that decides from now on: it keeps hardware apart and makes it clean as
    /// that says. What is booked stays booked, whether it would be allowed today or not.
    pub fn adopt(&mut self, policy: &Policy) {
        self.index.keep_apart(&policy.isolation);
        self.adopt_rates(policy);
    }

    /// What nodes of a SKU have, where that was said.
    pub(crate) fn described(&self, sku: SkuId) -> Option<&Sku> {
        self.described.get(usize::from(sku.0))?.as_ref()
    }

    /// Whether nodes of one SKU can lack something for what nodes of another have: watts, or hours of
    /// cleaning.
    pub fn shares_across_skus(&self) -> bool {
        self.grid.is_bounded() || self.is_washing()
    }

    /// Units and watts.
    pub(crate) const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Forgets a node; nothing happens where it is not known.
    ///
    /// # Errors
    /// A lease is on it, or booked for it.
    pub fn remove_node(&mut self, index: NodeIndex) -> Result<(), NodeHeld> {
        if let Some(hold) = self.node(index).and_then(|node| node.holds.first()) {
            return Err(NodeHeld {
                node: index,
                lease: hold.lease,
            });
        }
        if let Some(node) = self.slot(index).take() {
            self.forget(index, &node);
        }
        // So that a cell depends on what is in it and not on what once was.
        while self.nodes.last().is_some_and(Option::is_none) {
            self.nodes.pop();
        }
        Ok(())
    }

    /// Sets what is the matter with a node; nothing happens where it is not known.
    pub fn set_condition(&mut self, index: NodeIndex, condition: NodeCondition) {
        if let Some(node) = self.node_mut(index) {
            node.condition = condition;
            self.restance(index);
        }
    }

    /// Lets time go on: bookings that begin by `now` are leases now. Decisions for an instant after
    /// this are right without it, but those that follow many of them are slower.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.grid.advance(self.now);
        self.forget_back();
        while let Some(node) = self.index.next_to_begin(self.now) {
            self.restance(node);
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What a node is.
    pub fn spec(&self, index: NodeIndex) -> Option<&NodeSpec> {
        self.node(index).map(|node| &node.spec)
    }

    /// What is the matter with a node.
    pub fn condition(&self, index: NodeIndex) -> Option<&NodeCondition> {
        self.node(index).map(|node| &node.condition)
    }

    /// Who has a node, or will have it, by start.
    pub fn holds(&self, index: NodeIndex) -> impl Iterator<Item = &Hold> {
        self.node(index).into_iter().flat_map(|node| &node.holds)
    }

    /// The GPUs of a node that leases have at an instant, those not given back in time included.
    pub fn held_gpus(&self, index: NodeIndex, at: Timestamp) -> GpuSlots {
        self.node(index).map_or(GpuSlots::NONE, |node| {
            node.holds
                .iter()
                .filter(|hold| hold.has_at(at))
                .fold(GpuSlots::NONE, |all, hold| all.union(hold.slots))
                .common(node.spec.slots())
        })
    }

    /// The GPUs of a node that could be let at an instant: healthy, held by nobody, on a node whose
    /// condition lets leases on it.
    pub fn free_gpus(&self, index: NodeIndex, at: Timestamp) -> GpuSlots {
        match self.node(index) {
            Some(node) if node.condition.lets_in() => node
                .condition
                .healthy
                .common(node.spec.slots())
                .minus(self.held_gpus(index, at)),
            _ => GpuSlots::NONE,
        }
    }

    /// What a lease has; absent where it has nothing.
    pub fn booking(&self, lease: LeaseId) -> Option<&Booked> {
        self.bookings.get(&lease)
    }

    /// What every lease has, by lease.
    pub fn bookings(&self) -> impl Iterator<Item = &Booked> {
        self.bookings.values()
    }

    /// The most GPUs a node of that SKU has; absent where there is no such node.
    pub fn largest_node(&self, sku: &SkuName) -> Option<u8> {
        let (gpus, _) = self.skus.get(sku)?.last_key_value()?;
        Some(*gpus)
    }

    /// Every SKU that the cell has a node of.
    pub(crate) fn skus(&self) -> impl Iterator<Item = &SkuName> {
        self.skus.keys()
    }

    /// How many GPUs nodes of that SKU have, each number once.
    pub(crate) fn sizes(&self, sku: &SkuName) -> impl Iterator<Item = u8> {
        self.skus
            .get(sku)
            .into_iter()
            .flat_map(|s| s.keys().copied())
    }

    /// Every node in topology order.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (NodeIndex, &Node)> {
        self.order.iter().map(|&index| {
            let node = self.node(index).expect("nodes in the order exist");
            (index, node)
        })
    }

    /// Every node in topology order, and how many parts of its path it shares with the one before.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (NodeIndex, u8)> {
        self.order.iter().copied().zip(self.shared.iter().copied())
    }

    /// What decisions look up.
    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// The present, as far as the cell was told.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Works out how a node stands, after anything about it has changed.
    fn restance(&mut self, index: NodeIndex) {
        let node = self.nodes[index.as_usize()]
            .as_ref()
            .expect("callers have the node");
        let stance = Stance::of(node, self.now);
        let prospects = Prospects::of(node, &stance);
        let entry = index::Entry {
            tail: node.tail(),
            next: stance.next,
            prospects: prospects.map(Box::new),
            stance,
        };
        self.enter(index, Some(entry));
        self.carve(index);
    }

    /// Watches budgets for what a node may draw at the most.
    fn heed(&mut self, index: NodeIndex) {
        let node = self.node(index).expect("callers have the node");
        if let Some(sku) = self.described(node.sku) {
            let most = sku.gpu_watts.max(sku.gpu_watts_max);
            let most = sku.envelope_capped(node.spec.gpus, Some(most));
            self.grid.heed(most);
            self.watch();
        }
    }

    /// Enters how a node stands, and counts it where it is nobody's.
    fn enter(&mut self, index: NodeIndex, entry: Option<index::Entry>) {
        let idle = |cell: &Self| cell.index.stance(index).and_then(Stance::idle);
        let before = idle(self);
        self.index.set(index, entry);
        let after = idle(self);
        if before != after {
            for (kind, comes) in [(before, false), (after, true)] {
                if let Some(kind) = kind {
                    self.grid.count_idle(index, kind, comes);
                }
            }
        }
    }

    /// Takes a node out of the order, its pool and the index.
    fn forget(&mut self, index: NodeIndex, node: &Node) {
        self.take_out_of_order(index, node);
        self.enter(index, None);
        self.carve(index);
        for moved in self.index.pools.dismiss(index, &node.spec.path) {
            self.move_pool(moved);
        }
    }

    /// Enters a node again, after its domain got or lost a second node.
    fn move_pool(&mut self, index: NodeIndex) {
        let node = self.node(index).expect("nodes of a domain exist");
        let path = node.spec.path.clone();
        self.enter(index, None);
        self.index.pools.settle(index, &path);
        let (pool, _) = self.index.pools.of(index);
        self.grid.add_pool(index, pool);
        self.watch_pool(pool);
        self.restance(index);
    }

    pub(crate) fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(index.as_usize())?.as_ref()
    }

    fn node_mut(&mut self, index: NodeIndex) -> Option<&mut Node> {
        self.nodes.get_mut(index.as_usize())?.as_mut()
    }

    fn slot(&mut self, index: NodeIndex) -> &mut Option<Node> {
        if self.nodes.len() <= index.as_usize() {
            self.nodes.resize(index.as_usize() + 1, None);
        }
        &mut self.nodes[index.as_usize()]
    }

    /// Where a node stands in the order, or would.
    fn place_of(&self, index: NodeIndex, node: &Node) -> usize {
        self.order.partition_point(|&other| {
            // The node that is being changed has left its slot, and is the one looked for.
            self.node(other)
                .is_some_and(|n| (&n.spec.path, other) < (&node.spec.path, index))
        })
    }

    /// Notes how much of its path a node shares with the one before it.
    fn compare_neighbours(&mut self, place: usize) {
        if place < self.order.len() {
            self.shared[place] = self.shared_at(place);
        }
    }

    fn shared_at(&self, place: usize) -> u8 {
        let node = |at: usize| self.node(self.order[at]).expect("nodes in the order exist");
        match place.checked_sub(1) {
            Some(before) => node(place).shared_with(node(before)),
            None => 0,
        }
    }

    fn take_out_of_order(&mut self, index: NodeIndex, node: &Node) {
        let place = self.place_of(index, node);
        assert_eq!(self.order.get(place), Some(&index), "the order is kept");
        self.order.remove(place);
        self.shared.remove(place);
        self.compare_neighbours(place);
        let sku = &node.spec.sku;
        let counts = self.skus.get_mut(sku).expect("skus are counted");
        let count = counts
            .get_mut(&node.spec.gpus)
            .expect("skus are counted by gpus");
        *count -= 1;
        if *count == 0 {
            counts.remove(&node.spec.gpus);
        }
        if counts.is_empty() {
            self.skus.remove(sku);
        }
    }
}
