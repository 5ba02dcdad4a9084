//! The time a lease would need hardware for.

use crate::cell::Hold;
use crate::request::{End, Request};
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};

/// From a start to an end, and the turnaround after any end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
    /// When hardware is begun to be made clean after it: at its end, or later where that has to wait.
    pass: Option<Timestamp>,
    /// The present.
    pub(super) now: Timestamp,
    turnaround: Span,
}

impl Window {
    /// For a request that starts then.
    pub(super) fn new(
        request: &Request,
        policy: &Policy,
        now: Timestamp,
        start: Timestamp,
    ) -> Self {
        let end = request.end.if_started(start);
        Self {
            start,
            end,
            pass: end,
            now,
            turnaround: policy.turnaround,
        }
    }

    /// The same for another start.
    pub(super) fn starting(&self, request: &Request, start: Timestamp) -> Self {
        let end = request.end.if_started(start);
        Self {
            start,
            end,
            pass: end,
            ..*self
        }
    }

    /// The same where cleaning begins then.
    pub(super) const fn cleaned_from(&self, pass: Timestamp) -> Self {
        Self {
            pass: Some(pass),
            ..*self
        }
    }

    /// The instant from which the hardware can be somebody else's; absent for an open end.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.pass.map(|pass| pass + self.turnaround)
    }

    /// The instant from which the hardware of a hold is free again; absent where nobody can say:
    /// its end is open, or it has ended and should be back already.
    pub(super) fn free_after(&self, hold: &Hold) -> Option<Timestamp> {
        self.after(hold.pass.filter(|_| !hold.awaiting_return))
    }

    /// The instant from which hardware is free again that is cleaned from then on.
    pub(super) fn after(&self, end: Option<Timestamp>) -> Option<Timestamp> {
        end.map(|to| to + self.turnaround)
            .filter(|free| *free > self.now)
    }

    /// Whether hold and window only want hardware at the same time because cleaning has to wait.
    pub(super) fn clashes_by_queue(&self, hold: &Hold) -> bool {
        let is_over = |end: Option<Timestamp>, at| end.is_some_and(|e| e + self.turnaround <= at);
        self.clashes(hold)
            && !hold.awaiting_return
            && (is_over(self.end, hold.from) || is_over(hold.to, self.start))
            && self.after(hold.pass).is_some()
    }

    /// The last instant at which cleaning can begin for its hardware to be free at the start.
    pub(super) fn last_end(&self) -> Timestamp {
        self.start - self.turnaround
    }

    /// Whether hold and window want hardware at the same time, turnarounds included.
    pub(super) fn clashes(&self, hold: &Hold) -> bool {
        let begins_before = self.until().is_none_or(|until| hold.from < until);
        let lasts_into = self.free_after(hold).is_none_or(|free| self.start < free);
        begins_before && lasts_into
    }

    /// From when on, and until when, a request that starts clashes with a hold: always before where the
    /// first is absent, and always after where the last is. Absent where it never does.
    pub(super) fn kept_by(
        &self,
        end: End,
        hold: &Hold,
    ) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
        let first = match end {
            End::After(length) => {
                let span =
                    Span::from_millis(length.millis().saturating_add(self.turnaround.millis()));
                // Instants begin with the epoch: before it there is no start.
                let is_ever_over = Timestamp::EPOCH + span <= hold.from;
                is_ever_over.then(|| (hold.from - span) + Span::from_millis(1))
            }
            End::At(until) if until + self.turnaround <= hold.from => return None,
            End::At(_) | End::Open => None,
        };
        Some((first, self.free_after(hold)))
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
