//! Nodes that are packed together: an NVLink domain of several nodes, or those nodes of a rack that
//! are each their own domain. A domain of one node says nothing about what stands beside it, and
//! packing by such domains would scatter small leases over every rack.

use super::index::{SideCount, SkuIndex};
use super::stance::{Group, SkuId, Stance, number};
use crate::power::UnitId;
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::topology::{Locality, Prefix, TopologyPath};
use std::collections::{BTreeMap, BTreeSet};

/// Both sides, by number.
const SIDES: [Side; 2] = [Side::Internal, Side::Tenant];

/// A pool's number in this cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PoolId(pub(crate) u32);

/// A pool's whole nodes of one size and group, in the order in which pools are broken into: broken
/// domains before whole ones, smaller nodes before larger, and the emptiest pool last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PoolKey {
    pub(crate) breaks_domain: bool,
    pub(crate) gpus: u8,
    /// Whole nodes in the pool besides the one that would be taken.
    pub(crate) left: u32,
    pub(crate) first: NodeIndex,
    pub(crate) pool: PoolId,
}

impl PoolKey {
    /// The least there can be.
    pub(crate) const FIRST: Self = Self {
        breaks_domain: false,
        gpus: 0,
        left: 0,
        first: NodeIndex(0),
        pool: PoolId(0),
    };
}

/// Nodes that are packed together.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// A domain, or a rack whose nodes are each their own.
    pub(crate) level: Locality,
    pub(crate) nodes: u32,
    /// All of them, by number.
    members: BTreeSet<NodeIndex>,
    /// Those that nobody has, now or booked, and that nothing is the matter with.
    pub(crate) whole: u32,
    idle: BTreeMap<(SkuId, usize, u8), BTreeSet<NodeIndex>>,
    /// The smallest unit above it whose budget is nearly used up.
    tight: Option<UnitId>,
    /// Its nodes of each SKU.
    parts: BTreeMap<SkuId, Part>,
}

/// The nodes of one SKU in a pool.
#[derive(Debug, Clone, Default)]
struct Part {
    nodes: u32,
    /// How many of them a whole domain has; nothing where that was not said.
    wanted: u32,
    /// Nodes that are a side's or could be, and nodes that are, by side.
    open: [u32; 2],
    used: [u32; 2],
}

impl Pool {
    /// The first of its nodes by number.
    pub(super) fn first(&self) -> Option<NodeIndex> {
        self.members.first().copied()
    }

    /// Whether it is a whole domain of a SKU, all of it a side's, or such as could be. A domain that lacks
    /// nodes of what its SKU says is none that anybody could count on.
    pub(crate) fn is_open_to(&self, side: Side, sku: SkuId) -> bool {
        let part = self.parts.get(&sku);
        part.is_some_and(|part| {
            part.open[number(side)] == part.nodes && part.nodes >= part.wanted.max(1)
        })
    }

    /// Whether a node of a SKU that is alone in its domain is a whole one.
    pub(crate) fn is_domain_alone(&self, sku: SkuId) -> bool {
        let part = self.parts.get(&sku);
        part.is_none_or(|part| part.wanted <= 1)
    }

    /// Whether a side has any of it that is of a SKU, now or booked.
    pub(crate) fn is_used_by(&self, side: Side, sku: SkuId) -> bool {
        let part = self.parts.get(&sku);
        part.is_some_and(|part| part.used[number(side)] > 0)
    }

    /// Whole nodes of it, alike to those of a key.
    pub(crate) fn alike(
        &self,
        sku: SkuId,
        group: Group,
        gpus: u8,
    ) -> impl Iterator<Item = NodeIndex> {
        let nodes = self.idle.get(&(sku, group.number(), gpus));
        nodes.into_iter().flatten().copied()
    }

    /// Whether taking a whole node of it breaks a whole domain.
    pub(crate) fn breaks_domain(&self) -> bool {
        self.level != Locality::Domain || self.whole == self.nodes
    }

    /// Counts a node of the pool for the sides, and where the pool is a domain, the domain.
    fn count(&self, seat: &Seat, counts: &mut [SideCount; 2], add: impl Fn(&mut u32, u32)) {
        for (side, count) in counts.iter_mut().enumerate() {
            let (open, used) = (u32::from(seat.open[side]), u32::from(seat.used[side]));
            add(&mut count.open_nodes, open);
            add(&mut count.used_nodes, used);
            if self.level != Locality::Domain {
                let alone = u32::from(self.is_domain_alone(seat.sku));
                add(&mut count.open_domains, open * alone);
                add(&mut count.used_domains, used);
            }
        }
        self.count_domain(seat.sku, counts, |n| add(n, 1));
    }

    /// Counts the pool for the sides, where it is a domain.
    fn count_domain(&self, sku: SkuId, counts: &mut [SideCount; 2], add: impl Fn(&mut u32)) {
        if self.level != Locality::Domain {
            return;
        }
        for (side, count) in SIDES.into_iter().zip(counts) {
            if self.is_open_to(side, sku) {
                add(&mut count.open_domains);
            }
            if self.is_used_by(side, sku) {
                add(&mut count.used_domains);
            }
        }
    }

    fn keys(&self, pool: PoolId) -> impl Iterator<Item = (SkuId, usize, PoolKey)> + '_ {
        self.idle
            .iter()
            .filter_map(move |((sku, group, gpus), nodes)| {
                let key = PoolKey {
                    breaks_domain: self.breaks_domain(),
                    gpus: *gpus,
                    left: self.whole - 1,
                    first: *nodes.first()?,
                    pool,
                };
                Some((*sku, *group, key))
            })
    }
}

/// Where a node is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seat {
    pool: PoolId,
    is_whole: bool,
    idle: Option<(SkuId, usize, u8)>,
    sku: SkuId,
    open: [bool; 2],
    used: [bool; 2],
}

/// Every pool, and which node is in which.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pools {
    pools: Vec<Pool>,
    by_place: BTreeMap<Prefix, PoolId>,
    /// The nodes of each domain, because two of them make it a pool of its own.
    domains: BTreeMap<Prefix, BTreeSet<NodeIndex>>,
    /// How many nodes a whole domain of a SKU has, by SKU.
    wanted: Vec<u32>,
    /// By node index.
    of_node: Vec<Option<PoolId>>,
    seats: Vec<Option<Seat>>,
    /// Pools that are out of the order of pools until the many nodes that are being changed are
    /// entered; absent where nodes are changed one by one.
    unlisted: Option<BTreeSet<PoolId>>,
}

impl Pools {
    pub(crate) fn of(&self, node: NodeIndex) -> (PoolId, &Pool) {
        let id = self.of_node[node.as_usize()].expect("every node of the cell is in a pool");
        (id, self.get(id))
    }

    pub(crate) fn get(&self, id: PoolId) -> &Pool {
        &self.pools[id.0 as usize]
    }

    /// The nodes of a node's domain, itself included, where it has others.
    pub(crate) fn mates(&self, node: NodeIndex) -> &BTreeSet<NodeIndex> {
        const NONE: &BTreeSet<NodeIndex> = &BTreeSet::new();
        let (_, pool) = self.of(node);
        match pool.level {
            Locality::Domain => &pool.members,
            Locality::Cell | Locality::Hall | Locality::Row | Locality::Rack => NONE,
        }
    }

    /// Gives a node its place; says which nodes belong to another pool than before because of it.
    /// None of them may be entered with a stance then.
    pub(super) fn admit(&mut self, node: NodeIndex, path: &TopologyPath) -> Vec<NodeIndex> {
        let domain = path.unit(Locality::Domain);
        let members = self.domains.entry(domain).or_default();
        members.insert(node);
        let moved: Vec<_> = match members.len() {
            2 => members.iter().copied().filter(|n| *n != node).collect(),
            _ => Vec::new(),
        };
        self.settle(node, path);
        moved
    }

    /// Takes a node from its place; says which nodes belong to another pool because of it.
    pub(super) fn dismiss(&mut self, node: NodeIndex, path: &TopologyPath) -> Vec<NodeIndex> {
        let domain = path.unit(Locality::Domain);
        let members = self.domains.get_mut(&domain).expect("it was admitted");
        members.remove(&node);
        let left: Vec<_> = members.iter().copied().collect();
        if left.is_empty() {
            self.domains.remove(&domain);
        }
        let left_from = self.of_node[node.as_usize()].take();
        let left_from = left_from.expect("it was settled");
        self.pools[left_from.0 as usize].members.remove(&node);
        if left.len() == 1 { left } else { Vec::new() }
    }

    /// Puts a node into the pool that its place now says.
    pub(super) fn settle(&mut self, node: NodeIndex, path: &TopologyPath) {
        let domain = path.unit(Locality::Domain);
        let (level, place) = match self.domains.get(&domain).map_or(0, BTreeSet::len) {
            0 | 1 => (Locality::Rack, path.unit(Locality::Rack)),
            _ => (Locality::Domain, domain),
        };
        let next = PoolId(u32::try_from(self.pools.len()).expect("fewer pools than nodes"));
        let id = *self.by_place.entry(place).or_insert(next);
        if id == next {
            self.pools.push(Pool {
                level,
                nodes: 0,
                members: BTreeSet::new(),
                whole: 0,
                idle: BTreeMap::new(),
                tight: None,
                parts: BTreeMap::new(),
            });
        }
        if self.of_node.len() <= node.as_usize() {
            self.of_node.resize(node.as_usize() + 1, None);
        }
        if let Some(left) = self.of_node[node.as_usize()].replace(id) {
            self.pools[left.0 as usize].members.remove(&node);
        }
        self.pools[id.0 as usize].members.insert(node);
    }

    /// Enters how a node stands, in its pool and in the order of pools; absent where it is gone.
    pub(super) fn set(&mut self, node: NodeIndex, stance: Option<&Stance>, skus: &mut [SkuIndex]) {
        let at = node.as_usize();
        if self.seats.len() <= at {
            self.seats.resize(at + 1, None);
        }
        let before = self.seats[at];
        let after = stance.map(|stance| Seat {
            pool: self.of(node).0,
            is_whole: stance.is_whole(),
            sku: stance.sku,
            open: SIDES.map(|side| stance.is_open_to(side)),
            used: SIDES.map(|side| stance.serves(side)),
            idle: stance.idle(),
        });
        if before == after {
            return;
        }
        for pool in [before, after].into_iter().flatten().map(|seat| seat.pool) {
            self.unlist(pool, skus);
        }
        if let Some(seat) = before {
            let counts = &mut skus[usize::from(seat.sku.0)].sides;
            let pool = &mut self.pools[seat.pool.0 as usize];
            pool.count(&seat, counts, |n, by| *n -= by);
            pool.nodes -= 1;
            let part = pool
                .parts
                .get_mut(&seat.sku)
                .expect("entered with the seat");
            part.nodes -= 1;
            for side in 0..2 {
                part.open[side] -= u32::from(seat.open[side]);
                part.used[side] -= u32::from(seat.used[side]);
            }
            pool.count_domain(seat.sku, counts, |n| *n += 1);
            pool.whole -= u32::from(seat.is_whole);
            if let Some(key) = seat.idle {
                let nodes = pool.idle.get_mut(&key).expect("entered with the seat");
                nodes.remove(&node);
                if nodes.is_empty() {
                    pool.idle.remove(&key);
                }
            }
        }
        if let Some(seat) = after {
            let counts = &mut skus[usize::from(seat.sku.0)].sides;
            let pool = &mut self.pools[seat.pool.0 as usize];
            pool.count_domain(seat.sku, counts, |n| *n -= 1);
            pool.nodes += 1;
            let wanted = self.wanted.get(usize::from(seat.sku.0)).copied();
            let part = pool.parts.entry(seat.sku).or_default();
            part.wanted = wanted.unwrap_or(0);
            part.nodes += 1;
            for side in 0..2 {
                part.open[side] += u32::from(seat.open[side]);
                part.used[side] += u32::from(seat.used[side]);
            }
            pool.count(&seat, counts, |n, by| *n += by);
            pool.whole += u32::from(seat.is_whole);
            if let Some(key) = seat.idle {
                pool.idle.entry(key).or_default().insert(node);
            }
        }
        self.seats[at] = after;
        for pool in [before, after].into_iter().flatten().map(|seat| seat.pool) {
            self.list(pool, skus);
        }
    }

    /// Domains of a SKU are whole from so many nodes on. To be said while no node of it is entered.
    pub(super) fn set_wanted(&mut self, sku: SkuId, wanted: u32) {
        let at = usize::from(sku.0);
        if self.wanted.len() <= at {
            self.wanted.resize(at + 1, 0);
        }
        self.wanted[at] = wanted;
    }

    /// A pool stands below a unit whose budget is nearly used up, or below none.
    pub(super) fn set_tight(&mut self, id: PoolId, tight: Option<UnitId>, skus: &mut [SkuIndex]) {
        if self.get(id).tight != tight {
            self.unlist(id, skus);
            self.pools[id.0 as usize].tight = tight;
            self.list(id, skus);
        }
    }

    /// From now on pools leave their order when a node of theirs changes, and stay out of it.
    pub(super) fn begin_many(&mut self) {
        self.unlisted = Some(BTreeSet::new());
    }

    /// Every pool is in its order again.
    pub(super) fn end_many(&mut self, skus: &mut [SkuIndex]) {
        for id in self.unlisted.take().into_iter().flatten() {
            self.list(id, skus);
        }
    }

    fn unlist(&mut self, id: PoolId, skus: &mut [SkuIndex]) {
        if let Some(unlisted) = &mut self.unlisted
            && !unlisted.insert(id)
        {
            return;
        }
        for (sku, group, key) in self.get(id).keys(id) {
            let idle = &mut skus[usize::from(sku.0)].groups[group];
            idle.set_of(self.get(id).tight).remove(&key);
        }
    }

    fn list(&self, id: PoolId, skus: &mut [SkuIndex]) {
        if self.unlisted.is_some() {
            return;
        }
        for (sku, group, key) in self.get(id).keys(id) {
            let idle = &mut skus[usize::from(sku.0)].groups[group];
            idle.set_of(self.get(id).tight).insert(key);
        }
    }

    /// The same places with nobody in them.
    pub(super) fn emptied(&self) -> Self {
        let mut pools = self.clone();
        pools.seats.clear();
        for pool in &mut pools.pools {
            (pool.nodes, pool.whole) = (0, 0);
            pool.parts.clear();
            pool.idle.clear();
        }
        pools
    }
}
