//! One reading against every rule.

use super::rules::{Act, Condition, Rule, Rules};
use super::signal::{Kind, Measure, Signal};
use super::state::{Fault, GpuState, Recovery};
use crate::sample::{GpuSample, PcieLink};
use leasehold_common::node::Reading;
use leasehold_common::time::{Span, Timestamp};

/// What a rule finds.
enum Found {
    /// Nobody knows.
    Unknown,
    /// Nothing.
    Nothing,
    /// It holds, with this value.
    Holds(i64),
    /// It has happened, with this value, and is over.
    Happened(i64),
}

impl GpuState {
    /// Takes a reading.
    pub(super) fn watch(&mut self, sample: &GpuSample, rules: &Rules, now: Timestamp) {
        self.notice_new_counters(sample, rules, now);
        match &sample.recovery_action {
            Reading::Value(action) => self.hear_recovery(*action == 0, now),
            // Where the driver cannot say it, nothing stands in the way.
            Reading::Unsupported => self.hear_recovery(true, now),
            Reading::Failed(_) => {}
        }
        for rule in &rules.rules {
            self.apply(rule, sample, rules, now);
        }
        // A rule that is no longer there cannot see its signal go.
        for (key, standing) in &mut self.standing {
            let is_known = key.starts_with("xid-") || rules.rules.iter().any(|r| r.name == *key);
            if !is_known {
                standing.gone.get_or_insert(now);
            }
        }
    }

    fn hear_recovery(&mut self, wants_nothing: bool, now: Timestamp) {
        self.recovery = Some(Recovery {
            at: now,
            wants_nothing,
        });
    }

    /// Energy is counted from when the driver was loaded: where it falls the GPU was set up anew.
    fn notice_new_counters(&mut self, sample: &GpuSample, rules: &Rules, now: Timestamp) {
        let Some(energy) = sample.energy_mj.value().map(|energy| energy.0) else {
            return;
        };
        if self.energy.is_some_and(|before| energy < before) {
            self.act(Act::Anew, now, rules);
        }
        self.energy = Some(energy);
    }

    /// Something was done to the GPU.
    pub(super) fn act(&mut self, act: Act, at: Timestamp, rules: &Rules) {
        let latest = self.acts.entry(act).or_insert(at);
        *latest = at.max(*latest);
        for standing in self.standing.values_mut() {
            if rules.is_satisfied_by(standing.action, act) {
                standing.act(at, rules.settle);
            }
        }
    }

    fn apply(&mut self, rule: &Rule, sample: &GpuSample, rules: &Rules, now: Timestamp) {
        let found = self.find(rule, sample, now);
        let (value, is_point) = match found {
            Found::Unknown => return,
            Found::Nothing => {
                self.held.remove(&rule.name);
                if let Some(standing) = self.standing.get_mut(&rule.name) {
                    standing.gone.get_or_insert(now);
                }
                return;
            }
            Found::Holds(value) => (value, false),
            Found::Happened(value) => (value, true),
        };
        if rule.hold > Span::ZERO && !self.standing.contains_key(&rule.name) {
            let since = self.held.entry(rule.name.clone()).or_insert(now);
            // A clock that was set back must not keep a fault unsaid.
            *since = now.min(*since);
            if now.since(*since) < rule.hold {
                return;
            }
        }
        let since = self.held.remove(&rule.name);
        let fault = Fault {
            key: &rule.name,
            effect: &rule.effect,
            at: now,
            evidence: self.evidence(rule, sample, value, since, now),
            settle: if is_point { Span::ZERO } else { rules.settle },
            is_point,
        };
        self.raise(fault, rules);
    }

    /// What was seen, and for how long where that was waited for.
    fn evidence(
        &self,
        rule: &Rule,
        sample: &GpuSample,
        value: i64,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> String {
        let words = rule.signal.words(sample, value);
        let since = since.or_else(|| self.standing.get(&rule.name).map(|s| s.since));
        match rule.condition {
            Condition::Minutes(_, within) => format!("{words} of the last {within}"),
            Condition::GrowsWithin(_, within) => format!("{words} within {within}"),
            Condition::Holds
            | Condition::Is(_)
            | Condition::Above(_)
            | Condition::AtLeast(_)
            | Condition::AtMost(_)
            | Condition::Grows(_) => match since.filter(|_| rule.hold > Span::ZERO) {
                None => words,
                Some(since) => {
                    let seconds = now.since(since).millis() / 1000;
                    format!("{words}, for {}", Span::from_secs(seconds))
                }
            },
        }
    }

    fn find(&mut self, rule: &Rule, sample: &GpuSample, now: Timestamp) -> Found {
        let value = match rule.signal.measure(sample) {
            Measure::Unknown => return Found::Unknown,
            Measure::Absent => return Found::Nothing,
            Measure::Value(value) => value,
        };
        let holds = |holds: bool, value| {
            if holds {
                Found::Holds(value)
            } else {
                Found::Nothing
            }
        };
        let count = u64::try_from(value).unwrap_or(0);
        match rule.condition {
            Condition::Holds => holds(value != 0, value),
            Condition::Is(threshold) => holds(value == threshold, value),
            Condition::Above(threshold) => holds(value > threshold, value),
            Condition::AtLeast(threshold) => holds(value >= threshold, value),
            Condition::AtMost(threshold) => holds(value <= threshold, value),
            Condition::Grows(by) => {
                let first = match rule.signal.kind() {
                    Kind::Counter { from_zero, .. } if from_zero => 0,
                    Kind::Flag | Kind::Level { .. } | Kind::Counter { .. } | Kind::Minutes => count,
                };
                match self.trail(rule).grows(count, first, by) {
                    Some(growth) => Found::Happened(signed(growth)),
                    None => Found::Nothing,
                }
            }
            Condition::GrowsWithin(by, within) => {
                let growth = self.trail(rule).grown_within(count, within, now);
                let growth = if rule.signal == Signal::PcieReplays {
                    of_allowed(growth, sample.pcie.value(), within)
                } else {
                    Some(growth)
                };
                growth.map_or(Found::Nothing, |grown| holds(grown >= by, signed(grown)))
            }
            Condition::Minutes(above, within) => {
                let minutes = self.minutes.entry(rule.name.clone()).or_default();
                let seen = minutes.count(value != 0, within, now);
                holds(seen > above, i64::from(seen))
            }
        }
    }

    fn trail(&mut self, rule: &Rule) -> &mut super::trail::Trail {
        self.trails.entry(rule.name.clone()).or_default()
    }
}

/// Replays in percent of what a bit error rate of 1e-12 gives in this time, the most that PCI Express
/// allows (base specification, electrical sub-block). Nothing where the link is not known.
fn of_allowed(replays: u64, link: Option<&PcieLink>, within: Span) -> Option<u64> {
    let link = link?;
    // Gigatransfers a second and lane, times ten.
    let speed = match link.max_generation {
        0 => return None,
        1 => 25,
        2 => 50,
        3 => 80,
        4 => 160,
        5 => 320,
        _ => 640,
    };
    // At 1e-12, 1e9 transfers give a thousandth of an error: millionths of an error a millisecond,
    // times ten.
    let allowed_e7 = u64::from(speed * link.max_width.min(32)).saturating_mul(within.millis());
    let percent_e7 = replays.saturating_mul(100).saturating_mul(10_000_000);
    percent_e7.checked_div(allowed_e7)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
