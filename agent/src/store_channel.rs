//! The channel over the cell's store: each word is a key that only this node writes.

use crate::channel::{ChannelError, GrantNews, NodeChannel, Sign};
use async_trait::async_trait;
use leasehold_common::grant::{AckRecord, GRANTS_MAX_BYTES, GrantsRecord};
use leasehold_common::ids::{CellName, NodeName};
use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::node::{HealthReport, LiveRecord, NodeReport};
use leasehold_common::record::{Record, decode, encode};
use leasehold_common::time::Span;
use leasehold_store::{Change, Keeper, Store, StoreError, Txn, WatchMessage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long until a watch that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What there is to say before the store has answered for the first time.
const NOT_OPEN: &str = "the store is not open yet";

/// The store, once it is open.
pub type OpenStore = watch::Receiver<Option<Arc<dyn Store>>>;

/// A node's channel over a store.
#[derive(Debug)]
pub struct StoreChannel {
    store: OpenStore,
    keys: KeySpace,
    node: NodeName,
}

impl StoreChannel {
    /// Of this node in this cell.
    pub fn new(store: Arc<dyn Store>, cell: &CellName, node: NodeName) -> Self {
        Self::opening(watch::channel(Some(store)).1, cell, node)
    }

    /// The same over a store that may not be open yet.
    pub fn opening(store: OpenStore, cell: &CellName, node: NodeName) -> Self {
        Self {
            store,
            keys: KeySpace::new(cell),
            node,
        }
    }

    fn store(&self, what: &'static str) -> Result<Arc<dyn Store>, ChannelError> {
        let open = self.store.borrow().clone();
        open.ok_or_else(|| ChannelError {
            what,
            source: NOT_OPEN.into(),
        })
    }

    async fn put<R: Record>(&self, key: Key, record: &R) -> Result<(), ChannelError> {
        let txn = Txn {
            puts: vec![(self.keys.key(&key), encode(record))],
            ..Txn::default()
        };
        match self.store(R::KIND)?.commit(txn).await {
            Ok(_) => Ok(()),
            Err(source) => Err(undelivered(R::KIND, source)),
        }
    }

    /// Follows the key until the watch ends or nobody listens.
    async fn follow_once(
        &self,
        store: &dyn Store,
        news: &mpsc::Sender<GrantNews>,
    ) -> Result<(), StoreError> {
        let key = self.keys.key(&Key::Grants(self.node.clone()));
        let now = store.list(&key).await?;
        let mut watch = store.watch(&key, now.revision).await?;
        let value = now.entries.first().map(|entry| entry.value.as_slice());
        let mut next = Some(self.read(value));
        loop {
            if let Some(next) = next
                && news.send(next).await.is_err()
            {
                return Ok(());
            }
            let message = tokio::select! {
                message = watch.recv() => message,
                () = news.closed() => return Ok(()),
            };
            next = match message {
                None => return Ok(()),
                // Only the last state counts.
                Some(WatchMessage::Changes(changes)) => changes.last().map(|change| match change {
                    Change::Put(entry) => self.read(Some(&entry.value)),
                    Change::Delete { .. } => self.read(None),
                }),
                Some(WatchMessage::Snapshot(now)) => {
                    Some(self.read(now.entries.first().map(|entry| entry.value.as_slice())))
                }
                Some(WatchMessage::ContactLost) => Some(GrantNews::ContactLost(
                    "the store does not answer".to_owned(),
                )),
                Some(WatchMessage::ContactBack) => Some(GrantNews::ContactBack),
            };
        }
    }

    fn read(&self, value: Option<&[u8]>) -> GrantNews {
        let Some(value) = value else {
            return GrantNews::Now(None);
        };
        if value.len() > GRANTS_MAX_BYTES {
            let size = value.len();
            let words = format!("{size} bytes of grants, allowed are {GRANTS_MAX_BYTES}");
            return GrantNews::Unreadable(words);
        }
        match decode::<GrantsRecord>(value) {
            Ok(grants) if grants.node == self.node => GrantNews::Now(Some(Box::new(grants))),
            Ok(grants) => GrantNews::Unreadable(format!("grants of node {}", grants.node)),
            Err(e) => GrantNews::Unreadable(match std::error::Error::source(&e) {
                Some(source) => format!("{e}: {source}"),
                None => e.to_string(),
            }),
        }
    }
}

fn undelivered(what: &'static str, source: StoreError) -> ChannelError {
    ChannelError {
        what,
        source: Box::new(source),
    }
}

#[async_trait]
impl NodeChannel for StoreChannel {
    async fn report(&self, report: &NodeReport) -> Result<(), ChannelError> {
        self.put(Key::Node(self.node.clone()), report).await
    }

    async fn health(&self, report: &HealthReport) -> Result<(), ChannelError> {
        self.put(Key::Health(self.node.clone()), report).await
    }

    async fn ack(&self, acks: &AckRecord) -> Result<(), ChannelError> {
        self.put(Key::Acks(self.node.clone()), acks).await
    }

    async fn follow_grants(&self, news: mpsc::Sender<GrantNews>) {
        let mut opening = self.store.clone();
        let mut open = opening.borrow_and_update().clone();
        while open.is_none() {
            let waits = news.send(GrantNews::ContactLost(NOT_OPEN.to_owned())).await;
            if waits.is_err() || opening.changed().await.is_err() {
                return;
            }
            open = opening.borrow_and_update().clone();
        }
        let Some(store) = open else { return };
        while !news.is_closed() {
            if let Err(e) = self.follow_once(&*store, &news).await {
                tracing::warn!(error = %e, "cannot follow this node's grants");
                let lost = GrantNews::ContactLost(e.to_string());
                if news.send(lost).await.is_err() {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn alive(&self, record: &LiveRecord, ttl: Span) -> Result<Box<dyn Sign>, ChannelError> {
        let key = self.keys.key(&Key::Live(self.node.clone()));
        let keeper = self
            .store(LiveRecord::KIND)?
            .keep(&key, encode(record), ttl, Vec::new(), true)
            .await
            .map_err(|e| undelivered(LiveRecord::KIND, e))?;
        Ok(Box::new(KeptSign(keeper)))
    }
}

#[derive(Debug)]
struct KeptSign(Box<dyn Keeper>);

#[async_trait]
impl Sign for KeptSign {
    async fn say(&self, record: &LiveRecord) -> Result<(), ChannelError> {
        self.0
            .set(encode(record))
            .await
            .map_err(|e| undelivered(LiveRecord::KIND, e))
    }
}
