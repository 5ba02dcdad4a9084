//! Which bookings a policy would not have allowed, as a pure function over the ledger.
//!
//! Floors and ceilings come down to the same question: how much of a SKU may one side have at one
//! instant? A ceiling says it of its own side; a floor says it of the other side, which must leave
//! the floor free. A ceiling counts every domain that its side has anything of; a floor only those
//! that are whole, for no other was kept. Bookings are gone through in order of their start, each is
//! let in where the limit allows it, and those that are not let in break the rule: whoever came first
//! stays. So it is where bookings are beside others or behind them (`close`), and where more nodes must be
//! cleaned in an hour than can be (`cleaning`).

mod cleaning;
mod close;

use leasehold_common::class::Side;
use leasehold_common::ids::{AccountName, LeaseId, NodeIndex, NodeName, SkuName};
use leasehold_common::lease::{GpuSlots, Slices};
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::{Granularity, Policy};
use leasehold_common::sku::{Sku, SkuCatalogue};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix, TopologyPath};
use std::collections::{BTreeMap, BTreeSet};

/// A node of the fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub index: NodeIndex,
    pub name: &'a NodeName,
    pub path: &'a TopologyPath,
    pub sku: &'a SkuName,
}

/// A booking of a lease that is not over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'a> {
    pub lease: LeaseId,
    pub account: &'a AccountName,
    pub side: Side,
    pub sku: &'a SkuName,
    pub from: Timestamp,
    pub to: Option<Timestamp>,
    pub nodes: &'a NodeSet,
    pub gpus: &'a BTreeMap<NodeIndex, GpuSlots>,
    pub slices: &'a Slices,
}

/// When cleaning begins after each booking on each node, as far as the policy has a rate for it.
pub(crate) type Passes = BTreeMap<(LeaseId, NodeIndex), Timestamp>;

/// A booking that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Break {
    pub rule: String,
    pub lease: LeaseId,
    pub detail: String,
}

/// What is counted against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Nodes the side has something of.
    Nodes,
    /// Domains it has something of.
    Domains,
    /// Those of them that have all their nodes: none of these is whole for anybody else.
    WholeDomains,
}

/// The most of something that a side may have at one instant.
#[derive(Debug)]
struct Limit<'a> {
    rule: String,
    side: Side,
    sku: &'a SkuName,
    counted: Counted,
    most: u32,
}

/// Every booking that breaks a rule of the policy, by rule and then by start. `passes` are as the packing
/// engine would count them under that policy.
pub(crate) fn breaks(
    policy: &Policy,
    skus: &SkuCatalogue,
    nodes: &[Standing<'_>],
    held: &[Held<'_>],
    passes: &Passes,
) -> Vec<Break> {
    let mut held: Vec<Held<'_>> = held.to_vec();
    held.sort_by_key(|booking| (booking.from, booking.lease));
    let mut broken = Vec::new();
    for sku in skus.iter() {
        let of = held.iter().filter(|booking| *booking.sku == sku.name);
        let of: Vec<Held<'_>> = of.copied().collect();
        if of.is_empty() {
            continue;
        }
        let domains = Domains::of(sku, nodes);
        for limit in limits(policy, &sku.name, &domains) {
            over(&limit, &domains, &of, &mut broken);
        }
        mixed(policy, &sku.name, &domains, &of, &mut broken);
        close::close(policy, sku, &domains, &of, &mut broken);
    }
    cleaning::cleaning(policy, nodes, &held, passes, &mut broken);
    broken
}

/// The domains of one SKU.
struct Domains<'a> {
    names: BTreeMap<NodeIndex, &'a NodeName>,
    /// Where each node is.
    of: BTreeMap<NodeIndex, Prefix>,
    /// Those that have all the nodes that their SKU says.
    whole: BTreeSet<Prefix>,
    nodes: u32,
}

impl<'a> Domains<'a> {
    fn of(sku: &Sku, nodes: &[Standing<'a>]) -> Self {
        let nodes = nodes.iter().filter(|node| *node.sku == sku.name);
        let of: BTreeMap<_, _> = nodes
            .clone()
            .map(|node| (node.index, node.path.unit(Locality::Domain)))
            .collect();
        let mut sizes: BTreeMap<Prefix, u32> = BTreeMap::new();
        for domain in of.values() {
            *sizes.entry(domain.clone()).or_default() += 1;
        }
        sizes.retain(|_, size| *size >= u32::from(sku.nodes_per_domain));
        Self {
            names: nodes.map(|node| (node.index, node.name)).collect(),
            nodes: u32::try_from(of.len()).unwrap_or(u32::MAX),
            of,
            whole: sizes.into_keys().collect(),
        }
    }

    fn name(&self, node: NodeIndex) -> &'a str {
        let name = self.names.get(&node);
        name.map_or("a node that has left", |name| name.as_str())
    }
}

fn limits<'a>(policy: &Policy, sku: &'a SkuName, domains: &Domains<'_>) -> Vec<Limit<'a>> {
    let whole = u32::try_from(domains.whole.len()).unwrap_or(u32::MAX);
    let mut limits = Vec::new();
    let mut add = |rule: String, side, counted, most: Option<u32>| {
        limits.extend(most.map(|most| Limit {
            rule,
            side,
            sku,
            counted,
            most,
        }));
    };
    for (at, floor) in policy.floors.iter().enumerate() {
        if floor.sku == *sku {
            let left = floor.nodes.map(|nodes| domains.nodes.saturating_sub(nodes));
            let rule = format!("floors[{at}].nodes");
            add(rule, floor.other_side(), Counted::Nodes, left);
            let left = floor.domains.map(|kept| whole.saturating_sub(kept));
            let rule = format!("floors[{at}].domains");
            add(rule, floor.other_side(), Counted::WholeDomains, left);
        }
    }
    for (at, ceiling) in policy.ceilings.iter().enumerate() {
        if ceiling.sku == *sku {
            let rule = format!("ceilings[{at}].nodes");
            add(rule, ceiling.side, Counted::Nodes, ceiling.nodes);
            let rule = format!("ceilings[{at}].domains");
            add(rule, ceiling.side, Counted::Domains, ceiling.domains);
        }
    }
    limits
}

/// What a side has at one instant.
#[derive(Default)]
struct Use {
    /// Bookings on each node.
    nodes: BTreeMap<NodeIndex, u32>,
    /// Nodes of each domain.
    domains: BTreeMap<Prefix, u32>,
    /// How many of those domains are whole.
    whole: u32,
}

impl Use {
    fn take(&mut self, booking: &Held<'_>, domains: &Domains<'_>) {
        for node in booking.nodes.iter() {
            let bookings = self.nodes.entry(node).or_default();
            *bookings += 1;
            if *bookings > 1 {
                continue;
            }
            if let Some(domain) = domains.of.get(&node) {
                let has = self.domains.entry(domain.clone()).or_default();
                *has += 1;
                self.whole += u32::from(*has == 1 && domains.whole.contains(domain));
            }
        }
    }

    fn give_back(&mut self, booking: &Held<'_>, domains: &Domains<'_>) {
        for node in booking.nodes.iter() {
            let bookings = self.nodes.entry(node).or_insert(1);
            *bookings -= 1;
            if *bookings > 0 {
                continue;
            }
            self.nodes.remove(&node);
            if let Some(domain) = domains.of.get(&node)
                && let Some(has) = self.domains.get_mut(domain)
            {
                *has -= 1;
                if *has == 0 {
                    self.domains.remove(domain);
                    self.whole -= u32::from(domains.whole.contains(domain));
                }
            }
        }
    }

    fn count(&self, counted: Counted) -> u32 {
        let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        match counted {
            Counted::Nodes => length(self.nodes.len()),
            Counted::Domains => length(self.domains.len()),
            Counted::WholeDomains => self.whole,
        }
    }
}

/// Goes through the bookings in order of their start. What a side has only grows when a booking
/// begins, so a limit that holds then holds until the next one does.
fn over(limit: &Limit<'_>, domains: &Domains<'_>, held: &[Held<'_>], broken: &mut Vec<Break>) {
    let mut uses = Use::default();
    let mut ends: BTreeSet<(Timestamp, usize)> = BTreeSet::new();
    for (at, booking) in held.iter().enumerate() {
        if booking.side != limit.side {
            continue;
        }
        while let Some((end, ended)) = ends.first().copied()
            && end <= booking.from
        {
            ends.pop_first();
            uses.give_back(&held[ended], domains);
        }
        uses.take(booking, domains);
        let has = uses.count(limit.counted);
        if has <= limit.most {
            ends.extend(booking.to.map(|to| (to, at)));
            continue;
        }
        uses.give_back(booking, domains);
        let what = match limit.counted {
            Counted::Nodes => "nodes",
            Counted::Domains => "domains in use",
            Counted::WholeDomains => "whole domains in use",
        };
        let (side, sku, most, from) = (limit.side, limit.sku, limit.most, booking.from);
        broken.push(Break {
            rule: limit.rule.clone(),
            lease: booking.lease,
            detail: format!(
                "with it the {side} side has {has} {what} of {sku} at {from}, {most} may be"
            ),
        });
    }
}

/// Bookings of one side that begin in a unit that is still the other's.
fn mixed(
    policy: &Policy,
    sku: &SkuName,
    domains: &Domains<'_>,
    held: &[Held<'_>],
    broken: &mut Vec<Break>,
) {
    let granularity = policy.isolation_of(sku).granularity;
    let unit = |node: NodeIndex| match granularity {
        Granularity::Gpu => None,
        Granularity::Node => Some((None, node)),
        // A domain stands for all its nodes, whichever of them is asked about.
        Granularity::Domain => Some((domains.of.get(&node), NodeIndex(0))),
    };
    // For each unit and side: the lease that has it longest, and until when (absent for ever).
    let mut until: BTreeMap<_, (Option<Timestamp>, LeaseId)> = BTreeMap::new();
    for booking in held {
        let other = match booking.side {
            Side::Internal => Side::Tenant,
            Side::Tenant => Side::Internal,
        };
        let units: BTreeSet<_> = booking.nodes.iter().filter_map(unit).collect();
        let stands = units.iter().find_map(|unit| {
            let (to, lease) = until.get(&(*unit, other))?;
            to.is_none_or(|to| to > booking.from).then_some(*lease)
        });
        if let Some(first) = stands {
            broken.push(Break {
                rule: format!("isolation.{sku}.granularity"),
                lease: booking.lease,
                detail: format!(
                    "it begins in a {granularity} that lease {first} of the {other} side has"
                ),
            });
        }
        for unit in units {
            let longest = until
                .entry((unit, booking.side))
                .or_insert((booking.to, booking.lease));
            let later = match (longest.0, booking.to) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(before), Some(to)) => to > before,
            };
            if later {
                *longest = (booking.to, booking.lease);
            }
        }
    }
}

#[cfg(test)]
mod tests;
