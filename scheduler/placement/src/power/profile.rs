//! What is booked, as a function of time.

use super::minutes::{Minute, Minutes};
use super::steps::{Seek, Step, Steps, Walk};
use leasehold_common::units::MilliWatts;
use std::fmt;

/// How many milliwatts are booked in every minute: a step function, nothing at all to begin with.
///
/// Equal profiles are equal functions, however they came about. Changing one costs about the same
/// whether it has a hundred steps or a hundred thousand; see the module's `steps`.
///
/// The sum booked in any one minute stays below 2^62 mW, a million times what mankind draws; the
/// caller books hardware that exists.
#[derive(Clone, Default)]
pub struct Profile(Steps);

impl Profile {
    /// Nothing booked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Books `power` in `minutes`. Nothing happens where either is nothing.
    pub fn add(&mut self, minutes: Minutes, power: MilliWatts) {
        self.change(minutes, signed(power));
    }

    /// Takes back what was booked with the same `minutes` and `power`.
    ///
    /// # Panics
    /// Where less than nothing would stay booked in some minute: then this was never added.
    pub fn remove(&mut self, minutes: Minutes, power: MilliWatts) {
        self.change(minutes, -signed(power));
        assert!(
            self.0.total().low >= 0,
            "{power} were taken back for {minutes:?} that were not booked"
        );
    }

    /// The most that is booked in one of `minutes`; nothing where there are none.
    pub fn max_in(&self, minutes: Minutes) -> MilliWatts {
        if minutes.is_empty() {
            return MilliWatts::ZERO;
        }
        let first = self.0.position(minutes.from.later(1));
        let value = self.0.value_before(first);
        let rest = self.0.sum(first, self.0.position(minutes.to));
        unsigned(value.max(value + rest.high))
    }

    /// What is booked in `minute`.
    pub fn at(&self, minute: Minute) -> MilliWatts {
        unsigned(self.0.value_before(self.0.position(minute.later(1))))
    }

    /// Whether nothing is booked, ever.
    pub fn is_empty(&self) -> bool {
        self.0.iter().next().is_none()
    }

    /// Every minute from which something else is booked than before, and what that is.
    pub fn changes(&self) -> impl Iterator<Item = (Minute, MilliWatts)> {
        self.0.iter().scan(0, |value, Step { minute, change }| {
            *value += change;
            Some((minute, unsigned(*value)))
        })
    }

    /// The minutes of those given from which less is booked than before.
    pub fn drops(&self, minutes: Minutes) -> impl Iterator<Item = Minute> {
        let steps = self.0.from(minutes.from);
        let within = steps.take_while(move |step| step.minute < minutes.to);
        within
            .filter(|step| step.change < 0)
            .map(|step| step.minute)
    }

    /// The last minute from which something else is booked than before.
    pub fn last_change(&self) -> Option<Minute> {
        self.0.last().map(|step| step.minute)
    }

    /// A look at the minutes from `minute` on, in order.
    pub(super) fn walk(&self, minute: Minute) -> Booked<'_> {
        Booked(self.0.walk(minute))
    }

    fn change(&mut self, minutes: Minutes, change: i64) {
        if minutes.is_empty() {
            return;
        }
        self.0.change(minutes.from, change);
        if minutes.to != Minute::FOREVER {
            self.0.change(minutes.to, -change);
        }
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().eq(other.0.iter())
    }
}

impl Eq for Profile {}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.changes()).finish()
    }
}

/// A walk through a profile in order of time.
#[derive(Debug)]
pub(super) struct Booked<'a>(Walk<'a>);

impl Booked<'_> {
    /// The first minute from here on in which more than `limit` is booked.
    pub(super) fn above(&mut self, limit: MilliWatts) -> Option<Minute> {
        self.0.seek(Seek::Above(signed(limit)))
    }

    /// The first minute from here on in which no more than `limit` is booked.
    pub(super) fn at_most(&mut self, limit: MilliWatts) -> Option<Minute> {
        self.0.seek(Seek::AtMost(signed(limit)))
    }
}

/// Held at 2^62, which no sum reaches: a limit beyond it is none.
fn signed(power: MilliWatts) -> i64 {
    const MOST: i64 = 1 << 62;
    i64::try_from(power.0).map_or(MOST, |power| power.min(MOST))
}

fn unsigned(value: i64) -> MilliWatts {
    MilliWatts(u64::try_from(value).expect("no more is taken back than was booked"))
}
