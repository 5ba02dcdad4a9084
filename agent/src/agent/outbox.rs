//! Delivers what the agent says, in its own time: the store may be slow or away, leases go on.
//!
//! Only the newest word counts. What has not been delivered is overtaken by what replaces it.

use crate::channel::{ChannelError, NodeChannel};
use crate::metrics::Delivered;
use leasehold_common::grant::AckRecord;
use leasehold_common::node::{HealthReport, NodeReport};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The wait after a delivery that failed, doubled each time up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_millis(500);

/// How long the store may be back before this is noticed without the news of it.
const RETRY_MAX: Duration = Duration::from_secs(16);

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outgoing {
    /// What the node is.
    pub report: Option<NodeReport>,
    /// How its GPUs are.
    pub health: Option<HealthReport>,
    /// What it enforces.
    pub acks: Option<AckRecord>,
    /// Counts how often contact came back: then everything is said again, because the store may
    /// have been restored from the past.
    pub contacts: u64,
}

impl Outgoing {
    /// How many of its records have not been said.
    fn beyond(&self, said: &Self) -> usize {
        usize::from(self.report != said.report)
            + usize::from(self.health != said.health)
            + usize::from(self.acks != said.acks)
    }
}

/// Delivers until nobody says anything any more.
pub async fn run(
    channel: Arc<dyn NodeChannel>,
    mut outgoing: watch::Receiver<Outgoing>,
    delivered: Delivered,
) {
    let mut said = Outgoing::default();
    let mut wait = RETRY;
    loop {
        let wanted = outgoing.borrow_and_update().clone();
        if said.contacts != wanted.contacts {
            said = Outgoing {
                contacts: wanted.contacts,
                ..Outgoing::default()
            };
        }
        delivered.waits(wanted.beyond(&said));
        let outcome = deliver(&*channel, &wanted, &mut said, &delivered).await;
        delivered.waits(wanted.beyond(&said));
        match outcome {
            Ok(()) => {
                wait = RETRY;
                if outgoing.changed().await.is_err() {
                    return;
                }
            }
            Err(e) => {
                delivered.failed();
                let source = std::error::Error::source(&e).map(ToString::to_string);
                if wait == RETRY {
                    tracing::warn!(error = %e, source, "not delivered, tried again");
                } else {
                    tracing::debug!(error = %e, source, "still not delivered");
                }
                let contact = outgoing.wait_for(|newer| newer.contacts != wanted.contacts);
                match tokio::time::timeout(wait, contact).await {
                    Ok(Ok(_)) => wait = RETRY,
                    Ok(Err(_)) => return,
                    Err(_) => wait = (wait * 2).min(RETRY_MAX),
                }
            }
        }
    }
}

/// Health goes before acknowledgements: whoever reads that a lease was returned must already be able
/// to read that a process was left behind.
async fn deliver(
    channel: &dyn NodeChannel,
    wanted: &Outgoing,
    said: &mut Outgoing,
    delivered: &Delivered,
) -> Result<(), ChannelError> {
    if let Some(report) = &wanted.report
        && said.report != wanted.report
    {
        channel.report(report).await?;
        delivered.reached("report");
        said.report = Some(report.clone());
    }
    if let Some(health) = &wanted.health
        && said.health != wanted.health
    {
        channel.health(health).await?;
        delivered.reached("health");
        said.health = Some(health.clone());
    }
    if let Some(acks) = &wanted.acks
        && said.acks != wanted.acks
    {
        channel.ack(acks).await?;
        delivered.reached("acks");
        said.acks = Some(acks.clone());
    }
    Ok(())
}
