//! Every plan, looked at by the engine's checker.
//!
//! The audit keeps its own record of who has what, made of what was booked and ended and of nothing the
//! cell says. The checker is slow because it looks at every booking there is; so each plan is shown to
//! it in a fleet of just the plan's nodes and the bookings on those, which is all that most rules ask
//! for. What is about many nodes at once, watts and what each side keeps, is counted again here.
//!
//! What happened is noted first and gone through later, a batch at a time, in the order in which it
//! happened.

mod shares;
mod watts;

use super::cell::Site;
use super::terms::Terms;
use leasehold_common::ids::{LeaseId, NodeIndex, SkuName};
use leasehold_common::sku::Sku;
use leasehold_common::time::Timestamp;
use leasehold_placement::checker::{Fleet, violations};
use leasehold_placement::{Booked, Booking, NodeCondition, Plan, Policy, Request};
use shares::Shares;
use std::collections::{BTreeMap, BTreeSet};
use watts::Watts;

/// How much is noted before it is gone through. A few megabytes of notes; checking so many at once
/// leaves the caches to the engine in between.
const BATCH: usize = 4096;

/// Something that happened to the cell.
#[derive(Debug)]
pub(super) enum Note {
    /// A lease was placed and booked.
    Placed {
        lease: LeaseId,
        request: Box<Request>,
        plan: Box<Plan>,
        now: Timestamp,
    },
    /// A lease ended, and its hardware is not back.
    Ended { lease: LeaseId, at: Timestamp },
    /// All its hardware is back, or its booking was given up.
    Gone { lease: LeaseId },
    /// What is the matter with a node changed.
    Condition {
        node: NodeIndex,
        condition: NodeCondition,
    },
}

/// What the checker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// Plans looked at.
    pub(super) checked: u64,
    /// Hard rules broken.
    pub(super) violations: u64,
}

/// The record.
#[derive(Debug)]
pub(super) struct Audit {
    site: Site,
    policy: Policy,
    conditions: Vec<NodeCondition>,
    booked: BTreeMap<LeaseId, Booked>,
    on_node: Vec<Vec<LeaseId>>,
    notes: Vec<Note>,
    terms: Terms,
    watts: Watts,
    shares: Shares,
    found: Found,
}

impl Audit {
    pub(super) fn new(site: Site, terms: Terms) -> Self {
        let sound = |node| Site::sound(site.spec(NodeIndex(node)).gpus);
        let nodes = site.nodes();
        Self {
            // Floors and ceilings are not to be told from a part of the cell.
            policy: Policy {
                floors: Vec::new(),
                ceilings: Vec::new(),
                ..terms.policy.clone()
            },
            watts: Watts::new(site.clone(), terms.skus.clone(), &terms.budgets),
            shares: Shares::new(site.clone(), &terms.policy),
            terms,
            conditions: (0..nodes).map(sound).collect(),
            booked: BTreeMap::new(),
            on_node: vec![Vec::new(); nodes as usize],
            site,
            notes: Vec::with_capacity(BATCH),
            found: Found::default(),
        }
    }

    /// Notes something that happened.
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
        if self.notes.len() >= BATCH {
            self.settle();
        }
    }

    /// What was found, once everything noted has been gone through.
    pub(super) fn found(&mut self) -> Found {
        self.settle();
        self.found
    }

    fn settle(&mut self) {
        let mut notes = std::mem::take(&mut self.notes);
        for note in notes.drain(..) {
            self.go_through(note);
        }
        self.notes = notes;
        self.found.violations += self.watts.exceeded();
    }

    fn go_through(&mut self, note: Note) {
        match note {
            Note::Placed {
                lease,
                request,
                plan,
                now,
            } => {
                let broken = violations(&self.fleet(&plan), &request, &self.policy, now, &plan);
                self.found.checked += 1;
                self.found.violations += broken.len() as u64;
                self.found.violations += self.watts.advance(now);
                self.book(plan.booking(lease, &request));
            }
            Note::Ended { lease, at } => {
                let booked = self.booked.get_mut(&lease).expect("what ends was booked");
                booked.awaiting_return = true;
                let booking = &mut booked.booking;
                self.found.violations += self.watts.unbook(booking);
                booking.from = booking.from.min(at);
                booking.to = Some(booking.to.map_or(at, |to| to.min(at)));
                self.watts.book(booking);
            }
            Note::Gone { lease } => {
                let booked = self.booked.remove(&lease).expect("what goes was booked");
                self.found.violations += self.watts.unbook(&booked.booking);
                self.shares.unbook(&booked.booking);
                for node in booked.booking.nodes.iter() {
                    self.on_node[node.as_usize()].retain(|other| *other != lease);
                }
            }
            Note::Condition { node, condition } => {
                self.conditions[node.as_usize()] = condition;
                self.shares.set_condition(node, &condition);
            }
        }
    }

    fn book(&mut self, booking: Booking) {
        let lease = booking.lease;
        self.watts.book(&booking);
        self.found.violations += self.shares.book(&booking);
        for node in booking.nodes.iter() {
            self.on_node[node.as_usize()].push(lease);
        }
        let booked = Booked {
            booking,
            awaiting_return: false,
        };
        assert!(
            self.booked.insert(lease, booked).is_none(),
            "lease {lease} is booked once"
        );
    }

    /// As much of the cell as a plan concerns.
    fn fleet(&self, plan: &Plan) -> Fleet {
        let known = plan.nodes.iter().filter(|n| n.0 < self.site.nodes());
        let nodes = known.map(|node| {
            let condition = self.conditions[node.as_usize()];
            (node, (self.site.spec(node), condition))
        });
        let nodes: BTreeMap<_, _> = nodes.collect();
        let leases: BTreeSet<LeaseId> = nodes
            .keys()
            .flat_map(|node| self.on_node[node.as_usize()].iter().copied())
            .collect();
        Fleet {
            nodes,
            skus: self.skus(),
            bookings: leases.iter().map(|l| self.booked[l].clone()).collect(),
            ..Fleet::default()
        }
    }

    fn skus(&self) -> BTreeMap<SkuName, Sku> {
        let skus = self.terms.skus.iter();
        skus.map(|sku| (sku.name.clone(), sku.clone())).collect()
    }
}
