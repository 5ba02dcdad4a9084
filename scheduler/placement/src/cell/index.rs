//! What every decision looks up, kept up to date by each change of a node.
//!
//! ```text
//!   SKU ─┬─ census    how many nodes are of each kind: counts for explanations
//!        ├─ groups    idle nodes by owner and last side: pools in the order they are broken into,
//!        │            and idle nodes with sick GPUs
//!        ├─ beside    by account: its nodes that have room left
//!        ├─ across    by side: its nodes that have room for the other, where policy lets that in
//!        ├─ ahead     nodes with bookings to come, by how they stand until each begins
//!        ├─ mixed     nodes in several hands, judged one by one
//!        ├─ involved  both of those
//!        └─ tails     when nodes that leases have are nobody's again
//! ```
//!
//! A decision about a small lease looks at the first entries of a handful of ordered sets, so it costs
//! the same in a cell of any size.

use super::ahead::{Ahead, Prospects};
use super::pool::{PoolId, PoolKey, Pools};
use super::stance::{AccountId, ByFree, Group, Kind, Room, SkuId, Stance, number, other};
use crate::power::UnitId;
use leasehold_common::class::Side;
use leasehold_common::ids::{AccountName, NodeIndex, SkuName};
use leasehold_common::policy::{Granularity, Isolation};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Idle nodes of one group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Idle {
    /// Pools with a whole node, but for those below a budget that is nearly used up.
    pub(crate) pools: BTreeSet<PoolKey>,
    /// Those, by the smallest unit with such a budget: what that forbids, nothing of them is needed for.
    pub(crate) tight: BTreeMap<UnitId, BTreeSet<PoolKey>>,
    /// Nodes with sick GPUs, by those that are not.
    pub(crate) frail: BTreeSet<ByFree>,
}

impl Idle {
    /// All pools with a whole node, as several sets.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &BTreeSet<PoolKey>> {
        [&self.pools].into_iter().chain(self.tight.values())
    }

    /// The pools that stand where one does.
    pub(super) fn set_of(&mut self, tight: Option<UnitId>) -> &mut BTreeSet<PoolKey> {
        match tight {
            Some(unit) => self.tight.entry(unit).or_default(),
            None => &mut self.pools,
        }
    }
}

/// Nodes that leases of one account have now and no others will.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    pub(crate) census: BTreeMap<Kind, u32>,
    /// Those with room.
    pub(crate) room: BTreeSet<ByFree>,
    pub(crate) nodes: BTreeSet<NodeIndex>,
}

/// What a side has of a SKU, and could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SideCount {
    /// Sound nodes that are the side's, or could be: no other side has any of them, now or booked.
    pub(crate) open_nodes: u32,
    /// Domains made of such nodes alone.
    pub(crate) open_domains: u32,
    /// Nodes of which it has any, now or booked.
    pub(crate) used_nodes: u32,
    /// Domains of which it has any.
    pub(crate) used_domains: u32,
}

/// Nodes of one SKU.
#[derive(Debug, Clone, Default)]
pub(crate) struct SkuIndex {
    /// How its hardware is kept apart.
    pub(crate) apart: Isolation,
    pub(crate) nodes: u32,
    /// Nodes that are not involved, by kind.
    pub(crate) census: BTreeMap<Kind, u32>,
    pub(crate) groups: [Idle; Group::ALL.len()],
    /// By side.
    pub(crate) sides: [SideCount; 2],
    pub(crate) beside: BTreeMap<AccountId, Beside>,
    /// Where GPUs are kept apart and not nodes: by the side that has part of a node, those with room
    /// for the other.
    pub(crate) across: [BTreeSet<ByFree>; 2],
    pub(crate) involved: BTreeSet<NodeIndex>,
    pub(crate) ahead: Ahead,
    /// Those of the involved that only their holds can tell about.
    pub(crate) mixed: BTreeSet<NodeIndex>,
    /// When every lease on a node has ended, where that can be said; before the turnaround.
    pub(crate) tails: BTreeSet<(Timestamp, NodeIndex)>,
}

impl SkuIndex {
    /// Where a node is looked up that a side has part of and the other could have more of.
    fn room_across(&self, node: NodeIndex, stance: &Stance) -> Option<(Side, ByFree)> {
        if self.apart.granularity != Granularity::Gpu {
            return None;
        }
        let side = stance.tenant?.side;
        match stance.room() {
            Room::Beside { free, .. } if stance.may_serve(other(side)) => {
                Some((side, (free, node)))
            }
            Room::Beside { .. } | Room::None | Room::Whole { .. } | Room::Frail { .. } => None,
        }
    }

    /// The same rules and no nodes.
    fn emptied(&self) -> Self {
        Self {
            apart: self.apart,
            ..Self::default()
        }
    }

    pub(crate) const fn count_of(&self, side: Side) -> SideCount {
        self.sides[number(side)]
    }
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    sku_ids: BTreeMap<SkuName, SkuId>,
    account_ids: BTreeMap<AccountName, AccountId>,
    skus: Vec<SkuIndex>,
    /// By node index.
    entries: Vec<Option<Entry>>,
    /// Nodes that no lease has now: a bit each, by node index, so that whoever looks for whole nodes
    /// passes over the others without reading how they stand.
    vacant: Vec<u64>,
    /// When bookings to come begin.
    starts: BTreeSet<(Timestamp, NodeIndex)>,
    pub(crate) pools: Pools,
}

/// What is entered of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) stance: Stance,
    /// When every lease on it has ended; absent where there is none or nobody can say.
    pub(super) tail: Option<Timestamp>,
    /// When the first booking to come begins.
    pub(super) next: Option<Timestamp>,
    /// Absent where no booking is to come, or only its holds can tell about it.
    pub(super) prospects: Option<Box<Prospects>>,
}

impl Index {
    pub(crate) fn sku(&self, name: &SkuName) -> Option<(SkuId, &SkuIndex)> {
        let id = *self.sku_ids.get(name)?;
        Some((id, &self.skus[usize::from(id.0)]))
    }

    pub(crate) fn account(&self, name: &AccountName) -> Option<AccountId> {
        self.account_ids.get(name).copied()
    }

    pub(super) fn sku_id(&mut self, name: &SkuName) -> SkuId {
        if let Some(id) = self.sku_ids.get(name) {
            return *id;
        }
        let id = SkuId(u16::try_from(self.skus.len()).expect("a cell has few SKUs"));
        self.sku_ids.insert(name.clone(), id);
        self.skus.push(SkuIndex::default());
        id
    }

    pub(crate) fn isolation(&self, sku: SkuId) -> Isolation {
        self.skus[usize::from(sku.0)].apart
    }

    /// From now on hardware is kept apart so; of a SKU that is not named, node by node.
    pub(super) fn keep_apart(&mut self, isolation: &BTreeMap<SkuName, Isolation>) {
        for name in isolation.keys() {
            self.sku_id(name);
        }
        for (name, id) in &self.sku_ids {
            let sku = &mut self.skus[usize::from(id.0)];
            let apart = isolation.get(name).copied().unwrap_or_default();
            let before = std::mem::replace(&mut sku.apart, apart);
            if before.granularity == apart.granularity {
                continue;
            }
            sku.across = Default::default();
            for (node, entry) in (0..).map(NodeIndex).zip(&self.entries) {
                let stance = entry.as_ref().map(|entry| &entry.stance);
                if let Some((side, key)) = stance
                    .filter(|stance| stance.sku == *id)
                    .and_then(|stance| sku.room_across(node, stance))
                {
                    sku.across[number(side)].insert(key);
                }
            }
        }
    }

    pub(super) fn account_id(&mut self, name: &AccountName) -> AccountId {
        if let Some(id) = self.account_ids.get(name) {
            return *id;
        }
        let id =
            u32::try_from(self.account_ids.len()).expect("a cell has fewer accounts than that");
        self.account_ids.insert(name.clone(), AccountId(id));
        AccountId(id)
    }

    pub(crate) fn stance(&self, node: NodeIndex) -> Option<&Stance> {
        let entry = self.entries.get(node.as_usize())?.as_ref()?;
        Some(&entry.stance)
    }

    /// Every node and how it stands, by number.
    pub(crate) fn stances(&self) -> impl Iterator<Item = (NodeIndex, &Stance)> {
        (0..)
            .map(NodeIndex)
            .zip(&self.entries)
            .filter_map(|(node, entry)| Some((node, &entry.as_ref()?.stance)))
    }

    /// Enters how a node stands from now on; absent where it is gone. Its SKU is the same for as long
    /// as it is entered.
    pub(super) fn set(&mut self, node: NodeIndex, entry: Option<Entry>) {
        let at = node.as_usize();
        if self.entries.len() <= at {
            self.entries.resize(at + 1, None);
            self.vacant.resize(at / 64 + 1, 0);
        }
        if self.entries[at] == entry {
            return;
        }
        let before = self.entries[at].take();
        let stance = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.stance);
        let (stood, stands) = (stance(&before), stance(&entry));
        self.look_ahead(node, before.as_ref(), entry.as_ref());
        if stood != stands {
            if let Some(stance) = &stood {
                self.leave(node, stance);
            }
            self.pools.set(node, stands.as_ref(), &mut self.skus);
            if let Some(stance) = &stands {
                self.enter(node, stance);
            }
        }
        if let Some(sku) = stood.or(stands).map(|stance| stance.sku) {
            let tails = &mut self.skus[usize::from(sku.0)].tails;
            let tail = |entry: &Option<Entry>| entry.as_ref().and_then(|entry| entry.tail);
            let (was, is) = (tail(&before), tail(&entry));
            if was != is {
                was.map(|tail| tails.remove(&(tail, node)));
                is.map(|tail| tails.insert((tail, node)));
            }
        }
        let next = |entry: &Option<Entry>| entry.as_ref().and_then(|entry| entry.next);
        let (was, is) = (next(&before), next(&entry));
        if was != is {
            was.map(|next| self.starts.remove(&(next, node)));
            is.map(|next| self.starts.insert((next, node)));
        }
        let is_vacant = stands.is_some_and(|stance| stance.tenant.is_none());
        self.vacant[at / 64] &= !(1 << (at % 64));
        self.vacant[at / 64] |= u64::from(is_vacant) << (at % 64);
        self.entries[at] = entry;
    }

    /// Whether no lease has a node now.
    pub(crate) fn is_vacant(&self, node: NodeIndex) -> bool {
        let at = node.as_usize();
        self.vacant[at / 64] >> (at % 64) & 1 == 1
    }

    /// Enters what is to come on a node.
    fn look_ahead(&mut self, node: NodeIndex, before: Option<&Entry>, after: Option<&Entry>) {
        let prospects = |entry: Option<&Entry>| {
            let entry = entry?;
            Some((usize::from(entry.stance.sku.0), entry.prospects.clone()?))
        };
        let (before, after) = (prospects(before), prospects(after));
        if before == after {
            return;
        }
        if let Some((sku, prospects)) = before {
            self.skus[sku].ahead.leave(node, &prospects);
        }
        if let Some((sku, prospects)) = after {
            self.skus[sku].ahead.enter(node, &prospects);
        }
    }

    /// Whole domains of a SKU have so many nodes. To be said while no node of it is entered.
    pub(super) fn set_domain_size(&mut self, sku: SkuId, nodes: u32) {
        self.pools.set_wanted(sku, nodes);
    }

    /// A pool stands below a unit whose budget is nearly used up, or below none.
    pub(super) fn set_tight(&mut self, pool: PoolId, tight: Option<UnitId>) {
        self.pools.set_tight(pool, tight, &mut self.skus);
    }

    /// Many nodes will be set: what is kept of their pools is brought up to date once, at the end.
    pub(super) fn begin_many(&mut self) {
        self.pools.begin_many();
    }

    /// All of them are set.
    pub(super) fn end_many(&mut self) {
        self.pools.end_many(&mut self.skus);
    }

    /// The next node on which a booking begins by `now`.
    pub(super) fn next_to_begin(&self, now: Timestamp) -> Option<NodeIndex> {
        let (at, node) = self.starts.first()?;
        (*at <= now).then_some(*node)
    }

    fn enter(&mut self, node: NodeIndex, stance: &Stance) {
        let sku = &mut self.skus[usize::from(stance.sku.0)];
        sku.nodes += 1;
        if stance.is_involved {
            sku.involved.insert(node);
            if stance.is_mixed {
                sku.mixed.insert(node);
            }
            return;
        }
        let kind = stance.kind();
        *sku.census.entry(kind).or_default() += 1;
        if let Some((side, key)) = sku.room_across(node, stance) {
            sku.across[number(side)].insert(key);
        }
        if let Some(tenant) = stance.tenant {
            let beside = sku.beside.entry(tenant.account).or_default();
            *beside.census.entry(kind).or_default() += 1;
            beside.nodes.insert(node);
            if let Room::Beside { free, .. } = stance.room() {
                beside.room.insert((free, node));
            }
        } else if let Room::Frail { group, free } = stance.room() {
            sku.groups[group.number()].frail.insert((free, node));
        }
    }

    fn leave(&mut self, node: NodeIndex, stance: &Stance) {
        let sku = &mut self.skus[usize::from(stance.sku.0)];
        sku.nodes -= 1;
        if stance.is_involved {
            sku.involved.remove(&node);
            sku.mixed.remove(&node);
            return;
        }
        let kind = stance.kind();
        uncount(&mut sku.census, kind);
        if let Some((side, key)) = sku.room_across(node, stance) {
            sku.across[number(side)].remove(&key);
        }
        if let Some(tenant) = stance.tenant {
            let beside = sku
                .beside
                .get_mut(&tenant.account)
                .expect("entered with the stance");
            uncount(&mut beside.census, kind);
            beside.nodes.remove(&node);
            if let Room::Beside { free, .. } = stance.room() {
                beside.room.remove(&(free, node));
            }
            if beside.nodes.is_empty() {
                sku.beside.remove(&tenant.account);
            }
        } else if let Room::Frail { group, free } = stance.room() {
            sku.groups[group.number()].frail.remove(&(free, node));
        }
    }

    /// Counts everything again from the stances.
    ///
    /// # Panics
    /// Where what is kept does not agree.
    pub(super) fn check(&self) {
        let mut fresh = Self {
            sku_ids: self.sku_ids.clone(),
            account_ids: self.account_ids.clone(),
            skus: self.skus.iter().map(SkuIndex::emptied).collect(),
            pools: self.pools.emptied(),
            ..Self::default()
        };
        for (node, entry) in (0..).zip(&self.entries) {
            fresh.set(NodeIndex(node), entry.clone());
        }
        assert_eq!(self.starts, fresh.starts, "bookings to come stand by start");
        assert_eq!(self.vacant, fresh.vacant, "what nobody has is known");
        for (kept, counted) in self.skus.iter().zip(&fresh.skus) {
            assert_eq!((kept.nodes, kept.sides), (counted.nodes, counted.sides));
            assert_eq!(kept.census, counted.census, "nodes are counted by kind");
            assert_eq!(
                (&kept.involved, &kept.tails),
                (&counted.involved, &counted.tails)
            );
            assert_eq!(kept.mixed, counted.mixed);
            assert_eq!(kept.ahead, counted.ahead, "what is to come is counted");
            for (kept, counted) in kept.groups.iter().zip(&counted.groups) {
                assert_eq!(kept.pools, counted.pools, "pools stand in order");
                assert!(
                    kept.tight
                        .iter()
                        .filter(|(_, pools)| !pools.is_empty())
                        .eq(&counted.tight)
                );
                assert_eq!(kept.frail, counted.frail);
            }
            assert_eq!(kept.across, counted.across);
            assert!(kept.beside.keys().eq(counted.beside.keys()));
            for (kept, counted) in kept.beside.values().zip(counted.beside.values()) {
                assert_eq!((&kept.census, &kept.room), (&counted.census, &counted.room));
                assert_eq!(kept.nodes, counted.nodes);
            }
        }
    }
}

fn uncount(census: &mut BTreeMap<Kind, u32>, kind: Kind) {
    let count = census.get_mut(&kind).expect("counted when it came");
    *count -= 1;
    if *count == 0 {
        census.remove(&kind);
    }
}
