//! How many leases of one slice could be let, profile by profile.
//!
//! What is gone of each GPU is looked up once, as for the slice that fits wherever any other does; how
//! many of each profile there is room for is then a look into the family's table.

use super::bins::{Found, Site, take};
use super::{anyone, for_anyone};
use crate::cell::Cell;
use crate::mig::{Geometry, Kind, Layout};
use crate::plan::cleaned::Cleaned;
use crate::plan::limits::Limits;
use crate::plan::slices::{Offered, offered};
use crate::plan::survey::Survey;
use leasehold_common::ids::{NodeIndex, SkuName};
use leasehold_common::lease::Shape;
use leasehold_common::mig::MigProfile;
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use std::collections::BTreeMap;

/// Of every profile of a SKU, largest first, how many a new tenant could have; none where its GPUs are
/// not partitioned.
pub(super) fn of_sku(
    cell: &Cell,
    policy: &Policy,
    now: Timestamp,
    horizon: Span,
    sku: &SkuName,
) -> Vec<(MigProfile, u32)> {
    let known = cell.index().sku(sku).map(|(id, _)| id);
    let both = known.and_then(|id| Some((cell.geometry(id)?, cell.described(id)?)));
    let Some((geometry, described)) = both else {
        return Vec::new();
    };
    let one = |kind| {
        let profile = geometry.profile(kind).clone();
        anyone(sku, Shape::slices([(profile, 1)]), horizon)
    };
    let Some(smallest) = geometry
        .kinds()
        .max_by_key(|kind| room(geometry, None, *kind))
    else {
        return Vec::new();
    };
    let request = one(smallest);
    let survey = Survey::take(for_anyone(cell, &request, policy, now));
    let found = Found::of(&survey);
    let nodes = found.seats.iter().map(|(_, site)| site.node);
    let mut cleaned = Cleaned::default();
    let offered: BTreeMap<NodeIndex, Vec<Offered>> = nodes
        .map(|node| (node, offered(&cleaned.on(&survey.ask, node), node)))
        .collect();
    let leases = |site: &Site<'_>, kind: Kind| {
        let gpus = offered[&site.node].iter();
        let by_gpus = gpus.map(|(_, layout)| room(geometry, *layout, kind)).sum();
        let sevenths = u32::from(geometry.profile(kind).sevenths());
        site.by_host(described, described.host_sevenths(sevenths))
            .min(by_gpus)
    };
    let each = geometry.kinds().map(|kind| {
        let request = one(kind);
        let limits = Limits::new(for_anyone(cell, &request, policy, now), policy);
        let bins = found.bins(Locality::Domain, |site| leases(site, kind));
        (geometry.profile(kind).clone(), take(bins, 1, limits))
    });
    each.collect()
}

/// How many of a kind a GPU has room for, one without slices where no layout is given.
fn room(geometry: &Geometry, layout: Option<Layout>, kind: Kind) -> u32 {
    u32::from(geometry.room(layout.unwrap_or(Layout::EMPTY), kind))
}
