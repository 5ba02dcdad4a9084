//! The packing engine under load: made-up cells, made-up requests, and what each decision costs.
//!
//! The problem: an engine that is fast on an empty cell, for one shape and one account, says little.
//! What decides is the cell that has been in use for weeks: part-used nodes of a hundred accounts on
//! both sides of the house, bookings to come, nodes that fail and return, and a third of all requests
//! refused with a complete account of why.
//!
//! ```text
//!   Layout ──► Cell ◄── book, end, give back, fail, advance ── Driver ──► Audit   every decision, by the
//!   Mix    ──► Request ──────────► plan ─────────────────────►   │                 engine's own checker,
//!                                                              Clock               from plain data
//!      fill    from empty until nothing fits                     │
//!      churn   a steady state                                    ▼
//!      buyout  one enormous lease in a part-used cell          Report
//!      trace   a list of jobs, replayed
//! ```
//!
//! - A run is its options and a seed: the same seed gives the same decisions, and a digest of them
//!   says so. Only what the [`clock`] measures differs from run to run.
//! - The clock stands still while plans are checked. Checking is put off and done for a few thousand
//!   decisions at once, so that it does not push the cell out of the processor's caches between any two.
//! - What is checked comes from the driver's own record of what was booked, never from the cell.
//!
//! Not here: what a fleet of shared GPUs holds in the end, compared with published results; and the
//! daemons around the engine.

mod audit;
pub mod buyout;
mod cell;
pub mod churn;
mod clock;
mod command;
mod driver;
pub mod fill;
mod fleet;
mod mix;
mod report;
mod terms;
pub mod trace;

pub use cell::{InvalidLayout, Layout};
pub use command::{Load, Output};
pub use fleet::{InvalidTrace, Job, jobs, nodes};
pub use report::{Figures, resident_mib};
