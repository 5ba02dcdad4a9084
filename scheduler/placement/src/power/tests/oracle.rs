//! The plainest thing that keeps the same books: a number for every minute of a short time.

use crate::power::{Budget, BudgetStep, Lasting, Minute, Minutes};
use leasehold_common::units::MilliWatts;

/// Minutes that are kept; all later ones are like the last.
pub(super) const HORIZON: u32 = 60;

pub(super) fn minutes(from: u32, to: Option<u32>) -> Minutes {
    Minutes {
        from: Minute(from),
        to: to.map_or(Minute::FOREVER, Minute),
    }
}

fn span(minutes: Minutes) -> std::ops::Range<usize> {
    let from = minutes.from.0.min(HORIZON) as usize;
    from..(minutes.to.0.min(HORIZON) as usize).max(from)
}

/// What is booked, by minute.
#[derive(Debug, Clone)]
pub(super) struct Naive(Vec<u64>);

impl Naive {
    pub(super) fn new() -> Self {
        Self(vec![0; HORIZON as usize])
    }

    pub(super) fn add(&mut self, minutes: Minutes, power: u64) {
        self.0[span(minutes)].iter_mut().for_each(|mw| *mw += power);
    }

    pub(super) fn at(&self, minute: u32) -> u64 {
        self.0[minute.min(HORIZON - 1) as usize]
    }

    pub(super) fn max_in(&self, minutes: Minutes) -> u64 {
        self.0[span(minutes)].iter().copied().max().unwrap_or(0)
    }
}

/// The limit in one minute.
pub(super) fn limit(budget: &[BudgetStep], minute: u32) -> Option<u64> {
    let step = budget.iter().rev().find(|step| step.from.0 <= minute)?;
    step.limit.map(|limit| limit.0)
}

/// By how much each minute of the stretch lacks.
fn missing<'a>(
    naive: &'a Naive,
    budget: &'a [BudgetStep],
    minutes: Minutes,
    need: u64,
) -> impl Iterator<Item = (u32, u64)> + 'a {
    (minutes.from.0..minutes.to.0.min(HORIZON)).filter_map(move |minute| {
        let over = (naive.at(minute) + need).checked_sub(limit(budget, minute)?)?;
        (over > 0).then_some((minute, over))
    })
}

/// The first of the worst minutes, and what it lacks.
pub(super) fn worst(
    naive: &Naive,
    budget: &[BudgetStep],
    minutes: Minutes,
    need: u64,
) -> Option<(u32, u64)> {
    missing(naive, budget, minutes, need)
        .reduce(|worst, next| if next.1 > worst.1 { next } else { worst })
}

/// What is left in the tightest minute.
pub(super) fn headroom(naive: &Naive, budget: &[BudgetStep], minutes: Minutes) -> Option<u64> {
    (minutes.from.0..minutes.to.0.min(HORIZON))
        .filter_map(|minute| {
            limit(budget, minute).map(|limit| limit.saturating_sub(naive.at(minute)))
        })
        .min()
}

/// Tries every minute. Valid where nothing changes from half the horizon on.
pub(super) fn first_start(
    books: &[(&Naive, &[BudgetStep], u64)],
    not_before: u32,
    lasting: Lasting,
) -> Option<u32> {
    (not_before..HORIZON).find(|start| {
        let window = lasting.from(Minute(*start));
        let in_time = match lasting {
            Lasting::Open | Lasting::For(_) => true,
            Lasting::Until(end) => *start < end.0,
        };
        in_time
            && books
                .iter()
                .all(|(naive, budget, need)| worst(naive, budget, window, *need).is_none())
    })
}

pub(super) fn budget(steps: &[BudgetStep]) -> Budget {
    Budget::new(steps.to_vec()).unwrap()
}

pub(super) const fn mw(power: u64) -> MilliWatts {
    MilliWatts(power)
}
