//! Counting the cell for whoever scrapes, between the steps and never instead of them.

use crate::metrics::Metrics;
use leasehold_common::time::Timestamp;
use leasehold_core::State;
use leasehold_core::tally::Count;
use std::time::{Duration, Instant};

/// Nodes or leases that are counted between two steps: less than a millisecond's worth.
const PIECE: usize = 500;

/// From the end of one count to the beginning of the next: a third of the usual time between scrapes.
const PAUSE: Duration = Duration::from_secs(5);

/// A count is followed by a pause of at least so many times as long as it took, so that counting takes
/// no more than a hundredth of the task's time however large the cell is.
const SHARE: u32 = 99;

/// The counts of one term of office.
#[derive(Debug)]
pub(super) struct Counting {
    under_way: Option<Count>,
    next: Instant,
    took: Duration,
}

impl Default for Counting {
    /// The first count begins at once.
    fn default() -> Self {
        Self {
            under_way: None,
            next: Instant::now(),
            took: Duration::ZERO,
        }
    }
}

impl Counting {
    /// Whether a count has begun and is not done.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Counts a piece, if one is due and somebody wants to know.
    pub fn go_on(&mut self, state: &State, metrics: &Metrics, now: Timestamp) {
        let Some(with_tenants) = metrics.wants_tally() else {
            return;
        };
        let began = Instant::now();
        if self.under_way.is_none() && began < self.next {
            return;
        }
        let count = self
            .under_way
            .get_or_insert_with(|| state.begin_count(with_tenants, now));
        let counted = state.count_on(count, PIECE, now);
        self.took += began.elapsed();
        if let Some(tally) = counted {
            metrics.show(tally, now);
            self.under_way = None;
            self.next = Instant::now() + PAUSE.max(self.took * SHARE);
            self.took = Duration::ZERO;
        }
    }
}
