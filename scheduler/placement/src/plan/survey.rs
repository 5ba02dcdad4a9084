//! One look over the cell: every node judged for one request and one start.

use super::rules::{Rule, Verdict, judge};
use super::window::Window;
use crate::cell::{Cell, Node};
use crate::request::Request;
use leasehold_common::explain::{Explanation, Outcome};
use leasehold_common::ids::NodeIndex;
use leasehold_common::topology::{Locality, Prefix};
use std::collections::BTreeMap;

/// A node, judged.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    pub(super) index: NodeIndex,
    pub(super) node: &'a Node,
    pub(super) verdict: Verdict,
    /// The pool it stands in.
    pub(super) pool: usize,
    /// The hall, row, rack and domain it stands in, counted through the cell.
    units: [u32; 4],
}

impl Seat<'_> {
    pub(super) fn unit(&self, level: Locality) -> Prefix {
        self.node.spec.path.unit(level)
    }

    /// Whether both stand in one unit of that size.
    pub(super) const fn shares(&self, other: &Self, level: Locality) -> bool {
        match level {
            Locality::Cell => true,
            Locality::Hall => self.units[0] == other.units[0],
            Locality::Row => self.units[1] == other.units[1],
            Locality::Rack => self.units[2] == other.units[2],
            Locality::Domain => self.units[3] == other.units[3],
        }
    }
}

/// Nodes that are packed together: an NVLink domain of several nodes, or those nodes of a rack that
/// are each their own domain. A domain of one node says nothing about what stands beside it, and
/// packing by such domains would scatter small leases over every rack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    pub(super) level: Locality,
    pub(super) nodes: u32,
    pub(super) whole: u32,
}

/// The cell as one request sees it at one start.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub(super) cell: &'a Cell,
    pub(super) request: &'a Request,
    pub(super) window: Window,
    /// The most GPUs a node of the SKU has; none where there is no such node.
    pub(super) largest: u8,
    /// Every node, in topology order: a unit is a slice.
    pub(super) seats: Vec<Seat<'a>>,
    pub(super) pools: Vec<Pool>,
    /// Nodes that fail nothing.
    pub(super) fit: u32,
    failed: [u32; Rule::ALL.len()],
}

impl<'a> Survey<'a> {
    pub(super) fn take(cell: &'a Cell, request: &'a Request, window: Window) -> Self {
        let largest = cell.largest_node(&request.sku).unwrap_or(0);
        let mut units = [0; 4];
        let seats: Vec<Seat<'a>> = cell
            .in_order()
            .map(|(index, node)| {
                for number in &mut units[usize::from(node.shared)..] {
                    *number += 1;
                }
                Seat {
                    index,
                    node,
                    verdict: judge(node, request, largest, &window),
                    pool: 0,
                    units,
                }
            })
            .collect();
        let mut survey = Self {
            cell,
            request,
            window,
            largest,
            seats,
            pools: Vec::new(),
            fit: 0,
            failed: [0; Rule::ALL.len()],
        };
        survey.count();
        survey.pool();
        survey
    }

    /// The units of one size: slices of the seats.
    pub(super) fn units(&self, level: Locality) -> impl Iterator<Item = &[Seat<'a>]> {
        self.seats.chunk_by(move |a, b| a.shares(b, level))
    }

    /// Whether nothing of the domain a node stands in is used, and all of it could be.
    pub(super) fn domain_is_whole(&self, seat: &Seat<'_>) -> bool {
        let pool = &self.pools[seat.pool];
        match pool.level {
            Locality::Domain => pool.whole == pool.nodes,
            _ => seat.verdict.whole,
        }
    }

    /// What was counted, with nothing decided.
    pub(super) fn explanation(&self, outcome: Outcome) -> Explanation {
        let filtered = Rule::ALL
            .into_iter()
            .map(|rule| (rule.filter(), self.failed[rule as usize]))
            .filter(|(_, nodes)| *nodes > 0)
            .collect();
        Explanation {
            evaluated: count(self.seats.len()),
            fit: self.fit,
            filtered,
            ..uncounted(outcome)
        }
    }

    fn count(&mut self) {
        for seat in &self.seats {
            if seat.verdict.fits() {
                self.fit += 1;
                continue;
            }
            for rule in Rule::ALL {
                self.failed[rule as usize] += u32::from(seat.verdict.failed.has(rule as u8));
            }
        }
    }

    fn pool(&mut self) {
        let pools = &mut self.pools;
        for rack in self.seats.chunk_by_mut(|a, b| a.shares(b, Locality::Rack)) {
            let mut loose: Option<usize> = None;
            for domain in rack.chunk_by_mut(|a, b| a.shares(b, Locality::Domain)) {
                let level = match domain {
                    [_] => Locality::Rack,
                    _ => Locality::Domain,
                };
                let at = match (level, loose) {
                    (Locality::Rack, Some(at)) => at,
                    _ => {
                        pools.push(Pool {
                            level,
                            nodes: 0,
                            whole: 0,
                        });
                        pools.len() - 1
                    }
                };
                if level == Locality::Rack {
                    loose = Some(at);
                }
                for seat in domain {
                    seat.pool = at;
                    pools[at].nodes += 1;
                    pools[at].whole += u32::from(seat.verdict.whole);
                }
            }
        }
    }
}

/// An explanation in which no node was looked at.
pub(super) const fn uncounted(outcome: Outcome) -> Explanation {
    Explanation {
        outcome,
        evaluated: 0,
        fit: 0,
        filtered: BTreeMap::new(),
        exhausted: BTreeMap::new(),
        winner: None,
        runners_up: Vec::new(),
        reasons: Vec::new(),
        earliest: None,
        unblocked_by: Vec::new(),
        policy: None,
    }
}

/// A number of nodes. A cell has at most a million, so it always fits.
pub(super) fn count(nodes: usize) -> u32 {
    u32::try_from(nodes).unwrap_or(u32::MAX)
}
