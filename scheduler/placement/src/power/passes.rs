//! Cleaning passes: so many can be started in an hour, in one hall.

use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

const MILLIS: i64 = 3_600_000;

/// A whole hour of UTC, counted since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub u32);

impl Hour {
    /// The hour `instant` lies in: where a pass that starts then is counted.
    pub fn containing(instant: Timestamp) -> Self {
        Self::held(instant.unix_ms() / MILLIS)
    }

    /// The first hour that begins at `instant` or later: the first all of which can still be used.
    pub fn not_before(instant: Timestamp) -> Self {
        Self::held((instant.unix_ms() + MILLIS - 1) / MILLIS)
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        Timestamp::from_unix_ms(i64::from(self.0) * MILLIS)
    }

    /// The hour after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    fn held(hour: i64) -> Self {
        Self(u32::try_from(hour).expect("the hours until the year 9999 fit 32 bits"))
    }
}

/// More passes than an hour has room for. Nothing was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} passes do not fit the hour of {}, which has room for {room}", hour.begins())]
pub struct TooMany {
    /// The hour.
    pub hour: Hour,
    /// How many were to be booked.
    pub count: u32,
    /// How many there is room for.
    pub room: u32,
}

/// The passes of one hall, by the hour they start in.
///
/// A rate that holds for every hour of the clock says nothing of sixty minutes across two of them,
/// in which twice as many could start. The rate is what crews and scrubbing jobs can do in a shift,
/// and is meant by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passes {
    per_hour: u32,
    /// Only hours with some.
    booked: BTreeMap<Hour, u32>,
}

impl Passes {
    /// None booked, and at most so many to be started in one hour.
    pub const fn new(per_hour: u32) -> Self {
        Self {
            per_hour,
            booked: BTreeMap::new(),
        }
    }

    /// How many may start in one hour.
    pub const fn per_hour(&self) -> u32 {
        self.per_hour
    }

    /// From now on so many may start in one hour. What is booked stays booked.
    pub const fn set_rate(&mut self, per_hour: u32) {
        self.per_hour = per_hour;
    }

    /// How many more may start in `hour`.
    pub fn room(&self, hour: Hour) -> u32 {
        let booked = self.booked.get(&hour).copied().unwrap_or(0);
        self.per_hour.saturating_sub(booked)
    }

    /// Books passes that start in `hour`.
    ///
    /// # Errors
    /// The hour has no room for so many.
    pub fn book(&mut self, hour: Hour, count: u32) -> Result<(), TooMany> {
        let room = self.room(hour);
        if count > room {
            return Err(TooMany { hour, count, room });
        }
        if count > 0 {
            *self.booked.entry(hour).or_default() += count;
        }
        Ok(())
    }

    /// Books passes whether the hour has room or not: what was promised stays promised.
    pub fn book_over(&mut self, hour: Hour, count: u32) {
        if count > 0 {
            *self.booked.entry(hour).or_default() += count;
        }
    }

    /// Takes passes back that were booked for `hour`.
    ///
    /// # Panics
    /// Where fewer were booked.
    pub fn unbook(&mut self, hour: Hour, count: u32) {
        if count == 0 {
            return;
        }
        let left = self
            .booked
            .get(&hour)
            .and_then(|booked| booked.checked_sub(count))
            .expect("no more passes are taken back than were booked");
        if left == 0 {
            self.booked.remove(&hour);
        } else {
            self.booked.insert(hour, left);
        }
    }

    /// The first hour, `not_before` or later, with room for so many; absent where they are more than
    /// any hour can have.
    pub fn first_hour_with(&self, count: u32, not_before: Hour) -> Option<Hour> {
        if count > self.per_hour {
            return None;
        }
        let mut hour = not_before;
        while self.room(hour) < count {
            hour = hour.next();
        }
        Some(hour)
    }

    /// So many passes, as early as they can start and `not_before` or later, by hour; absent where
    /// none can ever start. This is how a large lease comes back: its last nodes are clean an hour
    /// or more after the first.
    pub fn spread(&self, count: u32, not_before: Hour) -> Option<Vec<(Hour, u32)>> {
        if count > 0 && self.per_hour == 0 {
            return None;
        }
        let mut left = count;
        let mut hour = not_before;
        let mut spread = Vec::new();
        while left > 0 {
            let here = self.room(hour).min(left);
            if here > 0 {
                spread.push((hour, here));
            }
            left -= here;
            hour = hour.next();
        }
        Some(spread)
    }

    /// Forgets what was booked for hours before `hour`, which are over.
    pub fn forget_before(&mut self, hour: Hour) {
        self.booked = self.booked.split_off(&hour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_common::time::Span;

    const NINE: Hour = Hour(9);

    #[test]
    fn an_hour_takes_what_it_can_and_the_rest_waits_for_the_next() {
        let mut passes = Passes::new(10);
        passes.book(NINE, 8).unwrap();
        let refused = passes.book(NINE, 3).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "3 passes do not fit the hour of 1970-01-01T09:00:00.000Z, which has room for 2"
        );
        assert_eq!(passes.room(NINE), 2);
        assert_eq!(passes.first_hour_with(2, NINE), Some(NINE));
        assert_eq!(passes.first_hour_with(3, NINE), Some(Hour(10)));
        assert_eq!(passes.first_hour_with(11, NINE), None);
    }

    #[test]
    fn a_large_lease_comes_back_over_several_hours() {
        let mut passes = Passes::new(10);
        passes.book(NINE, 8).unwrap();
        passes.book(Hour(10), 10).unwrap();
        let spread = passes.spread(15, NINE).unwrap();
        assert_eq!(spread, [(NINE, 2), (Hour(11), 10), (Hour(12), 3)]);
        for (hour, count) in spread {
            passes.book(hour, count).unwrap();
        }
        assert_eq!(Passes::new(0).spread(1, NINE), None);
        assert_eq!(passes.spread(0, NINE), Some(Vec::new()));
    }

    #[test]
    fn what_is_taken_back_or_over_leaves_nothing_behind() {
        let mut passes = Passes::new(10);
        passes.book(NINE, 4).unwrap();
        passes.book(Hour(10), 4).unwrap();
        passes.unbook(Hour(10), 4);
        passes.forget_before(Hour(10));
        assert_eq!(passes, Passes::new(10));
    }

    #[test]
    fn a_lower_rate_leaves_no_room_and_takes_nothing_back() {
        let mut passes = Passes::new(10);
        passes.book(NINE, 8).unwrap();
        passes.set_rate(4);
        assert_eq!(passes.room(NINE), 0);
        assert_eq!(passes.first_hour_with(4, NINE), Some(Hour(10)));
        passes.unbook(NINE, 8);
        assert_eq!(passes.room(NINE), 4);
    }

    #[test]
    fn a_started_hour_is_counted_but_not_planned_with() {
        let ten_past = Timestamp::EPOCH + Span::from_mins(9 * 60 + 10);
        assert_eq!(Hour::containing(ten_past), NINE);
        assert_eq!(Hour::not_before(ten_past), Hour(10));
        assert_eq!(Hour::not_before(NINE.begins()), NINE);
    }
}
