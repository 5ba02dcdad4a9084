//! Power budgets that are set.

use super::{Answer, Asked, check_why};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::state::State;
use leasehold_common::api::{Problem, SetPowerBudget};
use leasehold_common::keys::Key;
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::power::{PowerRecord, PowerStep, STEPS_MAX, WATTS_MAX, spliced, watts_at};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::{Span, Timestamp};

/// How far in the past the first step may lie and still mean "now": what it takes to type it.
const FROM_SLACK: Span = Span::from_mins(1);

impl State {
    pub(super) fn set_power_budget(&mut self, wish: &SetPowerBudget, asked: Asked<'_>) -> Answer {
        check_why("why", wish.why.as_deref())?;
        let now = asked.now;
        let before = self.power.get(&wish.prefix);
        if before.is_none() && !self.is_place(&wish.prefix) {
            let allowed = "empty for the whole cell, or a place below which nodes are admitted";
            return Err(Problem::field("prefix", &wish.prefix, allowed));
        }
        let new = check_steps(wish, now)?;
        let steps_before = before.map_or(&[][..], |record| &record.steps);
        let steps = spliced(steps_before, &new, now);
        if steps.len() > STEPS_MAX {
            let allowed = format!("{STEPS_MAX} or fewer, those kept from before included");
            return Err(Problem::field(
                "steps",
                format!("{} steps", steps.len()),
                allowed,
            ));
        }
        let record = PowerRecord {
            version: Version::CURRENT,
            prefix: wish.prefix.clone(),
            steps,
            by: asked.actor.uid,
            at: now,
            why: wish.why.clone(),
            idempotency: asked.remembered(200),
            unknown: before.map_or_else(Unknown::default, |record| record.unknown.clone()),
        };
        let view = self.power_view(&record, now);
        if !asked.dry_run {
            let said = |steps: &[PowerStep]| match watts_at(steps, now) {
                Some(watts) => format!("{watts} W"),
                None => "unlimited".to_owned(),
            };
            let subject = Subject {
                power: Some(wish.prefix.clone()),
                ..Subject::default()
            };
            let attributes = Attributes {
                from: Some(said(steps_before)),
                to: Some(said(&record.steps)),
                reason: wish.why.clone(),
                actor: Some(asked.actor.clone()),
            };
            let entry = Entry {
                subject,
                attributes,
                ..Entry::default()
            };
            self.draft.log(EventName::PowerBudgetSet, entry);
            self.draft.changed(Key::Power(wish.prefix.clone()));
            self.draft.close_after_this();
            self.insert_power(record);
        }
        Ok(Written {
            status: 200,
            replayed: false,
            view: View::PowerBudget(Box::new(view)),
        })
    }
}

/// The steps with their instants; an absent first one is now.
fn check_steps(wish: &SetPowerBudget, now: Timestamp) -> Result<Vec<PowerStep>, Problem> {
    if wish.steps.is_empty() || wish.steps.len() > STEPS_MAX {
        let value = format!("{} steps", wish.steps.len());
        return Err(Problem::field("steps", value, format!("1 to {STEPS_MAX}")));
    }
    let mut steps: Vec<PowerStep> = Vec::with_capacity(wish.steps.len());
    for (at, step) in wish.steps.iter().enumerate() {
        let field = format!("steps[{at}].from");
        let from = match (step.from, steps.last()) {
            (None, None) => now,
            (None, Some(_)) => {
                let allowed = "an instant: only the first step may leave it out";
                return Err(Problem::field(&field, "absent", allowed));
            }
            (Some(from), None) if from + FROM_SLACK < now => {
                return Err(Problem::field(&field, from, format!("{now} or later")));
            }
            (Some(from), None) => from.max(now),
            (Some(from), Some(last)) if from <= last.from => {
                let allowed = format!("later than {}, the step before it", last.from);
                return Err(Problem::field(&field, from, allowed));
            }
            (Some(from), Some(_)) => from,
        };
        match step.watts {
            Some(watts) if watts > WATTS_MAX => {
                let field = format!("steps[{at}].watts");
                let allowed = format!("0 to {WATTS_MAX}, or null for no limit");
                return Err(Problem::field(&field, watts, allowed));
            }
            Some(_) | None => steps.push(PowerStep {
                from,
                watts: step.watts,
            }),
        }
    }
    Ok(steps)
}
