//! What is remembered of a GPU between observations.
//!
//! It is bounded: findings, by rules and catalogued XIDs; what happened, by the constants below. It
//! is written as JSON, so that a verdict survives a restart of the agent.

use super::observation::{Instance, Word};
use super::rules::{Act, Effect, Rules, Until};
use super::trail::{Minutes, Trail};
use leasehold_common::ids::AccountName;
use leasehold_common::node::{Action, Finding, HealthReason, Verdict};
use leasehold_common::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many XIDs are remembered one by one, to know what was seen already.
pub(super) const MOST_SEEN: usize = 128;

/// How many codes are counted. NVIDIA has 173; the kernel's log can hold anything.
pub(super) const MOST_CODES: usize = 256;

/// How many of the latest faults, and of the tenants that had them, are remembered of one code.
pub(super) const MOST_RECENT: usize = 8;

/// How long evidence may be: the kernel's words come from outside.
const LONGEST_EVIDENCE: usize = 240;

/// What is known of one GPU's health.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuState {
    verdict: Shown,
    pub(super) standing: BTreeMap<String, Standing>,
    /// Faults whose action was done, by key: where one of them comes back it is graver.
    pub(super) ended: BTreeMap<String, Ended>,
    /// Since when a condition holds that has not held long enough, by rule.
    pub(super) held: BTreeMap<String, Timestamp>,
    pub(super) trails: BTreeMap<String, Trail>,
    pub(super) minutes: BTreeMap<String, Minutes>,
    pub(super) xids: BTreeMap<u32, XidCount>,
    pub(super) seen: BTreeSet<Sighting>,
    /// When each kind of act was last seen.
    pub(super) acts: BTreeMap<Act, Timestamp>,
    /// When the driver last said what it wants done, and whether that was nothing.
    pub(super) recovery: Option<Recovery>,
    pub(super) boot_id: Option<String>,
    /// The energy counter as last read: a lower one began anew.
    pub(super) energy: Option<u64>,
    pub(super) overridden: Option<Overridden>,
}

/// The verdict as it is shown, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shown {
    verdict: Verdict,
    since: Option<Timestamp>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            verdict: Verdict::Healthy,
            since: None,
        }
    }
}

/// A fault that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub verdict: Verdict,
    pub action: Action,
    pub reason: HealthReason,
    pub until: Until,
    pub clear: Span,
    pub repeat: Option<Action>,
    pub since: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    pub evidence: String,
    /// Since when its signal is gone.
    pub gone: Option<Timestamp>,
    /// When its action was done, if it was not seen since.
    pub done: Option<Timestamp>,
    /// Until when an operator's acknowledgement holds.
    pub acknowledged: Option<Timestamp>,
    /// How often it came back after its action was done.
    pub returned: u32,
    /// When that had been done the last time.
    pub after: Option<Timestamp>,
    /// When a reset failed, and in what words.
    pub failed: Option<(Timestamp, String)>,
}

/// A fault that was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub at: Timestamp,
    pub returned: u32,
}

/// What the driver last wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recovery {
    pub at: Timestamp,
    pub wants_nothing: bool,
}

/// One XID as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Sighting {
    pub at: Timestamp,
    pub code: u32,
    pub instance: Option<Instance>,
    /// Whether the kernel's words came with it.
    pub told: bool,
}

/// How often an XID came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct XidCount {
    /// So many faults; what two sources say of one is counted once.
    pub total: u64,
    /// The last one.
    pub last: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) recent: Vec<Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tenants: BTreeMap<AccountName, Timestamp>,
}

/// An operator's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Overridden {
    pub word: Word,
    pub verdict: Verdict,
}

/// One observation of a fault.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub key: &'a str,
    pub effect: &'a Effect,
    pub at: Timestamp,
    pub evidence: String,
    /// How long after its action was done it may still show what was before.
    pub settle: Span,
    /// Whether it is over as soon as it has happened.
    pub is_point: bool,
}

impl GpuState {
    /// The verdict.
    pub const fn verdict(&self) -> Verdict {
        self.verdict.verdict
    }

    /// Since when it has this verdict; absent before the first observation.
    pub const fn since(&self) -> Option<Timestamp> {
        self.verdict.since
    }

    /// What is to be done: the severest action of what stands.
    pub fn action(&self) -> Action {
        let actions = self.standing.values().map(|standing| standing.action);
        actions.max().unwrap_or(Action::None)
    }

    /// Why it has its verdict, worst first; empty where it is healthy.
    pub fn reasons(&self) -> Vec<HealthReason> {
        if self.verdict() == Verdict::Healthy {
            return Vec::new();
        }
        let operator = self
            .overridden
            .is_some()
            .then_some(&HealthReason::OperatorOverride);
        let found = self.ranked();
        let found = found
            .iter()
            .filter(|standing| standing.verdict != Verdict::Healthy)
            .map(|standing| &standing.reason);
        let mut reasons: Vec<HealthReason> = Vec::new();
        for reason in operator.into_iter().chain(found) {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        reasons
    }

    /// What was found, worst first.
    pub fn findings(&self) -> Vec<Finding> {
        let operator = self
            .overridden
            .iter()
            .map(|Overridden { word, verdict }| Finding {
                reason: HealthReason::OperatorOverride,
                since: word.at,
                evidence: cut(format!(
                    "{} says {verdict} until {}: {}",
                    word.owner, word.expires, word.why
                )),
                action: Action::None,
            });
        let found = self.ranked().into_iter().map(|standing| Finding {
            reason: standing.reason.clone(),
            since: standing.since,
            evidence: standing.told(),
            action: standing.action,
        });
        operator.chain(found).collect()
    }

    /// Whether there is anything that a reading could not tell again.
    pub fn is_worth_keeping(&self) -> bool {
        !self.standing.is_empty()
            || !self.ended.is_empty()
            || !self.xids.is_empty()
            || self.overridden.is_some()
    }

    /// Whether nothing is lost where `kept` is read back instead: what stands, what was done and what
    /// was counted is the same. What only goes on, such as when a signal was seen last, may differ.
    pub fn is_kept_by(&self, kept: &Self) -> bool {
        type Lasting<'a> = (&'a String, Verdict, Action, Option<Timestamp>, u32);
        fn lasting(state: &GpuState) -> impl Iterator<Item = Lasting<'_>> {
            state.standing.iter().map(|(key, standing)| {
                let acted = standing.acknowledged.max(standing.done);
                let (verdict, action) = (standing.verdict, standing.action);
                (key, verdict, action, acted, standing.returned)
            })
        }
        lasting(self).eq(lasting(kept))
            && self.ended == kept.ended
            && self.xids == kept.xids
            && self.acts == kept.acts
            && self.boot_id == kept.boot_id
            && self.overridden == kept.overridden
    }

    /// How often each XID came.
    pub fn xids(&self) -> impl Iterator<Item = (u32, &XidCount)> {
        self.xids.iter().map(|(code, count)| (*code, count))
    }

    fn ranked(&self) -> Vec<&Standing> {
        let mut found: Vec<&Standing> = self.standing.values().collect();
        let rank = |s: &&Standing| {
            let driver = s.reason == HealthReason::RecoveryAction;
            (s.verdict, s.action, driver)
        };
        found.sort_by(|a, b| rank(b).cmp(&rank(a)).then(a.since.cmp(&b.since)));
        found
    }

    /// Takes what was seen of a fault.
    pub(super) fn raise(&mut self, fault: Fault<'_>, rules: &Rules) {
        let Fault {
            key,
            effect,
            at,
            evidence,
            settle,
            is_point,
        } = fault;
        if effect.until == Until::Done
            && is_point
            && let Some(dealt_with) = self.last_act(effect.action, rules).filter(|act| *act >= at)
        {
            // It is told late: what it asks for has been done since.
            let ended = self.ended.entry(key.to_owned()).or_insert(Ended {
                at: dealt_with,
                returned: 0,
            });
            ended.at = ended.at.max(dealt_with);
            return;
        }
        let ended = self
            .ended
            .get(key)
            .copied()
            .filter(|ended| at > ended.at && at.since(ended.at) <= rules.repeat_within);
        let gone = is_point.then_some(at);
        match self.standing.get_mut(key) {
            None => {
                let mut standing = Standing {
                    verdict: effect.verdict,
                    action: effect.action,
                    reason: effect.reason.clone(),
                    until: effect.until,
                    clear: effect.clear,
                    repeat: effect.repeat,
                    since: at,
                    last: at,
                    evidence: cut(evidence),
                    gone,
                    done: None,
                    acknowledged: None,
                    returned: ended.map_or(0, |ended| ended.returned),
                    after: None,
                    failed: None,
                };
                if let Some(ended) = ended {
                    standing.come_back(ended.at);
                }
                self.standing.insert(key.to_owned(), standing);
            }
            Some(standing) => {
                standing.since = standing.since.min(at);
                standing.strengthen(effect);
                if at >= standing.last {
                    let newer = at > standing.last;
                    standing.last = at;
                    standing.gone = gone;
                    if newer || cut(evidence.clone()) > standing.evidence {
                        standing.evidence = cut(evidence);
                    }
                    if newer && is_point {
                        standing.acknowledged = None;
                    }
                }
                if let Some(done) = standing.done.filter(|done| at > *done + settle) {
                    standing.done = None;
                    standing.come_back(done);
                }
            }
        }
    }

    /// When an action was last done.
    pub(super) fn last_act(&self, action: Action, rules: &Rules) -> Option<Timestamp> {
        self.acts
            .iter()
            .filter(|(act, _)| rules.is_satisfied_by(action, **act))
            .map(|(_, at)| *at)
            .max()
    }

    /// Forgets what is over.
    pub(super) fn sweep(&mut self, rules: &Rules, now: Timestamp) {
        for standing in self.standing.values_mut() {
            standing.acknowledged = standing.acknowledged.filter(|until| *until > now);
        }
        let recovery = self.recovery;
        let over: Vec<String> = self
            .standing
            .iter()
            .filter(|(_, standing)| standing.is_over(recovery, now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            let standing = self.standing.remove(&key).expect("it was just found");
            if let Some(at) = standing.done.filter(|_| standing.acknowledged.is_none()) {
                let returned = standing.returned;
                self.ended.insert(key, Ended { at, returned });
            } else if standing.acknowledged.is_some() {
                self.ended.remove(&key);
            }
        }
        self.ended
            .retain(|_, ended| now.since(ended.at) <= rules.repeat_within);
    }

    /// Shows the verdict that follows from what stands.
    pub(super) fn conclude(&mut self, now: Timestamp) {
        self.overridden = self
            .overridden
            .take()
            .filter(|word| word.word.expires > now);
        let found = self.standing.values().map(|standing| standing.verdict);
        let found = found.max().unwrap_or(Verdict::Healthy);
        let verdict = match (found, &self.overridden) {
            // Nobody's word makes a GPU answer.
            (Verdict::Lost | Verdict::Unresponsive, _) | (_, None) => found,
            (Verdict::Healthy | Verdict::Degraded | Verdict::Unhealthy, Some(word)) => word.verdict,
        };
        if self.verdict.since.is_none() || self.verdict.verdict != verdict {
            self.verdict = Shown {
                verdict,
                since: Some(now),
            };
        }
    }
}

impl Standing {
    /// All that is known of it was before this, also where the clock was wrong then.
    pub(super) fn was_before(&mut self, at: Timestamp) {
        self.since = self.since.min(at);
        self.last = self.last.min(at);
        self.gone = self.gone.map(|gone| gone.min(at));
    }

    /// A reset failed: where one was to help it takes what is graver, the node's reboot where
    /// nothing else is said.
    pub(super) fn reset_failed(&mut self, at: Timestamp, why: &str) {
        let is_for_a_reset = match self.action {
            Action::ResetGpu | Action::DrainAndReset => true,
            Action::None
            | Action::RestartApp
            | Action::RebootNode
            | Action::CheckFabric
            | Action::Rma => false,
        };
        let is_told = self.failed.as_ref().is_some_and(|(told, _)| at <= *told);
        // One that was done after it has made up for it.
        let is_past = self.done.is_some_and(|done| at < done);
        if self.until == Until::Done && is_for_a_reset && at >= self.since && !is_told && !is_past {
            self.done = None;
            self.failed = Some((at, cut(why.to_owned())));
            self.returned = self.returned.saturating_add(1);
            self.action = self.repeat.unwrap_or(Action::RebootNode);
            self.verdict = self.verdict.max(Verdict::Unhealthy);
        }
    }

    /// Its action was done at `done`, and here it is again.
    fn come_back(&mut self, done: Timestamp) {
        self.returned = self.returned.saturating_add(1);
        self.after = Some(done);
        let Some(repeat) = self.repeat else { return };
        // What came back after that as well is for a technician: two resets, or a reset and a
        // reboot, did not help.
        self.action = if self.returned > 1 {
            Action::Rma
        } else {
            repeat
        };
        self.verdict = self.verdict.max(Verdict::Unhealthy);
        self.until = Until::Done;
    }

    fn told(&self) -> String {
        let mut told = self.evidence.clone();
        if let Some(after) = self.after {
            told += &format!("; again, after what was done at {after}");
        }
        if let Some((at, why)) = &self.failed {
            told += &format!("; the reset at {at} failed: {why}");
        }
        told
    }

    /// Something was done to the GPU. `settle` is how long a signal may show what was before.
    pub(super) fn act(&mut self, at: Timestamp, settle: Span) {
        let holds_still = self.gone.is_none() && at + settle >= self.last;
        if self.until == Until::Done && (at >= self.last || holds_still) {
            self.done = Some(self.done.map_or(at, |done| done.max(at)));
        }
    }

    /// The same fault, told with more: the graver word stands.
    fn strengthen(&mut self, effect: &Effect) {
        let graver = (effect.verdict, effect.until) > (self.verdict, self.until);
        if graver && self.returned == 0 {
            self.verdict = effect.verdict;
            self.action = effect.action;
            self.until = effect.until;
            self.clear = effect.clear;
            self.repeat = effect.repeat;
            self.reason = effect.reason.clone();
        }
    }

    fn is_over(&self, recovery: Option<Recovery>, now: Timestamp) -> bool {
        let quiet = self.gone.is_some_and(|gone| now.since(gone) >= self.clear);
        let settled = match self.until {
            Until::Gone => true,
            Until::Done => {
                self.acknowledged.is_some()
                    || self.done.is_some_and(|done| {
                        recovery.is_some_and(|said| said.wants_nothing && said.at > done)
                    })
            }
        };
        quiet && settled
    }
}

/// Words of bounded length.
pub(super) fn cut(words: String) -> String {
    if words.chars().count() <= LONGEST_EVIDENCE {
        return words;
    }
    words
        .chars()
        .take(LONGEST_EVIDENCE - 1)
        .chain(['…'])
        .collect()
}
