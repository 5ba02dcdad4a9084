//! On what terms a made-up cell is let: what its places are fed with, and what each side keeps.
//!
//! ```text
//!   cell    fed_pct of what all its nodes can draw     by day; a twentieth of it more by night
//!   hall    the same of its nodes
//!   row     what its nodes can draw
//!   house   1 node of 200 of the larger kind, and 2 whole domains, are kept for it
//!   tenants at most 9 of 10 nodes of the larger kind are theirs
//! ```

use super::cell::{Layout, Site};
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::Share;
use leasehold_common::sku::{Sku, SkuCatalogue};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix};
use leasehold_common::units::MilliWatts;
use leasehold_placement::Policy;
use leasehold_placement::power::{BudgetStep, Minute};
use std::collections::BTreeMap;

/// Days for which nights are told from days. Of the leases made up here none lasts longer.
const DAYS: u64 = 14;
/// How long a night is; the first begins half a day after a run does.
const NIGHT: Span = Span::from_mins(8 * 60);

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// What nodes have and draw.
    pub(super) skus: Vec<Sku>,
    /// What each place is fed with.
    pub(super) budgets: BTreeMap<Prefix, Vec<BudgetStep>>,
    /// By which rules decisions are made.
    pub(super) policy: Policy,
}

impl Terms {
    /// Watts enough for everybody, and nothing kept for anybody.
    pub(super) fn free() -> Self {
        Self {
            skus: SkuCatalogue::built_in().iter().cloned().collect(),
            budgets: BTreeMap::new(),
            policy: Policy {
                turnaround: Span::from_mins(10),
                ..Policy::default()
            },
        }
    }

    /// So many percent of what its nodes can draw for each hall and the cell, from `birth` on; with 0, as
    /// much as they can draw and no budget.
    pub(super) fn of(layout: Layout, fed_pct: u32, birth: Timestamp) -> Self {
        let free = Self::free();
        let large = layout.nodes() - layout.trays();
        let share = |side, is_tray, domains, nodes| Share {
            side,
            sku: Layout::sku(is_tray),
            domains,
            nodes,
        };
        let mut floors = vec![share(Side::Internal, false, None, Some(large / 200))];
        if layout.trays() > 0 {
            floors.push(share(Side::Internal, true, Some(2), None));
        }
        let most = large - large / 10;
        let ceilings = vec![share(Side::Tenant, false, None, Some(most))];
        Self {
            budgets: if fed_pct == 0 {
                BTreeMap::new()
            } else {
                budgets(layout, fed_pct, birth, &free.skus)
            },
            policy: Policy {
                floors,
                ceilings,
                ..free.policy
            },
            skus: free.skus,
        }
    }
}

fn budgets(
    layout: Layout,
    fed_pct: u32,
    birth: Timestamp,
    skus: &[Sku],
) -> BTreeMap<Prefix, Vec<BudgetStep>> {
    let site = Site::from(layout);
    let mut full: BTreeMap<Prefix, MilliWatts> = BTreeMap::new();
    for node in (0..layout.nodes()).map(NodeIndex) {
        let spec = site.spec(node);
        let sku = skus.iter().find(|sku| sku.name == spec.sku);
        let most = sku.expect("a built-in SKU").envelope(spec.gpus);
        for level in [Locality::Cell, Locality::Hall, Locality::Row] {
            *full.entry(spec.path.unit(level)).or_default() += most;
        }
    }
    let steps = |(place, full): (Prefix, MilliWatts)| {
        let part = |percent: u64| Some(MilliWatts(full.0 * percent / 100));
        let by_day = u64::from(fed_pct);
        let step = |at: Timestamp, limit| BudgetStep {
            from: Minute::containing(at),
            limit,
        };
        let is_row = place.level() == Locality::Row;
        if is_row {
            let steps = vec![step(birth, part(by_day.max(100)))];
            return (place, steps);
        }
        let mut steps = vec![step(birth, part(by_day))];
        for day in 0..DAYS {
            let night = birth + Span::from_mins(day * 24 * 60 + 12 * 60);
            steps.push(step(night, part(by_day + 5)));
            steps.push(step(night + NIGHT, part(by_day)));
        }
        (place, steps)
    };
    full.into_iter().map(steps).collect()
}
