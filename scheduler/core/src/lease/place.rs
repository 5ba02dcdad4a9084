//! Getting hardware.

use crate::ahead::Rank;
use crate::draft::Entry;
use crate::maintenance::in_words_of_people;
use crate::state::State;
use leasehold_common::explain::{Explanation, Outcome};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::{LeaseRecord, LeaseSpec, LeaseState, Segment, SegmentReason};
use leasehold_common::log::{Actor, Attributes, EventName, Inputs};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use leasehold_placement::{Booking, Decision, Plan, Request, plan};
use std::collections::BTreeMap;

impl State {
    /// What the packing engine says to a request now.
    pub(crate) fn decide(&self, spec: &LeaseSpec, now: Timestamp) -> Decision {
        self.decide_request(&self.request_of(spec), now)
    }

    /// What a lease asks of the packing engine: no more than its account's quota leaves, where it can do
    /// with less.
    fn request_of(&self, spec: &LeaseSpec) -> Request {
        let mut request = Request::from(spec);
        self.fit_quota(&mut request);
        request
    }

    fn decide_request(&self, request: &Request, now: Timestamp) -> Decision {
        let mut decision = plan(&self.cell, request, &self.settings.policy, now);
        match &mut decision {
            Decision::Placed { why, .. } | Decision::Wait { why, .. } | Decision::Never { why } => {
                why.policy = Some(self.policies.digest());
                in_words_of_people(why);
                self.say_who_undrains(&request.sku, why);
                self.say_who_goes_first(request, why, now);
            }
        }
        decision
    }

    /// Gives a requested lease the hardware of a plan made on this very state.
    pub(crate) fn carry_out(
        &mut self,
        id: LeaseId,
        plan: Plan,
        why: Explanation,
        actor: Option<Actor>,
        now: Timestamp,
    ) {
        let mut lease = self
            .leases
            .remove(&id)
            .expect("the caller names a lease that exists");
        self.enter_plan(&mut lease, plan);
        lease.explanation = Some(why.clone());
        let inputs = Inputs {
            request: lease.spec.clone(),
            now,
            policy: why.policy,
        };
        self.leases.insert(id, lease);
        let attributes = Attributes {
            actor,
            ..Attributes::default()
        };
        let entry = Entry {
            attributes,
            inputs: Some(inputs),
            why: Some(why),
            ..Entry::default()
        };
        let lease = self.leases.get_mut(&id).expect("it was put back above");
        // Nobody is to hold hardware beyond the end of what it is held for.
        let held_until = lease.hold.map(|hold| now + hold);
        lease.held_until = held_until.map(|at| lease.access_end.map_or(at, |end| end.min(at)));
        let to = match lease.held_until {
            Some(_) => LeaseState::Held,
            None => LeaseState::Scheduled,
        };
        self.move_lease(id, to, entry, EventName::PlacementDecided, now);
        self.renew_term(id);
        let lease = self.leases[&id].clone();
        self.book(&lease).expect("the plan was made on this state");
        if to == LeaseState::Scheduled {
            let soon = now + self.settings.prepare_lead;
            if lease.start.is_some_and(|start| start <= soon) {
                self.prepare(id, now);
            }
        }
    }

    /// Writes a plan into a lease's record.
    pub(crate) fn enter_plan(&self, lease: &mut LeaseRecord, plan: Plan) {
        let envelope = self.envelope_of(lease, &plan.nodes, &plan.gpus, &plan.slices);
        lease.start = Some(plan.start);
        lease.access_end = plan.end;
        lease.wipe_not_before = plan.end.map(|end| end + lease.spec.class.wipe_delay());
        lease.placement.push(Segment {
            from: plan.start,
            to: plan.end,
            nodes: plan.nodes,
            gpus: plan.gpus,
            slices: plan.slices,
            spares: plan.spares,
            stands_for: BTreeMap::new(),
            envelope_mw: envelope,
            reason: SegmentReason::Placed,
        });
    }

    /// Sends a booked lease's grants out.
    pub(crate) fn prepare(&mut self, id: LeaseId, now: Timestamp) {
        self.move_lease_because(id, LeaseState::Preparing, "grants go out", now);
    }

    /// Places one of the first leases that wait, or plans when it will start. Rules that have changed
    /// make its plan anew; otherwise that is only given up for an earlier start.
    pub(crate) fn plan_ahead(&mut self, rank: Rank, anew: bool, now: Timestamp) {
        let (_, _, id) = rank;
        let spec = self.leases[&id].spec.clone();
        // Those after it are planned around it.
        self.lift_below(rank, &spec.sku);
        let before = self.take_plan(id);
        let freed = before.as_ref().map(|plan| plan.nodes.clone());
        if let Some(over) = self.over_quota(&spec) {
            self.stir_nodes(freed.iter().flat_map(NodeSet::iter));
            self.plan_nothing(id);
            let why = over.explanation(Outcome::Wait, self.policies.digest());
            return self.wait(id, why, now);
        }
        let request = self.request_of(&spec);
        let mut why = match self.decide_request(&request, now) {
            Decision::Placed { plan, why } => match self.plan_over_quota(&spec, &plan) {
                Some(over) => over.explanation(Outcome::Wait, self.policies.digest()),
                None => {
                    self.stir_nodes(freed.iter().flat_map(NodeSet::iter));
                    return self.carry_out(id, plan, why, None, now);
                }
            },
            Decision::Wait { why, .. } | Decision::Never { why } => why,
        };
        let kept = before.filter(|plan| self.can_be_kept(plan, now));
        let is_earlier = |start: &Timestamp| anew || kept.as_ref().is_none_or(|k| *start < k.from);
        let found = why.earliest.filter(is_earlier);
        let found = found.and_then(|start| self.planned_for(id, &spec, start, now));
        let is_new = found.is_some();
        if is_new || kept.is_none() {
            self.stir_nodes(freed.iter().flat_map(NodeSet::iter));
        }
        match found.or(kept) {
            Some(plan) => {
                let start = plan.from;
                if self.keep_plan(id, plan) {
                    why.earliest = Some(start).filter(|start| *start > now);
                }
            }
            None => self.plan_nothing(id),
        }
        self.wait(id, why, now);
    }

    /// The hardware a lease would have if it started then.
    fn planned_for(
        &self,
        id: LeaseId,
        spec: &LeaseSpec,
        start: Timestamp,
        now: Timestamp,
    ) -> Option<Booking> {
        let mut request = self.request_of(spec);
        request.start = Some(start);
        let decision = self.decide_request(&request, now);
        let plan = decision.plan()?;
        let within = self.plan_over_quota(spec, plan).is_none();
        within.then(|| plan.booking(id, &request))
    }

    /// Tries a pending lease again for which nothing is planned.
    pub(crate) fn retry(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        if let Some(over) = self.over_quota(&lease.spec) {
            return self.wait(
                id,
                over.explanation(Outcome::Wait, self.policies.digest()),
                now,
            );
        }
        let decision = self.decide(&lease.spec, now);
        match decision {
            Decision::Placed { plan, why } => match self.plan_over_quota(&lease.spec, &plan) {
                Some(over) => {
                    let why = over.explanation(Outcome::Wait, self.policies.digest());
                    self.wait(id, why, now);
                }
                None => self.carry_out(id, plan, why, None, now),
            },
            Decision::Wait { why, .. } => self.wait(id, why, now),
            Decision::Never { why } => {
                // Accepted once, impossible now: the nodes it needs have left. They may come back
                // until it lapses.
                self.wait(id, why, now);
            }
        }
    }

    /// Notes why a lease waits; logged only where that has changed.
    fn wait(&mut self, id: LeaseId, mut why: Explanation, now: Timestamp) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        let news = lease
            .explanation
            .as_ref()
            .is_none_or(|before| why.differs_from(before));
        if !news && why.reclaim.is_none() {
            // Whose leases would go for it was asked when it came; it waits for the same things.
            let before = lease.explanation.as_mut();
            why.reclaim = before.and_then(|before| before.reclaim.take());
        }
        lease.explanation = Some(why.clone());
        if news {
            lease.since = now;
            let inputs = Inputs {
                request: lease.spec.clone(),
                now,
                policy: why.policy,
            };
            let reason = why.reason().map(ToString::to_string);
            let attributes = Attributes {
                reason,
                ..Attributes::default()
            };
            let entry = Entry {
                attributes,
                inputs: Some(inputs),
                why: Some(why),
                ..Entry::default()
            };
            self.log_lease(id, EventName::PlacementWaits, entry);
        }
        self.reindex_lease(id);
    }
}
