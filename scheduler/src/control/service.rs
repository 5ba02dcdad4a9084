//! What stands behind the socket.

use async_trait::async_trait;
use futures::stream::BoxStream;
use leasehold_common::api::Problem;
use leasehold_common::ids::Seq;
use leasehold_common::log::Actor;
use leasehold_core::command::{Query, View, Write, Written};
use serde_json::Value;
use std::sync::Arc;

/// The scheduler, as the control API sees it.
///
/// A caller may go away, or be told that it took too long, at any await point: the future is dropped
/// then. A write that was taken on is carried out all the same, and its retry is answered.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Carries out a write, and returns once it is durable.
    async fn submit(&self, actor: Actor, write: Write) -> Result<Written, Problem>;

    /// Answers a question.
    async fn read(&self, query: Query) -> Result<View, Problem>;

    /// Records of the placement log in order, those after `after` first. Without it: from now on when
    /// following, everything that is kept otherwise. Ends at the head unless `follow`.
    fn events(&self, after: Option<Seq>, follow: bool) -> BoxStream<'static, Arc<Value>>;
}
