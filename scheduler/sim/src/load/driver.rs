//! What happens to the cell, and everything that has to be told of it.

use super::audit::{Audit, Note};
use super::cell::Site;
use super::clock::Clock;
use super::report::{Counted, Figures, micros};
use super::terms::Terms;
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::sevenths;
use leasehold_common::time::Timestamp;
use leasehold_placement::{Cell, Decision, NodeCondition, Plan, Policy, Request, plan};

/// When every run begins.
pub(super) const BIRTH: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

/// A cell in use.
#[derive(Debug)]
pub(super) struct Driver {
    site: Site,
    policy: Policy,
    cell: Cell,
    pub(super) now: Timestamp,
    clock: Clock,
    audit: Audit,
    last: u64,
    placed: u64,
    /// GPUs that leases have, or that are not back from them; bookings to come are not among them.
    pub(super) used: u64,
    /// Of leases of slices, in sevenths of GPUs.
    sliced: u64,
    digest: Fnv,
    was_never: bool,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) lease: LeaseId,
    pub(super) plan: Plan,
}

impl Driver {
    pub(super) fn new(site: impl Into<Site>, terms: Terms) -> Self {
        let site = site.into();
        let mut cell = site.cell(&terms);
        // A cell that is not told the time takes every lease for a booking to come.
        cell.advance(BIRTH);
        Self {
            policy: terms.policy.clone(),
            cell,
            now: BIRTH,
            clock: Clock::default(),
            audit: Audit::new(site.clone(), terms),
            last: 0,
            placed: 0,
            used: 0,
            sliced: 0,
            digest: Fnv::default(),
            was_never: false,
            site,
        }
    }

    /// The cell.
    pub(super) const fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Decides, and books what was decided.
    pub(super) fn ask(&mut self, request: &Request) -> Option<Placed> {
        let Self {
            cell,
            policy,
            clock,
            now,
            ..
        } = self;
        let decision = clock.plan(|| plan(cell, request, policy, *now));
        self.digest.decision(&decision);
        self.was_never = matches!(decision, Decision::Never { .. });
        // Its parts are dropped outside the timing: who carries a decision out keeps it.
        let Decision::Placed { plan, why: _why } = decision else {
            return None;
        };
        self.last += 1;
        let lease = LeaseId(self.last);
        let booking = plan.booking(lease, request);
        let booked = clock.book(|| cell.book(booking));
        booked.expect("what was planned can be booked");
        self.placed += 1;
        if plan.start <= self.now {
            self.enter(&plan);
        }
        self.audit.note(Note::Placed {
            lease,
            request: Box::new(request.clone()),
            plan: Box::new(plan.clone()),
            now: self.now,
        });
        Some(Placed { lease, plan })
    }

    /// Whether the last request can never be held.
    pub(super) const fn was_never(&self) -> bool {
        self.was_never
    }

    /// Lets time go on.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.now = now;
        let cell = &mut self.cell;
        self.clock.keep(|| cell.advance(now));
    }

    /// A lease that was booked for later begins.
    pub(super) fn begin(&mut self, plan: &Plan) {
        self.enter(plan);
    }

    /// A lease ends now: its hardware is nobody's until it is back.
    pub(super) fn end(&mut self, lease: LeaseId) {
        let (cell, at) = (&mut self.cell, self.now);
        self.clock.keep(|| cell.end(lease, at));
        self.audit.note(Note::Ended { lease, at });
    }

    /// The hardware of a lease that has ended is back, clean, on all its nodes.
    pub(super) fn give_back(&mut self, placed: &Placed, side: Side) {
        self.leave(&placed.plan);
        for node in placed.plan.nodes.iter() {
            let known = *self.cell.condition(node).expect("a node of the cell");
            if known.last_side != Some(side) {
                let last_side = Some(side);
                self.set_condition(node, NodeCondition { last_side, ..known });
            }
        }
        let cell = &mut self.cell;
        self.clock.keep(|| {
            for node in placed.plan.nodes.iter() {
                cell.release_node(placed.lease, node);
            }
        });
        self.audit.note(Note::Gone {
            lease: placed.lease,
        });
    }

    /// A booking that has not begun is given up.
    pub(super) fn give_up(&mut self, lease: LeaseId) {
        let cell = &mut self.cell;
        self.clock.keep(|| cell.unbook(lease));
        self.audit.note(Note::Gone { lease });
    }

    /// Something is the matter with a node, or no longer.
    pub(super) fn set_condition(&mut self, node: NodeIndex, condition: NodeCondition) {
        let cell = &mut self.cell;
        self.clock.keep(|| cell.set_condition(node, condition));
        self.audit.note(Note::Condition { node, condition });
    }

    /// Forgets what was measured so far: what comes now is the run.
    pub(super) fn begin_measuring(&mut self) {
        self.audit.found();
        self.clock = Clock::default();
        self.placed = 0;
    }

    /// How long planning alone took, in microseconds.
    pub(super) fn planning_us(&self) -> f64 {
        micros(self.clock.planning())
    }

    /// The run's figures.
    pub(super) fn figures(&mut self) -> Figures {
        let counted = Counted {
            placed: self.placed,
            used: self.used_sevenths() / 7,
            gpus: self.site.all_gpus(),
            digest: self.digest.0,
        };
        let clock = std::mem::take(&mut self.clock);
        Figures::new(&clock.measured(), counted, &self.audit.found())
    }

    /// Sevenths of GPUs that leases have.
    pub(super) const fn used_sevenths(&self) -> u64 {
        // What is used is counted in whole GPUs of leases that have such, and whole sevenths of others.
        self.used * 7 + self.sliced
    }

    fn enter(&mut self, plan: &Plan) {
        match Self::sevenths(plan) {
            0 => self.used += self.gpus(plan),
            sevenths => self.sliced += sevenths,
        }
    }

    fn leave(&mut self, plan: &Plan) {
        match Self::sevenths(plan) {
            0 => self.used -= self.gpus(plan),
            sevenths => self.sliced -= sevenths,
        }
    }

    fn sevenths(plan: &Plan) -> u64 {
        let on_nodes = plan.slices.values();
        on_nodes.map(|slices| u64::from(sevenths(slices))).sum()
    }

    fn gpus(&self, plan: &Plan) -> u64 {
        let of = |node: NodeIndex| match plan.gpus.get(&node) {
            Some(slots) => slots.len(),
            None => self.cell.spec(node).map_or(0, |spec| spec.gpus),
        };
        plan.nodes.iter().map(|node| u64::from(of(node))).sum()
    }
}

/// FNV-1a over what was decided. Not for secrets.
#[derive(Debug, Clone, Copy)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Fnv {
    const fn add(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x0000_0100_0000_01B3);
    }

    fn decision(&mut self, decision: &Decision) {
        match decision {
            Decision::Placed { plan, why: _ } => {
                self.add(1);
                self.add(plan.start.unix_ms().unsigned_abs());
                for node in plan.nodes.iter() {
                    self.add(u64::from(node.0));
                    self.add(plan.gpus.get(&node).map_or(0, |slots| u64::from(slots.0)));
                    for slice in plan.slices.get(&node).into_iter().flatten() {
                        self.add(u64::from(slice.gpu) << 8 | u64::from(slice.start));
                    }
                }
            }
            Decision::Wait { earliest, why } => {
                self.add(2);
                self.add(earliest.map_or(0, |at| at.unix_ms().unsigned_abs()));
                self.add(u64::from(why.fit));
            }
            Decision::Never { why } => {
                self.add(3);
                self.add(u64::from(why.fit));
            }
        }
    }
}
