//! How much of the fleet is in use when so much has been asked for.

use std::collections::BTreeMap;

/// The published accounting: after each event the shares arrived and used are noted, and for each
/// whole percent arrived the value is the mean over the events that round to it.
#[derive(Debug, Clone)]
pub struct Curve {
    capacity_milli: u64,
    arrived_milli: u64,
    used_milli: u64,
    /// By percent arrived: the sum of used shares in hundredths of a percent, and the events.
    sums: BTreeMap<u64, (u64, u64)>,
}

impl Curve {
    /// For a fleet with so many thousandths of GPUs.
    pub const fn new(capacity_milli: u64) -> Self {
        Self {
            capacity_milli,
            arrived_milli: 0,
            used_milli: 0,
            sums: BTreeMap::new(),
        }
    }

    /// Enters a request and whether it was placed. A refused one counts as arrived.
    pub fn enter(&mut self, gpu_milli: u32, placed: bool) {
        self.arrived_milli += u64::from(gpu_milli);
        self.used_milli += if placed { u64::from(gpu_milli) } else { 0 };
        let percent = self.rounded(self.arrived_milli, 100);
        let hundredths = self.rounded(self.used_milli, 10_000);
        let (sum, events) = self.sums.entry(percent).or_default();
        *sum += hundredths;
        *events += 1;
    }

    /// The share in use, in percent, when this share had arrived; absent where no event came near.
    pub fn used_pct_at(&self, arrived_pct: u64) -> Option<f64> {
        let (sum, events) = self.sums.get(&arrived_pct)?;
        // A sum of at most 10^4 an event: far below what a float holds exactly.
        Some(*sum as f64 / *events as f64 / 100.0)
    }

    /// A share of the capacity, rounded half up.
    const fn rounded(&self, milli: u64, scale: u64) -> u64 {
        match self.capacity_milli {
            0 => 0,
            capacity => (2 * milli * scale + capacity) / (2 * capacity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_the_mean_over_events_that_round_to_it() {
        let mut curve = Curve::new(100_000);
        curve.enter(49_600, true);
        curve.enter(800, false);
        curve.enter(200, true);
        assert_eq!(curve.used_pct_at(50), Some((49.6 + 49.6) / 2.0));
        assert_eq!(curve.used_pct_at(51), Some(49.8));
        assert_eq!(curve.used_pct_at(52), None);
    }
}
