//! The vocabulary of Leasehold, and nothing else: what the scheduler, the agents, the command line
//! and the log all mean by the same words.
//!
//! ```text
//!   people      hostlist · api · explain          what operators type, read and script against
//!   hardware    topology · sku · node · units     where a node stands, what it has, how it is
//!   contracts   account · class · lease · grant   who holds what, until when, and what a node is told
//!   rules       policy · power · maintenance      what may be let where, when and with how many watts
//!   memory      record · keys · ledger · log      how all of it is stored, chained and read back
//! ```
//!
//! Invariants kept here, for everybody:
//! - A value of one of these types has been checked: text goes through `FromStr`, also in serde.
//! - Quantities that are compared are integers with their unit in the type ([`units`], [`time`]).
//! - What is stored can be read by tomorrow's code and rewritten by yesterday's: see [`record`].
//! - Nothing here reads a clock, a file or a socket.
//!
//! Not here: how leases are decided (`leasehold-core`, `leasehold-placement`), where records are
//! kept (`leasehold-store`), and what a daemon needs at run time (`leasehold-daemon`).

pub mod account;
pub mod api;
pub mod class;
pub mod explain;
pub mod grant;
pub mod hostlist;
pub mod ids;
pub mod keys;
pub mod lease;
pub mod ledger;
pub mod log;
pub mod maintenance;
pub mod mig;
pub mod node;
pub mod node_set;
pub mod policy;
pub mod power;
pub mod record;
pub mod sku;
pub mod time;
mod token;
pub mod topology;
pub mod units;
