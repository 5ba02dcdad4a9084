//! A channel that can be cut.

use async_trait::async_trait;
use leasehold_agent::channel::{ChannelError, GrantNews, NodeChannel, Sign};
use leasehold_common::grant::AckRecord;
use leasehold_common::node::{HealthReport, LiveRecord, NodeReport};
use leasehold_common::time::Span;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

#[derive(Debug)]
pub struct CutChannel {
    inner: Arc<dyn NodeChannel>,
    connected: watch::Sender<bool>,
}

impl CutChannel {
    pub fn new(inner: Arc<dyn NodeChannel>, connected: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            connected: watch::Sender::new(connected),
        })
    }

    pub fn connect(&self, connected: bool) {
        self.connected.send_replace(connected);
    }

    fn check(&self, what: &'static str) -> Result<(), ChannelError> {
        if *self.connected.borrow() {
            return Ok(());
        }
        Err(ChannelError {
            what,
            source: "cut".into(),
        })
    }
}

#[async_trait]
impl NodeChannel for CutChannel {
    async fn report(&self, report: &NodeReport) -> Result<(), ChannelError> {
        self.check("report")?;
        self.inner.report(report).await
    }

    async fn health(&self, report: &HealthReport) -> Result<(), ChannelError> {
        self.check("health")?;
        self.inner.health(report).await
    }

    async fn ack(&self, acks: &AckRecord) -> Result<(), ChannelError> {
        self.check("acks")?;
        self.inner.ack(acks).await
    }

    /// While it is cut nothing is heard; once it is whole again all is heard anew.
    async fn follow_grants(&self, news: mpsc::Sender<GrantNews>) {
        let mut connected = self.connected.subscribe();
        loop {
            if connected.wait_for(|yes| *yes).await.is_err() {
                return;
            }
            tokio::select! {
                () = self.inner.follow_grants(news.clone()) => return,
                _ = connected.wait_for(|yes| !yes) => {}
            }
            if news
                .send(GrantNews::ContactLost("cut".into()))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn alive(&self, record: &LiveRecord, ttl: Span) -> Result<Box<dyn Sign>, ChannelError> {
        self.check("sign of life")?;
        self.inner.alive(record, ttl).await
    }
}
