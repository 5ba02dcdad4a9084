//! What could be let now for a time, beside everything that is let, booked and kept.
//!
//! The question is that of a tenant who has nothing yet and takes as much as there is, in one form.
//! Every node of a SKU is judged once, as for a lease of one GPU. What fits lies in bins, domains or
//! racks, and leases are taken out of them one after another, the cheapest first: those that use up
//! none of what floors and ceilings leave, then those that use up least of it.
//!
//! ```text
//!   nodes, gpus    bins are domains, a lease is one node of a bin, or as many as its GPUs make
//!   domains        bins are domains, a lease is a whole one
//!   racks          bins are racks, a lease is as many nodes as the largest rack has
//! ```
//!
//! Invariant: what is counted can be had, all of it together. Where watts alone are short, or what
//! is kept alone, it is also all there is. Where both are, a better choice of nodes may find more:
//! that is a knapsack, and the answer says what can be promised.

use super::ask::Ask;
use super::limits::{Limits, Price};
use super::rules::judge;
use super::survey::{Seat, Survey, count};
use crate::cell::{Cell, Stance};
use crate::request::{End, Request};
use leasehold_common::api::{Surplus, SurplusRow, SurplusShape};
use leasehold_common::class::Class;
use leasehold_common::ids::{NodeIndex, SkuName};
use leasehold_common::lease::Shape;
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// How much of every SKU and form a new tenant could have from `now` on for so long. A `horizon` of
/// nothing finds what could be let for a moment.
pub fn surplus(cell: &Cell, policy: &Policy, now: Timestamp, horizon: Span) -> Surplus {
    let now = now.max(cell.now());
    let rows = cell
        .skus()
        .flat_map(|sku| of_sku(cell, policy, now, horizon, sku));
    Surplus {
        from: now,
        until: now + horizon,
        rows: rows.collect(),
    }
}

fn of_sku(
    cell: &Cell,
    policy: &Policy,
    now: Timestamp,
    horizon: Span,
    sku: &SkuName,
) -> Vec<SurplusRow> {
    let row = |shape, size, leases| SurplusRow {
        sku: sku.clone(),
        shape,
        size,
        leases,
        longer: Vec::new(),
    };
    let request = |shape| anyone(sku, shape, horizon);
    let one = request(Shape::gpus(1));
    let survey = Survey::take(for_anyone(cell, &one, policy, now));
    let found = Found::of(&survey);
    let whole = request(Shape::nodes(1));
    let limits = Limits::new(for_anyone(cell, &whole, policy, now), policy);
    let whole = |level, size| take(found.whole(level), size, limits.clone());
    let mut rows = vec![row(SurplusShape::Nodes, 1, whole(Locality::Domain, 1))];
    for (shape, level) in [
        (SurplusShape::Racks, Locality::Rack),
        (SurplusShape::Domains, Locality::Domain),
    ] {
        let size = size_of(&survey, level);
        if size > 1 {
            rows.push(row(shape, size, whole(level, size)));
        }
    }
    for gpus in 1..=cell.largest_node(sku).unwrap_or(0) {
        let part = request(Shape::gpus(u32::from(gpus)));
        let limits = Limits::new(for_anyone(cell, &part, policy, now), policy);
        let leases = take(found.parts(gpus), 1, limits);
        rows.push(row(SurplusShape::Gpus, u32::from(gpus), leases));
    }
    rows
}

/// The request of a tenant, whoever it is.
fn anyone(sku: &SkuName, shape: Shape, horizon: Span) -> Request {
    Request {
        account: "anyone".parse().expect("a word is a name of an account"),
        class: Class::OnDemand,
        shape,
        sku: sku.clone(),
        within: Locality::Cell,
        start: None,
        end: End::After(horizon),
        host: None,
        gpu_cap_watts: None,
    }
}

/// Looked up for somebody who has nothing yet, even if an account of that name has.
fn for_anyone<'a>(
    cell: &'a Cell,
    request: &'a Request,
    policy: &Policy,
    now: Timestamp,
) -> Ask<'a> {
    Ask {
        account: None,
        ..Ask::new(cell, request, policy, now, now)
    }
}

/// How many nodes a whole unit of that size has: what the SKU says of domains, otherwise what the
/// largest has.
fn size_of(survey: &Survey<'_>, level: Locality) -> u32 {
    let said = survey
        .ask
        .sku
        .and_then(|(sku, _)| survey.ask.cell.described(sku));
    match said {
        Some(sku) if level == Locality::Domain => u32::from(sku.nodes_per_domain),
        Some(_) | None => {
            let units = survey.units(level).map(|unit| count(unit.len()));
            units.max().unwrap_or(0)
        }
    }
}

/// A node that could be let, or GPUs of it.
#[derive(Debug, Clone, Copy)]
struct Site<'a> {
    node: NodeIndex,
    stance: &'a Stance,
    /// How many leases it has room for.
    leases: u32,
}

/// The nodes with a free GPU, in topology order.
struct Found<'a> {
    seats: Vec<(Seat, Site<'a>)>,
}

impl<'a> Found<'a> {
    fn of(survey: &Survey<'a>) -> Self {
        let fit = survey.seats.iter().filter(|seat| seat.faults.fits());
        let seats = fit.map(|seat| {
            let (node, stance) = survey.ask.look(seat.index);
            let site = Site {
                node: seat.index,
                stance,
                leases: u32::from(judge(node, stance, &survey.ask).free.len()),
            };
            (*seat, site)
        });
        Self {
            seats: seats.collect(),
        }
    }

    /// Whole nodes, by units of a size.
    fn whole(&self, level: Locality) -> Vec<Vec<Site<'a>>> {
        self.bins(level, |site| {
            u32::from(site.leases == u32::from(site.stance.gpus))
        })
    }

    /// Leases of so many GPUs, by domains.
    fn parts(&self, gpus: u8) -> Vec<Vec<Site<'a>>> {
        self.bins(Locality::Domain, |site| site.leases / u32::from(gpus))
    }

    fn bins(&self, level: Locality, leases: impl Fn(&Site<'_>) -> u32) -> Vec<Vec<Site<'a>>> {
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
fn take(mut bins: Vec<Vec<Site<'_>>>, size: u32, mut limits: Limits<'_>) -> u32 {
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
