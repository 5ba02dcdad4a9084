//! XIDs against the policy.

use super::decode::{LinkFault, link_fault, recovery_action};
use super::observation::Xid;
use super::rules::{Condition, Decoder, Effect, Rules, XidRule};
use super::signal::{Signal, recovery_words};
use super::state::{Fault, GpuState, MOST_CODES, MOST_RECENT, MOST_SEEN, Sighting};
use leasehold_common::time::{Span, Timestamp};
use std::fmt::Write as _;

impl GpuState {
    /// Takes an XID, unless it was seen already.
    pub(super) fn xid(&mut self, xid: &Xid, rules: &Rules, now: Timestamp) {
        let at = xid.at.min(now);
        let is_new_fault = !self.seen.iter().any(|seen| {
            let apart = distance(seen.at, xid.at);
            // Two slices at once are two faults; a source that names no slice means either.
            let same_place =
                seen.instance.is_none() || xid.instance.is_none() || seen.instance == xid.instance;
            seen.code == xid.code && same_place && apart <= rules.same
        });
        if !self.note(xid) {
            return;
        }
        if is_new_fault {
            self.count(xid, at);
        }
        let rule = rules.xid(xid.code);
        let words = told(xid, rule);
        let effect = match rule.decode {
            None => rule.effect.as_ref(),
            Some(Decoder::NvLink5) => match link_fault(xid.code, &xid.words, rules) {
                LinkFault::Ignored => None,
                LinkFault::Unclear => Some(&rules.decoded.0),
                LinkFault::Fatal => Some(&rules.decoded.1),
            },
            Some(Decoder::RecoveryAction) => match recovery_action(&xid.words) {
                Some(action) => return self.hear_of_recovery(action, at, rules),
                None => rule.effect.as_ref(),
            },
        };
        let key = key(xid.code, rules);
        if let Some(effect) = effect {
            self.happen(&key, effect, at, words.clone(), rules);
        }
        if let Some((effect, why)) = self.graver(xid.code, rule, at) {
            self.happen(&format!("{key}-{why}"), &effect, at, words, rules);
        }
    }

    fn happen(&mut self, key: &str, effect: &Effect, at: Timestamp, words: String, rules: &Rules) {
        let fault = Fault {
            key,
            effect,
            at,
            evidence: words,
            settle: Span::ZERO,
            is_point: true,
        };
        self.raise(fault, rules);
    }

    /// Whether it is new; remembered if so.
    fn note(&mut self, xid: &Xid) -> bool {
        let sighting = Sighting {
            at: xid.at,
            code: xid.code,
            instance: xid.instance,
            told: !xid.words.is_empty(),
        };
        let is_full = self.seen.len() >= MOST_SEEN;
        if is_full && self.seen.first().is_some_and(|oldest| sighting < *oldest) {
            // Older than all that is remembered: it was seen and forgotten.
            return false;
        }
        let is_new = self.seen.insert(sighting);
        if self.seen.len() > MOST_SEEN {
            self.seen.pop_first();
        }
        is_new
    }

    fn count(&mut self, xid: &Xid, at: Timestamp) {
        if self.xids.len() >= MOST_CODES && !self.xids.contains_key(&xid.code) {
            return;
        }
        let count = self.xids.entry(xid.code).or_default();
        count.total = count.total.saturating_add(1);
        count.last = count.last.max(at);
        count.recent.push(at);
        count.recent.sort_unstable();
        if count.recent.len() > MOST_RECENT {
            count.recent.remove(0);
        }
        if let Some(tenant) = &xid.tenant {
            let last = count.tenants.entry(tenant.clone()).or_insert(at);
            *last = at.max(*last);
            if count.tenants.len() > MOST_RECENT {
                let oldest = count.tenants.iter().min_by_key(|(_, at)| **at);
                let oldest = oldest.map(|(tenant, _)| tenant.clone());
                oldest.and_then(|tenant| count.tenants.remove(&tenant));
            }
        }
    }

    /// Whether it has become another matter, by how often it came or how many tenants had it.
    fn graver(&self, code: u32, rule: &XidRule, at: Timestamp) -> Option<(Effect, &'static str)> {
        let count = self.xids.get(&code)?;
        if let Some(tenants) = &rule.tenants {
            let lately = |last: &&Timestamp| at.since(**last) <= tenants.within;
            if count.tenants.values().filter(lately).count() >= tenants.distinct {
                return Some((tenants.effect.clone(), "tenants"));
            }
        }
        let often = rule.often.as_ref()?;
        let lately = count.recent.iter().filter(|time| {
            let is_late = at.since(**time) <= often.within;
            is_late
                && often
                    .alone
                    .is_none_or(|within| self.is_alone(code, **time, within))
        });
        let is_often = faults(lately, often.apart) >= often.times;
        is_often.then(|| (often.effect.clone(), "often"))
    }

    /// Whether no other XID came so close to it.
    fn is_alone(&self, code: u32, at: Timestamp, within: Span) -> bool {
        !self
            .seen
            .iter()
            .any(|seen| seen.code != code && distance(seen.at, at) <= within)
    }

    /// XID 154: the driver's recovery action, in words.
    fn hear_of_recovery(&mut self, action: u32, at: Timestamp, rules: &Rules) {
        let value = i64::from(action);
        let wanted = rules.rules.iter().find(|rule| {
            rule.signal == Signal::RecoveryAction
                && match rule.condition {
                    Condition::Is(code) => value == code,
                    Condition::AtLeast(code) => value >= code,
                    Condition::Above(code) => value > code,
                    Condition::AtMost(code) => value <= code,
                    Condition::Holds
                    | Condition::Grows(_)
                    | Condition::GrowsWithin(..)
                    | Condition::Minutes(..) => false,
                }
        });
        if let Some(rule) = wanted {
            let words = format!("XID 154: {}", recovery_words(value));
            self.happen(&rule.name, &rule.effect, at, words, rules);
        }
    }

    /// What XIDs that came with it say about those that stand.
    pub(super) fn consider_companions(&mut self, rules: &Rules, now: Timestamp) {
        for (code, rule) in &rules.xids {
            let (Some(with), Some(effect)) = (&rule.with, &rule.effect) else {
                continue;
            };
            let Some(standing) = self.standing.get_mut(&key(*code, rules)) else {
                continue;
            };
            if standing.returned > 0 {
                continue;
            }
            let came = |codes: &[u32]| {
                self.seen.iter().any(|seen| {
                    let apart = distance(seen.at, standing.last);
                    codes.contains(&seen.code) && apart <= with.within
                })
            };
            let waits = now.since(standing.last) < with.within;
            standing.action = if came(&with.harsh) {
                with.action
            } else if waits || came(&with.calm) {
                effect.action
            } else {
                with.alone.unwrap_or(effect.action)
            };
        }
    }
}

/// How many faults there are in these, each `apart` from the one before.
fn faults<'a>(times: impl Iterator<Item = &'a Timestamp>, apart: Span) -> usize {
    let mut last: Option<Timestamp> = None;
    let mut faults = 0;
    for time in times {
        if last.is_none_or(|last| time.since(last) >= apart) {
            faults += 1;
            last = Some(*time);
        }
    }
    faults
}

fn distance(one: Timestamp, other: Timestamp) -> Span {
    one.since(other).max(other.since(one))
}

/// What is not in the catalogue shares one key: the kernel's log can hold any number.
fn key(code: u32, rules: &Rules) -> String {
    if rules.knows_xid(code) {
        format!("xid-{code}")
    } else {
        "xid-unknown".to_owned()
    }
}

fn told(xid: &Xid, rule: &XidRule) -> String {
    let mut told = format!("XID {} ({})", xid.code, rule.words);
    if let Some(instance) = xid.instance {
        write!(told, " on GPU instance {}", instance.gpu).expect("a String takes what is written");
        if let Some(compute) = instance.compute {
            write!(told, ", compute instance {compute}").expect("a String takes what is written");
        }
    }
    let words = xid.words.trim();
    if !words.is_empty() {
        told.push_str(": ");
        told.extend(words.chars().filter(|c| !c.is_control()));
    }
    told
}
