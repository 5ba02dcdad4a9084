//! Keeps the node's sign of life up.

use crate::channel::NodeChannel;
use leasehold_common::node::LiveRecord;
use leasehold_common::time::Span;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long until a sign that could not be given is tried again: well within any TTL.
const RETRY: Duration = Duration::from_secs(1);

/// Gives the sign, and renews what it says when that changes. Once given, the channel keeps it.
pub async fn run(
    channel: Arc<dyn NodeChannel>,
    mut record: watch::Receiver<LiveRecord>,
    ttl: Span,
) {
    loop {
        let now = record.borrow_and_update().clone();
        let sign = match channel.alive(&now, ttl).await {
            Ok(sign) => sign,
            Err(e) => {
                tracing::debug!(error = %e, "no sign of life yet");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        while record.changed().await.is_ok() {
            let now = record.borrow_and_update().clone();
            if let Err(e) = sign.say(&now).await {
                tracing::warn!(error = %e, "the sign of life does not say the newest");
            }
        }
        return;
    }
}
