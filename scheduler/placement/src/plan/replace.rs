//! Another node in the place of one that a lease has.
//!
//! A spare of the same domain comes first: it is the lease's already, and nobody else moves. Then a
//! free node, as close to the one that goes as there is, within what the lease asked for, and by the
//! [`Score`](super::Score) by which leases are placed.

use super::ask::Ask;
use super::hope::first_fit;
use super::limits::Limits;
use super::score::{Podium, Score};
use super::shrink::{Gang, domain, is_sound};
use super::survey::{Seat, Survey};
use super::tally;
use super::{Found, broken, waits};
use crate::cell::Cell;
use crate::decision::{Decision, Plan};
use crate::request::Request;
use leasehold_common::explain::{Candidate, Outcome, ScoreField};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix};
use std::collections::BTreeMap;

/// A spare of a lease that can take the place of one of its nodes: sound, in the same domain, the
/// first by number.
pub fn spare_for(cell: &Cell, gang: Gang<'_>, out: NodeIndex) -> Option<NodeIndex> {
    let home = domain(cell, out);
    let mut spares = gang.spares.iter();
    spares.find(|spare| *spare != out && domain(cell, *spare) == home && is_sound(cell, *spare))
}

/// Decides which node takes the place of `out`. Nothing is changed.
///
/// The request says what is asked of the node: whose it will be, from when and until when, and how
/// close together the lease must be. The plan names one node, a spare of the lease or a free one; a
/// node that the cell lets nobody on is never chosen. What the lease has of `out` must not be booked
/// while this is asked, so that its watts can be the other's. Where none can be had now, the wait says
/// when the first could: by itself, whatever the policy and the power above would say of it then.
pub fn replace(
    cell: &Cell,
    request: &Request,
    gang: Gang<'_>,
    out: NodeIndex,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let now = now.max(cell.now());
    let start = request.start.map_or(now, |start| start.max(now));
    if let Some(spare) = spare_for(cell, gang, out) {
        return spare_takes_over(cell, request, gang, spare, start);
    }
    let mut last = None;
    for level in Locality::ALL {
        let Some(unit) = reach(cell, request, gang, out, level) else {
            break;
        };
        // Everything below a place, whatever it is: each node is judged, and one is taken.
        let wanted = Request {
            shape: Shape::Unit {
                prefix: unit.clone(),
            },
            ..request.clone()
        };
        let ask = Ask {
            passes: 1,
            ..Ask::new(cell, &wanted, policy, now, start)
        };
        let mut survey = Survey::take(ask);
        let limits = Limits::new(ask, policy);
        let podium = candidates(&survey, &limits, gang, out, &unit);
        if limits.are_any() {
            survey.count_bars(&limits);
        }
        if let Some(found) = Found::of(podium, |candidate| candidate) {
            let decision = found.placed(&ask, &survey.tally);
            let one = Request {
                shape: Shape::nodes(1),
                ..request.clone()
            };
            debug_assert_eq!(
                broken(cell, &one, policy, now, &decision),
                [],
                "a node in the place of another is let by the rules: {decision:?}"
            );
            return decision;
        }
        let others = survey.seats.iter().map(|seat| seat.index);
        let others = others.filter(|node| *node != out && !gang.nodes.contains(*node));
        last = Some((
            survey.tally.explanation(Outcome::Wait),
            others.collect::<Vec<_>>(),
        ));
    }
    // The last that was looked at is the widest.
    let Some((mut why, others)) = last else {
        return waits(tally::uncounted(Outcome::Wait));
    };
    let one = Request {
        shape: Shape::nodes(1),
        ..request.clone()
    };
    why.earliest = first_fit(cell, &one, policy, now, others);
    waits(why)
}

/// The unit around a node that is looked at next; absent beyond what the lease allows.
fn reach(
    cell: &Cell,
    request: &Request,
    gang: Gang<'_>,
    out: NodeIndex,
    level: Locality,
) -> Option<Prefix> {
    // A spare is of use beside the nodes it is for and nowhere else.
    let most = if gang.spares.contains(out) {
        Locality::Domain
    } else if gang.nodes.len() == 1 {
        // It has nobody to be close to.
        Locality::Cell
    } else if let Some(level) = gang.whole {
        // A node of another unit would leave both broken.
        level
    } else {
        request.within
    };
    let spec = cell.spec(out)?;
    (level <= most).then(|| spec.path.unit(level))
}

fn candidates(
    survey: &Survey<'_>,
    limits: &Limits<'_>,
    gang: Gang<'_>,
    out: NodeIndex,
    unit: &Prefix,
) -> Podium<Candidate> {
    let mut podium = Podium::new();
    let fits =
        |seat: &&Seat| seat.faults.fits() && seat.index != out && !gang.nodes.contains(seat.index);
    for seat in survey.seats.iter().filter(fits) {
        let (_, stance) = survey.ask.look(seat.index);
        if limits.clone().bar(seat.index, stance).is_some() {
            continue;
        }
        let score = Score {
            side_changes: u32::from(seat.changes_side),
            domains_broken: u32::from(seat.breaks_domain),
            slices: None,
            gpus_stranded: 0,
            unit_left: 0,
            idle_before: u64::from(seat.idle_minutes),
            node_index: seat.index,
        };
        podium.enter(score, || Candidate {
            unit: unit.clone(),
            nodes: NodeSet::from_iter([seat.index]),
            gpus: BTreeMap::new(),
            slices: BTreeMap::new(),
            spares: NodeSet::new(),
            score: Vec::new(),
            lost_by: None,
        });
    }
    podium
}

fn spare_takes_over(
    cell: &Cell,
    request: &Request,
    gang: Gang<'_>,
    spare: NodeIndex,
    start: Timestamp,
) -> Decision {
    let nodes = NodeSet::from_iter([spare]);
    let spares = u32::try_from(gang.spares.len()).unwrap_or(u32::MAX);
    let mut why = tally::uncounted(Outcome::Placed);
    (why.evaluated, why.fit) = (spares, 1);
    why.winner = Some(Candidate {
        unit: domain(cell, spare),
        nodes: nodes.clone(),
        gpus: BTreeMap::new(),
        slices: BTreeMap::new(),
        spares: nodes.clone(),
        score: vec![(ScoreField::NodeIndex, i64::from(spare.0))],
        lost_by: None,
    });
    let plan = Plan {
        start,
        end: request.end.if_started(start),
        nodes,
        gpus: BTreeMap::new(),
        slices: BTreeMap::new(),
        spares: NodeSet::new(),
    };
    Decision::Placed { plan, why }
}
