//! Time as the power book sees it: whole minutes.

use leasehold_common::time::Timestamp;
use std::fmt;

const MILLIS: i64 = 60_000;

/// A whole minute, counted since 1970. Thirty-two bits reach past the year 9999, the last that a
/// [`Timestamp`] can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Minute(pub u32);

impl Minute {
    /// The first minute of all.
    pub const EPOCH: Self = Self(0);

    /// Later than every instant: where an open booking ends. Nothing happens in this minute.
    pub const FOREVER: Self = Self(u32::MAX);

    /// The minute that `instant` lies in.
    pub fn containing(instant: Timestamp) -> Self {
        Self::held(instant.unix_ms() / MILLIS)
    }

    /// The first minute that begins at `instant` or later.
    pub fn not_before(instant: Timestamp) -> Self {
        Self::held((instant.unix_ms() + MILLIS - 1) / MILLIS)
    }

    /// When it begins; the last instant there is for [`Minute::FOREVER`].
    pub fn begins(self) -> Timestamp {
        Timestamp::from_unix_ms(i64::from(self.0) * MILLIS)
    }

    /// So many minutes later, and forever where that is past all counting.
    #[must_use]
    pub const fn later(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    fn held(minute: i64) -> Self {
        u32::try_from(minute).map_or(Self::FOREVER, Self)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::FOREVER {
            f.pad("forever")
        } else {
            fmt::Display::fmt(&self.begins(), f)
        }
    }
}

/// From the beginning of one minute to the beginning of another; empty where the second is not
/// later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minutes {
    /// The first minute.
    pub from: Minute,
    /// The first minute after it; [`Minute::FOREVER`] for an open end.
    pub to: Minute,
}

impl Minutes {
    /// Every minute.
    pub const ALL: Self = Self {
        from: Minute::EPOCH,
        to: Minute::FOREVER,
    };

    /// Every minute that has a part in the time from `from` to `to`, which is absent for an open
    /// end: the start rounded down, the end rounded up.
    pub fn outward(from: Timestamp, to: Option<Timestamp>) -> Self {
        Self {
            from: Minute::containing(from),
            to: to.map_or(Minute::FOREVER, Minute::not_before),
        }
    }

    /// Whether there is no minute in it.
    pub fn is_empty(self) -> bool {
        self.to <= self.from
    }

    /// The minutes in both.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }
}

/// How long something is to last whose start is being looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// For good.
    Open,
    /// So many minutes, whenever it starts.
    For(u32),
    /// Until this minute begins, whenever it starts. It has to start before.
    Until(Minute),
}

impl Lasting {
    /// The minutes, if it starts with `start`.
    pub fn from(self, start: Minute) -> Minutes {
        let to = match self {
            Self::Open => Minute::FOREVER,
            Self::For(minutes) => start.later(minutes),
            Self::Until(end) => end,
        };
        Minutes { from: start, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_common::time::Span;

    #[test]
    fn a_lease_takes_every_minute_it_touches() {
        let from = Timestamp::EPOCH + Span::from_secs(61);
        let to = Timestamp::EPOCH + Span::from_secs(121);
        let minutes = Minutes::outward(from, Some(to));
        assert_eq!((minutes.from, minutes.to), (Minute(1), Minute(3)));
        assert_eq!(Minutes::outward(from, None).to, Minute::FOREVER);
        let whole = Timestamp::EPOCH + Span::from_mins(2);
        assert_eq!(Minutes::outward(whole, Some(whole)).to, Minute(2));
        assert!(Minutes::outward(whole, Some(whole)).is_empty());
    }

    #[test]
    fn the_last_instant_of_all_is_before_forever() {
        let last = Timestamp::from_unix_ms(i64::MAX);
        assert!(Minute::not_before(last) < Minute::FOREVER);
        assert_eq!(Minute::FOREVER.begins(), last);
    }
}
