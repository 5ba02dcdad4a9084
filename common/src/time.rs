//! Instants and lengths of time, in whole milliseconds. The clock is never read here: `now` is an
//! argument everywhere.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// An instant of UTC, in milliseconds since 1970. Written as RFC 3339 with three decimals
/// (`2026-11-22T09:14:02.000Z`) in records, logs and answers; any RFC 3339 offset is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(i64);

/// A length of time, in milliseconds. Written and read as `90s`, `2h`, `1h30m`, `30d`; a day is 24
/// hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, utoipa::ToSchema)]
#[schema(value_type = String, example = "1h30m")]
pub struct Span(u64);

/// Text that is no instant or no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {wanted}")]
pub struct InvalidTime {
    /// The text as given, cut to 80 characters.
    pub given: String,
    /// What was expected, with an example.
    pub wanted: &'static str,
}

impl InvalidTime {
    fn new(given: &str, wanted: &'static str) -> Self {
        Self {
            given: given.chars().take(80).collect(),
            wanted,
        }
    }
}

/// The end of the year 9999, the last instant RFC 3339 can write.
const LAST: i64 = 253_402_300_799_999;

impl Timestamp {
    /// 1970.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since 1970, held between 1970 and 9999.
    pub const fn from_unix_ms(ms: i64) -> Self {
        if ms < 0 {
            Self(0)
        } else if ms > LAST {
            Self(LAST)
        } else {
            Self(ms)
        }
    }

    /// Milliseconds since 1970.
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; nothing where it is before.
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).expect("held between 1970 and 9999")
    }
}

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// `n` milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Self(n)
    }

    /// `n` seconds.
    pub const fn from_secs(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// `n` minutes.
    pub const fn from_mins(n: u64) -> Self {
        Self::from_secs(n.saturating_mul(60))
    }

    /// `n` hours.
    pub const fn from_hours(n: u64) -> Self {
        Self::from_mins(n.saturating_mul(60))
    }

    /// Whole milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// As the standard library's duration, for timers.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self::from_unix_ms(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self::from_unix_ms(self.0.saturating_sub_unsigned(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.jiff())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;
    fn from_str(s: &str) -> Result<Self, InvalidTime> {
        s.parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_millisecond)
            .filter(|ms| (0..=LAST).contains(ms))
            .map(Self)
            .ok_or_else(|| {
                InvalidTime::new(
                    s,
                    "RFC 3339 instant such as 2026-11-22T09:14:02Z, 1970 to 9999",
                )
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(u64, &str); 5] = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
            (1, "ms"),
        ];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (size, name) in STEPS {
            if rest >= size {
                write!(f, "{}{name}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = InvalidTime;
    fn from_str(s: &str) -> Result<Self, InvalidTime> {
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        s.parse::<jiff::Span>()
            .ok()
            .and_then(|span| span.to_duration(days).ok())
            .and_then(|length| u64::try_from(length.as_millis()).ok())
            .map(Self)
            .ok_or_else(|| InvalidTime::new(s, "length of time such as 90s, 30m, 1h30m or 30d"))
    }
}

macro_rules! text_serde {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_serde!(Timestamp);
text_serde!(Span);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_read_any_offset_and_write_utc() {
        let t: Timestamp = "2026-11-22T10:14:02+01:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-11-22T09:14:02.000Z");
        assert!("tomorrow".parse::<Timestamp>().is_err());
    }

    #[test]
    fn spans_are_what_operators_type() {
        assert_eq!("1h30m".parse::<Span>().unwrap(), Span::from_mins(90));
        assert_eq!("30d".parse::<Span>().unwrap(), Span::from_hours(720));
        assert_eq!(Span::from_secs(90).to_string(), "1m30s");
        for bad in ["", "-2h", "2", "soon", "1y"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0..=LAST, len in 0..1_000_000_000_000_u64) {
            let t = Timestamp::from_unix_ms(ms);
            prop_assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
            let s = Span::from_millis(len);
            prop_assert_eq!(s.to_string().parse::<Span>().unwrap(), s);
        }
    }
}
