//! New policies, and old ones set again.

use super::{Answer, Asked, check_why};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::api::{
    PolicyChange, PolicySummary, Problem, ProblemCode, RollbackPolicy, SetPolicy,
};
use leasehold_common::ids::Generation;
use leasehold_common::keys::Key;
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::policy::{Policy, PolicyRecord, check};
use leasehold_common::record::{Unknown, Version};

impl State {
    pub(super) fn set_policy(
        &mut self,
        wish: SetPolicy,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        check_why("why", wish.why.as_deref())?;
        self.check_policy_number(if_match)?;
        self.check_policy(&wish.policy)?;
        self.enter_policy(wish.policy, wish.why, None, asked)
    }

    pub(super) fn rollback_policy(
        &mut self,
        wish: RollbackPolicy,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        check_why("why", wish.why.as_deref())?;
        self.check_policy_number(if_match)?;
        let policy = self.known_policy(wish.to, "to")?.clone();
        // What could be kept then may be too much for the fleet there is now.
        self.check_policy(&policy)?;
        self.enter_policy(policy, wish.why, Some(wish.to), asked)
    }

    /// The policy of that number.
    pub(crate) fn known_policy(&self, number: u64, field: &str) -> Result<&Policy, Problem> {
        self.policies.get(number).ok_or_else(|| {
            let newest = self.policies.number();
            Problem::new(ProblemCode::UnknownPolicy, format!("no policy {number}")).about(
                field,
                number,
                format!("0, which is built in, to {newest}"),
            )
        })
    }

    fn check_policy_number(&self, wanted: Option<Generation>) -> Result<(), Problem> {
        let is = self.policies.number();
        match wanted {
            Some(wanted) if wanted.0 != is => {
                let detail = format!("policy {is} is in force, not {wanted}");
                Err(Problem::new(ProblemCode::StaleGeneration, detail).about(
                    "If-Match",
                    wanted,
                    is.to_string(),
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_policy(&self, policy: &Policy) -> Result<(), Problem> {
        let findings = check(policy, &self.settings.skus, &self.fleet());
        let Some(first) = findings.first() else {
            return Ok(());
        };
        let detail = match findings.len() {
            1 => "one thing in the policy cannot be kept".to_owned(),
            n => format!("{n} things in the policy cannot be kept"),
        };
        let (field, value, allowed) = (&first.field, &first.value, &first.allowed);
        let mut problem =
            Problem::new(ProblemCode::InvalidPolicy, detail).about(field, value, allowed);
        problem.findings = findings.into();
        Err(problem)
    }

    fn enter_policy(
        &mut self,
        policy: Policy,
        why: Option<String>,
        rolled_back_to: Option<u64>,
        asked: Asked<'_>,
    ) -> Answer {
        let before = (self.policies.number(), self.policies.digest());
        let breaks = self.broken_by(&policy);
        if policy == *self.policies.current() {
            // Whoever sets what is in force has what they want; a number for it would say nothing.
            let version = self.policy_summary(before.0);
            return Ok(changed(asked.dry_run, 200, version, breaks));
        }
        let record = PolicyRecord {
            version: Version::CURRENT,
            number: before.0 + 1,
            policy,
            by: asked.actor.uid,
            at: asked.now,
            why,
            rolled_back_to,
            idempotency: asked.remembered(201),
            unknown: Unknown::default(),
        };
        let version = summary(&record, true);
        if asked.dry_run {
            return Ok(changed(true, 200, version, breaks));
        }
        let number = record.number;
        let subject = Subject {
            policy: Some(number),
            ..Subject::default()
        };
        let attributes = Attributes {
            from: Some(format!("policy {} {}", before.0, before.1)),
            to: Some(format!("policy {number} {}", version.digest)),
            reason: record.why.clone(),
            actor: Some(asked.actor.clone()),
        };
        let event = match rolled_back_to {
            Some(_) => EventName::PolicyRolledBack,
            None => EventName::PolicySet,
        };
        let entry = Entry {
            subject,
            attributes,
            ..Entry::default()
        };
        self.draft.log(event, entry);
        self.draft.changed(Key::Policy(number));
        self.draft.close_after_this();
        self.insert_policy(record);
        Ok(changed(false, 201, version, breaks))
    }

    /// One version, as the list has it.
    pub(crate) fn policy_summary(&self, number: u64) -> PolicySummary {
        let current = number == self.policies.number();
        match self.policies.record(number) {
            Some(record) => summary(record, current),
            None => PolicySummary {
                number,
                current,
                digest: self.policies.get(0).expect("built in").digest(),
                by: None,
                at: None,
                why: None,
                rolled_back_to: None,
            },
        }
    }
}

fn summary(record: &PolicyRecord, current: bool) -> PolicySummary {
    PolicySummary {
        number: record.number,
        current,
        digest: record.policy.digest(),
        by: Some(record.by),
        at: Some(record.at),
        why: record.why.clone(),
        rolled_back_to: record.rolled_back_to,
    }
}

fn changed(
    dry_run: bool,
    status: u16,
    version: PolicySummary,
    breaks: Vec<leasehold_common::api::BrokenRule>,
) -> Written {
    let change = PolicyChange {
        dry_run,
        version,
        breaks,
    };
    Written {
        status,
        replayed: false,
        view: View::PolicyChange(Box::new(change)),
    }
}
