//! How long answers took.

use std::time::Duration;

/// Times of answers, in any order until they are asked for.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Takes one in.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Takes in another client's.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The time within which so many of a hundred answers came, by nearest rank: always a time that
    /// was measured. Zero where nothing was.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        let at = rank.saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), Duration::ZERO);
        for ms in (1..=10).rev() {
            latencies.push(Duration::from_millis(ms));
        }
        assert_eq!(latencies.percentile(0), Duration::from_millis(1));
        assert_eq!(latencies.percentile(50), Duration::from_millis(5));
        assert_eq!(latencies.percentile(99), Duration::from_millis(10));
        assert_eq!(latencies.percentile(100), Duration::from_millis(10));
    }
}
