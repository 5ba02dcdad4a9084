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

    /// How long before its end a lease starts draining and its holder is told.
    pub const fn notice(self) -> Span {
        match self {
            Self::InternalCritical | Self::Committed => Span::from_mins(60),
            Self::OnDemand => Span::from_mins(120),
            Self::InternalBatch | Self::Spot => Span::from_mins(10),
        }
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
