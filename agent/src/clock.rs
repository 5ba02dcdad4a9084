//! The wall clock, behind a trait: leases begin and end by it, and tests set it.

use async_trait::async_trait;
use leasehold_common::time::{Span, Timestamp};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// What time it is, and waiting for a time.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
    /// Returns once it is `at` or later.
    async fn until(&self, at: Timestamp);
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// How long is slept at a time while waiting. The wall clock can be set meanwhile; a longer sleep
/// would notice that later, and end a lease that much too late.
const SLICE: Span = Span::from_secs(2);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_ms(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    async fn until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left == Span::ZERO {
                return;
            }
            tokio::time::sleep(left.min(SLICE).std()).await;
        }
    }
}
