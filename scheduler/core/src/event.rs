//! What goes into a step and what comes out of it.

use crate::command::{Write, Written};
use leasehold_common::api::Problem;
use leasehold_common::grant::AckRecord;
use leasehold_common::ids::{NodeIndex, NodeName};
use leasehold_common::keys::Key;
use leasehold_common::ledger::{CommitRecord, LedgerHead};
use leasehold_common::log::Actor;
use leasehold_common::node::{HealthReport, LiveRecord, NodeReport};

/// A request's number in this process, so that its answer finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that happened. The passing of time is no event: every step is told the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This scheduler leads from now on.
    Elected {
        /// Its host.
        host: String,
    },
    /// Somebody asks for something.
    Request {
        /// Where the answer goes.
        id: RequestId,
        /// Who asks.
        actor: Actor,
        /// For what.
        write: Box<Write>,
    },
    /// A node's report is now this; `None`: its key is gone.
    Report(NodeName, Option<Box<NodeReport>>),
    /// A node's health is now this.
    Health(NodeName, Option<Box<HealthReport>>),
    /// A node's acknowledgements are now these.
    Acks(NodeName, Option<Box<AckRecord>>),
    /// A node's liveness key is now this.
    Live(NodeName, Option<LiveRecord>),
    /// A node wrote something that is no record of its kind.
    Unreadable(NodeName, String),
    /// The store has not answered for a while.
    ContactLost,
    /// The store answers again.
    ContactBack,
}

/// One commit: everything a step decided, applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The head after it.
    pub head: LedgerHead,
    /// Its placement-log records.
    pub commit: CommitRecord,
    /// Ledger records to set, as stored.
    pub puts: Vec<(Key, Vec<u8>)>,
    /// Ledger records to remove.
    pub deletes: Vec<Key>,
}

/// What follows from a step once its batch is committed, or at once where it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request.
    Answer {
        /// Which.
        id: RequestId,
        /// With what.
        result: Box<Result<Written, Problem>>,
    },
    /// The grants of this node are to be derived and written again.
    Grants(NodeIndex),
}

/// What a step came to.
#[must_use = "a decided batch that is not committed leaves the state ahead of the ledger"]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// To be committed; absent where nothing was decided.
    pub batch: Option<Batch>,
    /// To be released when it is.
    pub effects: Vec<Effect>,
    /// Whether there is more to do at once: the batch was full.
    pub more: bool,
}
