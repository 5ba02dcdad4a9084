//! A cell in a steady state: leases come and end, some are booked ahead, nodes fail and return, and
//! three of ten requests are refused.
//!
//! Time goes on as fast as leases end: a request that usually fits arrives whenever less than the
//! wanted share of the cell is used, and one that usually does not whenever fewer than three of ten
//! have been refused so far.

use super::cell::Layout;
use super::driver::{BIRTH, Driver, Placed};
use super::mix::Mix;
use super::report::Figures;
use super::terms::Terms;
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::GpuSlots;
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::{NodeCondition, Request};
use std::collections::BTreeMap;

/// How many of a thousand requests are to be refused.
const REFUSED_PERMILLE: u64 = 300;
/// How many of a thousand requests that usually fit are bookings for later.
const AHEAD_PERMILLE: u64 = 50;
/// How many of a thousand arrivals see a node fail.
const FAILS_PERMILLE: u64 = 5;
/// How many of a thousand leases are ended before their time.
const EARLY_PERMILLE: u64 = 100;
/// How long the hardware of a lease that has ended takes to be clean.
const CLEANING: Span = Span::from_mins(6);

/// What a steady state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Churn {
    /// How much of the cell is used, in percent of its GPUs.
    pub used_pct: u32,
    /// Requests decided once it is reached.
    pub decisions: u64,
    /// Where chance comes from.
    pub seed: u64,
}

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Begins(LeaseId),
    Ends(LeaseId),
    Returns(LeaseId),
    Recovers(NodeIndex),
}

/// A lease in the cell.
#[derive(Debug, Clone)]
struct Tenancy {
    request: Request,
    placed: Placed,
}

/// The state of it.
struct Life {
    layout: Layout,
    driver: Driver,
    mix: Mix,
    leases: BTreeMap<LeaseId, Tenancy>,
    events: BTreeMap<(Timestamp, u64), Event>,
    scheduled: u64,
    decided: u64,
    refused: u64,
}

/// Brings a cell into a steady state and measures what follows.
pub fn run(layout: Layout, fed_pct: u32, churn: Churn) -> Figures {
    let mut life = Life {
        layout,
        driver: Driver::new(layout, Terms::of(layout, fed_pct, BIRTH)),
        mix: Mix::new(layout, churn.seed),
        leases: BTreeMap::new(),
        events: BTreeMap::new(),
        scheduled: 0,
        decided: 0,
        refused: 0,
    };
    let target = layout.all_gpus() * u64::from(churn.used_pct) / 100;
    while life.driver.used < target && life.decided < layout.all_gpus() {
        life.arrival(false);
    }
    // A tenth as much again, so that bookings ahead and failed nodes are as many as they will be.
    life.live(target, life.decided + churn.decisions / 10);
    life.driver.begin_measuring();
    (life.decided, life.refused) = (0, 0);
    life.live(target, churn.decisions);
    life.driver.figures()
}

impl Life {
    fn live(&mut self, target: u64, until: u64) {
        while self.decided < until {
            let is_hard = self.refused * 1000 < self.decided * REFUSED_PERMILLE;
            if is_hard || self.driver.used < target {
                self.arrival(is_hard);
                let next = self.driver.now + Span::from_secs(1 + self.mix.rng.below(4));
                self.pass(next);
            } else {
                let next = self.events.first_key_value().map(|((at, _), _)| *at);
                self.pass(next.expect("a used cell has leases that end"));
            }
        }
    }

    fn arrival(&mut self, is_hard: bool) {
        let mut request = if is_hard {
            self.mix.hard()
        } else {
            self.mix.usual()
        };
        if !is_hard && self.mix.rng.chance(AHEAD_PERMILLE) {
            request.start = Some(self.mix.later(self.driver.now));
        }
        self.ask(request);
        if self.mix.rng.chance(FAILS_PERMILLE) {
            self.node_fails();
        }
    }

    fn ask(&mut self, request: Request) {
        self.decided += 1;
        let Some(placed) = self.driver.ask(&request) else {
            self.refused += 1;
            return;
        };
        let lease = placed.lease;
        let start = placed.plan.start;
        if start > self.driver.now {
            self.schedule(start, Event::Begins(lease));
        }
        let length = self.mix.length();
        let is_early = self.mix.rng.chance(EARLY_PERMILLE);
        let end = match placed.plan.end {
            Some(end) if is_early => end.min(start + length),
            Some(end) => end,
            None => start + length,
        };
        self.schedule(end, Event::Ends(lease));
        self.leases.insert(lease, Tenancy { request, placed });
    }

    fn schedule(&mut self, at: Timestamp, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    /// Lets everything happen that happens by then.
    fn pass(&mut self, until: Timestamp) {
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= until
        {
            let (at, _) = *entry.key();
            let event = entry.remove();
            self.driver.advance(at);
            self.happen(event);
        }
        self.driver.advance(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Begins(lease) => {
                // Gone where its node failed and it was planned again.
                if let Some(tenancy) = self.leases.get(&lease) {
                    self.driver.begin(&tenancy.placed.plan);
                }
            }
            Event::Ends(lease) => {
                if self.leases.contains_key(&lease) {
                    self.driver.end(lease);
                    self.schedule(self.driver.now + CLEANING, Event::Returns(lease));
                }
            }
            Event::Returns(lease) => {
                let tenancy = self.leases.remove(&lease).expect("it ended, and only once");
                let side: Side = tenancy.request.side();
                self.driver.give_back(&tenancy.placed, side);
            }
            Event::Recovers(node) => {
                let spec = self.layout.spec(node);
                let known = *self.driver.cell().condition(node).expect("a node");
                let sound = NodeCondition {
                    silent: false,
                    healthy: spec.slots(),
                    ..known
                };
                self.driver.set_condition(node, sound);
            }
        }
    }

    /// A node is not heard of any more, or loses a GPU; what was booked on it for later is planned
    /// again.
    fn node_fails(&mut self) {
        let node = self.mix.rng.below(u64::from(self.layout.nodes()));
        let node = NodeIndex(u32::try_from(node).expect("a node's number"));
        let known = *self.driver.cell().condition(node).expect("a node");
        if known.silent || known.healthy.len() < self.layout.spec(node).gpus {
            return;
        }
        let first = known.healthy.iter().next();
        let failed = if self.mix.rng.chance(500) {
            NodeCondition {
                silent: true,
                ..known
            }
        } else {
            let lost = first.map_or(GpuSlots::NONE, |slot| GpuSlots::NONE.with(slot));
            NodeCondition {
                healthy: known.healthy.minus(lost),
                ..known
            }
        };
        self.driver.set_condition(node, failed);
        let back = self.driver.now + self.mix.length();
        self.schedule(back, Event::Recovers(node));
        let now = self.driver.now;
        let to_come = self.driver.cell().holds(node);
        let to_come = to_come.filter(|hold| hold.from > now).map(|h| h.lease);
        for lease in to_come.collect::<Vec<_>>() {
            if let Some(tenancy) = self.leases.remove(&lease) {
                self.driver.give_up(lease);
                self.ask(tenancy.request);
            }
        }
    }
}
