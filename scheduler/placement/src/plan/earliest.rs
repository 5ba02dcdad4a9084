//! When a request could start if nothing but time went on.
//!
//! Of each node it is computed at which starts it fits, from the ends of the holds on it and, for
//! leases of fixed length, the starts. Sweeping those spans unit by unit finds the first instant at
//! which enough nodes of one unit fit together. That is exact, and costs one more look at each
//! node and its holds, where trying the instants one after another would cost a look at the cell for
//! each of thousands.
//!
//! For one node it is shorter still: nodes that others have are free when their last lease is over,
//! and the index has them in that order. Only the account's own nodes and those with bookings to
//! come can be had before.

use super::ask::{Ask, Need};
use super::gang::{Size, candidates};
use super::limits::Limits;
use super::rules::judge;
use super::slices;
use super::survey::{Seat, Survey};
use crate::cell::{Hold, NEVER, Node, Stance};
use crate::power::{Lasting, Load, Minute};
use crate::request::End;
use leasehold_common::ids::NodeIndex;
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::{Granularity, Policy};
use leasehold_common::time::Timestamp;
use std::collections::BTreeSet;

/// The first start after the one asked for at which some node fits, and the first node that then
/// does; absent where only something other than time would help. Nodes that are flagged, silent or
/// out of service are taken to stay so.
///
/// Where power budgets are in the way, the instant is one at which there are watts for that node; there
/// may be earlier ones for others.
pub(super) fn first_node(ask: &Ask<'_>, policy: &Policy) -> Option<(Timestamp, NodeIndex)> {
    let found = first_free_node(ask);
    let limits = Limits::new(*ask, policy);
    if !limits.are_any() {
        return found;
    }
    let fits_now = ask.nodes().filter_map(|(node, stance)| {
        let (known, _) = ask.look(node);
        let fits = judge(known, stance, ask).faults.fits();
        fits.then_some((ask.window.start, node))
    });
    let mut asked = BTreeSet::new();
    fits_now
        .chain(found)
        .filter(|(_, node)| asked.insert(ask.cell.grid().unit_of(*node)))
        .filter_map(|(at, node)| Some((first_powered(ask, policy, node, at)?, node)))
        .min()
}

/// The first start from `at` on at which a node can be had, what is above it included.
fn first_powered(
    ask: &Ask<'_>,
    policy: &Policy,
    node: NodeIndex,
    at: Timestamp,
) -> Option<Timestamp> {
    let (known, stance) = ask.look(node);
    let fits = |at: Timestamp| {
        let then = ask.at(at);
        let mut limits = Limits::new(then, policy);
        is_in_time(ask, at)
            && judge(known, stance, &then).faults.fits()
            && limits.bar(node, stance).is_none()
    };
    if fits(at) {
        return Some(at);
    }
    let lasting = match ask.request.end {
        End::Open => Lasting::Open,
        End::After(length) => {
            // A start inside a minute needs the minutes on both sides.
            let minutes = length.millis().div_ceil(60_000) + 1;
            Lasting::For(u32::try_from(minutes).unwrap_or(u32::MAX))
        }
        End::At(until) => Lasting::Until(Minute::not_before(until)),
    };
    let load = Load {
        unit: ask.cell.grid().unit_of(node),
        power: Limits::new(*ask, policy).envelope(stance),
    };
    let book = ask.cell.grid().book();
    let start = book.first_start(&[load], Minute::not_before(at), lasting)?;
    Some(start.begins()).filter(|at| fits(*at))
}

fn first_free_node(ask: &Ask<'_>) -> Option<(Timestamp, NodeIndex)> {
    let (_, index) = ask.sku?;
    let mut instants = Vec::new();
    if ask.apart.granularity != Granularity::Node {
        // Neither the account's own nodes nor those that are somebody's until then are all there are.
        return first_of(ask, ask.nodes().map(|(node, _)| node), None, &mut instants);
    }
    let own = ask.account.and_then(|account| index.beside.get(&account));
    let own = own
        .filter(|_| matches!(ask.need, Need::Gpus(_) | Need::Slices(_)))
        .into_iter()
        .flat_map(|own| &own.nodes)
        .chain(slices::carved_nodes(ask));
    let by_holds = index.involved.iter().chain(own).copied();
    first_of(ask, by_holds, first_by_tail(ask), &mut instants)
}

/// The best so far, or one of these nodes where that can be had earlier.
fn first_of(
    ask: &Ask<'_>,
    nodes: impl Iterator<Item = NodeIndex>,
    mut best: Option<(Timestamp, NodeIndex)>,
    instants: &mut Vec<Timestamp>,
) -> Option<(Timestamp, NodeIndex)> {
    for node in nodes {
        let (known, stance) = ask.look(node);
        let latest = best.map(|(at, _)| at);
        if let Some(at) = first_on(ask, known, stance, latest, instants) {
            best = Some(best.map_or((at, node), |best| best.min((at, node))));
        }
    }
    best
}

/// Among nodes without bookings to come, when the leases on them are over.
fn first_by_tail(ask: &Ask<'_>) -> Option<(Timestamp, NodeIndex)> {
    let (_, index) = ask.sku?;
    for (tail, node) in index.tails.range((ask.window.last_end(), NodeIndex(0))..) {
        let Some(at) = ask.window.after(Some(*tail)) else {
            // It should be back already.
            continue;
        };
        if at <= ask.window.start {
            continue;
        }
        if !is_in_time(ask, at) {
            return None;
        }
        let (known, stance) = ask.look(*node);
        if !stance.is_involved && judge(known, stance, &ask.at(at)).faults.fits() {
            return Some((at, *node));
        }
    }
    None
}

fn is_in_time(ask: &Ask<'_>, at: Timestamp) -> bool {
    match ask.request.end {
        End::At(until) => at < until,
        End::Open | End::After(_) => true,
    }
}

/// The first start after the one asked for at which a node fits, where that is not after `latest`.
pub(super) fn first_on(
    ask: &Ask<'_>,
    node: &Node,
    stance: &Stance,
    latest: Option<Timestamp>,
    instants: &mut Vec<Timestamp>,
) -> Option<Timestamp> {
    if !judge(node, stance, ask).faults.may_fit_later() {
        return None;
    }
    turns(ask, node, instants);
    instants
        .iter()
        .copied()
        .take_while(|at| latest.is_none_or(|latest| *at <= latest))
        .find(|at| judge(node, stance, &ask.at(*at)).faults.fits())
}

/// How many instants are tried for a gang once its nodes are free, where power budgets or floors are
/// in the way: each is a look at the cell.
const TRIED: usize = 16;

/// The first start after the survey's at which a gang can be had, and with which nodes.
pub(super) fn first_of_gang(
    survey: &Survey<'_>,
    size: Size,
    policy: &Policy,
) -> Option<(Timestamp, NodeSet)> {
    let ask = &survey.ask;
    let place = |at: Timestamp| {
        let then = survey.at(at);
        let limits = Limits::new(then.ask, policy);
        let mut best = candidates(&then, size, &limits).best.into_iter();
        best.next().map(|(_, candidate)| (at, candidate.nodes))
    };
    let free = first_free_gang(survey, size);
    let limits = Limits::new(*ask, policy);
    if !limits.are_any() && size.spares == 0 {
        return place(free?);
    }
    // Nodes are not all it takes. Whatever else is in the way can only change when a lease ends.
    let mut ends: BTreeSet<Timestamp> = BTreeSet::new();
    let from = free.unwrap_or(ask.window.start);
    ends.extend(free);
    for booked in ask.cell.bookings() {
        let after = ask.window.after(booked.booking.to);
        // Watts are booked by whole minutes, and free from the next one on.
        let powered = booked.booking.to.map(|to| Minute::not_before(to).begins());
        let ends_at = [booked.booking.to, powered, after].into_iter().flatten();
        ends.extend(ends_at.filter(|at| *at > from && is_in_time(ask, *at)));
    }
    if ask.cell.is_washing() {
        let holds = survey
            .seats
            .iter()
            .flat_map(|seat| ask.cell.holds(seat.index));
        let free = holds.filter_map(|hold| ask.window.free_after(hold));
        ends.extend(free.filter(|at| *at > from && is_in_time(ask, *at)));
    }
    ends.into_iter().take(TRIED).find_map(place)
}

/// The first start after the survey's at which so many nodes fit in one unit.
fn first_free_gang(survey: &Survey<'_>, size: Size) -> Option<Timestamp> {
    let wanted = size.nodes;
    let mut best: Option<Timestamp> = None;
    let mut changes: Vec<(Timestamp, i64)> = Vec::new();
    let mut instants: Vec<Timestamp> = Vec::new();
    for unit in survey.units(survey.ask.within()) {
        changes.clear();
        if unit.len() < wanted as usize {
            continue;
        }
        for seat in unit.iter().filter(|seat| seat.faults.may_fit_later()) {
            starts(&survey.ask, seat, &mut instants, &mut changes);
        }
        changes.sort_unstable_by_key(|(at, _)| *at);
        let first = first_with(&changes, i64::from(wanted));
        if let Some(at) = first.filter(|at| *at > survey.ask.window.start) {
            best = Some(best.map_or(at, |best| best.min(at)));
        }
    }
    best
}

/// The instants after the start asked for at which it can change whether a node fits, in order.
fn turns(ask: &Ask<'_>, node: &Node, instants: &mut Vec<Timestamp>) {
    instants.clear();
    for hold in node.holds.iter().chain(ask.barring_mates(node)) {
        let turns = ask.window.turns(ask.request.end, hold);
        let queued = first_not_before(ask, node.index, hold);
        let turns = turns.chain(queued);
        instants.extend(turns.filter(|at| *at > ask.window.start && is_in_time(ask, *at)));
    }
    instants.sort_unstable();
    instants.dedup();
}

/// The first start at which the request is no longer cleaned up after before a hold, where cleaning has
/// to wait for its hour: a later end is never cleaned earlier.
fn first_not_before(ask: &Ask<'_>, node: NodeIndex, hold: &Hold) -> Option<Timestamp> {
    if !ask.cell.is_washing() || !matches!(ask.request.end, End::After(_)) {
        return None;
    }
    let is_before = |at: i64| {
        let then = ask.at(Timestamp::from_unix_ms(at)).on(node);
        then.window.until().is_some_and(|until| until <= hold.from)
    };
    let (mut low, mut high) = (ask.window.start.unix_ms(), hold.from.unix_ms());
    if low >= high || !is_before(low) {
        return None;
    }
    while low + 1 < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(Timestamp::from_unix_ms(high))
}

/// Adds the instants from which a node fits, and those from which it no longer does.
fn starts(
    ask: &Ask<'_>,
    seat: &Seat,
    instants: &mut Vec<Timestamp>,
    changes: &mut Vec<(Timestamp, i64)>,
) {
    let mut fitted = seat.faults.fits();
    if fitted {
        changes.push((ask.window.start, 1));
    }
    let (node, stance) = ask.look(seat.index);
    let is_alone = ask.apart.granularity != Granularity::Domain;
    if stance.tenant.is_none() && !stance.is_involved && is_alone {
        return;
    }
    if !stance.is_involved && is_alone {
        // Nothing but the leases on it is in the way of a node that may fit later and is not sick.
        let free = free_from(ask, stance).filter(|_| !fitted && stance.sick.is_empty());
        if let Some(at) = free
            && at > ask.window.start
            && is_in_time(ask, at)
        {
            changes.push((at, 1));
        }
        return;
    }
    turns(ask, node, instants);
    for &at in instants.iter() {
        let fits = judge(node, stance, &ask.at(at)).faults.fits();
        if fits != fitted {
            changes.push((at, if fits { 1 } else { -1 }));
            fitted = fits;
        }
    }
}

/// From when on a node that has leases and no bookings to come is nobody's, and stays so; absent where
/// nobody can say.
pub(super) fn free_from(ask: &Ask<'_>, stance: &Stance) -> Option<Timestamp> {
    let (first, last) = stance.ends;
    let is_known = last != NEVER && ask.window.after(Some(first)).is_some();
    ask.window.after(Some(last)).filter(|_| is_known)
}

/// The first instant at which the changes up to it, all of that instant included, sum to `wanted`.
fn first_with(changes: &[(Timestamp, i64)], wanted: i64) -> Option<Timestamp> {
    let mut fit = 0;
    for moment in changes.chunk_by(|a, b| a.0 == b.0) {
        fit += moment.iter().map(|(_, change)| change).sum::<i64>();
        if fit >= wanted {
            return moment.first().map(|(at, _)| *at);
        }
    }
    None
}
