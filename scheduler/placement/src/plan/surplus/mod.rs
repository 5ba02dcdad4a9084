//! What could be let now for a time, beside everything that is let, booked and kept.
//!
//! The question is that of a tenant who has nothing yet and takes as much as there is, in one form.
//! Every node of a SKU is judged once, as for a lease of one GPU, and once more as for its smallest slice. What fits lies in bins, domains or
//! racks, and leases are taken out of them one after another, the cheapest first: those that use up
//! none of what floors and ceilings leave, then those that use up least of it.
//!
//! ```text
//!   nodes, gpus, slices   bins are domains, a lease is one node of a bin, or as many as its GPUs make
//!   domains               bins are domains, a lease is a whole one
//!   racks                 bins are racks, a lease is as many nodes as the largest rack has
//! ```
//!
//! `bins` is what fits and how leases are taken out of it, `slices` counts those of partitioned GPUs.
//!
//! Invariant: what is counted can be had, all of it together. Where watts alone are short, or what
//! is kept alone, it is also all there is. Where both are, a better choice of nodes may find more:
//! that is a knapsack, and the answer says what can be promised.

mod bins;
mod slices;

use super::ask::Ask;
use super::limits::Limits;
use super::survey::Survey;
use super::whole::size_of;
use crate::cell::Cell;
use crate::request::{End, Request};
use bins::{Found, take};
use leasehold_common::api::{Surplus, SurplusRow, SurplusShape};
use leasehold_common::class::Class;
use leasehold_common::ids::SkuName;
use leasehold_common::lease::Shape;
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;

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
        profile: None,
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
        let size = size_of(&survey.ask, level, &survey.seats);
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
    for (profile, leases) in slices::of_sku(cell, policy, now, horizon, sku) {
        rows.push(SurplusRow {
            profile: Some(profile),
            ..row(SurplusShape::Slices, 1, leases)
        });
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
    let ask = Ask::new(cell, request, policy, now, now);
    // All that is let is cleaned after as well, be it GPU by GPU.
    let nodes = ask.sku.map_or(0, |(_, index)| index.nodes);
    let of_gpu = if ask.wish.is_some() { 7 } else { 1 };
    let of_node = u32::from(ask.largest) * of_gpu;
    Ask {
        account: None,
        passes: nodes.saturating_mul(of_node),
        ..ask
    }
}
