//! The pure cores over a model of everything around them, with a fault at every effect.
//!
//! The problem: what ruins a ledger of leases is not a rule that is wrong but a rule that is right
//! and was cut in half: a scheduler that died between its commit and its answers, a leader that
//! slept through its own replacement, an answer that never arrived and a client that asked again.
//! Each needs an unlucky moment, and no test finds them one by one. So everything that decides is
//! run here against models of what it acts on, one seed a life, and each life is cut wherever its
//! seed says.
//!
//! ```text
//!   clients ──► scheduler ──► commit ──► log file ──► answers, grants ──► agents ──► acks
//!                core's step    │                                          agent-core's book
//!                               ▼            × crash, pause, unknown outcome, lost answer,
//!                         model store          expired key, restored snapshot between any two
//!                               │
//!                            checker          shares no code with what it checks
//! ```
//!
//! - [`world`] owns everything of one life and decides from the seed what happens next;
//! - [`store`] is the model store: revisions, guarded transactions, watches, keys that expire,
//!   snapshots;
//! - [`scheduler`] is one scheduler process around `leasehold_core`: it does what the daemon does,
//!   one effect at a time;
//! - [`agent`] is one agent process around `leasehold_agent_core`, with a disk that outlives it;
//! - [`checker`] reads what is stored and what is served, and says what must never be.
//!
//! Beside the lives stands [`openb`]: the packing engine on a public trace, against the published
//! policies. It has no faults and no seeds of life.
//!
//! Invariants: one seed is one life, whatever machine it is run on; no clock, no thread, no hash
//! order, and no randomness but [`rng::Rng`]'s. At the end of each life all faults stop, every lease
//! is ended, and the cell must come to rest empty, clean and agreed upon.
//!
//! Beside that, [`load`] tries the packing engine alone: how fast it decides on made-up cells.
//!
//! Not here: sockets, files, etcd, NVML. They have tests of their own.

pub mod agent;
pub mod checker;
mod client;
mod inventory;
pub mod load;
mod log_file;
pub mod openb;
pub mod rng;
mod run;
pub mod scheduler;
pub mod store;
pub mod world;

pub use run::{Failure, Summary, run};

/// Seeds whose lives once broke an invariant. They are run first, for ever. What they found in the
/// cores has a story of its own in the cores' tests: a seed is another life as soon as the order of
/// chances changes.
pub const REGRESSIONS: &[u64] = &[1978, 5673, 5705];
