//! How far a lease has come.

use crate::token::words;

words! {
    /// The states of a lease. Who moves each one on, its time limit and what happens when a party is
    /// lost stands in the architecture notes; which moves are legal stands in
    /// [`LeaseState::may_become`].
    LeaseState("lease state") {
        /// Accepted and stored; waits for a plan.
        Requested = "requested",
        /// A plan is held for the holder to confirm.
        Held = "held",
        /// Hardware is booked from `start`.
        Scheduled = "scheduled",
        /// Grants are out; nodes are getting ready.
        Preparing = "preparing",
        /// Handed over.
        Active = "active",
        /// Told to end; access goes on until `access_end`.
        Draining = "draining",
        /// Access has ended; nodes are giving the hardware back.
        Releasing = "releasing",
        /// Every node has given its hardware back or is quarantined; meters come in.
        Settling = "settling",
        /// Over.
        Closed = "closed",
        /// Over before it began: policy or hardware says no.
        Rejected = "rejected",
        /// Over before it began: nobody confirmed, or nothing fitted in time.
        Lapsed = "lapsed",
        /// Over before it began: its holder withdrew it.
        Cancelled = "cancelled",
        /// Over before it began: it could not be started.
        Failed = "failed",
    }
}

impl LeaseState {
    /// Whether a lease in this state may go to `next`. Everything else is refused and changes
    /// nothing.
    pub const fn may_become(self, next: Self) -> bool {
        use LeaseState as S;
        match self {
            S::Requested => {
                matches!(
                    next,
                    S::Held | S::Scheduled | S::Rejected | S::Lapsed | S::Cancelled
                )
            }
            S::Held => matches!(next, S::Scheduled | S::Lapsed | S::Cancelled),
            S::Scheduled => matches!(next, S::Preparing | S::Requested | S::Cancelled | S::Failed),
            S::Preparing => matches!(next, S::Active | S::Releasing | S::Failed),
            S::Active => matches!(next, S::Draining | S::Releasing),
            S::Draining => matches!(next, S::Active | S::Releasing),
            S::Releasing => matches!(next, S::Settling),
            S::Settling => matches!(next, S::Closed),
            S::Closed | S::Rejected | S::Lapsed | S::Cancelled | S::Failed => false,
        }
    }

    /// Whether nothing more can happen to it.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Closed | Self::Rejected | Self::Lapsed | Self::Cancelled | Self::Failed => true,
            Self::Requested
            | Self::Held
            | Self::Scheduled
            | Self::Preparing
            | Self::Active
            | Self::Draining
            | Self::Releasing
            | Self::Settling => false,
        }
    }

    /// Whether hardware is booked for it, so that it counts against quota and capacity.
    pub const fn holds_hardware(self) -> bool {
        match self {
            Self::Held
            | Self::Scheduled
            | Self::Preparing
            | Self::Active
            | Self::Draining
            | Self::Releasing => true,
            Self::Requested
            | Self::Settling
            | Self::Closed
            | Self::Rejected
            | Self::Lapsed
            | Self::Cancelled
            | Self::Failed => false,
        }
    }

    /// Whether its nodes have, or are being given, a grant.
    pub const fn has_grants(self) -> bool {
        match self {
            Self::Preparing | Self::Active | Self::Draining | Self::Releasing => true,
            Self::Requested
            | Self::Held
            | Self::Scheduled
            | Self::Settling
            | Self::Closed
            | Self::Rejected
            | Self::Lapsed
            | Self::Cancelled
            | Self::Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over_and_what_is_not_has_a_way_out() {
        for state in LeaseState::ALL {
            let ways = LeaseState::ALL
                .iter()
                .filter(|next| state.may_become(**next))
                .count();
            assert_eq!(state.is_over(), ways == 0, "{state}");
        }
    }

    #[test]
    fn every_state_but_the_first_can_be_reached() {
        for state in LeaseState::ALL
            .iter()
            .filter(|s| **s != LeaseState::Requested)
        {
            assert!(
                LeaseState::ALL.iter().any(|from| from.may_become(*state)),
                "{state}"
            );
        }
    }
}
