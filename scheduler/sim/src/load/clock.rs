//! What is measured, and the only place here that reads a clock.

use std::time::{Duration, Instant};

/// How long the engine took: deciding, which is planning and booking, and everything else that
/// changes the cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    decided: Vec<Duration>,
    planning: Duration,
    bookkeeping: Duration,
}

impl Clock {
    /// Plans, and times it.
    pub(super) fn plan<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let made = work();
        let took = begun.elapsed();
        self.planning += took;
        self.decided.push(took);
        made
    }

    /// Books what the last plan came to, and counts that with it.
    pub(super) fn book<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let made = work();
        let last = self.decided.last_mut().expect("what is booked was planned");
        *last += begun.elapsed();
        made
    }

    /// Changes the cell otherwise.
    pub(super) fn keep<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let made = work();
        self.bookkeeping += begun.elapsed();
        made
    }

    /// How long planning alone took.
    pub(super) const fn planning(&self) -> Duration {
        self.planning
    }

    /// What was measured, with the shortest decision first.
    pub(super) fn measured(mut self) -> Measured {
        self.decided.sort_unstable();
        Measured {
            total: self.decided.iter().sum::<Duration>() + self.bookkeeping,
            decided: self.decided,
        }
    }
}

/// What a clock measured.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    decided: Vec<Duration>,
    /// Everything.
    pub(super) total: Duration,
}

impl Measured {
    /// How many decisions were made.
    pub(super) const fn decisions(&self) -> usize {
        self.decided.len()
    }

    /// The decision that so many of a thousand were shorter than.
    pub(super) fn quantile(&self, permille: usize) -> Duration {
        let at = self.decided.len().saturating_sub(1) * permille / 1000;
        self.decided.get(at).copied().unwrap_or_default()
    }
}
