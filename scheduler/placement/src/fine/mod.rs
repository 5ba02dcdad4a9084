//! Fine packing: requests that fit on one node, in thousandths of a GPU and of a core.
//!
//! The problem: leases of whole nodes leave whole nodes behind, but shares of a GPU, single GPUs with
//! explicit CPU and memory, and requests for CPU alone leave remains: a node with free GPUs and no
//! core to drive them, half a GPU nobody asks for, a T4 given to one who would have taken anything.
//! What a request is worth rarely differs; what it spoils does.
//!
//! ```text
//!   FineRequest ─► Pool ── boards: one tournament per kind of request and model
//!                   │        └─ only nodes that changed since it was last asked for play again
//!                   ├─ score: what the request would spoil on a node, and what it would leave
//!                   ├─ pressure: which models the picky need
//!                   └─► Choice { placement, score by field }, or none: then no node has room
//! ```
//!
//! - [`Mix`] is all the policy knows of the future: how many cores a GPU is usually asked with, how
//!   many are asked for without, and which models are acceptable;
//! - [`FinePolicy`] is what each term is worth, [`FineScore`] the reason for a choice;
//! - [`checker`] keeps its own books and says what must never be.
//!
//! Invariants:
//! - CPU, memory and every GPU are never given twice; a node that is down gets nothing.
//! - A request is refused only where no node has room for it, whatever it would spoil.
//! - The same nodes, ranks, mix, weights and calls give the same choices: integers only, and ties end
//!   at the rank.
//! - Nothing is rebuilt for a change: placing, releasing, and a node going down or coming back are
//!   notes of one node each, which a kind of request reads when it is asked for again.
//!
//! Not here: who may share a node with whom, time, power and gangs. The caller gives a pool the nodes
//! that a request may have.

mod board;
pub mod checker;
mod mix;
mod node;
mod pool;
mod pressure;
mod request;
mod score;
mod weights;

pub use mix::Mix;
pub use pool::{Choice, Pool, PoolError};
pub use request::{
    FineNode, FineRequest, GPUS_MAX, Gpus, ModelId, ModelSet, Placement, Spot, WHOLE,
};
pub use score::FineScore;
pub use weights::{FinePolicy, Weights};
