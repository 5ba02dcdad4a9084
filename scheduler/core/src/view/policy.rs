//! Policies, and maintenance.

use crate::state::State;
use leasehold_common::api::{MaintenanceView, PolicyView, Problem};
use leasehold_common::maintenance::{MaintenanceRecord, MaintenanceState};
use leasehold_common::time::Timestamp;

impl State {
    /// The policy of that number, or the one that decides.
    pub(crate) fn policy_view(&self, number: Option<u64>) -> Result<PolicyView, Problem> {
        let number = number.unwrap_or_else(|| self.policies.number());
        let policy = self.known_policy(number, "number")?.clone();
        Ok(PolicyView {
            version: self.policy_summary(number),
            policy,
        })
    }

    pub(crate) fn maintenance_view(
        &self,
        record: &MaintenanceRecord,
        now: Timestamp,
    ) -> MaintenanceView {
        let booked = record.state == MaintenanceState::Booked;
        MaintenanceView {
            id: record.id,
            state: record.state,
            active: booked && record.from <= now && now < record.to,
            nodes: self.fold(&record.nodes),
            node_count: record.nodes.len() as u64,
            from: record.from,
            to: record.to,
            reason: Some(record.why.clone()).filter(|why| !why.is_empty()),
            by: record.by,
            created: record.created,
        }
    }
}
