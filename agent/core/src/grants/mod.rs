//! Grants: what the node has promised to serve, and the rules by which that changes.
//!
//! ```text
//!                  starts_at, GPUs free            access_end, or Order::End
//!   ── accept ──► Accepted ─────────► Serving ─────────────────────► Ended
//!        │            └──────────── access_end, or Order::End ────────┘
//!        └ refuse (nothing is kept; tried again with every decision)
//! ```
//!
//! `book` is what is kept, `rules` why a grant is refused, `decide` how the book changes and
//! what must be done about it, `acks` what is said about it.

mod acks;
mod book;
mod decide;
mod rules;
mod slices;

pub use book::{ENDED_MAX, Ended, Entry, GrantBook, Phase, Refusal};
pub use decide::{Facts, Step, decide};
