//! Requests on their way to the task that owns the state.

use crate::control::Service;
use crate::duty::Journal;
use crate::duty::past::Archive;
use async_trait::async_trait;
use futures::stream::BoxStream;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::Seq;
use leasehold_common::log::Actor;
use leasehold_core::command::{Query, View, Write, Written};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A request, and where its answer goes.
#[derive(Debug)]
pub enum Message {
    /// Somebody wants something changed.
    Write {
        /// Who.
        actor: Actor,
        /// What.
        write: Box<Write>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Written, Problem>>,
    },
    /// Somebody wants to know something.
    Read {
        /// What.
        query: Query,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<View, Problem>>,
    },
}

impl Message {
    /// Answers that the store cannot be used.
    pub(crate) fn refuse(self, why: &str) {
        let problem = Problem::new(ProblemCode::StoreUnavailable, why);
        // A caller that has gone away needs no answer.
        match self {
            Self::Write { answer, .. } => drop(answer.send(Err(problem))),
            Self::Read { answer, .. } => drop(answer.send(Err(problem))),
        }
    }
}

/// The desk where requests are handed in: what the control socket talks to.
#[derive(Debug, Clone)]
pub struct Desk {
    messages: mpsc::Sender<Message>,
    journal: Journal,
    archive: Archive,
}

impl Desk {
    /// The most requests that may lie on the desk; further ones wait at the socket.
    pub const ROOM: usize = 1024;

    /// A desk, and the end at which messages come out.
    pub fn new(journal: Journal) -> (Self, mpsc::Receiver<Message>) {
        let (messages, out) = mpsc::channel(Self::ROOM);
        let archive = Archive::new(journal.clone());
        let desk = Self {
            messages,
            journal,
            archive,
        };
        (desk, out)
    }

    async fn ask(&self, query: Query) -> Result<View, Problem> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Message::Read { query, answer }, answered)
            .await
    }

    async fn hand_in<T>(
        &self,
        message: Message,
        answer: oneshot::Receiver<Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let gone = || Problem::new(ProblemCode::StoreUnavailable, "the scheduler is stopping");
        self.messages.send(message).await.map_err(|_| gone())?;
        // A write whose answer is lost here may have been carried out: the same key again tells.
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[async_trait]
impl Service for Desk {
    async fn submit(&self, actor: Actor, write: Write) -> Result<Written, Problem> {
        let (answer, answered) = oneshot::channel();
        let write = Box::new(write);
        self.hand_in(
            Message::Write {
                actor,
                write,
                answer,
            },
            answered,
        )
        .await
    }

    async fn read(&self, query: Query) -> Result<View, Problem> {
        match self.ask(query.clone()).await {
            Err(problem) => self.ask(self.archive.instead(&query, problem).await?).await,
            found @ Ok(_) => found,
        }
    }

    fn events(&self, after: Option<Seq>, follow: bool) -> BoxStream<'static, Arc<Value>> {
        self.journal.events(after, follow)
    }
}
