//! What would be taken back for a request that waits. It is only worked out where somebody looks, and
//! only said.

use crate::state::State;
use leasehold_common::class::Class;
use leasehold_common::explain::Reclaim;
use leasehold_common::lease::{LeaseRecord, LeaseSpec, LeaseState};
use leasehold_common::time::Timestamp;
use leasehold_placement::{Decision, Request, victims};

/// How many leases of a set are named. A gang may take back thousands, and a record and a line of the
/// log have room for some; how many there are stands in the harm.
const NAMED: usize = 64;

impl State {
    /// Adds to a decision to wait what would be taken back.
    pub(crate) fn weigh_reclaim(&self, spec: &LeaseSpec, decision: &mut Decision, now: Timestamp) {
        if let Decision::Wait { why, .. } = decision {
            why.reclaim = self.reclaim(spec, now);
        }
    }

    /// The lease with what would be taken back for it now, which may be nothing any more; absent where
    /// it does not wait.
    pub(crate) fn with_reclaim(&self, lease: &LeaseRecord, now: Timestamp) -> Option<LeaseRecord> {
        if lease.state != LeaseState::Requested {
            return None;
        }
        let mut lease = lease.clone();
        lease.explanation.as_mut()?.reclaim = self.reclaim(&lease.spec, now);
        Some(lease)
    }

    fn reclaim(&self, spec: &LeaseSpec, now: Timestamp) -> Option<Reclaim> {
        match spec.class {
            Class::InternalCritical | Class::Committed | Class::OnDemand => {}
            // What waits for room waits for it.
            Class::InternalBatch | Class::Spot => return None,
        }
        let mut request = Request::from(spec);
        self.fit_quota(&mut request);
        let mut reclaim = victims(&self.cell, &request, &self.settings.policy, now)?;
        reclaim.victims.truncate(NAMED);
        for loser in &mut reclaim.runners_up {
            loser.leases.truncate(NAMED);
        }
        Some(reclaim)
    }
}
