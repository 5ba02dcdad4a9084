//! Whether it is worth asking at all: cheap looks that say "certainly not", and otherwise nothing.
//!
//! Of thousands of requests that wait, a node that comes back helps few. A whole decision for each
//! of them would explain ten thousand times that nothing has changed; these look at the node that
//! came back, or at counts, and leave the deciding to [`plan()`](super::plan()).

use super::ask::Ask;
use super::earliest::first_on;
use super::rules::judge;
use super::tally::Tally;
use crate::cell::{Cell, Node, Stance};
use crate::request::Request;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;

/// Whether one of these nodes could be had by itself for a request at the start it asks for, for a
/// gang as one of many. Budgets and floors are not asked about. It costs a look at each node.
pub fn any_fits(
    cell: &Cell,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    nodes: impl IntoIterator<Item = NodeIndex>,
) -> bool {
    let ask = ask(cell, request, policy, now);
    let mut known = known(&ask, nodes);
    known.any(|(node, stance)| judge(node, stance, &ask).faults.fits())
}

/// The first start at which one of these nodes could be had, as for [`any_fits`]; absent where none
/// of them ever can. It costs a look at each node for each hold on it.
pub fn first_fit(
    cell: &Cell,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    nodes: impl IntoIterator<Item = NodeIndex>,
) -> Option<Timestamp> {
    let ask = ask(cell, request, policy, now);
    let mut instants = Vec::new();
    let starts = known(&ask, nodes).filter_map(|(node, stance)| {
        match judge(node, stance, &ask).faults.fits() {
            true => Some(ask.window.start),
            false => first_on(&ask, node, stance, None, &mut instants),
        }
    });
    starts.min()
}

/// Whether so many nodes as a request needs at least could be had one by one, at the start it asks
/// for. Where they could not, [`plan()`](super::plan()) does not place it. For the present it costs
/// a look at the counts and at each node with bookings to come.
pub fn could_hold(cell: &Cell, request: &Request, policy: &Policy, now: Timestamp) -> bool {
    let ask = ask(cell, request, policy, now);
    let least = match &request.shape {
        Shape::Nodes {
            count, at_least, ..
        } => at_least.unwrap_or(*count),
        Shape::Gpus { .. } | Shape::Slices { .. } => 1,
        // How much stands below its place is not counted anywhere.
        Shape::Unit { .. } => return true,
    };
    Tally::take(&ask).fit >= least
}

fn ask<'a>(cell: &'a Cell, request: &'a Request, policy: &Policy, now: Timestamp) -> Ask<'a> {
    let now = now.max(cell.now());
    let start = request.start.map_or(now, |start| start.max(now));
    Ask::new(cell, request, policy, now, start)
}

/// Those of the nodes that the request could be on at all. Where domains are kept apart, what comes
/// free on one node opens the others of its domain.
fn known<'a>(
    ask: &Ask<'a>,
    nodes: impl IntoIterator<Item = NodeIndex>,
) -> impl Iterator<Item = (&'a Node, &'a Stance)> {
    let nodes = nodes
        .into_iter()
        .filter(|node| ask.cell.node(*node).is_some());
    let wanted = ask.sku.map(|(sku, _)| sku);
    nodes
        .flat_map(|node| ask.cell.kept_together(node))
        .map(|node| ask.look(node))
        .filter(move |(node, stance)| Some(stance.sku) == wanted && ask.reaches(node))
}
