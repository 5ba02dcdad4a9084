//! Going through those that wait, in order, after something has changed.

use super::{Rank, Stir};
use crate::state::State;
use leasehold_common::ids::{AccountName, LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseSpec, LeaseState, Shape};
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::{Request, any_fits, could_hold, first_fit};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// How much one step may look at: a few milliseconds' worth. The rest is gone through with the
/// steps that follow, behind whatever has happened by then.
const LOOKS: usize = 20_000;

/// What a decision about one node costs, in looks.
const SMALL: usize = 200;

/// A walk that is under way.
#[derive(Debug)]
pub(super) struct Walk {
    stir: Stir,
    /// The last one visited.
    after: Option<Rank>,
    hopeless: Hopeless,
}

/// What certainly does not fit as long as nothing else becomes free: the many requests of a queue are
/// often alike, and what is too long for one is too long for all of them.
#[derive(Debug, Default)]
struct Hopeless(BTreeMap<AccountName, Vec<LeaseSpec>>);

impl Hopeless {
    fn add(&mut self, spec: &LeaseSpec) {
        if !self.has(spec) {
            let of = self.0.entry(spec.account.clone()).or_default();
            of.push(spec.clone());
        }
    }

    fn has(&self, spec: &LeaseSpec) -> bool {
        let of = self.0.get(&spec.account).into_iter().flatten();
        of.into_iter().any(|known| asks_for_no_less(spec, known))
    }
}

/// Whether one request asks for all that another does, and for as long.
fn asks_for_no_less(spec: &LeaseSpec, known: &LeaseSpec) -> bool {
    let is_as_long = match (known.length, spec.length) {
        (Some(known), Some(length)) => length >= known,
        (Some(_), None) => spec.until.is_none(),
        (None, Some(_)) => false,
        (None, None) => true,
    };
    is_as_long
        && (known.until == spec.until || known.length.is_some())
        && known.shape == spec.shape
        && known.class.side() == spec.class.side()
        && known.sku == spec.sku
        && known.within == spec.within
        && known.start == spec.start
        && known.host == spec.host
        && known.gpu_cap_watts == spec.gpu_cap_watts
}

impl State {
    /// Decides pending leases again that what has changed may concern, the better class first, the
    /// older first within a class, as much as one step has room for.
    pub(crate) fn settle_pending(&mut self, now: Timestamp) {
        if !self.ahead.has_work() {
            return;
        }
        let mut walk = self.ahead.walk.take().unwrap_or_else(|| Walk {
            stir: std::mem::take(&mut self.ahead.stir),
            after: None,
            hopeless: Hopeless::default(),
        });
        // What changes from here on, except by what is done here, is for the next walk.
        let outside = std::mem::take(&mut self.ahead.stir);
        let ahead = self.settings.policy.planned_ahead as usize;
        let edge = self
            .pending
            .iter()
            .take(ahead)
            .reduce(|_, last| last)
            .copied();
        let mut looks = LOOKS;
        self.lift_after(walk.after, &walk.stir.freed);
        let is_done = loop {
            let from = walk.after.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.pending.range((from, Bound::Unbounded)).next().copied();
            let Some(rank) = next else {
                break true;
            };
            let is_planned = edge.is_some_and(|edge| rank <= edge);
            if !is_planned && walk.stir.concerns_nobody() {
                break true;
            }
            if looks == 0 || self.draft.is_full() {
                break false;
            }
            let cost = match is_planned {
                true => self.visit_planned(rank, &mut walk, now),
                false => self.visit(rank, &mut walk, now),
            };
            looks = looks.saturating_sub(cost);
            walk.after = Some(rank);
            // Whoever comes later may have what has just been given up. Whoever came before was
            // planned as if it had been free already.
            if !self.ahead.stir.freed.is_empty() {
                walk.hopeless = Hopeless::default();
                let freed = std::mem::take(&mut self.ahead.stir.freed);
                self.lift_after(walk.after, &freed);
                walk.stir.freed.extend(freed);
            }
        };
        self.put_back();
        self.ahead.stir.merge(outside);
        self.ahead.walk = (!is_done).then_some(walk);
    }

    /// One of those that are planned ahead. Its own plan and those after it are not on the nodes that
    /// became free. Returns what it cost, in looks.
    fn visit_planned(&mut self, rank: Rank, walk: &mut Walk, now: Timestamp) -> usize {
        let (_, _, id) = rank;
        let spec = &self.leases[&id].spec;
        let is_due = walk.stir.due.remove(&id);
        let is_concerned = is_due || walk.stir.all || walk.stir.accounts.contains(&spec.account);
        if !is_concerned && !self.may_gain(id, &walk.stir.freed, now) {
            self.put_back_one(id);
            if self.ahead.planned.contains_key(&id) {
                return 1 + walk.stir.freed.len();
            }
        }
        let cost = self.cost_of(id);
        self.plan_ahead(rank, walk.stir.all, now);
        cost
    }

    /// Whether nodes that became free may let a lease start before what is planned for it, or it is not
    /// planned yet.
    fn may_gain(&self, id: LeaseId, freed: &BTreeSet<NodeIndex>, now: Timestamp) -> bool {
        let Some(plan) = self.ahead.planned.get(&id) else {
            return true;
        };
        if freed.is_empty() {
            return false;
        }
        let request = Request::from(&self.leases[&id].spec);
        let (policy, freed) = (&self.settings.policy, freed.iter().copied());
        let first = first_fit(&self.cell, &request, policy, now, freed);
        match (first, plan) {
            (None, _) => false,
            (Some(_), None) => true,
            // What waits beyond its start, waits for just this.
            (Some(first), Some(plan)) => first < plan.from.max(now + Span::from_millis(1)),
        }
    }

    /// One of the others: it goes ahead where it delays nobody. Returns what it cost, in looks.
    fn visit(&mut self, rank: Rank, walk: &mut Walk, now: Timestamp) -> usize {
        let (_, _, id) = rank;
        // Others have come before it.
        self.drop_plan(id);
        let spec = &self.leases[&id].spec;
        let is_due = walk.stir.due.remove(&id);
        let is_concerned = is_due || walk.stir.all || walk.stir.accounts.contains(&spec.account);
        let mut cost = 1;
        if !is_concerned {
            if walk.stir.freed.is_empty() || walk.hopeless.has(spec) {
                return cost;
            }
            cost = SMALL.min(walk.stir.freed.len());
            let request = Request::from(spec);
            let policy = &self.settings.policy;
            let freed = walk.stir.freed.iter().copied();
            let has_hope = any_fits(&self.cell, &request, policy, now, freed)
                && could_hold(&self.cell, &request, policy, now);
            if !has_hope {
                walk.hopeless.add(spec);
                return cost;
            }
        }
        cost += self.cost_of(id);
        self.retry(id, now);
        let lease = &self.leases[&id];
        if lease.state == LeaseState::Requested {
            walk.hopeless.add(&lease.spec);
        }
        cost
    }

    fn cost_of(&self, id: LeaseId) -> usize {
        match self.leases[&id].spec.shape {
            Shape::Gpus { .. } | Shape::Slices { .. } => SMALL,
            Shape::Nodes { count: 1, .. } => SMALL,
            Shape::Nodes { .. } | Shape::Unit { .. } => self.cell.len().max(SMALL),
        }
    }
}
