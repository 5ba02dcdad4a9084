//! Gangs, a stretch of starts at a time.

use super::{Span, Watts, joined};
use crate::cell::other;
use crate::plan::ask::Ask;
use crate::plan::earliest::{is_in_time, starts};
use crate::plan::gang::{Size, candidates};
use crate::plan::limits::Limits;
use crate::plan::survey::{Seat, Survey};
use crate::power::{Minute, Minutes};
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliWatts;

/// The first start after the survey's at which a gang can be had, and the nodes that it waits for. So
/// many nodes are not free together before `free`.
pub(in crate::plan) fn first_gang(
    survey: &Survey<'_>,
    size: Size,
    policy: &Policy,
    free: Timestamp,
) -> Option<(Timestamp, Vec<NodeIndex>)> {
    let shared = first_with_shares(survey, size, policy, free)?;
    let first = first_with_watts(survey, size, policy, shared)?;
    if first > survey.ask.window.start
        && let Some(found) = had_at(survey, size, policy, first)
    {
        return Some((first, found));
    }
    let search = Search::new(survey, size, policy);
    let instants = search.instants(first);
    // Mostly it is soon, so that short stretches are asked about first.
    let (mut begun, mut length) = (0, 1);
    while begun < instants.len() {
        let end = (begun + length).min(instants.len());
        if let Some(found) = search.within(&instants[begun..end]) {
            return Some(found);
        }
        (begun, length) = (end, length * 2);
    }
    None
}

/// The first start, `free` or later, before which floors and ceilings leave too few of the nodes that fit.
fn first_with_shares(
    survey: &Survey<'_>,
    size: Size,
    policy: &Policy,
    free: Timestamp,
) -> Option<Timestamp> {
    let ask = &survey.ask;
    let wanted = i64::from(size.nodes);
    let limits = Limits::new(*ask, policy);
    let Some((fresh, open)) = limits.shares_below(size.nodes) else {
        return Some(free);
    };
    let (mut changes, mut instants) = (Vec::new(), Vec::new());
    let mut best: Option<Timestamp> = None;
    for unit in survey.units(ask.within()) {
        if unit.len() < size.nodes as usize {
            continue;
        }
        // Of each change, whether the node is this side's already, and whether it could be the other's.
        let mut all: Vec<(Timestamp, i64, usize)> = Vec::with_capacity(unit.len());
        for seat in unit.iter().filter(|seat| seat.faults.may_fit_later()) {
            let kind = share_of(ask, seat);
            changes.clear();
            starts(ask, seat, &mut instants, &mut changes);
            all.extend(changes.iter().map(|(at, change)| (*at, *change, kind)));
        }
        all.sort_unstable();
        let mut fit = [0_i64; 3];
        for moment in all.chunk_by(|a, b| a.0 == b.0) {
            for (_, change, kind) in moment {
                fit[*kind] += change;
            }
            let can = fit[0] + (fit[1] + fit[2].min(i64::from(open))).min(i64::from(fresh));
            if can >= wanted {
                let at = moment.first().map(|(at, _, _)| *at);
                best = [best, at].into_iter().flatten().min();
                break;
            }
        }
    }
    best.map(|at| at.max(free))
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

/// The nodes that it would wait for, where a gang can be had at a start.
fn had_at(
    survey: &Survey<'_>,
    size: Size,
    policy: &Policy,
    at: Timestamp,
) -> Option<Vec<NodeIndex>> {
    let then = survey.at(at);
    let limits = Limits::new(then.ask, policy);
    let unit = with_room(&then, size, &limits)?;
    let is_new = |seat: &&Seat| {
        let before = survey
            .seats
            .binary_search_by_key(&seat.units_and_index(), Seat::units_and_index);
        before.is_ok_and(|before| !survey.seats[before].faults.fits())
    };
    Some(unit.iter().filter(is_new).map(|seat| seat.index).collect())
}

/// The first unit that a gang can be had from; only nodes that fit are in the survey. Where nothing but
/// watts can be in the way, the nodes that could be had are counted and none is chosen.
fn with_room<'s>(survey: &'s Survey<'_>, size: Size, limits: &Limits<'_>) -> Option<&'s [Seat]> {
    let wanted = size.nodes;
    let mut large = large_enough(survey, size, limits).peekable();
    let chosen = || {
        let best = candidates(survey, size, limits).best.into_iter().next();
        best.and_then(|(_, candidate)| candidate.nodes.iter().next())
    };
    let Some((first, counted)) = large.peek().copied() else {
        debug_assert!(chosen().is_none(), "counting is choosing");
        return None;
    };
    if counted.is_some() && size.spares == 0 && !limits.may_keep(wanted) {
        debug_assert!(chosen().is_some(), "counting is choosing");
        return Some(first);
    }
    let node = chosen()?;
    large
        .map(|(unit, _)| unit)
        .find(|unit| unit.iter().any(|seat| seat.index == node))
}

/// The units that would hold a gang as far as counting goes: what watts allow, and what floors and
/// ceilings leave. From those that do not there is nothing to be chosen. With each, how many of its nodes
/// watts allow; absent where that cannot be counted.
fn large_enough<'s>(
    survey: &'s Survey<'_>,
    size: Size,
    limits: &Limits<'_>,
) -> impl Iterator<Item = (&'s [Seat], Option<u32>)> {
    let ask = &survey.ask;
    let wanted = size.nodes;
    let units = survey.units(ask.within());
    units.filter_map(move |unit| {
        if unit.len() < wanted as usize {
            return None;
        }
        if let Some((fresh, open)) = limits.shares_below(wanted) {
            let mut fit = [0_u32; 3];
            for seat in unit {
                fit[share_of(ask, seat)] += 1;
            }
            let can = u64::from(fit[2].min(open)) + u64::from(fit[1]);
            if u64::from(fit[0]) + can.min(u64::from(fresh)) < u64::from(wanted) {
                return None;
            }
        }
        let nodes = unit.iter().map(|seat| seat.index);
        let most = limits.clone().most_of(nodes);
        most.is_none_or(|most| most >= wanted)
            .then_some((unit, most))
    })
}

/// Whether a node is this side's already, and if it is not, whether it could be the other's.
fn share_of(ask: &Ask<'_>, seat: &Seat) -> usize {
    let (_, stance) = ask.look(seat.index);
    match (stance.serves(ask.side), stance.is_open_to(other(ask.side))) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    }
}

/// The looks at a survey's nodes at starts to come.
struct Search<'s, 'a> {
    survey: &'s Survey<'a>,
    size: Size,
    policy: &'s Policy,
    /// When each seat fits, for those that ever do.
    seats: Vec<(&'s Seat, Vec<Span>)>,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(survey: &'s Survey<'a>, size: Size, policy: &'s Policy) -> Self {
        let (mut instants, mut changes) = (Vec::new(), Vec::new());
        let may_fit = survey.seats.iter().filter(|s| s.faults.may_fit_later());
        let seats = may_fit.filter_map(|seat| {
            changes.clear();
            starts(&survey.ask, seat, &mut instants, &mut changes);
            let spans = joined(changes.iter().copied());
            (!spans.is_empty()).then_some((seat, spans))
        });
        Self {
            seats: seats.collect(),
            survey,
            size,
            policy,
        }
    }

    /// Every start from `first` on, after the one asked for, at which it can come to be possible.
    fn instants(&self, first: Timestamp) -> Vec<Timestamp> {
        let ask = &self.survey.ask;
        let spans = self.seats.iter().flat_map(|(_, spans)| spans);
        let mut instants: Vec<Timestamp> = spans.map(|span| span.from).collect();
        let book = ask.cell.grid().book();
        for (budget, profile) in book.bounded().filter_map(|unit| book.bound(unit)) {
            let mut before = MilliWatts::ZERO;
            for (minute, booked) in profile.changes() {
                if booked < before {
                    instants.push(minute.begins());
                }
                before = booked;
            }
            instants.extend(budget.steps().iter().map(|step| step.from.begins()));
        }
        let start = ask.window.start;
        instants.retain(|at| *at >= first && *at > start && is_in_time(ask, *at));
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// The first of these starts, which are not none, at which it is possible, and where.
    fn within(&self, instants: &[Timestamp]) -> Option<(Timestamp, Vec<NodeIndex>)> {
        if let [at] = instants {
            let found = had_at(self.survey, self.size, self.policy, *at);
            return found.map(|nodes| (*at, nodes));
        }
        if !self.is_hopeful(instants) {
            return None;
        }
        let (sooner, later) = instants.split_at(instants.len() / 2);
        self.within(sooner).or_else(|| self.within(later))
    }

    /// Whether it would be possible with every node that fits at any of these starts, and nothing in
    /// the way of it but what is booked for minutes that all of them have.
    fn is_hopeful(&self, instants: &[Timestamp]) -> bool {
        let (Some(first), Some(last)) = (instants.first(), instants.last()) else {
            return false;
        };
        let fits = self.seats.iter().filter(|(_, spans)| {
            let mut spans = spans.iter();
            spans.any(|span| span.meets(*first, *last))
        });
        let ask = self.survey.ask.at(*first);
        let shared = Minutes {
            from: Minute::containing(*last),
            ..Minutes::outward(*first, ask.window.end)
        };
        let hoped = Survey::hoping(ask, fits.map(|(seat, _)| **seat));
        let limits = Limits::new(ask, self.policy).during(shared);
        large_enough(&hoped, self.size, &limits).next().is_some()
    }
}
