//! Conditions of a lease.

use crate::draft::Entry;
use crate::state::State;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::{Condition, ConditionKind};
use leasehold_common::log::{Attributes, EventName};

impl State {
    /// Sets or clears a condition, and says so in the log where that changes anything but its age.
    pub(crate) fn set_condition(
        &mut self,
        id: LeaseId,
        kind: ConditionKind,
        condition: Option<Condition>,
    ) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        let before = lease.conditions.get(&kind);
        let same = match (before, &condition) {
            (None, None) => true,
            (Some(old), Some(new)) => old.nodes == new.nodes && old.detail == new.detail,
            (None, Some(_)) | (Some(_), None) => false,
        };
        if same {
            return;
        }
        let reason = condition.as_ref().map(|c| c.detail.clone());
        let to = if condition.is_some() { "true" } else { "false" };
        match condition {
            Some(mut condition) => {
                if let Some(old) = before {
                    condition.since = old.since;
                }
                lease.conditions.insert(kind.clone(), condition);
            }
            None => {
                lease.conditions.remove(&kind);
            }
        }
        let attributes = Attributes {
            from: Some(kind.to_string()),
            to: Some(to.into()),
            reason,
            ..Attributes::default()
        };
        self.log_lease(
            id,
            EventName::LeaseCondition,
            Entry {
                attributes,
                ..Entry::default()
            },
        );
    }
}
