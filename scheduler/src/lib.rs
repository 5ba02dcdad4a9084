//! The scheduler daemon: the edges around `leasehold-core`.
//!
//! ```text
//!   leasectl, curl ─► control (HTTP on a Unix socket, roles) ─► Desk
//!                                                                │ messages
//!   store ◄─► duty: follow · campaign · lead · recover ◄─────────┘
//!                │
//!                ├─► log_file: placements.jsonl, chained, never ahead of the ledger
//!                └─► metrics: what it last counted, for whoever scrapes
//! ```
//!
//! Everything that decides is in `leasehold-core` and `leasehold-placement`. Here decisions are made
//! durable, in this order and no other: the store first, the log file second, answers and grants
//! last. So nothing is acknowledged before it is durable, the file never leads the ledger, and
//! whatever is lost on the way out can be asked for or derived again.
//!
//! Not here: agents, and anything that both daemons need (`leasehold-daemon`).

pub mod control;
pub mod duty;
pub mod log_file;
pub mod metrics;
pub mod settings;
