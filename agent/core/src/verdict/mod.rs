//! What the agent makes of a GPU: a fold over what it sees.
//!
//! ```text
//!   before ──┐
//!   reading ─┼─► health(rules) ─► verdict, findings with evidence, action ─► report ─► health/<node>
//!   events ──┘        │
//!                     └─► what is remembered; the next `before`
//! ```
//!
//! What counts, in this order: what the driver wants done, the XIDs, counters and thresholds. All of it is
//! data (`agent/core/rules/`); what is here is how rules are applied:
//! - A condition counts once it has held for its `hold`, and is forgotten once it is gone for its `clear`.
//!   A call that failed says nothing either way.
//! - A fault with an action stands until that was seen done after it, the driver then wants nothing (field
//!   230 is 0) and the signal is gone. Then it ends by itself.
//! - What comes back after its action was done is graver: the rule's `repeat`, and after that an rma.
//! - A fault of an application, and a power cap, are never held against a GPU.
//! - An operator can say that a fault was dealt with, or what the verdict is, until an instant.
//!
//! The same observations give the same state. An event that comes twice changes nothing the second time,
//! whatever comes between.

mod decode;
mod observation;
mod report;
mod rules;
mod signal;
mod state;
mod trail;
mod watch;
mod xid;

pub use observation::{Event, Instance, Observation, Word, Xid};
pub use report::report;
pub use rules::{RuleMistake, Rules, RulesError, xid_name};
pub use state::{GpuState, XidCount};

use crate::sample::GpuSample;
use leasehold_common::node::{HealthReason, Verdict};
use leasehold_common::time::Timestamp;
use rules::Act;
use state::Overridden;

/// What is known of a GPU after an observation.
#[must_use]
pub fn health(
    before: &GpuState,
    observation: &Observation<'_>,
    now: Timestamp,
    rules: &Rules,
) -> GpuState {
    let mut state = before.clone();
    state.observe(observation, now, rules);
    state
}

/// The verdict on a single reading, and every reason for it, as if it had been like that for long.
pub fn judge(sample: &GpuSample, rules: &Rules) -> (Verdict, Vec<HealthReason>) {
    let mut state = GpuState::default();
    let observation = Observation {
        sample: Some(sample),
        events: &[],
    };
    state.observe(&observation, Timestamp::EPOCH, &rules.at_once());
    (state.verdict(), state.reasons())
}

impl GpuState {
    /// [`health`] in place.
    pub fn observe(&mut self, observation: &Observation<'_>, now: Timestamp, rules: &Rules) {
        // A clock that was set back: what was done is done, and not after what comes.
        for at in self.acts.values_mut() {
            *at = now.min(*at);
        }
        let mut events: Vec<&Event> = observation.events.iter().collect();
        // Another boot ends what was before it, whatever the clock said then. The rest by time.
        events.sort_by_key(|event| (!matches!(event, Event::Boot { .. }), event.at(), *event));
        events.dedup();
        for event in events {
            self.happened(event, now, rules);
        }
        if let Some(sample) = observation.sample {
            self.watch(sample, rules, now);
        }
        self.consider_companions(rules, now);
        self.sweep(rules, now);
        self.conclude(now);
    }

    fn happened(&mut self, event: &Event, now: Timestamp, rules: &Rules) {
        match event {
            Event::Boot { at, id } => self.boot(now.min(*at), id, rules),
            Event::DriverReload { at } => {
                self.begin_counting_anew();
                self.act(Act::Reload, now.min(*at), rules);
            }
            Event::Reset { at } => {
                // Its counters may fall: that is this reset, and not another.
                self.energy = None;
                self.act(Act::Reset, now.min(*at), rules);
            }
            Event::ResetFailed { at, why } => {
                for standing in self.standing.values_mut() {
                    standing.reset_failed(*at, why);
                }
            }
            Event::Acknowledge { word, reason } => {
                for standing in self.standing.values_mut() {
                    let is_meant = reason
                        .as_ref()
                        .is_none_or(|meant| *meant == standing.reason);
                    if is_meant && word.at >= standing.since {
                        let until = standing
                            .acknowledged
                            .map_or(word.expires, |u| u.max(word.expires));
                        standing.acknowledged = Some(until);
                    }
                }
            }
            Event::Override { word, verdict } => {
                let given = Overridden {
                    word: word.clone(),
                    verdict: *verdict,
                };
                let newest = self
                    .overridden
                    .as_ref()
                    .is_none_or(|o| o.word.at <= word.at);
                if newest {
                    self.overridden = Some(given);
                }
            }
            Event::Withdraw { at } => {
                self.overridden = self.overridden.take().filter(|given| given.word.at > *at);
            }
            Event::Xid(xid) => self.xid(xid, rules, now),
        }
    }

    fn boot(&mut self, at: Timestamp, id: &str, rules: &Rules) {
        let before = self.boot_id.replace(id.to_owned());
        if before.is_none_or(|before| before == id) {
            return;
        }
        self.begin_counting_anew();
        for standing in self.standing.values_mut() {
            standing.was_before(at);
        }
        self.act(Act::Reboot, at, rules);
    }

    fn begin_counting_anew(&mut self) {
        self.energy = None;
        for trail in self.trails.values_mut() {
            trail.restart();
        }
    }
}

#[cfg(test)]
mod tests;
