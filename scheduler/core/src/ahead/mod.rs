//! Planning ahead: hardware for leases that wait, kept free by plans that promise nothing.
//!
//! ```text
//!   pending, best class first, oldest first
//!   ├─ the first `planned_ahead`   each has a tentative booking in the packing engine: its earliest
//!   │                              start, with those before it booked and those after it not
//!   └─ the others                  go ahead wherever no booking, tentative or real, is delayed
//!
//!   what changes ── Stir ──> Walk through pending, in order, a bounded part of it with each step
//! ```
//!
//! A tentative booking is in the engine under the lease's own number, so that the engine's ordinary
//! rules keep it free: a smaller lease goes ahead where it is over in time. It is nowhere in the
//! ledger: a new leader plans again, from the same leases in the same order. It becomes a real booking
//! when its start has come and its hardware is back, or as soon as it can start at all.
//!
//! - Whoever is before another in the order is never kept waiting by that one's tentative booking:
//!   before anybody is planned, those after it are lifted out of the engine, and what still goes is put
//!   back.
//! - Decisions about leases that have hardware, and maintenance, do not see tentative bookings at all.
//! - A plan is only given up for an earlier start, or because it cannot be kept any more. So a
//!   planned start does not wander, and planning comes to an end.
//! - Nothing is tried because time passes, except at the instants that explanations name. Whatever
//!   lets something in says which nodes it frees, and only requests that one of them could serve are
//!   decided again.
//!
//! `first` says who goes before a lease that waits, `stir` is what changes, `tentative` the bookings, `walk` who is decided again.

mod first;
mod stir;
mod tentative;
mod walk;

pub(crate) use stir::Stir;

use leasehold_common::class::Class;
use leasehold_common::ids::LeaseId;
use leasehold_common::time::Timestamp;
use leasehold_placement::Booking;
use std::collections::{BTreeMap, BTreeSet};
use walk::Walk;

/// A place in the order of those that wait: the better class first, the older first within a class.
pub(crate) type Rank = (Class, Timestamp, LeaseId);

/// What is planned for leases that wait, and what of it is to be looked at again.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// The leases that have been planned, with their tentative bookings; without one where no start
    /// can be named.
    planned: BTreeMap<LeaseId, Option<Booking>>,
    /// Those whose bookings are not in the engine just now. Empty between steps.
    lifted: BTreeSet<LeaseId>,
    /// What has changed since the walk under way began.
    pub(crate) stir: Stir,
    walk: Option<Walk>,
}

impl Ahead {
    /// For a scheduler that has just begun: everything is to be planned.
    pub(crate) fn unplanned() -> Self {
        Self {
            stir: Stir::everything(),
            ..Self::default()
        }
    }

    /// Whether pending leases are to be looked at.
    pub(crate) fn has_work(&self) -> bool {
        self.walk.is_some() || !self.stir.is_empty()
    }
}
