//! What may be drawn, as a function of time, and what of it is left.

use super::minutes::{Lasting, Minute, Minutes};
use super::profile::Profile;
use leasehold_common::units::MilliWatts;

/// From one minute on, this is the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStep {
    /// The first minute it is for; it is for all after it, until the next step.
    pub from: Minute,
    /// What may be drawn; absent for no limit.
    pub limit: Option<MilliWatts>,
}

/// How much a unit may draw in every minute. There is no limit before its first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    steps: Box<[BudgetStep]>,
    /// The least limit of each step and all after it; absent where none of them has one.
    least: Box<[Option<MilliWatts>]>,
}

/// Steps that are no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// No step.
    #[error("a budget has one step or more")]
    Empty,
    /// A step that is not later than the one before it.
    #[error("budget step {at} is from {from}, and must be later than the one before, {before}")]
    Order {
        /// The step, counted from 0.
        at: usize,
        /// Where it begins.
        from: Minute,
        /// Where the one before it begins.
        before: Minute,
    },
}

impl Budget {
    /// From its steps, each later than the one before.
    ///
    /// # Errors
    /// No step, or steps in another order.
    pub fn new(steps: Vec<BudgetStep>) -> Result<Self, BudgetError> {
        if steps.is_empty() {
            return Err(BudgetError::Empty);
        }
        for (at, pair) in steps.windows(2).enumerate() {
            if pair[1].from <= pair[0].from {
                return Err(BudgetError::Order {
                    at: at + 1,
                    from: pair[1].from,
                    before: pair[0].from,
                });
            }
        }
        Ok(Self::of(steps))
    }

    fn of(steps: Vec<BudgetStep>) -> Self {
        let mut least: Vec<Option<MilliWatts>> = Vec::with_capacity(steps.len());
        for step in steps.iter().rev() {
            let later = least.last().copied().flatten();
            least.push(step.limit.into_iter().chain(later).min());
        }
        least.reverse();
        Self {
            steps: steps.into(),
            least: least.into(),
        }
    }

    /// The same limit in every minute.
    pub fn constant(limit: MilliWatts) -> Self {
        Self::of(vec![BudgetStep {
            from: Minute::EPOCH,
            limit: Some(limit),
        }])
    }

    /// Its steps, in order.
    pub fn steps(&self) -> &[BudgetStep] {
        &self.steps
    }

    /// The limit in one minute; absent where there is none.
    pub fn at(&self, minute: Minute) -> Option<MilliWatts> {
        let begun = self.steps.partition_point(|step| step.from <= minute);
        self.steps[..begun].last()?.limit
    }

    /// The least limit in a minute and all after it; absent where there is none in any of them.
    pub fn min_from(&self, minute: Minute) -> Option<MilliWatts> {
        let begun = self.steps.partition_point(|step| step.from <= minute);
        self.least[begun.saturating_sub(1)]
    }

    /// The least limit in one of `minutes`; absent where there is none in any of them.
    pub fn min_in(&self, minutes: Minutes) -> Option<MilliWatts> {
        self.limits(minutes).map(|(_, limit)| limit).min()
    }

    /// The limits that are for some of `minutes`, in order, with the minutes each is for.
    fn limits(&self, minutes: Minutes) -> impl Iterator<Item = (Minutes, MilliWatts)> {
        let begun = self.steps.partition_point(|step| step.from <= minutes.from);
        let first = begun.saturating_sub(1);
        (first..self.steps.len())
            .map(move |at| {
                let to = self
                    .steps
                    .get(at + 1)
                    .map_or(Minute::FOREVER, |next| next.from);
                let from = self.steps[at].from;
                (Minutes { from, to }.within(minutes), self.steps[at].limit)
            })
            .take_while(move |(part, _)| part.from < minutes.to)
            .filter_map(|(part, limit)| limit.map(|limit| (part, limit)))
            .filter(|(part, _)| !part.is_empty())
    }
}

/// How much is missing at the worst, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// By how much the budget would be exceeded.
    pub missing: MilliWatts,
    /// The first minute in which it would be by so much.
    pub at: Minute,
}

/// The least that is left of the budget in one of `minutes`: nothing where more is booked than it
/// allows, absent where it sets no limit.
pub fn headroom(profile: &Profile, budget: &Budget, minutes: Minutes) -> Option<MilliWatts> {
    budget
        .limits(minutes)
        .map(|(part, limit)| limit.saturating_sub(profile.max_in(part)))
        .min()
}

/// Whether `need` more is within the budget in all of `minutes`.
pub fn fits(profile: &Profile, budget: &Budget, minutes: Minutes, need: MilliWatts) -> bool {
    let mut limits = budget.limits(minutes);
    limits.all(|(part, limit)| profile.max_in(part) + need <= limit)
}

/// What is missing for `need` more in all of `minutes`; absent where nothing is. With a need of
/// nothing it says by how much the budget is exceeded already.
pub fn shortage(
    profile: &Profile,
    budget: &Budget,
    minutes: Minutes,
    need: MilliWatts,
) -> Option<Peak> {
    let mut worst: Option<(MilliWatts, Minutes, MilliWatts)> = None;
    for (part, limit) in budget.limits(minutes) {
        let booked = profile.max_in(part);
        let missing = (booked + need).saturating_sub(limit);
        if missing > worst.map_or(MilliWatts::ZERO, |(missing, ..)| missing) {
            worst = Some((missing, part, booked));
        }
    }
    let (missing, part, booked) = worst?;
    // The first minute with so much booked: the one after less than that, or the first of all.
    let at = match booked.0.checked_sub(1) {
        None => part.from,
        Some(less) => profile
            .walk(part.from)
            .above(MilliWatts(less))
            .expect("so much is booked in this part"),
    };
    Some(Peak { missing, at })
}

/// The first minute, `not_before` or later, from which `need` more is within the budget for as long
/// as it lasts; absent where there is none.
///
/// A start found is the beginning of a minute. Who could start in the middle of one asks with the
/// minute that contains it, and takes that minute as an answer of "at once" only if the minutes of
/// the lease, rounded outward, fit too.
pub fn first_start(
    profile: &Profile,
    budget: &Budget,
    not_before: Minute,
    lasting: Lasting,
    need: MilliWatts,
) -> Option<Minute> {
    let open = Minutes {
        from: not_before,
        to: Minute::FOREVER,
    };
    let mut start = not_before;
    for (part, limit) in budget.limits(open) {
        if lasting.from(start).to <= part.from {
            break;
        }
        let Some(most) = limit.0.checked_sub(need.0) else {
            start = part.to;
            continue;
        };
        let mut walk = profile.walk(part.from);
        while let Some(over) = walk.above(MilliWatts(most)).filter(|over| *over < part.to) {
            if lasting.from(start).to <= over {
                return started(start, lasting);
            }
            let under = walk.at_most(MilliWatts(most)).unwrap_or(Minute::FOREVER);
            start = under.min(part.to);
            if start == part.to {
                break;
            }
        }
    }
    started(start, lasting)
}

/// The start, if there is time for it.
fn started(start: Minute, lasting: Lasting) -> Option<Minute> {
    let late = match lasting {
        Lasting::Open | Lasting::For(_) => start == Minute::FOREVER,
        Lasting::Until(end) => start >= end,
    };
    (!late).then_some(start)
}
