//! Floors and ceilings: what is kept for the other side, and what this side may still have.

use super::Limits;
use crate::cell::{Group, PoolId, Stance, other};
use leasehold_common::ids::NodeIndex;
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::Locality;

/// What taking nodes uses up of what floors and ceilings leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::plan) struct Price {
    /// Domains, where domains are counted.
    pub(in crate::plan) domains: u32,
    /// Nodes, where nodes are counted, once for each count that they fall under.
    pub(in crate::plan) nodes: u32,
}

/// How much more would have to be left of nodes and of domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::plan) struct Kept {
    /// By the floors of the other side.
    pub(in crate::plan) floor: Price,
    /// By the ceilings of this one.
    pub(in crate::plan) ceiling: Price,
}

impl Limits<'_> {
    /// What is missing of floors and ceilings for all of these nodes.
    pub(in crate::plan) fn kept_from(&self, nodes: &NodeSet) -> Kept {
        let all = |left: Option<u32>| left.map(|_| u32::MAX);
        let mut taking = Self {
            fresh_nodes: all(self.fresh_nodes),
            floor_nodes: all(self.floor_nodes),
            fresh_domains: all(self.fresh_domains),
            floor_domains: all(self.floor_domains),
            ..self.clone()
        };
        for node in nodes.iter() {
            let (_, stance) = self.ask.look(node);
            taking.take_share(node, stance);
        }
        let missing = |left: Option<u32>, after: Option<u32>| {
            let both = left.zip(after);
            both.map_or(0, |(left, after)| (u32::MAX - after).saturating_sub(left))
        };
        Kept {
            floor: Price {
                domains: missing(self.floor_domains, taking.floor_domains),
                nodes: missing(self.floor_nodes, taking.floor_nodes),
            },
            ceiling: Price {
                domains: missing(self.fresh_domains, taking.fresh_domains),
                nodes: missing(self.fresh_nodes, taking.fresh_nodes),
            },
        }
    }

    pub(super) fn keep_anything(&self) -> bool {
        let kept = [
            self.fresh_nodes,
            self.floor_nodes,
            self.fresh_domains,
            self.floor_domains,
        ];
        kept.iter().any(Option::is_some)
    }

    pub(super) const fn counts_domains(&self) -> bool {
        self.fresh_domains.is_some() || self.floor_domains.is_some()
    }

    /// Whether it is kept from this side.
    pub(in crate::plan) fn is_reserved(&self, node: NodeIndex, stance: &Stance) -> bool {
        let side = self.ask.side;
        if !self.keep_anything() || stance.serves(side) {
            return false;
        }
        let none = |left: Option<u32>| left == Some(0);
        let is_open = stance.is_open_to(other(side));
        if none(self.fresh_nodes) || (none(self.floor_nodes) && is_open) {
            return true;
        }
        if !self.counts_domains() {
            return false;
        }
        let domain = self.domain(node, stance);
        (none(self.fresh_domains) && domain.is_fresh)
            || (none(self.floor_domains) && domain.is_open)
    }

    /// Whether nodes that nobody has are all kept from this side, those of an owner that lets in the other
    /// side, or of any.
    pub(in crate::plan) fn keeps_all(&self, group: Group) -> bool {
        let none = |left: Option<u32>| left == Some(0);
        none(self.fresh_nodes) || (none(self.floor_nodes) && group.may_serve(other(self.ask.side)))
    }

    /// Whether domains may be kept from this side one by one.
    pub(in crate::plan) fn keeps_domains(&self) -> bool {
        let none = |left: Option<u32>| left == Some(0);
        none(self.fresh_domains) || none(self.floor_domains)
    }

    /// Whether floors or ceilings may be in the way of a single node.
    pub(in crate::plan) fn may_reserve(&self) -> bool {
        let none = |left: Option<u32>| left == Some(0);
        none(self.fresh_nodes) || none(self.floor_nodes) || self.keeps_domains()
    }

    /// What floors and ceilings leave of whole nodes that this side has nothing of, and of those of them
    /// that could be the other side's; absent where that is `wanted` or more.
    pub(in crate::plan) fn shares_below(&self, wanted: u32) -> Option<(u32, u32)> {
        let left = |left: Option<u32>| left.unwrap_or(u32::MAX);
        let (fresh, open) = (left(self.fresh_nodes), left(self.floor_nodes));
        (fresh < wanted || open < wanted).then_some((fresh, open))
    }

    /// Whether floors and ceilings might leave fewer nodes than `wanted`.
    pub(in crate::plan) fn may_keep(&self, wanted: u32) -> bool {
        let kept = [
            self.fresh_nodes,
            self.floor_nodes,
            self.fresh_domains,
            self.floor_domains,
        ];
        kept.into_iter().flatten().any(|left| left < wanted)
    }

    /// Whether they might leave fewer domains than that.
    pub(in crate::plan) fn may_keep_domains(&self, wanted: u32) -> bool {
        let kept = [self.fresh_domains, self.floor_domains];
        kept.into_iter().flatten().any(|left| left < wanted)
    }

    /// Takes a node, as far as floors and ceilings go.
    pub(super) fn take_share(&mut self, node: NodeIndex, stance: &Stance) {
        let side = self.ask.side;
        if !self.keep_anything() || stance.serves(side) {
            return;
        }
        let take = |left: &mut Option<u32>| *left = left.map(|n| n.saturating_sub(1));
        take(&mut self.fresh_nodes);
        if stance.is_open_to(other(side)) {
            take(&mut self.floor_nodes);
        }
        if !self.counts_domains() {
            return;
        }
        let domain = self.domain(node, stance);
        if domain.is_fresh {
            take(&mut self.fresh_domains);
        }
        if domain.is_open {
            take(&mut self.floor_domains);
        }
        if let Some(id) = domain.shared {
            self.entered.insert(id);
        }
    }

    /// What taking a node of the cell would use up.
    pub(in crate::plan) fn price_of(&self, node: NodeIndex) -> Price {
        self.price(node, self.ask.stance(node))
    }

    /// What taking a node would use up.
    pub(in crate::plan) fn price(&self, node: NodeIndex, stance: &Stance) -> Price {
        if !self.keep_anything() || stance.serves(self.ask.side) {
            return Price {
                domains: 0,
                nodes: 0,
            };
        }
        let counted = |left: Option<u32>, falls: bool| u32::from(left.is_some() && falls);
        let domain = self.domain(node, stance);
        let is_open = stance.is_open_to(other(self.ask.side));
        Price {
            domains: counted(self.fresh_domains, domain.is_fresh)
                + counted(self.floor_domains, domain.is_open),
            nodes: counted(self.fresh_nodes, true) + counted(self.floor_nodes, is_open),
        }
    }

    /// What nodes have in common whose domain is counted once: their pool, or each its own.
    pub(in crate::plan) fn domain_of(&self, node: NodeIndex) -> (PoolId, Option<NodeIndex>) {
        let (id, pool) = self.ask.cell.index().pools.of(node);
        (id, (pool.level != Locality::Domain).then_some(node))
    }

    /// The domain of a node that this side has nothing of, as far as it is not entered yet.
    fn domain(&self, node: NodeIndex, stance: &Stance) -> Domain {
        let (id, pool) = self.ask.cell.index().pools.of(node);
        let theirs = other(self.ask.side);
        if pool.level != Locality::Domain {
            return Domain {
                is_fresh: true,
                is_open: stance.is_open_to(theirs) && pool.is_domain_alone(stance.sku),
                shared: None,
            };
        }
        let is_new = !self.entered.contains(&id);
        Domain {
            is_fresh: is_new && !pool.is_used_by(self.ask.side, stance.sku),
            is_open: is_new && pool.is_open_to(theirs, stance.sku),
            shared: Some(id),
        }
    }
}

struct Domain {
    /// This side has nothing of it yet.
    is_fresh: bool,
    /// It is a whole one, and all of it could be the other side's.
    is_open: bool,
    /// Its pool, where it has several nodes.
    shared: Option<PoolId>,
}
