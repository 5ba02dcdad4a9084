//! Leases that may be taken back, and what harm that does.

use crate::cell::{Booked, Cell};
use crate::power::UnitId;
use crate::request::Request;
use leasehold_common::class::Class;
use leasehold_common::explain::HarmField;
use leasehold_common::ids::LeaseId;
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use std::collections::BTreeSet;

/// What a lease without an end is taken to lose: nobody knows when it would have ended.
const OPEN_END: Span = Span::from_hours(30 * 24);

/// A lease that may be told to go now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taking {
    pub(super) lease: LeaseId,
    pub(super) class: Class,
    /// When its access would end.
    pub(super) ends: Timestamp,
    /// When it would end by itself.
    pub(super) to: Option<Timestamp>,
    /// The domains it has nodes in, in order.
    domains: Vec<UnitId>,
    /// GPU minutes of its term that it would lose.
    gpu_minutes: u64,
}

impl Taking {
    /// A lease of a class that policy names and the request outranks, that has run as long as policy
    /// says and would not be over by itself before its notice is.
    fn of(
        cell: &Cell,
        booked: &Booked,
        request: &Request,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Self> {
        let booking = &booked.booking;
        let class = booking.class;
        let terms = match class {
            Class::InternalCritical | Class::Committed => return None,
            Class::OnDemand | Class::InternalBatch | Class::Spot => policy.reclaim.get(&class)?,
        };
        let ends = now + class.notice();
        let may_go = class > request.class
            && !booked.awaiting_return
            && booking.from <= now
            && now.since(booking.from) >= terms.min_run
            && booking.to.is_none_or(|to| to > ends);
        if !may_go {
            return None;
        }
        let mut domains: Vec<UnitId> = booking
            .nodes
            .iter()
            .map(|node| cell.grid().unit_of(node))
            .collect();
        domains.sort_unstable();
        domains.dedup();
        let gpus = booking.nodes.iter().map(|node| {
            let all = cell.spec(node).map_or(0, |spec| spec.gpus);
            let some = booking.gpus.get(&node).map_or(all, |slots| slots.len());
            u64::from(some)
        });
        let left = booking.to.map_or(OPEN_END, |to| to.since(ends));
        Some(Self {
            lease: booking.lease,
            class,
            ends,
            to: booking.to,
            domains,
            gpu_minutes: gpus.sum::<u64>().saturating_mul(left.millis() / 60_000),
        })
    }

    /// Every lease that may be told to go now for the request, by number.
    pub(super) fn all(
        cell: &Cell,
        request: &Request,
        policy: &Policy,
        now: Timestamp,
    ) -> Vec<Self> {
        let booked = cell.bookings();
        booked
            .filter_map(|booked| Self::of(cell, booked, request, policy, now))
            .collect()
    }

    /// Whether the window of a request that starts then would meet it, were it not told to go.
    pub(super) fn lasts_into(&self, start: Timestamp, policy: &Policy) -> bool {
        self.to.is_none_or(|to| to + policy.turnaround > start)
    }

    /// By how much it should stay, besides what it gives: the first to go first.
    pub(super) fn weight(&self) -> (std::cmp::Reverse<Class>, u64, LeaseId) {
        (std::cmp::Reverse(self.class), self.gpu_minutes, self.lease)
    }
}

/// What is lost by taking leases back: lower is better, and the order of the fields is the policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Harm {
    on_demand: u32,
    internal_batch: u32,
    leases: u32,
    domains_broken: u32,
    gpu_minutes_lost: u64,
    pub(super) ids: Vec<LeaseId>,
}

impl Harm {
    /// Of leases in order of their numbers.
    pub(super) fn of<'t>(takings: impl Iterator<Item = &'t Taking>) -> Self {
        let mut harm = Self {
            on_demand: 0,
            internal_batch: 0,
            leases: 0,
            domains_broken: 0,
            gpu_minutes_lost: 0,
            ids: Vec::new(),
        };
        let mut domains: BTreeSet<UnitId> = BTreeSet::new();
        let mut first: &[UnitId] = &[];
        for taking in takings {
            match taking.class {
                Class::OnDemand => harm.on_demand += 1,
                Class::InternalBatch => harm.internal_batch += 1,
                Class::Spot | Class::Committed | Class::InternalCritical => {}
            }
            harm.leases += 1;
            harm.gpu_minutes_lost = harm.gpu_minutes_lost.saturating_add(taking.gpu_minutes);
            if harm.leases == 1 {
                // Mostly it is one, which may have thousands.
                first = &taking.domains;
            } else {
                domains.extend(first.iter().chain(&taking.domains));
                first = &[];
            }
            harm.ids.push(taking.lease);
        }
        harm.domains_broken = u32::try_from(domains.len() + first.len()).unwrap_or(u32::MAX);
        harm
    }

    /// Every field with its word, in the order in which they decide, the numbers aside.
    pub(super) fn fields(&self) -> [(HarmField, i64); 5] {
        let lost = i64::try_from(self.gpu_minutes_lost).unwrap_or(i64::MAX);
        [
            (HarmField::OnDemand, i64::from(self.on_demand)),
            (HarmField::InternalBatch, i64::from(self.internal_batch)),
            (HarmField::Leases, i64::from(self.leases)),
            (HarmField::DomainsBroken, i64::from(self.domains_broken)),
            (HarmField::GpuMinutesLost, lost),
        ]
    }

    /// The first field on which it is worse than another.
    pub(super) fn lost_by(&self, winner: &Self) -> HarmField {
        let fields = self.fields().into_iter().zip(winner.fields());
        let first = fields
            .filter(|(mine, theirs)| mine != theirs)
            .map(|((field, _), _)| field)
            .next();
        first.unwrap_or(HarmField::LeaseIds)
    }
}

/// How many sets that lost are told of.
const RUNNERS_UP: usize = 2;

/// The least harmful few of many sets.
#[derive(Debug, Default)]
pub(super) struct Least(pub(super) Vec<Harm>);

impl Least {
    pub(super) fn enter(&mut self, harm: Harm) {
        if let Err(at) = self.0.binary_search(&harm)
            && at <= RUNNERS_UP
        {
            self.0.insert(at, harm);
            self.0.truncate(RUNNERS_UP + 1);
        }
    }
}
