//! New leases.

use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::lease::OverQuota;
use crate::state::State;
use leasehold_common::api::{CreateLease, Problem, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::explain::{Explanation, Outcome};
use leasehold_common::ids::{Generation, LeaseId, Term};
use leasehold_common::lease::{Idempotency, LeaseRecord, LeaseSpec, LeaseState, NodeProgress};
use leasehold_common::log::{Attributes, EventName, Inputs, Subject};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::Decision;
use std::collections::BTreeMap;

/// The most requests that may wait: each costs memory and a look when capacity grows.
const PENDING_MAX: usize = 100_000;

impl State {
    pub(super) fn create_lease(&mut self, wish: CreateLease, asked: Asked<'_>) -> Answer {
        let hold = wish.hold;
        let (spec, account) = self.check_wish(wish, asked.now)?;
        let side = account.side;
        // What is only planned for worse classes is not in its way.
        self.lift_below((spec.class, asked.now, self.head.next_lease), &spec.sku);
        let mut decision = self.decide(&spec, asked.now);
        // What can never be is said before what may not be: a raised quota would not help.
        if let Decision::Never { why } = decision {
            return Err(self.never_fits(&spec, why, asked));
        }
        if let Some(over) = self.decided_over_quota(&spec, &decision) {
            return Err(self.refuse_quota(&spec, &over, asked));
        }
        if self.pending.len() >= PENDING_MAX {
            let detail = format!("{} requests wait already", self.pending.len());
            return Err(Problem::new(ProblemCode::TooManyPending, detail));
        }
        self.weigh_reclaim(&spec, &mut decision, asked.now);
        if asked.dry_run {
            let lease = self.would_be(spec, side, hold, decision, asked.now);
            return Ok(Written {
                status: 200,
                replayed: false,
                view: View::Lease(Box::new(self.lease_view(&lease, true))),
            });
        }
        let asker = Asker {
            uid: asked.actor.uid,
            remembered: asked.remembered(201),
            now: asked.now,
        };
        let id = self.head.next_lease;
        self.head.next_lease = id.next();
        self.insert_lease(new_lease(id, spec, side, hold, asker))
            .expect("a new lease holds nothing");
        let actor = Some(asked.actor.clone());
        match decision {
            Decision::Placed { plan, why } => self.carry_out(id, plan, why, actor, asked.now),
            Decision::Wait { why, .. } => {
                let lease = self.leases.get_mut(&id).expect("it was inserted above");
                lease.explanation = Some(why.clone());
                let inputs = Inputs {
                    request: lease.spec.clone(),
                    now: asked.now,
                    policy: why.policy,
                };
                let attributes = Attributes {
                    to: Some(LeaseState::Requested.to_string()),
                    reason: why.reason().map(ToString::to_string),
                    actor,
                    ..Attributes::default()
                };
                let entry = Entry {
                    attributes,
                    inputs: Some(inputs),
                    why: Some(why),
                    ..Entry::default()
                };
                self.log_lease(id, EventName::PlacementWaits, entry);
                self.reindex_lease(id);
                self.stir_new();
            }
            Decision::Never { .. } => unreachable!("refused above"),
        }
        let view = Box::new(self.lease_view(&self.leases[&id], true));
        Ok(Written {
            status: 201,
            replayed: false,
            view: View::Lease(view),
        })
    }

    /// Refuses what no state of this cell could hold. The decision is logged; nothing else is
    /// changed.
    fn never_fits(&mut self, spec: &LeaseSpec, why: Explanation, asked: Asked<'_>) -> Problem {
        let said = why
            .reasons
            .first()
            .map_or_else(String::new, |r| r.detail.clone());
        let mut problem = Problem::new(ProblemCode::NeverFits, said);
        problem.reasons.clone_from(&why.reasons);
        self.log_refusal(spec, why, asked, &mut problem);
        problem
    }

    fn refuse_quota(&mut self, spec: &LeaseSpec, over: &OverQuota, asked: Asked<'_>) -> Problem {
        let why = over.explanation(Outcome::Never, self.policies.digest());
        let mut problem = Problem::new(ProblemCode::QuotaExceeded, over.to_string()).about(
            "shape",
            &spec.shape,
            format!("{} GPUs or fewer", over.left()),
        );
        problem.reasons.clone_from(&why.reasons);
        self.log_refusal(spec, why, asked, &mut problem);
        problem
    }

    fn log_refusal(
        &mut self,
        spec: &LeaseSpec,
        why: Explanation,
        asked: Asked<'_>,
        problem: &mut Problem,
    ) {
        if asked.dry_run {
            return;
        }
        let subject = Subject {
            account: Some(spec.account.clone()),
            ..Subject::default()
        };
        let attributes = Attributes {
            reason: why.reason().map(ToString::to_string),
            actor: Some(asked.actor.clone()),
            ..Attributes::default()
        };
        let inputs = Inputs {
            request: spec.clone(),
            now: asked.now,
            policy: why.policy,
        };
        let entry = Entry {
            subject,
            attributes,
            inputs: Some(inputs),
            why: Some(why),
        };
        self.draft.log(EventName::PlacementRefused, entry);
        problem.log_seq = Some(self.draft.seq(&self.head));
    }
}

/// Who a new lease is for, as far as its record says.
pub(super) struct Asker {
    pub uid: u32,
    pub remembered: Option<Idempotency>,
    pub now: Timestamp,
}

/// A lease that was just asked for.
pub(super) fn new_lease(
    id: LeaseId,
    spec: LeaseSpec,
    side: Side,
    hold: Option<Span>,
    asker: Asker,
) -> LeaseRecord {
    LeaseRecord {
        version: Version::CURRENT,
        id,
        spec,
        side,
        state: LeaseState::Requested,
        since: asker.now,
        conditions: BTreeMap::new(),
        term: Term {
            generation: Generation(0),
            ..Term::default()
        },
        term_seq: leasehold_common::ids::Seq(0),
        uid: asker.uid,
        created: asker.now,
        start: None,
        access_end: None,
        wipe_not_before: None,
        closed: None,
        hold,
        held_until: None,
        placement: Vec::new(),
        progress: NodeProgress::default(),
        energy_mj: 0,
        explanation: None,
        idempotency: asker.remembered.into_iter().collect(),
        unknown: Unknown::default(),
    }
}
