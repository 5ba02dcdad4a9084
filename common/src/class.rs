//! Sides of the house and classes of lease: who may be reclaimed for whom, and with what notice.

use crate::time::Span;
use crate::token::words;

words! {
    /// Which side of the house an account is on. A node serves one side at a time.
    Side("side") {
        /// The owner's own work.
        Internal = "internal",
        /// Outside customers.
        Tenant = "tenant",
    }
}

words! {
    /// What a lease promises, best kept first: when something must give, a class is given up
    /// before any class that stands above it.
    Class("class") {
        /// The owner's work that nothing outranks; never reclaimed.
        InternalCritical = "internal-critical",
        /// Sold for its whole term; never reclaimed.
        Committed = "committed",
        /// Sold until its end, reclaimed only with two hours' notice.
        OnDemand = "on-demand",
        /// The owner's work that waits for room.
        InternalBatch = "internal-batch",
        /// Sold while there is room, reclaimed with ten minutes' notice.
        Spot = "spot",
    }
}

impl Class {
    /// The side whose accounts may hold this class.
    pub const fn side(self) -> Side {
        match self {
            Self::InternalCritical | Self::InternalBatch => Side::Internal,
            Self::Committed | Self::OnDemand | Self::Spot => Side::Tenant,
        }
    }

    /// How long before the end a holder is told that a lease will be taken back or ended.
    pub const fn notice(self) -> Span {
        match self {
            Self::InternalCritical | Self::Committed => Span::from_mins(60),
            Self::OnDemand => Span::from_mins(120),
            Self::InternalBatch | Self::Spot => Span::from_mins(10),
        }
    }

    /// How long before the end of its own term a lease starts draining: the class's notice, but no
    /// more than a tenth of the term, because a lease of two hours is not about to end when it
    /// begins. The whole notice for an open end, which only a request can close.
    pub fn notice_within(self, term: Option<Span>) -> Span {
        let tenth = term.map_or(self.notice(), |term| Span::from_millis(term.millis() / 10));
        self.notice().min(tenth)
    }

    /// How long after the end of access the holder's data is kept before it may be wiped without a
    /// further order.
    pub const fn wipe_delay(self) -> Span {
        match self {
            Self::InternalCritical | Self::Committed => Span::from_hours(24),
            Self::OnDemand | Self::InternalBatch | Self::Spot => Span::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_lease_drains_for_a_tenth_of_its_term() {
        let short = Class::OnDemand.notice_within(Some(Span::from_hours(2)));
        let long = Class::OnDemand.notice_within(Some(Span::from_hours(24 * 30)));
        assert_eq!((short, long), (Span::from_mins(12), Span::from_mins(120)));
        assert_eq!(Class::OnDemand.notice_within(None), Span::from_mins(120));
    }
}
