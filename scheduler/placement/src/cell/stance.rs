//! How a node stands as long as only what is on it now counts.
//!
//! A stance is everything a decision about the present asks of a node, in a cache line and without a
//! pointer: it is worked out when something about the node changes and read by every decision. A
//! node with bookings to come, or in several hands, has more to it than its stance says, and is
//! judged by its holds.

use super::node::{Hold, Node, NodeCondition};
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::GpuSlots;
use leasehold_common::node::Owner;
use leasehold_common::time::Timestamp;

/// A SKU's number in this cell, in the order in which SKUs came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SkuId(pub(crate) u16);

/// An account's number in this cell, in the order in which accounts came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountId(pub(crate) u32);

/// A side's place in arrays.
pub(crate) const fn number(side: Side) -> usize {
    match side {
        Side::Internal => 0,
        Side::Tenant => 1,
    }
}

/// The side across.
pub(crate) const fn other(side: Side) -> Side {
    match side {
        Side::Internal => Side::Tenant,
        Side::Tenant => Side::Internal,
    }
}

/// Later than any end.
pub(crate) const NEVER: Timestamp = Timestamp::from_unix_ms(i64::MAX);

/// Whom a node is let to, now or booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sides {
    /// By side.
    serves: [bool; 2],
    /// Whether something on it is let to nobody, as for a maintenance.
    is_closed: bool,
}

/// Who has a node now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) account: AccountId,
    pub(crate) side: Side,
}

/// How a node stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stance {
    pub(crate) sku: SkuId,
    pub(crate) gpus: u8,
    pub(crate) condition: Fitness,
    /// GPUs of it that are not healthy.
    pub(crate) sick: GpuSlots,
    /// GPUs that leases have.
    pub(crate) held: GpuSlots,
    /// GPUs that are not back from leases that have ended.
    pub(crate) returning: GpuSlots,
    /// Whose leases those are; absent where there are none.
    pub(crate) tenant: Option<Tenant>,
    /// The side it serves, or served last.
    pub(crate) last_side: Option<Side>,
    /// The sides of all leases on it, booked ones too, and whether nobody has it for a time.
    pub(crate) sides: Sides,
    /// When the passes after the first and the last of the leases that have it begin; an end that nobody can say is
    /// later than all others.
    pub(crate) ends: (Timestamp, Timestamp),
    /// When the first booking to come begins; absent where there is none.
    pub(crate) next: Option<Timestamp>,
    /// Whether several accounts have some of it, or leases have CPU and memory out of proportion, so
    /// that no more than its holds say who has what.
    pub(crate) is_mixed: bool,
    /// Whether leases that have it now have slices of its GPUs.
    pub(crate) is_carved: bool,
    /// Its kind as one number, told apart from those of all other kinds.
    pub(crate) kind: u64,
    /// Whether there is more to it than that: leases are booked on it that have not begun, several
    /// accounts have some of it, or leases have CPU and memory out of proportion. Such a node is judged by its holds.
    pub(crate) is_involved: bool,
}

/// What a node's operator, life cycle and agent say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fitness {
    pub(crate) owner: Owner,
    /// Its state lets nobody in.
    pub(crate) barred: bool,
    /// Its state ends by itself when the hardware is clean.
    pub(crate) cleaning: bool,
    pub(crate) flagged: bool,
    pub(crate) silent: bool,
}

impl Fitness {
    pub(crate) const fn of(owner: Owner, condition: &NodeCondition) -> Self {
        Self {
            owner,
            barred: !condition.state_lets_in(),
            cleaning: condition.is_being_cleaned(),
            flagged: condition.flagged,
            silent: condition.silent,
        }
    }

    pub(crate) const fn lets_in(self) -> bool {
        !self.barred && !self.flagged && !self.silent
    }
}

/// What nodes must have in common to stand alike to every request about the present, except that of
/// the account that has them. Counts and not slots: which GPUs they are makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) fitness: Fitness,
    pub(crate) gpus: u8,
    pub(crate) sick: u8,
    pub(crate) held: u8,
    pub(crate) returning: u8,
    pub(crate) free: u8,
    pub(crate) side: Option<Side>,
}

impl Kind {
    /// The kind as a number: 8 bits for what it is fit for, and 5 for each count of GPUs, of which a node
    /// has at most 16.
    const fn number(&self) -> u64 {
        let fitness = self.fitness;
        let side = match self.side {
            None => 0,
            Some(Side::Internal) => 1,
            Some(Side::Tenant) => 2,
        };
        let flags = (fitness.barred as u64) << 3
            | (fitness.cleaning as u64) << 2
            | (fitness.flagged as u64) << 1
            | fitness.silent as u64;
        let mut number = (fitness.owner as u64) << 6 | flags << 2 | side;
        let counts = [self.gpus, self.sick, self.held, self.returning, self.free];
        let mut at = 0;
        while at < counts.len() {
            number = number << 5 | counts[at] as u64;
            at += 1;
        }
        number
    }
}

impl Stance {
    pub(crate) fn of(node: &Node, now: Timestamp) -> Self {
        let all = node.spec.slots();
        let mut stance = Self {
            sku: node.sku,
            gpus: node.spec.gpus,
            condition: Fitness::of(node.spec.owner, &node.condition),
            sick: all.minus(node.condition.healthy),
            held: GpuSlots::NONE,
            returning: GpuSlots::NONE,
            tenant: None,
            last_side: node.condition.last_side,
            sides: Sides::default(),
            ends: (NEVER, Timestamp::EPOCH),
            next: None,
            is_mixed: false,
            is_carved: false,
            kind: 0,
            is_involved: false,
        };
        for (at, hold) in node.holds.iter().enumerate() {
            let side = hold.side;
            match hold.serves() {
                Some(side) => stance.sides.serves[number(side)] = true,
                None => stance.sides.is_closed = true,
            }
            stance.is_mixed |= hold.host.is_some();
            if hold.from > now {
                stance.next = stance.next.or(Some(hold.from));
                // A lease that was ended before its start by somebody whose clock is ahead is no booking.
                stance.is_mixed |= hold.awaiting_return;
                continue;
            }
            stance.is_carved |= !hold.pieces.is_empty();
            let end = hold.pass.filter(|_| !hold.awaiting_return).unwrap_or(NEVER);
            stance.ends = (stance.ends.0.min(end), stance.ends.1.max(end));
            let tenant = Tenant {
                account: hold.account,
                side,
            };
            stance.is_mixed |= stance.tenant.is_some_and(|other| other != tenant);
            stance.tenant = Some(tenant);
            stance.last_side = Some(side);
            let slots = hold.slots.common(all);
            // What is late back can have been let again since: then shares do not add up.
            let is_again = |other: &Hold| !other.wants_of(slots, &hold.pieces, true).is_empty();
            let is_met = !slots.common(stance.held.union(stance.returning)).is_empty();
            stance.is_mixed |= is_met && node.holds[..at].iter().any(is_again);
            if hold.awaiting_return {
                stance.returning = stance.returning.union(slots);
            } else {
                stance.held = stance.held.union(slots);
            }
        }
        stance.is_involved = stance.is_mixed || stance.next.is_some();
        stance.kind = stance.kind().number();
        stance
    }

    pub(crate) const fn all(&self) -> GpuSlots {
        GpuSlots::first(self.gpus)
    }

    /// GPUs that are healthy and nobody's.
    pub(crate) const fn free(&self) -> GpuSlots {
        let left = self.all().minus(self.sick);
        left.minus(self.held).minus(self.returning)
    }

    /// Whether nobody has it, now or booked, and nothing is the matter with it.
    pub(crate) const fn is_whole(&self) -> bool {
        self.tenant.is_none()
            && !self.is_involved
            && self.sick.is_empty()
            && self.gpus > 0
            && self.condition.lets_in()
    }

    /// Whether a side has any of it, now or booked.
    pub(crate) const fn serves(&self, side: Side) -> bool {
        self.sides.serves[number(side)]
    }

    /// Whether it is meant for a side.
    pub(crate) const fn may_serve(&self, side: Side) -> bool {
        match self.condition.owner {
            Owner::Sellable => true,
            Owner::Internal => matches!(side, Side::Internal),
            Owner::Spare | Owner::Repair => false,
        }
    }

    /// Whether all of it is a side's, or could be: it counts for that side's floor.
    pub(crate) const fn is_open_to(&self, side: Side) -> bool {
        self.may_serve(side)
            && self.condition.lets_in()
            && self.sick.is_empty()
            && self.gpus > 0
            && !self.serves(other(side))
            && !self.sides.is_closed
    }

    pub(crate) const fn kind(&self) -> Kind {
        Kind {
            fitness: self.condition,
            gpus: self.gpus,
            sick: self.sick.len(),
            held: self.held.len(),
            returning: self.returning.len(),
            free: self.free().len(),
            side: match self.tenant {
                Some(tenant) => Some(tenant.side),
                None => None,
            },
        }
    }

    /// What it is among nodes that nobody has and nothing is the matter with; absent where it is none.
    pub(crate) const fn idle(&self) -> Option<(SkuId, usize, u8)> {
        match self.room() {
            Room::Whole { group } => Some((self.sku, group.number(), self.gpus)),
            Room::None | Room::Beside { .. } | Room::Frail { .. } => None,
        }
    }

    /// Where it is looked up when somebody asks for room now.
    pub(crate) const fn room(&self) -> Room {
        if self.is_involved || !self.condition.lets_in() || self.free().is_empty() {
            return Room::None;
        }
        let Some(owner) = OwnerRank::of(self.condition.owner) else {
            return Room::None;
        };
        match self.tenant {
            Some(tenant) => Room::Beside {
                account: tenant.account,
                free: self.free().len(),
            },
            None => {
                let group = Group {
                    owner,
                    last_side: self.last_side,
                };
                if self.sick.is_empty() {
                    Room::Whole { group }
                } else {
                    Room::Frail {
                        group,
                        free: self.free().len(),
                    }
                }
            }
        }
    }
}

/// Owners that let anybody in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OwnerRank {
    Sellable,
    Internal,
}

impl OwnerRank {
    pub(super) const fn of(owner: Owner) -> Option<Self> {
        match owner {
            Owner::Sellable => Some(Self::Sellable),
            Owner::Internal => Some(Self::Internal),
            Owner::Spare | Owner::Repair => None,
        }
    }
}

/// What idle nodes are told apart by, besides their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) owner: OwnerRank,
    pub(crate) last_side: Option<Side>,
}

impl Group {
    pub(crate) const ALL: [Self; 6] = {
        const fn group(owner: OwnerRank, last_side: Option<Side>) -> Group {
            Group { owner, last_side }
        }
        [
            group(OwnerRank::Sellable, None),
            group(OwnerRank::Sellable, Some(Side::Internal)),
            group(OwnerRank::Sellable, Some(Side::Tenant)),
            group(OwnerRank::Internal, None),
            group(OwnerRank::Internal, Some(Side::Internal)),
            group(OwnerRank::Internal, Some(Side::Tenant)),
        ]
    };

    pub(crate) const fn number(self) -> usize {
        let owner = match self.owner {
            OwnerRank::Sellable => 0,
            OwnerRank::Internal => 3,
        };
        owner
            + match self.last_side {
                None => 0,
                Some(Side::Internal) => 1,
                Some(Side::Tenant) => 2,
            }
    }

    pub(crate) const fn may_serve(self, side: Side) -> bool {
        matches!(
            (self.owner, side),
            (OwnerRank::Sellable, _) | (OwnerRank::Internal, Side::Internal)
        )
    }

    pub(crate) fn changes_side(self, side: Side) -> bool {
        self.last_side.is_some_and(|last| last != side)
    }
}

/// Room on a node that has no bookings to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// None, or the node has bookings to come.
    None,
    /// Beside leases of one account, for that account.
    Beside { account: AccountId, free: u8 },
    /// All of it.
    Whole { group: Group },
    /// What is healthy of it.
    Frail { group: Group, free: u8 },
}

/// The order in which nodes with the same free GPUs are taken.
pub(crate) type ByFree = (u8, NodeIndex);
