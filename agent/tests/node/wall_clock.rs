//! A wall clock that stands still until it is set.

use async_trait::async_trait;
use leasehold_agent::clock::Clock;
use leasehold_common::time::{Span, Timestamp};
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Debug)]
pub struct HandClock(watch::Sender<Timestamp>);

impl HandClock {
    pub fn new() -> Arc<Self> {
        let morning = "2026-11-22T09:00:00Z".parse().unwrap();
        Arc::new(Self(watch::Sender::new(morning)))
    }

    pub fn advance(&self, by: Span) {
        self.0.send_modify(|now| *now = *now + by);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn until(&self, at: Timestamp) {
        let mut now = self.0.subscribe();
        now.wait_for(|now| *now >= at)
            .await
            .expect("the clock outlives whoever looks at it");
    }
}
