//! Gangs, a stretch of starts at a time.

use super::Watts;
use super::lots::{Lots, Room};
use crate::plan::earliest::is_in_time;
use crate::plan::gang::{Size, candidates};
use crate::plan::limits::Limits;
use crate::plan::openings::{Openings, units};
use crate::plan::survey::Survey;
use crate::power::{Minute, Minutes};
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::units::MilliWatts;

/// How long the first stretch is that is asked about at once.
const SOON: Span = Span::from_mins(15);

/// The first start after the survey's at which a gang can be had, and the nodes that it waits for. So
/// many nodes are not free together before `free`.
pub(in crate::plan) fn first_gang(
    survey: &Survey<'_>,
    openings: &Openings,
    size: Size,
    policy: &Policy,
    free: Timestamp,
) -> Option<(Timestamp, Vec<NodeIndex>)> {
    let search = Search::new(survey, openings, size, policy);
    let shared = search.first_with_shares()?.max(free);
    let first = first_with_watts(survey, size, policy, shared)?;
    if first > survey.ask.window.start
        && let Some(found) = search.had_at(first)
    {
        return Some((first, found));
    }
    let last = search.last_turn()?;
    // Mostly it is soon, so that short stretches are asked about first.
    let (mut begun, mut length) = (first, SOON);
    while begun <= last {
        let end = begun + length;
        let found = search.between(begun, end);
        if found.is_some() {
            return found;
        }
        begun = end;
        length = Span::from_millis(length.millis().saturating_mul(2));
    }
    None
}

/// The first start, `free` or later, at which the whole cell has watts for so many of the smallest nodes.
fn first_with_watts(
    survey: &Survey<'_>,
    size: Size,
    policy: &Policy,
    free: Timestamp,
) -> Option<Timestamp> {
    let ask = &survey.ask;
    let need = Limits::new(*ask, policy).least_need();
    let all = MilliWatts(need.0.saturating_mul(u64::from(size.nodes)));
    match ask.cell.grid().cell() {
        Some(cell) if all > MilliWatts::ZERO => Watts::new(ask).first_in(cell, all, free),
        Some(_) | None => Some(free),
    }
}

/// The looks at a survey's nodes at starts to come.
struct Search<'s, 'a> {
    survey: &'s Survey<'a>,
    openings: &'s Openings,
    size: Size,
    policy: &'s Policy,
    /// Units that have enough nodes.
    units: Vec<Lots<'s>>,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(survey: &'s Survey<'a>, openings: &'s Openings, size: Size, policy: &'s Policy) -> Self {
        let limits = Limits::new(survey.ask, policy);
        let large = units(survey).filter(|(_, seats)| seats.len() >= size.nodes as usize);
        Self {
            units: large
                .map(|unit| Lots::of(&survey.ask, &limits, openings, unit))
                .collect(),
            survey,
            openings,
            size,
            policy,
        }
    }

    /// The first start before which floors and ceilings leave too few of the nodes that fit.
    fn first_with_shares(&self) -> Option<Timestamp> {
        let limits = Limits::new(self.survey.ask, self.policy);
        let units = self.units.iter();
        units
            .filter_map(|unit| unit.first_with_shares(self.size.nodes, &limits))
            .min()
    }

    /// The last start at which anything comes to be possible.
    fn last_turn(&self) -> Option<Timestamp> {
        let begins = self.units.iter().flat_map(Lots::begins);
        let nodes = begins.filter_map(|from| from.last().copied()).max();
        let book = self.survey.ask.cell.grid().book();
        let watts = book
            .bounded()
            .filter_map(|unit| book.bound(unit))
            .filter_map(|(budget, profile)| {
                let step = budget.steps().last().map(|step| step.from);
                step.into_iter().chain(profile.last_change()).max()
            });
        nodes
            .into_iter()
            .chain(watts.max().map(Minute::begins))
            .max()
    }

    /// Every start from the first on, before the last, after the one asked for, at which it can come to be
    /// possible.
    fn instants(&self, first: Timestamp, last: Timestamp) -> Vec<Timestamp> {
        let ask = &self.survey.ask;
        let mut instants = vec![first];
        for from in self.units.iter().flat_map(Lots::begins) {
            let begun = from.partition_point(|at| *at < first);
            instants.extend(from[begun..].iter().take_while(|at| **at < last));
        }
        let minutes = Minutes {
            from: Minute::not_before(first),
            to: Minute::not_before(last),
        };
        let book = ask.cell.grid().book();
        for (budget, profile) in book.bounded().filter_map(|unit| book.bound(unit)) {
            instants.extend(profile.drops(minutes).map(Minute::begins));
            let steps = budget.steps().iter().map(|step| step.from);
            let within = steps.filter(|from| minutes.from <= *from && *from < minutes.to);
            instants.extend(within.map(Minute::begins));
        }
        instants.retain(|at| *at > ask.window.start && is_in_time(ask, *at));
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// The first start from one on, before another, at which it is possible, and where.
    fn between(&self, first: Timestamp, end: Timestamp) -> Option<(Timestamp, Vec<NodeIndex>)> {
        let last = end - Span::from_millis(1);
        if !self.is_hopeful(first, last) {
            return None;
        }
        let instants = self.instants(first, end);
        (!instants.is_empty())
            .then(|| self.within(&instants))
            .flatten()
    }

    /// The first of these starts, which are not none, at which it is possible, and where.
    fn within(&self, instants: &[Timestamp]) -> Option<(Timestamp, Vec<NodeIndex>)> {
        let (first, last) = (instants.first()?, instants.last()?);
        if first == last {
            return self.had_at(*first).map(|nodes| (*first, nodes));
        }
        if !self.is_hopeful(*first, *last) {
            return None;
        }
        let (sooner, later) = instants.split_at(instants.len() / 2);
        self.within(sooner).or_else(|| self.within(later))
    }

    /// Whether it would be possible with every node that fits at any of these starts, and nothing in
    /// the way of it but what is booked for minutes that all of them have.
    fn is_hopeful(&self, first: Timestamp, last: Timestamp) -> bool {
        let ask = self.survey.ask.at(first);
        let shared = Minutes {
            from: Minute::containing(last),
            ..Minutes::outward(first, ask.window.end)
        };
        let mut limits = Limits::new(ask, self.policy).during(shared);
        let wanted = self.size.nodes;
        let mut units = self.units.iter();
        units.any(|unit| unit.room((first, last), wanted, &mut limits).most >= wanted)
    }

    /// The nodes that it would wait for, where a gang can be had at a start. Where counting says it, none is
    /// chosen.
    fn had_at(&self, at: Timestamp) -> Option<Vec<NodeIndex>> {
        let (ask, wanted) = (self.survey.ask.at(at), self.size.nodes);
        let mut limits = Limits::new(ask, self.policy);
        let mut hopeful = self.units.iter().filter_map(|unit| {
            let room = unit.room((at, at), wanted, &mut limits);
            (room.most >= wanted).then_some((unit, room))
        });
        let (unit, Room { is_exact, .. }) = hopeful.next()?;
        let unit = if is_exact && self.size.spares == 0 && !self.size.whole {
            debug_assert!(self.chosen(at).is_some(), "counting is choosing");
            unit
        } else {
            let node = self.chosen(at)?;
            let mut units = self.units.iter();
            units.find(|unit| unit.seats.iter().any(|seat| seat.index == node))?
        };
        let seats = unit.seats.iter().zip(unit.at.clone());
        let new =
            seats.filter(|(seat, place)| !seat.faults.fits() && self.openings.fits(*place, at));
        Some(new.map(|(seat, _)| seat.index).collect())
    }

    /// A node of the gang that would be chosen at a start.
    fn chosen(&self, at: Timestamp) -> Option<NodeIndex> {
        let then = self.survey.at(at);
        let limits = Limits::new(then.ask, self.policy);
        let best = candidates(&then, self.size, &limits)
            .best
            .into_iter()
            .next();
        best.and_then(|(_, candidate)| candidate.nodes.iter().next())
    }
}
