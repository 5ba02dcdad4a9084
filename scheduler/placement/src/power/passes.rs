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
        let hour = u32::try_from(instant.unix_ms() / MILLIS);
        Self(hour.expect("the hours until the year 9999 fit 32 bits"))
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

    /// How many start in `hour`.
    pub fn booked(&self, hour: Hour) -> u32 {
        self.booked.get(&hour).copied().unwrap_or(0)
    }

    /// Every hour with some, and how many.
    pub fn hours(&self) -> impl Iterator<Item = (Hour, u32)> {
        self.booked.iter().map(|(hour, count)| (*hour, *count))
    }

    /// How many more may start in `hour`.
    pub fn room(&self, hour: Hour) -> u32 {
        self.per_hour.saturating_sub(self.booked(hour))
    }

    /// Books passes whether the hour has room or not: what was promised stays promised.
    pub fn book(&mut self, hour: Hour, count: u32) {
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
}

/// The hour in which the last of so many passes starts that start one after the other from an hour on, as
/// early as all of these places have room. Only hours with passes are looked at: between and after them
/// each has room for as many as the smallest rate.
pub fn last_hour(places: &[&Passes], from: Hour, count: u32) -> Hour {
    let Some(rate) = places.iter().map(|place| place.per_hour).min() else {
        return from;
    };
    let room = |hour| places.iter().map(|place| place.room(hour)).min();
    let (mut hour, mut left) = (from, count);
    let mut booked: Vec<_> = places
        .iter()
        .map(|place| place.booked.range(from..).map(|(hour, _)| *hour).peekable())
        .collect();
    while let Some(next) = booked.iter_mut().filter_map(|b| b.peek().copied()).min() {
        let before = (next.0 - hour.0).saturating_mul(rate);
        let here = room(next).unwrap_or(0);
        if left <= before {
            break;
        }
        left -= before;
        if left <= here {
            return next;
        }
        left -= here;
        hour = next.next();
        for hours in &mut booked {
            let _ = hours.next_if_eq(&next);
        }
    }
    // Where there is no rate at all there is no such hour.
    let hours = left.saturating_sub(1).checked_div(rate);
    Hour(hours.map_or(u32::MAX, |hours| hour.0.saturating_add(hours)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_common::time::Span;

    const NINE: Hour = Hour(9);

    #[test]
    fn what_is_taken_back_leaves_nothing_behind() {
        let mut passes = Passes::new(10);
        passes.book(NINE, 4);
        assert_eq!((passes.booked(NINE), passes.room(NINE)), (4, 6));
        passes.unbook(NINE, 4);
        assert_eq!(passes, Passes::new(10));
    }

    #[test]
    fn an_hour_with_more_than_there_is_room_for_has_none() {
        let mut passes = Passes::new(4);
        passes.book(NINE, 8);
        assert_eq!(passes.room(NINE), 0);
        assert_eq!(passes.room(NINE.next()), 4);
        passes.unbook(NINE, 8);
        assert_eq!(passes.room(NINE), 4);
    }

    #[test]
    fn a_pass_is_counted_in_the_hour_of_the_clock_it_starts_in() {
        let ten_past = Timestamp::EPOCH + Span::from_mins(9 * 60 + 10);
        assert_eq!(Hour::containing(ten_past), NINE);
        assert_eq!(Hour::containing(NINE.begins()), NINE);
    }

    #[test]
    fn the_last_of_many_starts_where_hour_after_hour_would_have_it() {
        // The same, one hour after the other.
        let slowly = |places: &[&Passes], from: Hour, count: u32| {
            let (mut hour, mut left) = (from, count);
            loop {
                let room = places.iter().map(|place| place.room(hour)).min();
                match left.checked_sub(room.unwrap_or(u32::MAX)) {
                    None | Some(0) => return hour,
                    Some(more) => left = more,
                }
                hour = hour.next();
            }
        };
        let (mut hall, mut cell) = (Passes::new(2), Passes::new(3));
        for (hour, passes) in [(9, 1), (10, 2), (14, 2)] {
            hall.book(Hour(hour), passes);
        }
        for (hour, passes) in [(9, 3), (12, 2), (13, 5), (20, 1)] {
            cell.book(Hour(hour), passes);
        }
        for from in (8..22).map(Hour) {
            for count in 0..30 {
                for places in [&[&hall, &cell][..], &[&hall], &[&cell], &[]] {
                    let last = last_hour(places, from, count);
                    assert_eq!(last, slowly(places, from, count), "{from:?} {count}");
                }
            }
        }
    }

    #[test]
    fn where_nothing_can_start_there_is_no_hour() {
        let none = Passes::new(0);
        assert_eq!(last_hour(&[&none], NINE, 1), Hour(u32::MAX));
        let one = Passes::new(1);
        assert_eq!(last_hour(&[&one], NINE, u32::MAX), Hour(u32::MAX));
        assert_eq!(last_hour(&[&one], NINE, 1 << 30), Hour(8 + (1 << 30)));
    }
}
