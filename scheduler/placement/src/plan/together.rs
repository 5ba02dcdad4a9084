//! Gangs of which every node could be had, and not all of them together: what runs out on the way.

use super::faults::Cause;
use super::gang::{self as gangs, Size};
use super::limits::Limits;
use super::survey::Survey;
use leasehold_common::explain::{RankedReason, Reason};

/// How many nodes of a gang could be had together, with everything and with one thing alone in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Together {
    size: Size,
    /// With all of it.
    pub(super) most: u32,
    /// With spares alone; absent where they are not in the way, here and below.
    pub(super) spares: Option<u32>,
    /// With power budgets.
    watts: Option<u32>,
    /// With floors and ceilings.
    shares: Option<u32>,
}

impl Together {
    /// It is asked about gangs that could be had but for this. Each thing that may be in the way costs a
    /// look at the nodes that fit.
    pub(super) fn of(survey: &Survey<'_>, size: Size, limits: &Limits<'_>) -> Self {
        let wanted = size.nodes;
        let most = |limits: &Limits<'_>| gangs::most(survey, size, limits).min(wanted);
        let all = most(limits);
        let with_spares = match size.spares {
            0 => wanted,
            _ => most(&Limits::none(survey.ask)),
        };
        // There is no domain without a node that works.
        let taken = wanted.saturating_mul(size.spares.saturating_add(1));
        let (watts, shares) = match (limits.are_powered(), limits.may_keep(taken)) {
            (false, false) => (None, None),
            (true, false) => (Some(all), None),
            (false, true) => (None, Some(all)),
            (true, true) => {
                let watts = most(&limits.without_shares());
                let shares = most(&limits.without_watts());
                if watts < with_spares || shares < with_spares {
                    (Some(watts), Some(shares))
                } else {
                    // Each leaves enough, and not of the same nodes.
                    (Some(all), Some(all))
                }
            }
        };
        let binds = |most: &u32| *most < with_spares;
        Self {
            size,
            most: all,
            spares: Some(with_spares).filter(|most| *most < wanted),
            watts: watts.filter(binds),
            shares: shares.filter(binds),
        }
    }

    /// Whether power budgets, or floors and ceilings, are in the way; nothing else is here.
    pub(super) const fn binds(&self, cause: Cause) -> bool {
        match cause {
            Cause::Power => self.watts.is_some(),
            Cause::Reserved => self.shares.is_some(),
            Cause::Held
            | Cause::Cpu
            | Cause::Memory
            | Cause::Draining
            | Cause::Cleanup
            | Cause::Unavailable => false,
        }
    }

    /// What is in the way, first what leaves the fewest nodes.
    pub(super) fn reasons(self) -> Vec<RankedReason> {
        let Size { nodes, .. } = self.size;
        let ranked = |most: Option<u32>, reason: Reason, what: &str| {
            most.map(|most| RankedReason {
                reason,
                nodes: most,
                detail: format!("{what} {most} of the {nodes} nodes asked together"),
            })
        };
        let mut reasons: Vec<RankedReason> = [
            ranked(
                self.shares,
                Reason::ReservationOnly,
                "floors and ceilings allow",
            ),
            ranked(self.watts, Reason::PowerBudget, "power budgets allow"),
            ranked(
                self.spares,
                Reason::Fragmented,
                "spares kept in each domain leave",
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        reasons.sort_by_key(|reason| reason.nodes);
        reasons
    }
}
