//! Watts, counted again: what is drawn below each place by the minute, and whether a plan is within what
//! it is fed with.
//!
//! It is as plain as can be: changes by minute in a map, walked through from the present on.

use crate::load::cell::Site;
use leasehold_common::ids::NodeIndex;
use leasehold_common::sku::{PARTS, Sku};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix};
use leasehold_placement::Booking;
use leasehold_placement::power::BudgetStep;
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;

/// One place with a budget.
#[derive(Debug)]
struct Place {
    /// From which minute on how many milliwatts there are; absent for no limit.
    steps: Vec<(i64, Option<i64>)>,
    /// Everything up to this minute is in `drawn`.
    now: i64,
    drawn: i64,
    changes: BTreeMap<i64, i64>,
}

impl Place {
    fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        while let Some(entry) = self.changes.first_entry()
            && *entry.key() <= self.now
        {
            self.drawn += entry.remove();
        }
    }

    fn change(&mut self, minute: i64, by: i64) {
        if minute <= self.now {
            self.drawn += by;
        } else {
            *self.changes.entry(minute).or_default() += by;
        }
    }

    fn limit(&self, minute: i64) -> Option<i64> {
        let begun = self.steps.iter().rev().find(|(from, _)| *from <= minute);
        begun.and_then(|(_, limit)| *limit)
    }

    /// Whether what is drawn is within the limit from one minute to another.
    fn holds(&self, from: i64, to: Option<i64>) -> bool {
        let is_in = |minute: i64| minute >= from && to.is_none_or(|to| minute < to);
        let mut drawn = self.drawn;
        let mut before = self.changes.range(..=from);
        drawn += before.by_ref().map(|(_, by)| by).sum::<i64>();
        let fits = |minute, drawn| self.limit(minute).is_none_or(|limit| drawn <= limit);
        if !fits(from, drawn) {
            return false;
        }
        let mut steps = self.steps.iter().map(|(at, _)| *at).peekable();
        for (minute, by) in self.changes.range(from + 1..) {
            while let Some(step) = steps.next_if(|step| step < minute) {
                if is_in(step) && !fits(step, drawn) {
                    return false;
                }
            }
            drawn += by;
            if !is_in(*minute) {
                return true;
            }
            if !fits(*minute, drawn) {
                return false;
            }
        }
        steps.all(|step| !is_in(step) || fits(step, drawn))
    }
}

/// Every place with a budget.
#[derive(Debug)]
pub(super) struct Watts {
    site: Site,
    skus: Vec<Sku>,
    places: BTreeMap<Prefix, Place>,
}

impl Watts {
    pub(super) fn new(
        site: Site,
        skus: Vec<Sku>,
        budgets: &BTreeMap<Prefix, Vec<BudgetStep>>,
    ) -> Self {
        let place = |steps: &Vec<BudgetStep>| Place {
            steps: steps
                .iter()
                .map(|step| {
                    (
                        i64::from(step.from.0),
                        step.limit.map(|limit| limit.0.cast_signed()),
                    )
                })
                .collect(),
            now: 0,
            drawn: 0,
            changes: BTreeMap::new(),
        };
        Self {
            site,
            skus,
            places: budgets
                .iter()
                .map(|(prefix, steps)| (prefix.clone(), place(steps)))
                .collect(),
        }
    }

    pub(super) fn advance(&mut self, now: Timestamp) {
        for place in self.places.values_mut() {
            place.advance(now.unix_ms() / MINUTE_MS);
        }
    }

    /// Books what a lease may draw, and says whether all of it is within every budget.
    pub(super) fn book(&mut self, booking: &Booking) -> bool {
        self.change(booking, 1);
        let (from, to) = minutes(booking);
        let below = self.below(booking);
        below
            .iter()
            .all(|(prefix, _)| self.places[prefix].holds(from, to))
    }

    /// Takes back what a lease may draw.
    pub(super) fn unbook(&mut self, booking: &Booking) {
        self.change(booking, -1);
    }

    fn change(&mut self, booking: &Booking, sign: i64) {
        let (from, to) = minutes(booking);
        for (prefix, milliwatts) in self.below(booking) {
            let place = self.places.get_mut(&prefix).expect("a place with a budget");
            place.change(from, sign * milliwatts);
            if let Some(to) = to {
                place.change(to, -sign * milliwatts);
            }
        }
    }

    /// What a lease may draw below each place with a budget where it has a node.
    fn below(&self, booking: &Booking) -> BTreeMap<Prefix, i64> {
        let mut below = BTreeMap::new();
        if self.places.is_empty() {
            return below;
        }
        for node in booking.nodes.iter() {
            let milliwatts = self.on_node(booking, node);
            let path = self.site.spec(node).path;
            for level in Locality::ALL {
                let prefix = path.unit(level);
                if self.places.contains_key(&prefix) {
                    *below.entry(prefix).or_default() += milliwatts;
                }
            }
        }
        below
    }

    /// GPUs at their cap and their share of what the node draws besides them, rounded up.
    fn on_node(&self, booking: &Booking, node: NodeIndex) -> i64 {
        let spec = self.site.spec(node);
        let Some(sku) = self.skus.iter().find(|sku| sku.name == spec.sku) else {
            return 0;
        };
        let cap = u64::from(booking.gpu_cap_watts.unwrap_or(sku.gpu_watts));
        let of_gpus = |gpus: u64| {
            let overhead = u64::from(sku.overhead_watts) * gpus * 1000;
            cap * gpus * 1000 + overhead.div_ceil(u64::from(sku.gpus))
        };
        let milliwatts = match (booking.slices.get(&node), booking.gpus.get(&node)) {
            (Some(slices), _) => {
                let parts = slices.iter().map(|slice| sku.parts_of(&slice.profile));
                (of_gpus(1) * u64::from(parts.sum::<u32>())).div_ceil(u64::from(PARTS))
            }
            (None, Some(slots)) => of_gpus(u64::from(slots.len())),
            (None, None) => of_gpus(u64::from(spec.gpus)),
        };
        milliwatts.cast_signed()
    }
}

/// The minutes that a lease touches.
fn minutes(booking: &Booking) -> (i64, Option<i64>) {
    let to = booking
        .to
        .map(|to| (to.unix_ms() + MINUTE_MS - 1) / MINUTE_MS);
    (booking.from.unix_ms() / MINUTE_MS, to)
}
