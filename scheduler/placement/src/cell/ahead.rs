//! Nodes with bookings to come, counted by how they stand before each of those begins.
//!
//! ```text
//!   now        first booking begins      second begins
//!    ├── as it stands ──┼─── with the first ───┼─── with both ───▶   until when a lease wants it
//! ```
//!
//! What a lease that starts now meets on such a node depends on nothing but the instant until which
//! it wants it: all that has begun by then is in its way. So each node has one outlook for each of
//! those stretches, and how many nodes have an outlook at an instant is the number of stretches of it
//! that have begun less the number that have ended. A decision reads two sorted lists for each
//! outlook, and no node.
//!
//! That is the view of somebody who has nothing of the node. The few nodes of which an account has
//! something itself are named by account, and judged one by one for it.

use super::node::Node;
use super::stance::{AccountId, Fitness, Group, OwnerRank, Stance, number};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::GpuSlots;
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What nodes must have in common to stand alike to whoever has nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Outlook {
    pub(crate) fitness: Fitness,
    pub(crate) gpus: u8,
    pub(crate) sick: u8,
    pub(crate) held: u8,
    pub(crate) returning: u8,
    pub(crate) free: u8,
    /// Whether leases have something of it, by side.
    pub(crate) holds: [bool; 2],
    /// Whether something of it is not back from a lease that has ended, by side.
    pub(crate) returns: [bool; 2],
}

/// A stretch of instants until which a lease could want a node, and how the node stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    outlook: Outlook,
    /// It is later than this; absent for the first stretch.
    after: Option<Timestamp>,
    /// And no later than this; absent for the last.
    until: Option<Timestamp>,
}

/// A node with bookings to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prospects {
    stretches: Vec<Stretch>,
    /// Who has something of it or will.
    accounts: BTreeSet<AccountId>,
    /// Where it is looked up as long as nobody has it.
    idle: Option<(Group, Size)>,
    next: Timestamp,
}

/// How much of a node nobody has, and all it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size {
    pub(crate) free: u8,
    pub(crate) gpus: u8,
}

impl Prospects {
    /// Of a node whose stance says that bookings are to come and nothing that only its holds can
    /// tell; absent for every other.
    pub(super) fn of(node: &Node, stance: &Stance) -> Option<Self> {
        let next = stance.next.filter(|_| !stance.is_mixed)?;
        let mut stretches = vec![Stretch {
            outlook: as_it_stands(stance),
            after: None,
            until: Some(next),
        }];
        let begun = node.holds.partition_point(|hold| hold.from < next);
        for (at, hold) in node.holds.iter().enumerate().skip(begun) {
            let following = node.holds.get(at + 1).map(|following| following.from);
            if following == Some(hold.from) {
                continue;
            }
            stretches.push(Stretch {
                outlook: with_holds(node, stance, at + 1),
                after: Some(hold.from),
                until: following,
            });
        }
        let owner = OwnerRank::of(stance.condition.owner);
        let is_idle =
            stance.tenant.is_none() && stance.condition.lets_in() && !stance.free().is_empty();
        let size = Size {
            free: stance.free().len(),
            gpus: stance.gpus,
        };
        Some(Self {
            stretches,
            accounts: node.holds.iter().map(|hold| hold.account).collect(),
            idle: owner.filter(|_| is_idle).map(|owner| {
                let last_side = stance.last_side;
                (Group { owner, last_side }, size)
            }),
            next,
        })
    }
}

fn as_it_stands(stance: &Stance) -> Outlook {
    let by_side = |there: bool| {
        let mut sides = [false; 2];
        if let Some(tenant) = stance.tenant {
            sides[number(tenant.side)] = there;
        }
        sides
    };
    Outlook {
        fitness: stance.condition,
        gpus: stance.gpus,
        sick: stance.sick.len(),
        held: stance.held.len(),
        returning: stance.returning.len(),
        free: stance.free().len(),
        holds: by_side(!stance.held.is_empty()),
        returns: by_side(!stance.returning.is_empty()),
    }
}

/// How a node stands once the first so many holds on it are all in the way.
fn with_holds(node: &Node, stance: &Stance, holds: usize) -> Outlook {
    let all = stance.all();
    let (mut held, mut returning) = (GpuSlots::NONE, GpuSlots::NONE);
    let mut outlook = Outlook {
        holds: [false; 2],
        returns: [false; 2],
        ..as_it_stands(stance)
    };
    for hold in &node.holds[..holds] {
        let side = number(hold.side);
        let slots = hold.slots.common(all);
        if hold.awaiting_return {
            outlook.returns[side] = true;
            returning = returning.union(slots);
        } else {
            outlook.holds[side] = true;
            held = held.union(slots);
        }
    }
    let free = all.minus(held).minus(returning).minus(stance.sick);
    Outlook {
        held: held.len(),
        returning: returning.len(),
        free: free.len(),
        ..outlook
    }
}

/// How many nodes have an outlook, by the instant until which they are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Count {
    /// First stretches, which nothing comes before.
    first: u32,
    /// When the others begin, in order.
    after: Vec<Timestamp>,
    /// When stretches end, in order.
    until: Vec<Timestamp>,
}

impl Count {
    fn enter(&mut self, stretch: &Stretch) {
        match stretch.after {
            None => self.first += 1,
            Some(after) => insert(&mut self.after, after),
        }
        if let Some(until) = stretch.until {
            insert(&mut self.until, until);
        }
    }

    fn leave(&mut self, stretch: &Stretch) {
        match stretch.after {
            None => self.first -= 1,
            Some(after) => remove(&mut self.after, after),
        }
        if let Some(until) = stretch.until {
            remove(&mut self.until, until);
        }
    }

    fn at(&self, until: Option<Timestamp>) -> u32 {
        let before = |instants: &[Timestamp]| {
            let passed = until.map_or(instants.len(), |until| {
                instants.partition_point(|at| *at < until)
            });
            u32::try_from(passed).expect("fewer than all nodes")
        };
        self.first + before(&self.after) - before(&self.until)
    }

    const fn is_empty(&self) -> bool {
        self.first == 0 && self.after.is_empty()
    }
}

fn insert(instants: &mut Vec<Timestamp>, at: Timestamp) {
    let place = instants.partition_point(|other| *other < at);
    instants.insert(place, at);
}

fn remove(instants: &mut Vec<Timestamp>, at: Timestamp) {
    let place = instants.binary_search(&at).expect("entered before");
    instants.remove(place);
}

/// Nodes with bookings to come, by outlook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Census(BTreeMap<Outlook, Count>);

impl Census {
    fn enter(&mut self, stretches: &[Stretch]) {
        for stretch in stretches {
            self.0.entry(stretch.outlook).or_default().enter(stretch);
        }
    }

    fn leave(&mut self, stretches: &[Stretch]) {
        for stretch in stretches {
            let count = self.0.get_mut(&stretch.outlook).expect("entered before");
            count.leave(stretch);
            if count.is_empty() {
                self.0.remove(&stretch.outlook);
            }
        }
    }

    /// Every outlook that nodes may have for who wants them until then, and how many have it.
    pub(crate) fn at(&self, until: Option<Timestamp>) -> impl Iterator<Item = (&Outlook, u32)> {
        let counts = self.0.iter();
        counts.map(move |(outlook, count)| (outlook, count.at(until)))
    }

    /// How many nodes have an outlook for who wants them until then.
    pub(crate) fn count(&self, outlook: &Outlook, until: Option<Timestamp>) -> u32 {
        self.0.get(outlook).map_or(0, |count| count.at(until))
    }
}

/// Nodes with bookings to come of which one account has something, now or then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Own {
    pub(crate) census: Census,
    pub(crate) nodes: BTreeSet<NodeIndex>,
}

/// Nodes by when their first booking begins.
pub(crate) type ByNext = BTreeSet<(Timestamp, NodeIndex)>;

/// The nodes of one SKU with bookings to come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ahead {
    pub(crate) census: Census,
    pub(crate) own: BTreeMap<AccountId, Own>,
    /// Those that nobody has now, by owner and last side, and by how much of them is free.
    pub(crate) idle: [BTreeMap<Size, ByNext>; Group::ALL.len()],
}

impl Ahead {
    pub(super) fn enter(&mut self, node: NodeIndex, prospects: &Prospects) {
        self.census.enter(&prospects.stretches);
        for account in &prospects.accounts {
            let own = self.own.entry(*account).or_default();
            own.census.enter(&prospects.stretches);
            own.nodes.insert(node);
        }
        if let Some((group, size)) = prospects.idle {
            let nodes = self.idle[group.number()].entry(size).or_default();
            nodes.insert((prospects.next, node));
        }
    }

    pub(super) fn leave(&mut self, node: NodeIndex, prospects: &Prospects) {
        self.census.leave(&prospects.stretches);
        for account in &prospects.accounts {
            let own = self.own.get_mut(account).expect("entered before");
            own.census.leave(&prospects.stretches);
            own.nodes.remove(&node);
            if own.nodes.is_empty() {
                self.own.remove(account);
            }
        }
        if let Some((group, size)) = prospects.idle {
            let idle = &mut self.idle[group.number()];
            let nodes = idle.get_mut(&size).expect("entered before");
            nodes.remove(&(prospects.next, node));
            if nodes.is_empty() {
                idle.remove(&size);
            }
        }
    }
}
