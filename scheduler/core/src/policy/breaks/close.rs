//! Bookings too close to others: beside them on a node, or too soon behind them.
//!
//! ```text
//!                   at one time                       within a turnaround
//!   on one node     accounts that may not share it    what may not share it, or wants the same of it
//!   in one domain   -                                 sides, where a domain serves one
//! ```
//!
//! Sides that are in one unit at one time are looked for with the units (`mixed`).

use super::{Break, Domains, Held};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, Slice};
use leasehold_common::mig::MigFamilies;
use leasehold_common::policy::{Granularity, Isolation, Policy};
use leasehold_common::sku::Sku;
use leasehold_common::time::Span;
use leasehold_common::topology::Prefix;
use leasehold_placement::mig::{Geometry, Instance, Layout};
use std::collections::{BTreeMap, BTreeSet};

/// Bookings that begin beside others, or so soon behind them, that the policy would have refused
/// them.
pub(super) fn close(
    policy: &Policy,
    sku: &Sku,
    domains: &Domains<'_>,
    held: &[Held<'_>],
    broken: &mut Vec<Break>,
) {
    let rules = Rules::of(policy, sku);
    let mut on: BTreeMap<NodeIndex, Vec<Held<'_>>> = BTreeMap::new();
    let mut within: BTreeMap<&Prefix, Vec<Held<'_>>> = BTreeMap::new();
    let (mut beside, mut behind) = (Vec::new(), Vec::new());
    for booking in held {
        let mut first = First::default();
        for node in booking.nodes.iter() {
            let earlier = on.entry(node).or_default();
            earlier.retain(|other| rules.may_matter(other, booking));
            for other in earlier.iter() {
                first.note(rules.on_a_node(other, booking, node), other, || {
                    domains.name(node)
                });
            }
            earlier.push(*booking);
        }
        if rules.apart.granularity == Granularity::Domain {
            let nodes = booking.nodes.iter();
            let touched: BTreeSet<&Prefix> = nodes.filter_map(|n| domains.of.get(&n)).collect();
            for domain in touched {
                let earlier = within.entry(domain).or_default();
                earlier.retain(|other| rules.may_matter(other, booking));
                for other in earlier.iter() {
                    first.note(in_a_domain(other, booking), other, || domain.as_str());
                }
                earlier.push(*booking);
            }
        }
        beside.extend(first.beside.map(|(other, place)| Break {
            rule: format!("isolation.{}.mig_colocation", sku.name),
            lease: booking.lease,
            detail: format!(
                "it begins on {place} beside lease {} of {}",
                other.lease, other.account
            ),
        }));
        behind.extend(first.behind.map(|(other, place)| Break {
            rule: "turnaround".to_owned(),
            lease: booking.lease,
            detail: format!(
                "it begins {} after lease {} ends on {place}, {} must be between",
                other.to.map_or(Span::ZERO, |to| booking.from.since(to)),
                other.lease,
                rules.turnaround
            ),
        }));
    }
    broken.extend(beside);
    broken.extend(behind);
}

/// How a booking is too close to one that began before it.
enum Closeness {
    /// At one time.
    Beside,
    /// Too soon after its end.
    Behind,
}

/// The first booking that another is too close to, in each way, and where.
#[derive(Default)]
struct First<'a> {
    beside: Option<(Held<'a>, &'a str)>,
    behind: Option<(Held<'a>, &'a str)>,
}

impl<'a> First<'a> {
    fn note(&mut self, found: Option<Closeness>, other: &Held<'a>, place: impl Fn() -> &'a str) {
        let first = match found {
            None => return,
            Some(Closeness::Beside) => &mut self.beside,
            Some(Closeness::Behind) => &mut self.behind,
        };
        first.get_or_insert_with(|| (*other, place()));
    }
}

/// What keeps bookings of one SKU apart.
struct Rules {
    apart: Isolation,
    turnaround: Span,
    /// Absent where its GPUs are not partitioned.
    geometry: Option<Geometry>,
}

impl Rules {
    fn of(policy: &Policy, sku: &Sku) -> Self {
        let family = sku.mig.as_deref();
        let family = family.and_then(|name| MigFamilies::built_in().get(name).ok());
        Self {
            apart: policy.isolation_of(&sku.name),
            turnaround: policy.turnaround,
            geometry: family.map(Geometry::new),
        }
    }

    /// Whether a booking may still be too close to one that begins now or later.
    fn may_matter(&self, earlier: &Held<'_>, next: &Held<'_>) -> bool {
        earlier.to.is_none_or(|to| to + self.turnaround > next.from)
    }

    fn on_a_node(&self, earlier: &Held<'_>, next: &Held<'_>, node: NodeIndex) -> Option<Closeness> {
        let may_share = self.may_share_node(earlier, next);
        if is_over(earlier, next) {
            let meet = !may_share || self.want_the_same(earlier, next, node);
            return meet.then_some(Closeness::Behind);
        }
        (earlier.side == next.side && !may_share).then_some(Closeness::Beside)
    }

    /// Whether both may have something of one node at one time.
    fn may_share_node(&self, one: &Held<'_>, other: &Held<'_>) -> bool {
        if one.side != other.side {
            return self.apart.granularity == Granularity::Gpu;
        }
        let only_slices = !one.slices.is_empty() && !other.slices.is_empty();
        one.account == other.account || (self.apart.mig_colocation && only_slices)
    }

    /// Whether both want a GPU, or slices of one that cannot be there together.
    fn want_the_same(&self, one: &Held<'_>, other: &Held<'_>, node: NodeIndex) -> bool {
        let slots = |of: &Held<'_>| of.gpus.get(&node).copied();
        let slots = |of| slots(of).unwrap_or(GpuSlots::first(u8::MAX));
        if slots(one).common(slots(other)).is_empty() {
            return false;
        }
        match (one.slices.get(&node), other.slices.get(&node)) {
            // A GPU serves one side at a time, and one that is let whole one lease.
            (Some(mine), Some(theirs)) if one.side == other.side => mine
                .iter()
                .any(|slice| theirs.iter().any(|other| !self.agree(slice, other))),
            (Some(_) | None, Some(_) | None) => true,
        }
    }

    /// Whether a GPU can hold both.
    fn agree(&self, one: &Slice, other: &Slice) -> bool {
        let put = |layout: Layout, slice: &Slice| {
            let geometry = self.geometry.as_ref()?;
            let kind = geometry.kind(&slice.profile).ok()?;
            let start = slice.start;
            geometry.put(layout, Instance { start, kind }).ok()
        };
        let both = || put(put(Layout::EMPTY, one)?, other);
        one.gpu != other.gpu || both().is_some()
    }
}

fn is_over(earlier: &Held<'_>, next: &Held<'_>) -> bool {
    earlier.to.is_some_and(|to| to <= next.from)
}

fn in_a_domain(earlier: &Held<'_>, next: &Held<'_>) -> Option<Closeness> {
    let meet = earlier.side != next.side && is_over(earlier, next);
    meet.then_some(Closeness::Behind)
}
