//! What would become of a request, with everything that is known about why.

use super::create::{Asker, new_lease};
use crate::state::State;
use leasehold_common::api::{CreateLease, ExplainView, Problem};
use leasehold_common::class::Side;
use leasehold_common::explain::Outcome;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::{LeaseRecord, LeaseSpec, LeaseState};
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::Decision;

impl State {
    /// Decides a request as if it were made now; nothing is changed and nothing is logged. What can
    /// never be is an answer too, not a refusal: it is what was asked about.
    ///
    /// # Errors
    /// A request that makes no sense.
    pub(crate) fn plan_view(
        &self,
        wish: CreateLease,
        now: Timestamp,
    ) -> Result<ExplainView, Problem> {
        let hold = wish.hold;
        let (spec, account) = self.check_wish(wish, now)?;
        let side = account.side;
        let mut decision = self.decide(&spec, now);
        let over = self.decided_over_quota(&spec, &decision);
        self.weigh_reclaim(&spec, &mut decision, now);
        let lease = match (decision, over) {
            (Decision::Placed { .. } | Decision::Wait { .. }, Some(over)) => {
                let mut lease = self.next_lease(spec, side, hold, now);
                let policy = self.policies.digest();
                lease.explanation = Some(over.explanation(Outcome::Never, policy));
                lease
            }
            (decision, _) => self.would_be(spec, side, hold, decision, now),
        };
        Ok(self.explain_view(&lease))
    }

    /// The lease as it would be, without making it.
    pub(super) fn would_be(
        &self,
        spec: LeaseSpec,
        side: Side,
        hold: Option<Span>,
        decision: Decision,
        now: Timestamp,
    ) -> LeaseRecord {
        let mut lease = self.next_lease(spec, side, hold, now);
        lease.explanation = Some(decision.why().clone());
        if let Some(plan) = decision.plan() {
            self.enter_plan(&mut lease, plan.clone());
            lease.held_until = hold.map(|hold| now + hold);
            lease.state = match hold {
                Some(_) => LeaseState::Held,
                None => LeaseState::Scheduled,
            };
        }
        lease
    }

    /// A lease of the next number, which nobody has.
    fn next_lease(
        &self,
        spec: LeaseSpec,
        side: Side,
        hold: Option<Span>,
        now: Timestamp,
    ) -> LeaseRecord {
        let nobody = Asker {
            uid: 0,
            remembered: None,
            now,
        };
        let id: LeaseId = self.head.next_lease;
        new_lease(id, spec, side, hold, nobody)
    }
}
