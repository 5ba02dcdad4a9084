//! The scheduler's decisions: what leases, nodes and the ledger become, as one pure function.
//!
//! ```text
//!   requests · reports · health · acks · liveness · the time
//!                           │
//!                     step(state, events, now)
//!                           │
//!        Batch: one commit ─┴─ effects: answers, grants        released once the batch is durable
//! ```
//!
//! - [`State`] is everything known of a cell, with the packing engine's live `Cell` inside. One task
//!   owns it; [`step`] alone changes it.
//! - A [`Batch`] is applied whole or not at all. The state runs ahead of the ledger while it is in
//!   flight; where its fate cannot be learned, the state is loaded again and never undone.
//! - Every change of a ledger record stands in the log record that caused it, so the log is a redo
//!   log: standbys check themselves against it, and [`recover`] brings a restored store up to
//!   date from it.
//! - Agents are checked, not believed; silence is a suspicion; a lease ends by an absolute time or
//!   by newer terms, never because somebody could not be reached.
//!
//! Where to look: a request in `request/`, a lease's life in `lease/`, what is planned for those
//! that wait in `ahead/`, a node's life in `node/`, which rules hold in `policy/`, watts in `power`, what people see in `view/`, how many there are of what in [`tally`], what nodes are told in
//! [`State::grants_of`].
//!
//! Not here: clocks, sockets, files, the store. They are the daemon's.

mod ahead;
pub mod command;
mod conflicts;
mod draft;
mod event;
mod grants;
mod index;
mod lease;
mod load;
mod maintenance;
mod node;
mod policy;
mod power;
pub mod recover;
mod request;
mod settings;
mod state;
mod step;
pub mod tally;
mod view;

pub use event::{Batch, Effect, Event, RequestId, Step};
pub use load::{LoadError, Loaded};
pub use settings::{CoreSettings, Liveness};
pub use state::{Freeze, State};
pub use step::step;
pub use view::Surroundings;
