//! A cell in numbers, for those who watch many: counted in pieces, so that nobody's request waits until 125,000 nodes
//! are counted.
//!
//! ```text
//!   begin ─► nodes, so many at a time ─► leases, so many at a time ─► Tally
//! ```
//!
//! What changes between two pieces is counted as one of them found it: each number is right within the seconds that
//! a count takes, and the sum of them at no single instant.
//!
//! Not here: what has happened (counters and histograms of the daemon), and what numbers look like to whoever
//! scrapes.

mod leases;
mod nodes;

use crate::state::State;
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::{AccountName, Epoch, LeaseId, NodeIndex, NodeName, Seq, SkuName};
use leasehold_common::lease::LeaseState;
use leasehold_common::node::{FlagKind, NodeState, StateReason};
use leasehold_common::power::watts_at;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix, TopologyPath};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Silent nodes that are named, the longest silent first: where more are silent it is hardly a matter of nodes.
pub const SILENT_NAMED: usize = 100;

/// Sizes of lease for which it is said how many would find hardware, in GPUs.
pub const SIZES: [u32; 5] = [1, 2, 4, 8, 16];

/// What a GPU is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GpuUse {
    /// A lease has it, or has not given it back.
    Leased,
    /// It can be let now.
    Free,
    /// Its verdict keeps it from being let.
    Sick,
    /// Its node lets nobody in.
    Closed,
}

impl GpuUse {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Free => "free",
            Self::Sick => "sick",
            Self::Closed => "closed",
        }
    }
}

/// GPUs of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkuTally {
    /// By the side that has their node, and by use.
    pub gpus: BTreeMap<(Option<Side>, GpuUse), u64>,
    /// Leases for which hardware is free now, by side and GPUs; each size as if it alone were let.
    pub placeable: BTreeMap<(Side, u32), u64>,
    /// Whole idle nodes, by who may have them and their GPUs: larger leases are made of them.
    idle: BTreeMap<(Side, u32), u64>,
}

/// Watts below one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watts {
    /// The budget in force; absent where there is none.
    pub budget: Option<u64>,
    /// What the nodes say they draw, in milliwatts.
    pub drawn_mw: u64,
    /// What leases that have hardware may draw, in milliwatts.
    pub committed_mw: u64,
}

/// Requests that wait for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub requests: u64,
    /// When the oldest of them was made.
    pub oldest: Timestamp,
}

/// What one account has and may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTally {
    /// Its side.
    pub side: Side,
    /// The most GPUs it may have; absent where there is no limit.
    pub quota_gpus: Option<u32>,
    /// GPUs of its leases that have hardware.
    pub gpus: u64,
    /// Its leases that are not over, by state.
    pub leases: BTreeMap<LeaseState, u64>,
}

/// One lease that has hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTally {
    /// Its number.
    pub lease: LeaseId,
    /// Who holds it.
    pub account: AccountName,
    /// What was promised.
    pub class: Class,
    /// Of what kind.
    pub sku: SkuName,
    /// How many GPUs.
    pub gpus: u64,
}

/// A cell in numbers. Where there is a side, it is absent for nodes that nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Nodes, by side and state; nodes that only report are among them.
    pub nodes: BTreeMap<(Option<Side>, NodeState), u64>,
    /// Nodes that are out of service until somebody admits them, by why.
    pub quarantined: BTreeMap<StateReason, u64>,
    /// Nodes with a flag.
    pub flagged: BTreeMap<FlagKind, u64>,
    /// GPUs, by SKU.
    pub skus: BTreeMap<SkuName, SkuTally>,
    /// Nodes whose agent is there.
    pub agents_here: u64,
    /// Nodes whose agent has fallen silent.
    pub agents_silent: u64,
    /// The first [`SILENT_NAMED`] of them, by since when.
    pub silent: BTreeSet<(Timestamp, NodeName)>,
    /// Leases that are not over, by side and state.
    pub leases: BTreeMap<(Side, LeaseState), u64>,
    /// Requests that wait, by side and the token of their first reason.
    pub pending: BTreeMap<(Side, String), Waiting>,
    /// Since when hardware is on its way back from a lease that has ended: the oldest, by side.
    pub releasing: BTreeMap<Side, Timestamp>,
    /// Watts below the cell and every place with a budget.
    pub power: BTreeMap<Prefix, Watts>,
    /// Accounts; empty where they were not asked for.
    pub accounts: BTreeMap<AccountName, AccountTally>,
    /// Leases that have hardware; empty where they were not asked for.
    pub holding: Vec<LeaseTally>,
    /// The ledger's epoch.
    pub epoch: Epoch,
    /// The ledger's last record.
    pub seq: Seq,
    /// Whether automatic consequences of lost nodes are held back.
    pub is_braked: bool,
    /// Whether nothing is decided.
    pub is_frozen: bool,
}

/// A count under way.
#[derive(Debug)]
pub struct Count {
    tally: Tally,
    at: Position,
    /// Which units above a node have a place in the tally.
    levels: BTreeSet<Locality>,
    with_tenants: bool,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    Nodes(Bound<NodeIndex>),
    Leases(Bound<LeaseId>),
}

impl Count {
    /// Adds to what stands below every counted place above a node.
    fn below(&mut self, path: &TopologyPath, add: impl Fn(&mut Watts)) {
        for level in &self.levels {
            if let Some(watts) = self.tally.power.get_mut(&path.unit(*level)) {
                add(watts);
            }
        }
    }
}

impl State {
    /// Begins to count; accounts and single leases only `with_tenants`.
    pub fn begin_count(&self, with_tenants: bool, now: Timestamp) -> Count {
        let mut tally = Tally {
            epoch: self.head.epoch,
            seq: self.head.seq,
            is_braked: self.brake.on,
            is_frozen: self.frozen.is_some(),
            ..Tally::default()
        };
        tally.power.insert(Prefix::cell(), Watts::default());
        for (prefix, record) in &self.power {
            let budget = watts_at(&record.steps, now);
            let watts = Watts {
                budget,
                ..Watts::default()
            };
            tally.power.insert(prefix.clone(), watts);
        }
        self.count_strangers(&mut tally);
        if with_tenants {
            self.count_accounts(&mut tally);
        }
        Count {
            levels: tally.power.keys().map(Prefix::level).collect(),
            tally,
            at: Position::Nodes(Bound::Unbounded),
            with_tenants,
        }
    }

    /// Counts on, at most so many nodes or leases. The tally once there is nothing left to count; the count is spent
    /// then.
    pub fn count_on(&self, count: &mut Count, room: usize, now: Timestamp) -> Option<Tally> {
        match count.at {
            Position::Nodes(from) => {
                let nodes = self.nodes.range((from, Bound::Unbounded)).take(room);
                let mut last = None;
                for (index, node) in nodes {
                    self.count_node(count, node, now);
                    last = Some(*index);
                }
                count.at = match last {
                    Some(index) => Position::Nodes(Bound::Excluded(index)),
                    None => {
                        count.tally.skus.values_mut().for_each(SkuTally::finish);
                        Position::Leases(Bound::Unbounded)
                    }
                };
                None
            }
            Position::Leases(from) => {
                let leases = self.leases.range((from, Bound::Unbounded)).take(room);
                let mut last = None;
                for (id, lease) in leases {
                    self.count_lease(count, lease, now);
                    last = Some(*id);
                }
                match last {
                    Some(id) => {
                        count.at = Position::Leases(Bound::Excluded(id));
                        None
                    }
                    None => Some(std::mem::take(&mut count.tally)),
                }
            }
        }
    }

    /// Counts everything at once: for a cell that is small, and for tests.
    pub fn tally(&self, with_tenants: bool, now: Timestamp) -> Tally {
        let mut count = self.begin_count(with_tenants, now);
        loop {
            if let Some(tally) = self.count_on(&mut count, usize::MAX, now) {
                return tally;
            }
        }
    }
}
