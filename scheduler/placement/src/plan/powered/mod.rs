//! When a request could start where nodes are not all it takes: watts, floors, ceilings and spares.
//!
//! What floors and ceilings leave does not depend on the start. Whether a node fits changes at the
//! starts and ends of the holds on it. Watts are booked by whole minutes and a lease has every minute
//! that it touches, so that of all starts in one minute the first has the fewest minutes: watts come
//! free only where a minute begins in which less is booked than in the one before it, or more allowed.
//! So the first start is one of a list that can be written down, and no other needs to be asked about.
//!
//! For one node the list is gone through node by node, in the order in which they come free: where the
//! watts above it allow a start, or from when on, is one question to the power book. For a gang, in
//! `gangs`, a whole stretch of the list is asked about at once, with every node that fits anywhere in it
//! and only the minutes that every start in it would have. A stretch without hope is passed over; any
//! other is halved, down to one start, which is then asked about as it is. So it is the list that ends
//! the search, and never a number of tries. How many nodes fit in a stretch is counted, in `lots`, by
//! budget above them and not node by node.

mod gangs;
mod lots;

pub(super) use gangs::first_gang;

use super::ask::Ask;
use super::classes;
use super::earliest::{is_in_time, turns};
use super::limits::Limits;
use super::rules::judge;
use crate::cell::Group;
use crate::power::{Lasting, Load, Minute, Minutes, UnitId};
use crate::request::End;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::{Granularity, Policy};
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;

/// Starts from one instant on, and before another where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The first start from the one asked for on at which a node can be had, with what is above it, and
/// the first node that then can.
pub(super) fn first_node(ask: &Ask<'_>, policy: &Policy) -> Option<(Timestamp, NodeIndex)> {
    let mut search = First::new(ask, policy);
    if ask.is_present() && ask.apart.granularity == Granularity::Node && !ask.cell.is_washing() {
        search.by_index();
        debug_assert_eq!(
            search.best,
            first_of_all(ask, policy),
            "the index has the first node"
        );
        search.best
    } else {
        first_of_all(ask, policy)
    }
}

/// The same from a look at every node.
fn first_of_all(ask: &Ask<'_>, policy: &Policy) -> Option<(Timestamp, NodeIndex)> {
    let mut search = First::new(ask, policy);
    for (node, _) in ask.nodes() {
        search.by_holds(node);
    }
    search.best
}

/// The search for one node.
struct First<'a, 'b> {
    ask: &'b Ask<'a>,
    limits: Limits<'a>,
    watts: Watts<'a, 'b>,
    best: Option<(Timestamp, NodeIndex)>,
    instants: Vec<Timestamp>,
}

impl<'a, 'b> First<'a, 'b> {
    fn new(ask: &'b Ask<'a>, policy: &Policy) -> Self {
        Self {
            ask,
            limits: Limits::new(*ask, policy),
            watts: Watts::new(ask),
            best: None,
            instants: Vec::new(),
        }
    }

    /// Nodes that nobody has by pools, those that leases have by when the last of them is over, and one by
    /// one only the account's own and those with bookings to come.
    fn by_index(&mut self) {
        let ask = self.ask;
        let Some((sku, index)) = ask.sku else {
            return;
        };
        let is_narrow = ask.cell.grid().has_narrow_budgets();
        for group in Group::ALL.into_iter().filter(|g| g.may_serve(ask.side)) {
            if self.limits.keeps_all(group) {
                continue;
            }
            let pools = index.groups[group.number()].sets().flatten();
            for key in pools.filter(|key| ask.is_large_enough(key.gpus)) {
                let alike = ask.cell.index().pools.get(key.pool);
                let nodes = alike.alike(sku, group, key.gpus);
                for node in nodes.take(if is_narrow { usize::MAX } else { 1 }) {
                    self.try_span(node, ask.window.start, None);
                }
            }
        }
        let frail = index.groups.iter().flat_map(|group| &group.frail);
        let own = ask.account.and_then(|account| index.beside.get(&account));
        let own = own.into_iter().flat_map(|own| &own.nodes);
        let one_by_one = frail
            .map(|(_, node)| node)
            .chain(own)
            .chain(&index.involved);
        for node in one_by_one.chain(classes::carved_nodes(ask)) {
            self.by_holds(*node);
        }
        for (tail, node) in index.tails.range((ask.window.last_end(), NodeIndex(0))..) {
            let Some(at) = ask.window.after(Some(*tail)) else {
                // It should be back already.
                continue;
            };
            if self.best.is_some_and(|(best, _)| best < at) || !is_in_time(ask, at) {
                break;
            }
            let (known, stance) = ask.look(*node);
            let fits = |at| judge(known, stance, &ask.at(at)).faults.fits();
            if at > ask.window.start && !stance.is_involved && fits(at) {
                self.try_span(*node, at, None);
            }
        }
    }

    /// One node, by the holds on it.
    fn by_holds(&mut self, node: NodeIndex) {
        let (_, stance) = self.ask.look(node);
        if !self.ask.is_large_enough(stance.gpus) {
            return;
        }
        let latest = self.best.map(|(at, _)| at);
        for span in spans_of(self.ask, node, latest, &mut self.instants) {
            if self.try_span(node, span.from, span.until) {
                return;
            }
        }
    }

    /// A node that fits from an instant on, until another; whether it can be had then.
    fn try_span(&mut self, node: NodeIndex, from: Timestamp, until: Option<Timestamp>) -> bool {
        let (_, stance) = self.ask.look(node);
        if self.best.is_some_and(|best| best < (from, node))
            || self.limits.is_reserved(node, stance)
        {
            return false;
        }
        let power = self.limits.envelope(stance);
        // What draws nothing is no budget's business, not even of one that is exceeded.
        let at = match power {
            MilliWatts::ZERO => Some(from),
            _ => self.watts.first_start(node, power, from),
        };
        let Some(at) = at.filter(|at| until.is_none_or(|until| *at < until)) else {
            return false;
        };
        self.best = Some(self.best.map_or((at, node), |best| best.min((at, node))));
        true
    }
}

/// When a node fits, from the start asked for on; spans that begin after `latest` are left out.
fn spans_of(
    ask: &Ask<'_>,
    node: NodeIndex,
    latest: Option<Timestamp>,
    instants: &mut Vec<Timestamp>,
) -> Vec<Span> {
    let (known, stance) = ask.look(node);
    let faults = judge(known, stance, ask).faults;
    if !faults.may_fit_later() {
        return Vec::new();
    }
    turns(ask, known, instants);
    let is_soon = |at: &&Timestamp| latest.is_none_or(|latest| **at <= latest);
    let later = instants.iter().take_while(is_soon).map(|at| {
        let fits = judge(known, stance, &ask.at(*at)).faults.fits();
        (*at, if fits { 1 } else { -1 })
    });
    let now = faults.fits().then_some((ask.window.start, 1));
    joined(now.into_iter().chain(later))
}

/// The spans that instants say from which on something fits, or does not.
fn joined(changes: impl Iterator<Item = (Timestamp, i64)>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut open: Option<Timestamp> = None;
    for (at, change) in changes {
        match (open, change > 0) {
            (None, true) => open = Some(at),
            (Some(from), false) => {
                spans.push(Span {
                    from,
                    until: Some(at),
                });
                open = None;
            }
            (Some(_), true) | (None, false) => {}
        }
    }
    spans.extend(open.map(|from| Span { from, until: None }));
    spans
}

/// From when on there are watts. Nodes below the same budgets that would draw the same have one answer.
struct Watts<'a, 'b> {
    ask: &'b Ask<'a>,
    lasting: Lasting,
    /// For each, from when on it was asked last, and what came out.
    known: BTreeMap<(UnitId, MilliWatts), (Timestamp, Option<Timestamp>)>,
}

impl<'a, 'b> Watts<'a, 'b> {
    fn new(ask: &'b Ask<'a>) -> Self {
        let lasting = match ask.request.end {
            End::Open => Lasting::Open,
            End::After(length) => {
                // As many as it touches where it starts with a minute.
                let minutes = length.millis().div_ceil(60_000);
                Lasting::For(u32::try_from(minutes).unwrap_or(u32::MAX))
            }
            End::At(until) => Lasting::Until(Minute::not_before(until)),
        };
        Self {
            ask,
            lasting,
            known: BTreeMap::new(),
        }
    }

    /// The first start, `from` or later, at which so much may be drawn on a node.
    fn first_start(
        &mut self,
        node: NodeIndex,
        power: MilliWatts,
        from: Timestamp,
    ) -> Option<Timestamp> {
        let grid = self.ask.cell.grid();
        match grid.bounded_above(grid.unit_of(node)).next() {
            Some(unit) => self.first_in(unit, power, from),
            None => Some(from),
        }
    }

    /// The first start, `from` or later, at which so much may be drawn in a unit.
    fn first_in(&mut self, unit: UnitId, power: MilliWatts, from: Timestamp) -> Option<Timestamp> {
        match self.known.get(&(unit, power)) {
            Some((asked, None)) if *asked <= from => return None,
            Some((asked, Some(at))) if *asked <= from && from <= *at => return Some(*at),
            Some(_) | None => {}
        }
        let load = [Load { unit, power }];
        let book = self.ask.cell.grid().book();
        let minutes = Minutes::outward(from, self.ask.request.end.if_started(from));
        let at = if book.fits(&load, minutes).is_ok() {
            Some(from)
        } else {
            let start = book.first_start(&load, Minute::not_before(from), self.lasting);
            let at = start.map(Minute::begins);
            at.filter(|at| is_in_time(self.ask, *at))
        };
        self.known.insert((unit, power), (from, at));
        at
    }
}
