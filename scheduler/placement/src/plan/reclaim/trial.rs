//! Which leases to take back where watts are short too, or what is kept for a side, or where a domain
//! serves one side at a time, or cleaning has to wait for its hour.
//!
//! There a lease far from the nodes may be the one in the way, and whether a set suffices is asked of
//! the planner itself, on one copy of the cell that leases are taken out of and put back into, with the
//! hours of cleaning that they had.

use super::harm::{Harm, Least, Taking};
use super::nodes::Takings;
use super::subsets::{FEW, picked, smallest};
use crate::cell::{Cell, Lifted};
use crate::decision::Plan;
use crate::plan::room;
use crate::request::Request;
use leasehold_common::ids::LeaseId;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes all tries of every combination may look at together.
const LOOKS: usize = 1 << 22;

/// How many leases are tried for being needless, of a set put together greedily.
const GIVEN_BACK: usize = 64;

/// The planner's answers if leases were not there.
pub(super) struct Trial<'a> {
    cell: &'a Cell,
    request: Request,
    policy: &'a Policy,
    now: Timestamp,
    /// Made when it is first asked for.
    copy: Option<Cell>,
    /// What is not in the copy.
    out: BTreeMap<LeaseId, Lifted>,
}

impl<'a> Trial<'a> {
    /// For a request that would start then.
    pub(super) fn new(
        cell: &'a Cell,
        request: &Request,
        policy: &'a Policy,
        now: Timestamp,
        start: Timestamp,
    ) -> Self {
        Self {
            cell,
            request: Request {
                start: Some(start),
                ..request.clone()
            },
            policy,
            now,
            copy: None,
            out: BTreeMap::new(),
        }
    }

    /// Where the request would go.
    pub(super) fn plan_without(&mut self, gone: &BTreeSet<LeaseId>) -> Option<Plan> {
        let copy = self.copy.get_or_insert_with(|| self.cell.clone());
        let back: Vec<LeaseId> = self.out.keys().copied().collect();
        for lease in back.into_iter().filter(|lease| !gone.contains(lease)) {
            let lifted = self.out.remove(&lease).expect("its number was just read");
            if copy.put_back(lifted).is_err() {
                // What was booked on a node that has changed since is not booked again.
                *copy = self.cell.clone();
                self.out.clear();
                break;
            }
        }
        for lease in gone {
            if let Some(lifted) = copy.lift(*lease) {
                self.out.insert(*lease, lifted);
            }
        }
        room(copy, &self.request, self.policy, self.now)
    }

    fn suffices(&mut self, gone: impl Iterator<Item = LeaseId>) -> bool {
        self.plan_without(&gone.collect()).is_some()
    }

    /// The sets that make room.
    pub(super) fn sets(&mut self, takings: &Takings<'_>) -> Least {
        let mut least = Least::default();
        let harm = |leases: &BTreeSet<LeaseId>| Harm::of(leases.iter().map(|l| takings[l]));
        let mut order: Vec<&Taking> = takings.values().copied().collect();
        order.sort_by_key(|taking| taking.weight());
        if order.len() <= FEW && self.cell.len() << order.len() <= LOOKS {
            let pick = |set| picked(&order, set).map(|taking| taking.lease);
            for set in smallest(order.len(), |set| self.suffices(pick(set))) {
                least.enter(harm(&pick(set).collect()));
            }
            return least;
        }
        let first = |n: usize| order[..n].iter().map(|taking| taking.lease);
        if !self.suffices(first(order.len())) {
            return least;
        }
        // The fewest of them, in their order, that suffice.
        let (mut low, mut high) = (0, order.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.suffices(first(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let mut chosen: BTreeSet<LeaseId> = first(high).collect();
        for taking in order[..high].iter().rev().take(GIVEN_BACK) {
            chosen.remove(&taking.lease);
            if !self.suffices(chosen.iter().copied()) {
                chosen.insert(taking.lease);
            }
        }
        least.enter(harm(&chosen));
        least
    }
}
