//! Power budgets: how many watts may be promised below a place, as a function of time.
//!
//! A budget is a list of steps. Each holds from its instant until the next one's; before the first
//! there is none. It bounds what leases *may* draw, their envelopes, and not what meters read: what
//! has been promised can be drawn at any moment.
//!
//! Not here: how much is promised (the core has the leases), and what fits below a budget (the
//! packing engine).

use crate::lease::Idempotency;
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use crate::topology::Prefix;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most steps a budget may have: one for each day of most of a year.
pub const STEPS_MAX: usize = 256;

/// The largest budget, in watts: ten gigawatts, several times the largest site there is.
pub const WATTS_MAX: u64 = 10_000_000_000;

/// From one instant on, so many watts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct PowerStep {
    /// From this instant.
    pub from: Timestamp,
    /// The most that may be promised, in watts; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<u64>,
}

/// The budget of a place (`power/<prefix>`, written by the leader from the API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerRecord {
    /// Form of the record.
    pub version: Version,
    /// The place; empty for the whole cell.
    pub prefix: Prefix,
    /// Its steps, in order of time, no two at one instant.
    pub steps: Vec<PowerStep>,
    /// Who set it last (uid of the caller).
    pub by: u32,
    /// When.
    pub at: Timestamp,
    /// Why, in words; absent where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The write that set it last, so that a retry is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(PowerRecord, "power budget");

/// The watts allowed at an instant; absent where there is no limit.
pub fn watts_at(steps: &[PowerStep], at: Timestamp) -> Option<u64> {
    let reached = steps.partition_point(|step| step.from <= at);
    steps[..reached].last().and_then(|step| step.watts)
}

/// The step that comes next after an instant, where one does.
pub fn next_step(steps: &[PowerStep], after: Timestamp) -> Option<PowerStep> {
    let reached = steps.partition_point(|step| step.from <= after);
    steps.get(reached).copied()
}

/// `before` up to the first of `new`, and `new` from there on: what is set replaces the future and
/// leaves the time before it as it was. Steps that ended before `now`, and steps that change
/// nothing, are left out. `new` must be in order of time.
pub fn spliced(before: &[PowerStep], new: &[PowerStep], now: Timestamp) -> Vec<PowerStep> {
    let first = new.first().map(|step| step.from);
    let kept = before
        .iter()
        .filter(|step| first.is_none_or(|first| step.from < first));
    let all: Vec<PowerStep> = kept.chain(new).copied().collect();
    let begun = all.partition_point(|step| step.from <= now);
    let mut steps: Vec<PowerStep> = Vec::with_capacity(all.len());
    for step in &all[begun.saturating_sub(1)..] {
        if steps.last().and_then(|last| last.watts) != step.watts {
            steps.push(*step);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_unix_ms(hour * 3_600_000)
    }

    fn step(hour: i64, watts: Option<u64>) -> PowerStep {
        PowerStep {
            from: at(hour),
            watts,
        }
    }

    #[test]
    fn a_step_holds_from_its_instant_until_the_next() {
        let steps = [step(10, Some(500)), step(20, None)];
        let watts = [9, 10, 19, 20].map(|hour| watts_at(&steps, at(hour)));
        assert_eq!(watts, [None, Some(500), Some(500), None]);
        assert_eq!(next_step(&steps, at(10)), Some(steps[1]));
        assert_eq!(next_step(&steps, at(20)), None);
    }

    #[test]
    fn what_is_set_replaces_the_future_and_not_the_time_before_it() {
        let before = [step(10, Some(500)), step(30, Some(900))];
        let set = spliced(&before, &[step(20, Some(400)), step(25, None)], at(12));
        assert_eq!(set, [before[0], step(20, Some(400)), step(25, None)]);
        let now = spliced(&before, &[step(12, Some(700))], at(12));
        assert_eq!(now, [step(12, Some(700))], "what is over is forgotten");
    }

    #[test]
    fn a_step_that_changes_nothing_is_none() {
        assert_eq!(spliced(&[], &[step(12, None)], at(12)), []);
        let before = [step(10, Some(500))];
        assert_eq!(spliced(&before, &[step(12, Some(500))], at(11)), before);
    }
}
