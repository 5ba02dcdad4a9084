//! The time a lease would need hardware for.

use crate::cell::Hold;
use crate::request::{End, Policy, Request};
use leasehold_common::time::{Span, Timestamp};

/// From a start to an end, and the turnaround after any end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
    turnaround: Span,
}

impl Window {
    /// For a request that starts then.
    pub(super) fn new(request: &Request, policy: &Policy, start: Timestamp) -> Self {
        Self {
            start,
            end: request.end.if_started(start),
            turnaround: policy.turnaround,
        }
    }

    /// The instant from which the hardware can be somebody else's; absent for an open end.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.end.map(|end| end + self.turnaround)
    }

    /// The instant from which the hardware of a hold is free again; absent where nobody can say.
    pub(super) fn free_after(&self, hold: &Hold) -> Option<Timestamp> {
        match hold.to {
            Some(to) if !hold.awaiting_return => Some(to + self.turnaround),
            _ => None,
        }
    }

    /// Whether hold and window want hardware at the same time, turnarounds included.
    pub(super) fn clashes(&self, hold: &Hold) -> bool {
        let begins_before = self.until().is_none_or(|until| hold.from < until);
        let lasts_into = self.free_after(hold).is_none_or(|free| self.start < free);
        begins_before && lasts_into
    }

    /// The starts at which it changes whether a request clashes with a hold: the first that is
    /// after it, and, for a window of fixed length, the first that is no longer before it.
    pub(super) fn turns(&self, end: End, hold: &Hold) -> impl Iterator<Item = Timestamp> {
        let no_longer_before = match end {
            End::After(length) => {
                let span =
                    Span::from_millis(length.millis().saturating_add(self.turnaround.millis()));
                Some((hold.from - span) + Span::from_millis(1))
            }
            End::Open | End::At(_) => None,
        };
        [self.free_after(hold), no_longer_before]
            .into_iter()
            .flatten()
    }
}
