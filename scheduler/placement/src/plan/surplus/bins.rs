//! What of a SKU fits, in bins, and how leases are taken out of them, the cheapest first.

use crate::cell::{Cell, Stance};
use crate::plan::alike::Alike;
use crate::plan::limits::{Limits, Price};
use crate::plan::survey::{Seat, Survey, count};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::HostShare;
use leasehold_common::sku::Sku;
use leasehold_common::topology::Locality;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A node that could be let, or GPUs of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) node: NodeIndex,
    pub(super) stance: &'a Stance,
    /// How many leases it has room for.
    pub(super) leases: u32,
    /// CPU and memory of it that leases have out of proportion.
    pub(super) taken: HostShare,
}

impl Site<'_> {
    /// How many leases of so many GPUs it has room for, where it has some for as many leases of one.
    fn parts(&self, gpus: u8, cell: &Cell) -> u32 {
        let by_gpus = self.leases / u32::from(gpus);
        let Some(sku) = cell.described(self.stance.sku) else {
            return by_gpus;
        };
        by_gpus.min(self.by_host(sku, sku.host_share(gpus)))
    }

    /// How many leases its CPU and memory do for, that have so much each.
    pub(super) fn by_host(&self, sku: &Sku, one: HostShare) -> u32 {
        let all = sku.host_share(self.stance.gpus);
        let by = |all: u64, taken: u64, one: u64| all.saturating_sub(taken).checked_div(one);
        let by_host = [
            by(all.cpu_milli, self.taken.cpu_milli, one.cpu_milli),
            by(all.memory_mib, self.taken.memory_mib, one.memory_mib),
        ];
        let by_host = by_host.into_iter().flatten().min().unwrap_or(u64::MAX);
        u32::try_from(by_host).unwrap_or(u32::MAX)
    }
}

/// The nodes with a free GPU, in topology order.
pub(super) struct Found<'a> {
    pub(super) cell: &'a Cell,
    pub(super) seats: Vec<(Seat, Site<'a>)>,
}

impl<'a> Found<'a> {
    pub(super) fn of(survey: &Survey<'a>) -> Self {
        let fit = survey.seats.iter().filter(|seat| seat.faults.fits());
        let mut known = Alike::new(&survey.ask);
        let seats = fit.map(|seat| {
            let (node, stance) = survey.ask.look(seat.index);
            let verdict = known.judge(node, stance, &survey.ask);
            let site = Site {
                node: seat.index,
                stance,
                leases: u32::from(verdict.free.len()),
                taken: verdict.host,
            };
            (*seat, site)
        });
        Self {
            cell: survey.ask.cell,
            seats: seats.collect(),
        }
    }

    /// Whole nodes, by units of a size.
    pub(super) fn whole(&self, level: Locality) -> Vec<Vec<Site<'a>>> {
        self.bins(level, |site| {
            u32::from(site.leases == u32::from(site.stance.gpus))
        })
    }

    /// Leases of so many GPUs, by domains.
    pub(super) fn parts(&self, gpus: u8) -> Vec<Vec<Site<'a>>> {
        self.bins(Locality::Domain, |site| site.parts(gpus, self.cell))
    }

    pub(super) fn bins(
        &self,
        level: Locality,
        leases: impl Fn(&Site<'_>) -> u32,
    ) -> Vec<Vec<Site<'a>>> {
        let units = self.seats.chunk_by(|(a, _), (b, _)| a.shares(b, level));
        let bins = units.map(|unit| {
            let sites = unit.iter().map(|(_, site)| Site {
                leases: leases(site),
                ..*site
            });
            sites.filter(|site| site.leases > 0).collect()
        });
        bins.collect()
    }
}

/// Takes leases of `size` nodes each out of bins until there is none left; says how many there were.
pub(super) fn take(mut bins: Vec<Vec<Site<'_>>>, size: u32, mut limits: Limits<'_>) -> u32 {
    let size = size as usize;
    if !limits.are_any() {
        return bins.iter().map(|bin| whole_leases(bin, size)).sum();
    }
    for bin in &mut bins {
        // The cheapest node comes last, where it is taken from.
        bin.sort_by_key(|site| (Reverse(limits.price(site.node, site.stance)), site.leases));
    }
    let mut queue: BinaryHeap<_> = (0..bins.len())
        .filter_map(|at| Some((Reverse(rank(&bins[at], size, &limits)?), Reverse(at))))
        .collect();
    let mut leases = 0;
    while let Some((_, Reverse(at))) = queue.pop() {
        let Some(gang) = gang(&mut bins[at], size, &limits) else {
            continue;
        };
        for site in &gang {
            limits.take(site.node, site.stance);
        }
        leases += match gang.as_slice() {
            [site] => 1 + limits.take_more(site.node, site.stance, site.leases - 1),
            _ => 1,
        };
        queue.extend(rank(&bins[at], size, &limits).map(|rank| (Reverse(rank), Reverse(at))));
    }
    leases
}

/// Of nodes that each have room, as many leases as they make.
fn whole_leases(bin: &[Site<'_>], size: usize) -> u32 {
    match size {
        1 => bin.iter().map(|site| site.leases).sum(),
        _ => count(bin.len() / size),
    }
}

/// What the next lease of a bin uses up, and how much it is then good for: the least is taken first.
/// Nothing where the bin has too few nodes.
fn rank(bin: &[Site<'_>], size: usize, limits: &Limits<'_>) -> Option<(Price, Reverse<u32>)> {
    let next = bin.len().checked_sub(size)?;
    let gang = &bin[next..];
    let price = gang_price(gang, limits);
    let good_for: u32 = if price.domains > 0 {
        // Once a domain is entered, all of it can be had.
        bin.iter().map(|site| site.leases).sum()
    } else {
        gang.iter().map(|site| site.leases).sum()
    };
    Some((price, Reverse(good_for)))
}

fn gang_price(gang: &[Site<'_>], limits: &Limits<'_>) -> Price {
    let mut domains: BTreeMap<_, u32> = BTreeMap::new();
    let mut nodes = 0;
    for site in gang {
        let price = limits.price(site.node, site.stance);
        domains.insert(limits.domain_of(site.node), price.domains);
        nodes += price.nodes;
    }
    Price {
        domains: domains.values().sum(),
        nodes,
    }
}

/// Takes nodes for one lease out of a bin, as far as the limits allow them together. Nodes that they
/// do not allow are left out for good: limits only shrink.
fn gang<'a>(bin: &mut Vec<Site<'a>>, size: usize, limits: &Limits<'_>) -> Option<Vec<Site<'a>>> {
    let mut limits = limits.around(bin.iter().map(|site| site.node));
    let mut gang = Vec::with_capacity(size);
    while gang.len() < size {
        let site = bin.pop()?;
        if limits.bar(site.node, site.stance).is_none() {
            limits.take(site.node, site.stance);
            gang.push(site);
        }
    }
    Some(gang)
}
