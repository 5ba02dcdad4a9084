//! The agent's way to its scheduler: a few words, over the store today, over a gateway later.

use async_trait::async_trait;
use leasehold_common::grant::{AckRecord, GrantsRecord};
use leasehold_common::node::{HealthReport, LiveRecord, NodeReport};
use leasehold_common::time::Span;
use std::fmt;
use tokio::sync::mpsc;

/// News about this node's grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantNews {
    /// All grants of this node, as they now are; `None` where there is no record of any.
    Now(Option<Box<GrantsRecord>>),
    /// They cannot be read: what was read before stands.
    Unreadable(String),
    /// The other side has not answered for a while.
    ContactLost(String),
    /// It answers again.
    ContactBack,
}

/// Something did not reach the other side.
#[derive(Debug, thiserror::Error)]
#[error("{what} not delivered")]
pub struct ChannelError {
    /// What was to be delivered.
    pub what: &'static str,
    /// Why it was not.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The channel. Everything that is said replaces what was said before, so saying it twice is
/// harmless.
#[async_trait]
pub trait NodeChannel: Send + Sync + fmt::Debug {
    /// What the node is.
    async fn report(&self, report: &NodeReport) -> Result<(), ChannelError>;
    /// How its GPUs are.
    async fn health(&self, report: &HealthReport) -> Result<(), ChannelError>;
    /// What it enforces.
    async fn ack(&self, acks: &AckRecord) -> Result<(), ChannelError>;
    /// Follows this node's grants, from how they are now on, until nobody listens any more.
    async fn follow_grants(&self, news: mpsc::Sender<GrantNews>);
    /// Lets the other side know that this node is alive, for as long as the sign is held.
    async fn alive(&self, record: &LiveRecord, ttl: Span) -> Result<Box<dyn Sign>, ChannelError>;
}

/// A sign of life. It outlives the agent by its TTL at most: a restart must not look like a death.
#[async_trait]
pub trait Sign: Send + Sync + fmt::Debug {
    /// Changes what it says.
    async fn say(&self, record: &LiveRecord) -> Result<(), ChannelError>;
}
