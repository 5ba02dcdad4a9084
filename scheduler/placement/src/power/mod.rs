//! Watts over time: what is booked under a budget, what still fits, and from when.
//!
//! ```text
//!   PowerBook      units and their parents: cell ─ hall ─ row ─ rack ─ node
//!      │           one Bound for each unit that has a budget:
//!      │
//!      │   mW  ┌ ─ ─ ─ ─ ─ ─ ─ ─ ┐                       Budget: what may be drawn
//!      │       ·   missing ↕     └ ─ ─ ─ ─ ─ ─ ─ ─ ─
//!      │       ┌───────┐  ┌──────┐   headroom ↕
//!      │   ────┘       └──┘      └────────┐              Profile: what is booked
//!      │                                  └─────────
//!      └─ Minutes ─────────────────────────────────────▶ whole minutes, rounded outward
//! ```
//!
//! What a lease may draw at most (its envelope) is booked for its whole time in every unit above
//! its nodes, so that the sum of the envelopes is known for every minute to come and no budget is
//! exceeded by a promise, however many of them come true at once.
//!
//! Invariants:
//! - Time is rounded outward to whole minutes ([`Minutes::outward`]), so that a booking never takes
//!   less than its lease does.
//! - A [`Profile`] has one form for one function of time: taking out what was put in leaves a value
//!   equal to the one before, and nothing behind in memory.
//! - A unit without a budget keeps no profile. Racks and nodes are many and mostly unbounded.
//! - Answers are exact: [`first_start`] names the first minute at which something fits, not a good
//!   one, and among several shortages the worst is named, always the same one.
//!
//! Beside watts, making a node clean after a lease is a thing there is only so much of in an hour;
//! [`Passes`] counts it.
//!
//! Not here: how large an envelope is (`leasehold_common::sku`), which units there are and who sets
//! their budgets, and which leases are booked. Bookings are given and taken back by the caller.

mod book;
mod budget;
mod minutes;
mod passes;
mod profile;
mod steps;
#[cfg(test)]
mod tests;

pub use book::{Load, PowerBook, Shortage, UnitId};
pub use budget::{Budget, BudgetError, BudgetStep, Peak, first_start, headroom, shortage};
pub use minutes::{Lasting, Minute, Minutes};
pub use passes::{Hour, Passes, last_hour};
pub use profile::Profile;
