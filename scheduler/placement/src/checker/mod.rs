//! Whether a plan breaks a hard rule, told from plain data.
//!
//! This is the planner's conscience: it was written from the rules, shares no code with the planner
//! or the live cell, and is as slow and plain as it likes. It knows nothing of preferences: a legal
//! plan may still be a poor one. Debug builds put every plan before it.

use crate::cell::{Booked, Booking, NodeCondition, NodeSpec};
use crate::decision::Plan;
use crate::request::{End, Request};
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex, SkuName};
use leasehold_common::lease::{HostShare, Shape, Slice, sevenths};
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::policy::Policy;
use leasehold_common::sku::Sku;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix};
use std::collections::{BTreeMap, BTreeSet};

mod beside;
mod bounds;
mod passes;
mod power;
mod slices;
mod units;

/// A cell as plain data.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Every node: what it is, and what is the matter with it.
    pub nodes: BTreeMap<NodeIndex, (NodeSpec, NodeCondition)>,
    /// What leases have.
    pub bookings: Vec<Booked>,
    /// What nodes of each SKU have and draw, where that was said.
    pub skus: BTreeMap<SkuName, Sku>,
    /// When cleaning begins after each booking on each node, where there is a rate of cleaning; at the end
    /// of the booking where it is not said.
    pub passes: BTreeMap<(LeaseId, NodeIndex), Timestamp>,
    /// The budgets, as steps: from when, and how many milliwatts; absent for no limit.
    pub budgets: BTreeMap<Prefix, Vec<(Timestamp, Option<u64>)>>,
}

/// A hard rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It starts in the past or before it may, ends when it should not, or not after its start.
    #[error("it runs from {start} to {end:?}, which is not what was asked")]
    Times {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Option<Timestamp>,
    },
    /// It has more or less than was asked, or of the wrong form.
    #[error("it does not have the shape {shape}")]
    Shape {
        /// What was asked.
        shape: Shape,
    },
    /// Its nodes are not in one unit.
    #[error("its nodes are not within one {within}")]
    Scattered {
        /// What was asked.
        within: Locality,
    },
    /// It names a node that is not there.
    #[error("node {node} is not in the cell")]
    UnknownNode {
        /// The node.
        node: NodeIndex,
    },
    /// A node is of the wrong kind, kept for others, or lets nobody in.
    #[error("node {node} may not serve it: {rule}")]
    NodeBarred {
        /// The node.
        node: NodeIndex,
        /// What forbids it.
        rule: &'static str,
    },
    /// A GPU is not there or not healthy.
    #[error("gpu {slot} of node {node} is not there or not healthy")]
    BadGpu {
        /// The node.
        node: NodeIndex,
        /// The GPU's slot.
        slot: u8,
    },
    /// A GPU is another lease's in that time.
    #[error("gpu {slot} of node {node} is lease {lease}'s in that time")]
    GpuTaken {
        /// The node.
        node: NodeIndex,
        /// The GPU's slot.
        slot: u8,
        /// The other lease.
        lease: LeaseId,
    },
    /// A slice cannot be where it is, or not beside what others have of its GPU in that time.
    #[error("{slice} of node {node} cannot be, or not beside what is there in that time")]
    BadSlice {
        /// The node.
        node: NodeIndex,
        /// The slice.
        slice: Slice,
    },
    /// More CPU or memory of a node is taken than it has.
    #[error("node {node} has not enough cpu or memory in that time")]
    HostTaken {
        /// The node.
        node: NodeIndex,
    },
    /// A power budget is exceeded.
    #[error("{unit} would draw {drawn_mw} of {budget_mw} mW at {at}")]
    OverBudget {
        /// Below this place.
        unit: Prefix,
        /// At this instant.
        at: Timestamp,
        /// What all leases may draw.
        drawn_mw: u64,
        /// What they may draw together.
        budget_mw: u64,
    },
    /// A floor or a ceiling is broken, or was and is broken further.
    #[error("the {what} of {sku} would be {would_be} where it was {was}, and {bound} is the bound")]
    Bound {
        /// Which count.
        what: &'static str,
        /// Of what.
        sku: SkuName,
        /// Before.
        was: u32,
        /// After.
        would_be: u32,
        /// The floor or ceiling.
        bound: u32,
    },
    /// A node is another account's in that time.
    #[error("node {node} serves lease {lease} of another account or side in that time")]
    NodeShared {
        /// The node.
        node: NodeIndex,
        /// The other lease.
        lease: LeaseId,
    },
    /// A domain is the other side's in that time, and serves one side at a time.
    #[error("the domain of node {node} serves lease {lease} of the other side in that time")]
    DomainShared {
        /// The node.
        node: NodeIndex,
        /// The other lease.
        lease: LeaseId,
    },
}

/// Every hard rule that the plan breaks, if it is decided at `now`.
pub fn violations(
    fleet: &Fleet,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
    plan: &Plan,
) -> Vec<Violation> {
    let mut found = Vec::new();
    check_times(request, now, plan, &mut found);
    check_shape(fleet, request, plan, &mut found);
    check_locality(fleet, request, plan, &mut found);
    let cleaned = passes::of_plan(fleet, policy, plan);
    for node in plan.nodes.iter() {
        let Some((spec, condition)) = fleet.nodes.get(&node) else {
            found.push(Violation::UnknownNode { node });
            continue;
        };
        if let Some(rule) = barred(spec, condition, request) {
            found.push(Violation::NodeBarred { node, rule });
        }
        let slots = slots_of(plan, node, spec.gpus);
        for &slot in &slots {
            if slot >= spec.gpus || !condition.healthy.contains(slot) {
                found.push(Violation::BadGpu { node, slot });
            }
        }
        let look = Look {
            fleet,
            request,
            policy,
            now,
            plan,
            cleaned: cleaned.get(&node).copied(),
        };
        look.check_neighbours(node, &slots, &mut found);
        look.check_host(node, &slots, &mut found);
    }
    power::check(fleet, request, plan, &mut found);
    bounds::check(fleet, request, policy, plan, &mut found);
    found
}

fn check_times(request: &Request, now: Timestamp, plan: &Plan, found: &mut Vec<Violation>) {
    let end = match request.end {
        End::Open => None,
        End::After(length) => Some(plan.start + length),
        End::At(until) => Some(until),
    };
    let too_early = plan.start < now || request.start.is_some_and(|start| plan.start < start);
    let never_runs = plan.end.is_some_and(|end| end <= plan.start);
    if too_early || never_runs || plan.end != end {
        found.push(Violation::Times {
            start: plan.start,
            end: plan.end,
        });
    }
}

fn check_shape(fleet: &Fleet, request: &Request, plan: &Plan, found: &mut Vec<Violation>) {
    let nodes = plan.nodes.len() as u64;
    let has_gpus = || {
        plan.nodes
            .iter()
            .all(|n| fleet.nodes.get(&n).is_some_and(|(spec, _)| spec.gpus > 0))
    };
    let right = match &request.shape {
        Shape::Nodes {
            count,
            at_least,
            spares,
            whole,
        } => {
            let working = nodes.saturating_sub(plan.spares.len() as u64);
            let least = u64::from(at_least.unwrap_or(*count));
            least > 0
                && (least..=u64::from(*count)).contains(&working)
                && plan.gpus.is_empty()
                && has_gpus()
                && spares_stand_by(fleet, plan, *spares)
                && whole.is_none_or(|level| units::are_whole(fleet, request, plan, level))
        }
        Shape::Gpus { count } => {
            let named: Vec<_> = plan.gpus.iter().collect();
            match named.as_slice() {
                [(node, slots)] => {
                    nodes == 1
                        && plan.nodes.contains(**node)
                        && *count > 0
                        && u32::from(slots.len()) == *count
                        && plan.spares.is_empty()
                }
                _ => false,
            }
        }
        Shape::Slices { .. } => true,
        Shape::Unit { prefix } => {
            let below = fleet.nodes.iter().filter(|(_, (spec, condition))| {
                prefix.holds(&spec.path)
                    && !matches!(
                        barred(spec, condition, request),
                        Some("its sku is another" | "its owner keeps it for others")
                    )
                    && in_service(spec, condition)
            });
            below.map(|(node, _)| *node).eq(plan.nodes.iter())
                && nodes > 0
                && plan.gpus.is_empty()
                && has_gpus()
        }
    };
    if !right || !slices::is_right(request, plan) {
        found.push(Violation::Shape {
            shape: request.shape.clone(),
        });
    }
}

/// Whether each domain that the plan goes to has its spares beside nodes that work.
fn spares_stand_by(fleet: &Fleet, plan: &Plan, spares: u32) -> bool {
    let mut domains: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for node in plan.nodes.iter() {
        let Some((spec, _)) = fleet.nodes.get(&node) else {
            continue;
        };
        let (working, spare) = domains.entry(spec.path.as_str()).or_default();
        if plan.spares.contains(node) {
            *spare += 1;
        } else {
            *working += 1;
        }
    }
    let all = plan.spares.iter().all(|node| plan.nodes.contains(node));
    all && domains
        .values()
        .all(|(working, spare)| *working > 0 && *spare == spares)
}

/// Whether nothing is the matter with a node that time or an operator's flag would not settle.
fn in_service(spec: &NodeSpec, condition: &NodeCondition) -> bool {
    let cleaning = [NodeState::Sanitising, NodeState::Reverifying];
    let healthy = (0..spec.gpus).all(|slot| condition.healthy.contains(slot));
    (LETS_IN.contains(&condition.state) || cleaning.contains(&condition.state))
        && !condition.silent
        && healthy
}

fn check_locality(fleet: &Fleet, request: &Request, plan: &Plan, found: &mut Vec<Violation>) {
    if matches!(request.shape, Shape::Unit { .. }) {
        // Together as it is.
        return;
    }
    let parts = match request.within {
        Locality::Cell => 0,
        Locality::Hall => 1,
        Locality::Row => 2,
        Locality::Rack => 3,
        Locality::Domain => 4,
    };
    let units: BTreeSet<Vec<&str>> = plan
        .nodes
        .iter()
        .filter_map(|node| fleet.nodes.get(&node))
        .map(|(spec, _)| spec.path.as_str().split('/').take(parts).collect())
        .collect();
    if units.len() > 1 {
        found.push(Violation::Scattered {
            within: request.within,
        });
    }
}

/// States in which leases are let on a node.
const LETS_IN: [NodeState; 6] = [
    NodeState::Available,
    NodeState::Reserved,
    NodeState::Preparing,
    NodeState::Leased,
    NodeState::Draining,
    NodeState::Evicting,
];

fn barred(spec: &NodeSpec, condition: &NodeCondition, request: &Request) -> Option<&'static str> {
    let internal = request.class.side() == Side::Internal;
    if spec.sku != request.sku {
        Some("its sku is another")
    } else if spec.owner != Owner::Sellable && !(spec.owner == Owner::Internal && internal) {
        Some("its owner keeps it for others")
    } else if !LETS_IN.contains(&condition.state) {
        Some("its state")
    } else if condition.flagged {
        Some("it is flagged")
    } else if condition.silent {
        Some("it is silent")
    } else {
        None
    }
}

/// A plan before its neighbours.
struct Look<'a> {
    fleet: &'a Fleet,
    request: &'a Request,
    policy: &'a Policy,
    now: Timestamp,
    plan: &'a Plan,
    /// When cleaning begins on the node after the plan; absent for an open end.
    cleaned: Option<Timestamp>,
}

impl Look<'_> {
    /// The leases that have something of a node when the plan would.
    fn neighbours(&self, node: NodeIndex) -> impl Iterator<Item = &Booking> {
        self.booked(node).map(|other| &other.booking)
    }

    fn booked(&self, node: NodeIndex) -> impl Iterator<Item = &Booked> {
        let all = self.fleet.bookings.iter();
        all.filter(move |other| other.booking.nodes.contains(node) && self.meets(other, node))
    }

    /// When a booking's hardware on a node is clean again; absent where nobody can say.
    fn clean_after(&self, booked: &Booked, node: NodeIndex) -> Option<Timestamp> {
        let turnaround = self.policy.turnaround;
        match passes::begins(self.fleet, booked, node) {
            // What should be back already is not, and nobody can say when it will be.
            Some(at) if !booked.awaiting_return && at + turnaround > self.now => {
                Some(at + turnaround)
            }
            _ => None,
        }
    }

    /// Whether a booking has one of its nodes, or that is not clean after it, when the plan has its own.
    fn meets(&self, booked: &Booked, node: NodeIndex) -> bool {
        let turnaround = self.policy.turnaround;
        let other_end = self.clean_after(booked, node);
        let mine_end = self.cleaned.map(|at| at + turnaround);
        let mine_is_over = mine_end.is_some_and(|end| end <= booked.booking.from);
        let other_is_over = other_end.is_some_and(|end| end <= self.plan.start);
        !mine_is_over && !other_is_over
    }

    fn check_neighbours(&self, node: NodeIndex, slots: &[u8], found: &mut Vec<Violation>) {
        for other in self.neighbours(node) {
            let lease = other.lease;
            let both_sliced = slices::are_both(self.plan, other, node);
            let same_side = other.class.side() == self.request.class.side();
            if !beside::lets_in(self.policy, self.request, other, both_sliced) {
                found.push(Violation::NodeShared { node, lease });
            }
            if both_sliced && same_side {
                continue;
            }
            for &slot in slots {
                let taken = match other.gpus.get(&node) {
                    Some(theirs) => theirs.contains(slot),
                    None => true,
                };
                if taken {
                    found.push(Violation::GpuTaken { node, slot, lease });
                }
            }
        }
        let (plan, request) = (self.plan, self.request);
        let there = self.neighbours(node);
        slices::check(self.fleet, request, plan, node, there, found);
        let meets = |other: &Booked, mate| self.meets(other, mate);
        beside::check_domain(self.fleet, self.policy, self.request, node, meets, found);
    }

    fn check_host(&self, node: NodeIndex, slots: &[u8], found: &mut Vec<Violation>) {
        let (spec, _) = &self.fleet.nodes[&node];
        let Some(sku) = self.fleet.skus.get(&spec.sku) else {
            return;
        };
        let has = |parts: u64, host: Option<HostShare>| {
            let share = |all: u64| all * parts / (u64::from(sku.gpus) * 7);
            host.map_or(
                (share(u64::from(sku.cpus) * 1000), share(sku.memory_mib)),
                |host| (host.cpu_milli, host.memory_mib),
            )
        };
        let mine = match (&self.request.shape, self.plan.slices.get(&node)) {
            (Shape::Gpus { .. }, _) => slots.len() as u64 * 7,
            (Shape::Slices { .. }, Some(slices)) => u64::from(sevenths(slices)),
            (Shape::Slices { .. } | Shape::Nodes { .. } | Shape::Unit { .. }, _) => return,
        };
        let theirs = self.booked(node).map(|booked| {
            let other = &booked.booking;
            let parts = match other.slices.get(&node) {
                Some(slices) => u64::from(sevenths(slices)),
                None => slots_of_booking(other, node, spec.gpus) as u64 * 7,
            };
            (
                other.from,
                self.clean_after(booked, node),
                has(parts, other.host),
            )
        });
        let theirs: Vec<_> = theirs.collect();
        let is_odd = self.booked(node).any(|other| other.booking.host.is_some());
        if !is_odd && self.request.host.is_none() {
            // What goes with GPUs and slices is there wherever those are.
            return;
        }
        // More is taken only where a lease begins.
        let begins = theirs.iter().map(|(from, _, _)| *from);
        let all = has(u64::from(spec.gpus) * 7, None);
        let exceeded = |at: Timestamp| {
            let there = theirs
                .iter()
                .filter(|(from, until, _)| *from <= at && until.is_none_or(|until| at < until));
            let mine = has(mine, self.request.host);
            let (cpu, memory) =
                there.fold(mine, |sum, (_, _, more)| (sum.0 + more.0, sum.1 + more.1));
            (all.0 > 0 && cpu > all.0) || (all.1 > 0 && memory > all.1)
        };
        let mut instants = begins.map(|from| from.max(self.plan.start));
        if exceeded(self.plan.start) || instants.any(exceeded) {
            found.push(Violation::HostTaken { node });
        }
    }
}

fn slots_of_booking(booking: &Booking, node: NodeIndex, gpus: u8) -> usize {
    booking
        .gpus
        .get(&node)
        .map_or(usize::from(gpus), |slots| usize::from(slots.len()))
}

fn slots_of(plan: &Plan, node: NodeIndex, gpus: u8) -> Vec<u8> {
    match plan.gpus.get(&node) {
        Some(slots) => slots.iter().collect(),
        None => (0..gpus).collect(),
    }
}
