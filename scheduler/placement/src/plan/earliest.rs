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
//!
//! Where nodes are not all it takes, `powered` goes on from there.

use super::ask::{Ask, Need};
use super::classes;
use super::gang::Size;
use super::limits::Limits;
use super::openings::{Openings, units};
use super::powered;
use super::rules::judge;
use super::survey::{Seat, Survey};
use crate::cell::{Hold, NEVER, Node, Stance};
use crate::request::End;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::{Granularity, Policy};
use leasehold_common::time::Timestamp;

/// The first start after the one asked for at which some node fits, and the first node that then
/// does; absent where only something other than time would help. Nodes that are flagged, silent or
/// out of service are taken to stay so.
pub(super) fn first_node(ask: &Ask<'_>, policy: &Policy) -> Option<(Timestamp, NodeIndex)> {
    if Limits::new(*ask, policy).are_any() {
        return powered::first_node(ask, policy);
    }
    first_free_node(ask)
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
        .chain(classes::carved_nodes(ask));
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

/// Whether a lease that starts then has not ended before.
pub(super) fn is_in_time(ask: &Ask<'_>, at: Timestamp) -> bool {
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

/// When a gang could start, and which nodes it would wait for: those that come free until then in the unit
/// that first has enough.
pub(super) struct First {
    pub(super) at: Timestamp,
    pub(super) nodes: Vec<NodeIndex>,
}

/// The first start after the survey's at which a gang can be had, with some of these nodes and those that
/// fit already.
pub(super) fn first_of_gang(survey: &Survey<'_>, size: Size, policy: &Policy) -> Option<First> {
    let openings = Openings::of(survey, size.nodes);
    let (at, unit) = first_free_gang(survey, &openings, size)?;
    if size.spares > 0 || Limits::new(survey.ask, policy).may_bind(size.nodes) {
        let (at, nodes) = powered::first_gang(survey, &openings, size, policy, at)?;
        return Some(First { at, nodes });
    }
    let waited_for = unit.iter().filter(|seat| !seat.faults.fits());
    Some(First {
        at,
        nodes: waited_for.map(|seat| seat.index).collect(),
    })
}

/// The first start, the survey's or later, at which so many nodes fit in one unit, and that unit.
fn first_free_gang<'s>(
    survey: &'s Survey<'_>,
    openings: &Openings,
    size: Size,
) -> Option<(Timestamp, &'s [Seat])> {
    let wanted = size.nodes;
    let mut best: Option<(Timestamp, &[Seat])> = None;
    let mut changes: Vec<(Timestamp, i64)> = Vec::new();
    for (at, unit) in units(survey) {
        changes.clear();
        changes.extend(openings.of_seats(at));
        if let Some(at) = first_with(&mut changes, wanted)
            && best.is_none_or(|(sooner, _)| at < sooner)
        {
            best = Some((at, unit));
        }
    }
    best
}

/// The instants after the start asked for at which it can change whether a node fits, in order.
pub(super) fn turns(ask: &Ask<'_>, node: &Node, instants: &mut Vec<Timestamp>) {
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

/// Adds the instants from which a whole node fits, and those from which it no longer does.
pub(super) fn starts(
    ask: &Ask<'_>,
    seat: &Seat,
    instants: &mut Vec<Timestamp>,
    changes: &mut Vec<(Timestamp, i64)>,
) {
    let (node, stance) = ask.look(seat.index);
    if ask.apart.granularity == Granularity::Domain || ask.cell.is_washing() {
        judged_starts(ask, seat, instants, changes);
        return;
    }
    let begun = changes.len();
    if !stance.sick.is_empty() {
        // Not before it is repaired.
    } else if stance.is_involved || ask.without.is_some() {
        gaps(ask, node, changes);
    } else if stance.tenant.is_none() {
        changes.push((ask.window.start, 1));
    } else if let Some(at) = free_from(ask, stance) {
        // Nothing but the leases on it is in the way.
        let at = at.max(ask.window.start);
        changes.extend(is_in_time(ask, at).then_some((at, 1)));
    }
    debug_assert_eq!(
        changes[begun..],
        {
            let mut judged = Vec::new();
            judged_starts(ask, seat, &mut Vec::new(), &mut judged);
            judged
        },
        "a node fits between the holds on it"
    );
}

/// The same, from a look at the node at every instant at which that can change.
fn judged_starts(
    ask: &Ask<'_>,
    seat: &Seat,
    instants: &mut Vec<Timestamp>,
    changes: &mut Vec<(Timestamp, i64)>,
) {
    let (node, stance) = ask.look(seat.index);
    let mut fitted = seat.faults.fits();
    if fitted {
        changes.push((ask.window.start, 1));
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

/// Adds when a whole node is between the holds on it for as long as the request wants it.
fn gaps(ask: &Ask<'_>, node: &Node, changes: &mut Vec<(Timestamp, i64)>) {
    let counts = |hold: &&Hold| {
        let gone = ask.without.is_some_and(|gone| gone.contains(&hold.lease));
        !gone && !hold.slots.common(node.spec.slots()).is_empty()
    };
    // Nothing of it is in the way from here on, as far as holds were looked at.
    let mut free = Some(ask.window.start);
    for hold in node.holds.iter().filter(counts) {
        let Some((first, last)) = ask.window.kept_by(ask.request.end, hold) else {
            continue;
        };
        if let (Some(from), Some(first)) = (free, first)
            && first > from
        {
            add_gap(ask, (from, Some(first)), changes);
        }
        free = free.and_then(|from| Some(from.max(last?)));
    }
    if let Some(from) = free {
        add_gap(ask, (from, None), changes);
    }
}

fn add_gap(
    ask: &Ask<'_>,
    (from, until): (Timestamp, Option<Timestamp>),
    changes: &mut Vec<(Timestamp, i64)>,
) {
    let until = until.filter(|at| is_in_time(ask, *at)).map(|at| (at, -1));
    if is_in_time(ask, from) {
        changes.push((from, 1));
        changes.extend(until);
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
fn first_with(changes: &mut [(Timestamp, i64)], wanted: u32) -> Option<Timestamp> {
    let nth = (wanted as usize).checked_sub(1)?;
    let mut gains: Vec<Timestamp> = changes
        .iter()
        .filter(|(_, change)| *change > 0)
        .map(|(at, _)| *at)
        .collect();
    if nth >= gains.len() {
        return None;
    }
    // Before so many have come, however many have gone since, there are not enough. Mostly there are
    // just then, and that is found without putting thousands of changes in order.
    let (_, soonest, _) = gains.select_nth_unstable(nth);
    let soonest = *soonest;
    let (mut fit, mut begun) = (0, 0);
    for at in 0..changes.len() {
        if changes[at].0 <= soonest {
            fit += changes[at].1;
            changes.swap(begun, at);
            begun += 1;
        }
    }
    if fit >= i64::from(wanted) {
        return Some(soonest);
    }
    let later = &mut changes[begun..];
    later.sort_unstable_by_key(|(at, _)| *at);
    for moment in later.chunk_by(|a, b| a.0 == b.0) {
        fit += moment.iter().map(|(_, change)| change).sum::<i64>();
        if fit >= i64::from(wanted) {
            return moment.first().map(|(at, _)| *at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_come_and_go_are_enough_when_enough_are_there_at_once() {
        let at = Timestamp::from_unix_ms;
        let first = |changes: &[(i64, i64)], wanted| {
            let mut changes: Vec<_> = changes.iter().map(|(t, n)| (at(*t), *n)).collect();
            first_with(&mut changes, wanted).map(|at| at.unix_ms())
        };
        assert_eq!(first(&[(5, 1), (1, 1), (9, 1)], 2), Some(5));
        // The first is gone when the second comes, and comes back.
        assert_eq!(first(&[(7, 1), (1, 1), (5, 1), (3, -1)], 2), Some(7));
        assert_eq!(first(&[(5, 1), (1, 1), (5, -1)], 2), None);
        assert_eq!(first(&[(5, 1)], 2), None);
    }
}
