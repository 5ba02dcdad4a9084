//! Watts, counted again: what is drawn below each place by the minute, and whether a plan is within what
//! it is fed with.
//!
//! It is as plain as can be: changes by minute in a map, walked through from the present on. As leases only
//! add to what is drawn, a place is looked at before anything is taken back from it, before time goes on,
//! and after the last lease: what was too much at any instant is too much then.

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
    /// Something was added since it was looked at.
    is_new: bool,
}

impl Place {
    /// Whether it is over its limit, if anything was added since that was asked last.
    fn exceeds(&mut self) -> bool {
        std::mem::take(&mut self.is_new) && !self.holds()
    }

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

    /// Whether what is drawn is within the limit from the present on.
    fn holds(&self) -> bool {
        let mut drawn = self.drawn;
        let fits = |minute, drawn| self.limit(minute).is_none_or(|limit| drawn <= limit);
        let mut steps = self.steps.iter().map(|(at, _)| *at).peekable();
        while steps.next_if(|step| *step <= self.now).is_some() {}
        if !fits(self.now, drawn) {
            return false;
        }
        for (minute, by) in &self.changes {
            while let Some(step) = steps.next_if(|step| step < minute) {
                if !fits(step, drawn) {
                    return false;
                }
            }
            drawn += by;
            if *by > 0 && !fits(*minute, drawn) {
                return false;
            }
        }
        steps.all(|step| fits(step, drawn))
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
            is_new: false,
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

    /// Lets time go on; says how many places were over their limits before.
    pub(super) fn advance(&mut self, now: Timestamp) -> u64 {
        let now = now.unix_ms() / MINUTE_MS;
        let mut exceeded = 0;
        for place in self.places.values_mut().filter(|place| place.now < now) {
            exceeded += u64::from(place.exceeds());
            place.advance(now);
        }
        exceeded
    }

    /// How many places are over their limits that anything was added to since they were looked at.
    pub(super) fn exceeded(&mut self) -> u64 {
        let exceeded = self.places.values_mut().map(Place::exceeds);
        exceeded.map(u64::from).sum()
    }

    /// Books what a lease may draw.
    pub(super) fn book(&mut self, booking: &Booking) {
        for prefix in self.change(booking, 1) {
            self.place(&prefix).is_new = true;
        }
    }

    /// Takes back what a lease may draw; says how many places were over their limits before.
    pub(super) fn unbook(&mut self, booking: &Booking) -> u64 {
        let mut exceeded = 0;
        for (prefix, _) in self.below(booking) {
            exceeded += u64::from(self.place(&prefix).exceeds());
        }
        self.change(booking, -1);
        exceeded
    }

    fn place(&mut self, prefix: &Prefix) -> &mut Place {
        self.places.get_mut(prefix).expect("a place with a budget")
    }

    fn change(&mut self, booking: &Booking, sign: i64) -> Vec<Prefix> {
        let (from, to) = minutes(booking);
        let below = self.below(booking);
        for (prefix, milliwatts) in &below {
            let place = self.place(prefix);
            place.change(from, sign * milliwatts);
            if let Some(to) = to {
                place.change(to, -sign * milliwatts);
            }
        }
        below.into_keys().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_a_limit_at_one_minute_is_found_and_what_follows_is_not() {
        let place = || Place {
            steps: vec![(0, Some(10)), (20, Some(8)), (30, None)],
            now: 0,
            drawn: 0,
            changes: BTreeMap::new(),
            is_new: true,
        };
        let with = |draws: &[(i64, i64, i64)]| {
            let mut place = place();
            for (from, to, by) in draws {
                place.change(*from, *by);
                place.change(*to, -by);
            }
            place.exceeds()
        };
        assert!(!with(&[(0, 20, 10), (20, 30, 8), (30, 40, 1000)]));
        assert!(
            with(&[(0, 21, 10)]),
            "the step down to 8 is in the middle of it"
        );
        assert!(with(&[(5, 15, 6), (10, 12, 5)]));
        assert!(!with(&[(5, 10, 6), (10, 12, 5)]));
        let mut over = place();
        over.change(5, 11);
        assert!(over.exceeds());
        assert!(!over.exceeds(), "what was found is found once");
    }
}
