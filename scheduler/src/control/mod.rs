//! The control API: HTTP/1.1 and JSON on a Unix socket.
//!
//! ```text
//!   accept ─► role of the peer ─► gate ─► route ─► Intent, Query ─► Service ─► Answer
//!            (SO_PEERCRED,        role enough for the route?            │        or Problem
//!             64 at once)         30 s, log of writes, request id       └ the scheduler
//! ```
//!
//! - Who calls is known from the kernel and from nothing that the caller sends. A peer without a
//!   role is told so, and nothing else. Roles are asked before the body is read.
//! - Every refusal is a problem document with a stable code. Text that is no request names the field
//!   or the line, the value, and what is allowed; nothing reaches the scheduler before all of it is
//!   of the right form. Fields and parameters that are not known are refused: a misspelt `dry_run`
//!   must not become a write.
//! - Every write is logged with who, what and how it ended, the refused ones too.
//! - Everything is bounded: connections, event streams, bodies, the time for a head and for an answer.
//!
//! Not here: what a command does ([`Service`] is the lead task's), and whether its numbers make
//! sense; here ends what can be said from the request alone.

mod answer;
mod body;
mod events;
mod gate;
mod gpus;
mod intent;
mod openapi;
mod parameters;
mod reads;
mod roles;
mod routes;
mod rules;
mod serve;
pub mod service;
mod writes;

pub use roles::{Role, RoleRule, Roles};
pub use serve::serve;
pub use service::Service;

#[cfg(test)]
mod tests;
