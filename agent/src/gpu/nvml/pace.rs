//! How often what is read, and what a GPU does not have.
//!
//! ```text
//!   each time      whether it answers, power, temperature, energy, what the driver wants done, processes
//!   every 10 s     clock events, memory errors, memory in use, the limit in force
//!   every 60 s     thresholds, limits, rows, on-chip memory, PCIe, NVLink, fabric, modes
//! ```
//!
//! On a real H200 one round of all calls costs some 30 ms of CPU, most of it in calls whose answers change
//! once in a GPU's life; what is unsupported costs as much as what is there, each time it is asked. So each
//! answer stands until it is due, and what a GPU or its driver does not have is asked for once. Energy is
//! read each time although it costs 3 ms there: what a lease has used is told to the second.

use leasehold_common::node::Reading;
use std::time::{Duration, Instant};

/// How long an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Not at all.
    Always,
    /// Ten seconds.
    Soon,
    /// A minute.
    Seldom,
}

impl Pace {
    const fn stands(self) -> Duration {
        match self {
            Self::Always => Duration::ZERO,
            Self::Soon => Duration::from_secs(10),
            Self::Seldom => Duration::from_secs(60),
        }
    }
}

/// The last answer to one question about one GPU.
#[derive(Debug, Clone)]
pub(super) struct Last<T> {
    known: Option<(Instant, Reading<T>)>,
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self { known: None }
    }
}

impl<T: Clone> Last<T> {
    /// The last answer where it still stands, otherwise a new one. What is unsupported stands for as long as
    /// the driver is loaded; what failed is asked again at once.
    pub(super) fn or(
        &mut self,
        pace: Pace,
        now: Instant,
        ask: impl FnOnce() -> Reading<T>,
    ) -> Reading<T> {
        let stands = |asked: Instant| now.saturating_duration_since(asked) < pace.stands();
        match &self.known {
            Some((_, Reading::Unsupported)) => return Reading::Unsupported,
            Some((asked, answer @ Reading::Value(_))) if stands(*asked) => return answer.clone(),
            Some(_) | None => {}
        }
        let answer = ask();
        self.known = Some((now, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_until_it_is_due() {
        let mut last = Last::default();
        let begun = Instant::now();
        let mut asked = 0;
        for seconds in [0, 1, 9, 10, 11, 25] {
            let now = begun + Duration::from_secs(seconds);
            let _ = last.or(Pace::Soon, now, || {
                asked += 1;
                Reading::Value(asked)
            });
        }
        assert_eq!(asked, 3, "at 0, 10 and 25 seconds");
    }

    #[test]
    fn what_is_not_there_is_asked_for_once_and_what_failed_again() {
        let mut last = Last::<u32>::default();
        let now = Instant::now();
        let failed = last.or(Pace::Seldom, now, || Reading::Failed("timeout".into()));
        assert_eq!(failed, Reading::Failed("timeout".into()));
        let gone = last.or(Pace::Seldom, now, || Reading::Unsupported);
        assert_eq!(gone, Reading::Unsupported);
        let later = now + Duration::from_secs(3600);
        let still = last.or(Pace::Always, later, || Reading::Value(1));
        assert_eq!(still, Reading::Unsupported);
    }
}
