//! Counters and bits over time, in bounded memory.

use leasehold_common::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Into how many parts a window is cut: growth is known to a sixteenth of it.
const POINTS: u64 = 16;

/// A counter over time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Trail {
    /// What it was when its growth last counted.
    base: Option<u64>,
    /// What it was, when; oldest first.
    points: Vec<(Timestamp, u64)>,
}

impl Trail {
    /// By how much it has grown since that last counted; counts now where it is at least `by`.
    /// `first` is what a counter that was never read is held to have been.
    pub fn grows(&mut self, count: u64, first: u64, by: u64) -> Option<u64> {
        let base = *self.base.get_or_insert(first);
        // Lower than before: it began anew, and what it shows has come since.
        let growth = count.checked_sub(base).unwrap_or(count);
        if count < base {
            self.base = Some(0);
        }
        (growth >= by).then(|| {
            self.base = Some(count);
            growth
        })
    }

    /// By how much it has grown in the last `within`.
    pub fn grown_within(&mut self, count: u64, within: Span, now: Timestamp) -> u64 {
        if self
            .points
            .last()
            .is_some_and(|(at, last)| count < *last || now < *at)
        {
            self.points.clear();
        }
        let step = Span::from_millis(within.millis() / POINTS);
        self.points.retain(|(at, _)| now.since(*at) <= within);
        if self
            .points
            .last()
            .is_none_or(|(at, _)| now.since(*at) >= step)
        {
            self.points.push((now, count));
        }
        self.points.first().map_or(0, |(_, oldest)| count - oldest)
    }

    /// The counter is known to begin anew.
    pub fn restart(&mut self) {
        self.base = self.base.map(|_| 0);
        self.points.clear();
    }
}

/// The minutes of the last hour in which a bit was seen set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Minutes {
    /// The latest minute, since 1970.
    latest: u64,
    /// One bit a minute, the latest lowest.
    set: u64,
}

impl Minutes {
    /// Takes what the bit is now, and says how many of the last `within` minutes it was seen set in.
    pub fn count(&mut self, is_set: bool, within: u32, now: Timestamp) -> u32 {
        let minute = now.since(Timestamp::EPOCH).millis() / 60_000;
        if minute < self.latest {
            // The clock was set back: what lies ahead cannot be placed.
            self.set = 0;
        } else {
            let passed = u32::try_from(minute - self.latest).unwrap_or(u32::MAX);
            self.set = self.set.checked_shl(passed).unwrap_or(0);
        }
        self.latest = minute;
        self.set |= u64::from(is_set);
        let window = (1_u64 << within.min(60)) - 1;
        (self.set & window).count_ones()
    }
}
