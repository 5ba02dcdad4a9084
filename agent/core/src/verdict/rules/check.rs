//! Checks a file of rules: every word is known, every threshold possible, nothing is said twice.

use super::catalogue::{Class, Entry, Policy};
use super::mistakes::{Mistakes, RulesError};
use super::{Act, Condition, Decode, Effect, Rule, Rules, Until, XidRule, file};
use crate::verdict::signal::{Kind, Signal};
use leasehold_common::node::{Action, HealthReason, Verdict};
use leasehold_common::time::Span;
use std::collections::{BTreeMap, BTreeSet};

mod node;
mod xid;

const LONGEST: Span = Span::from_hours(24 * 90);
const ACTS: [(&str, Act); 4] = [
    ("reset", Act::Reset),
    ("anew", Act::Anew),
    ("reload", Act::Reload),
    ("reboot", Act::Reboot),
];
const UNTILS: [(&str, Until); 2] = [("gone", Until::Gone), ("done", Until::Done)];

/// The rules, or every mistake in them.
pub fn check(file: file::File, catalogue: &[Entry]) -> Result<Rules, RulesError> {
    let mut mistakes = Mistakes::default();
    let rules = check_rules(&file.rule, &mut mistakes);
    let satisfied = check_satisfied(&file.satisfied, &mut mistakes);
    let span = |field: &str, given, mistakes: &mut Mistakes| {
        span(&format!("repeat: {field}"), given, Span::ZERO, mistakes)
    };
    let repeat_within = span("within", file.repeat.within.as_deref(), &mut mistakes);
    let settle = span("settle", file.repeat.settle.as_deref(), &mut mistakes);
    let same = span("same", file.repeat.same.as_deref(), &mut mistakes);
    let xids = xid::check(&file.xid, catalogue, &mut mistakes);
    let nvlink5 = check_nvlink5(&file.nvlink5, &mut mistakes);
    let node = node::check(&file.node, &mut mistakes);
    let made = || {
        let xids = xids?;
        Some(Rules {
            rules,
            repeat_within: repeat_within?,
            settle: settle?,
            same: same?,
            satisfied,
            xids: xids.known,
            unknown: xids.unknown,
            nvlink5,
            decoded: xids.decoded,
            node: node?,
        })
    };
    let made = made();
    mistakes.finish(made)
}

fn check_rules(given: &[file::Rule], mistakes: &mut Mistakes) -> Vec<Rule> {
    let mut names = BTreeSet::new();
    let mut rules: Vec<Rule> = Vec::new();
    for (number, raw) in given.iter().enumerate() {
        let Some(name) = raw.name.as_deref().filter(|name| !name.is_empty()) else {
            mistakes.missing(format!("rule {}: name", number + 1), "a kebab-case name");
            continue;
        };
        let at = |field: &str| format!("rule {name:?}: {field}");
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.chars().all(kebab) || name.starts_with("xid-") || name.len() > 40 {
            mistakes.wrong(
                at("name"),
                format!("{name:?}"),
                "up to 40 of a-z, 0-9 and '-', not beginning with xid-",
            );
        }
        if !names.insert(name) {
            mistakes.wrong(at("name"), "given twice", "each name once");
        }
        let Some(rule) = check_rule(name, raw, mistakes) else {
            continue;
        };
        let twin = rules
            .iter()
            .find(|other| other.signal == rule.signal && other.condition == rule.condition);
        if let Some(twin) = twin {
            mistakes.wrong(
                at("signal"),
                format!(
                    "the same, with the same threshold, as of rule {:?}",
                    twin.name
                ),
                "each signal and threshold once",
            );
        }
        rules.push(rule);
    }
    rules
}

fn check_rule(name: &str, raw: &file::Rule, mistakes: &mut Mistakes) -> Option<Rule> {
    let at = |field: &str| format!("rule {name:?}: {field}");
    let signals = || one_of(Signal::ALL.iter().map(|signal| signal.as_str()));
    let signal = match raw.signal.as_deref() {
        None => {
            mistakes.missing(at("signal"), signals());
            None
        }
        Some(word) => Signal::from_word(word).or_else(|| {
            mistakes.wrong(at("signal"), format!("{word:?}"), signals());
            None
        }),
    };
    let condition = signal.and_then(|signal| check_condition(&at, signal, raw, mistakes));
    let hold = span(&at("hold"), raw.hold.as_deref(), Span::ZERO, mistakes);
    let effect = Outcome {
        verdict: raw.verdict.as_deref(),
        action: raw.action.as_deref(),
        until: raw.until.as_deref(),
        clear: raw.clear.as_deref(),
        repeat: raw.repeat.as_deref(),
        reason: raw.reason.as_deref(),
    }
    .check(&at, mistakes);
    Some(Rule {
        name: name.to_owned(),
        signal: signal?,
        condition: condition?,
        hold: hold?,
        effect: effect?,
    })
}

fn check_condition(
    at: &impl Fn(&str) -> String,
    signal: Signal,
    raw: &file::Rule,
    mistakes: &mut Mistakes,
) -> Option<Condition> {
    let thresholds = [
        ("is", raw.is),
        ("above", raw.above),
        ("at_least", raw.at_least),
        ("at_most", raw.at_most),
        ("grows_by", raw.grows_by),
    ];
    let given: Vec<(&str, i64)> = thresholds
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect();
    let (unit, allowed): (Option<&str>, &[&str]) = match signal.kind() {
        Kind::Flag => (None, &[]),
        Kind::Level { unit, .. } => (Some(unit), &["is", "above", "at_least", "at_most"]),
        Kind::Counter { unit, .. } => (Some(unit), &["grows_by"]),
        Kind::Minutes => (Some("minutes"), &["above"]),
    };
    if raw.unit.as_deref() != unit {
        let allowed = unit.map_or("none: it is a flag".to_owned(), |unit| format!("{unit:?}"));
        let given = raw.unit.as_ref().map(|unit| format!("{unit:?}"));
        mistakes.wrong(at("unit"), given.unwrap_or_default(), allowed);
    }
    let condition = match (signal.kind(), given.as_slice()) {
        (Kind::Flag, []) => Some(Condition::Holds),
        (Kind::Level { least, most, .. }, [(name, value)]) if allowed.contains(name) => {
            if !(least..=most).contains(value) {
                mistakes.wrong(at(name), value, format!("{least} to {most}"));
            }
            Some(match *name {
                "is" => Condition::Is(*value),
                "above" => Condition::Above(*value),
                "at_least" => Condition::AtLeast(*value),
                _ => Condition::AtMost(*value),
            })
        }
        (Kind::Counter { .. }, [("grows_by", value)]) => {
            let by = u64::try_from(*value)
                .ok()
                .filter(|by| (1..=1_000_000_000).contains(by));
            if by.is_none() {
                mistakes.wrong(at("grows_by"), value, "1 to 1000000000");
            }
            let within = raw.within.as_deref();
            let within = within.map(|text| span(&at("within"), Some(text), MINUTE, mistakes));
            match within {
                None => by.map(Condition::Grows),
                Some(within) => within.and_then(|w| by.map(|by| Condition::GrowsWithin(by, w))),
            }
        }
        (Kind::Minutes, [("above", value)]) => check_minutes(at, *value, raw, mistakes),
        (Kind::Flag | Kind::Level { .. } | Kind::Counter { .. } | Kind::Minutes, _) => {
            let given = given
                .iter()
                .map(|(name, value)| format!("{name} = {value}"));
            let given = given.collect::<Vec<_>>().join(", ");
            let allowed = if allowed.is_empty() {
                "none: it is a flag".to_owned()
            } else {
                format!("exactly one of {}", allowed.join(", "))
            };
            mistakes.wrong(at("threshold"), given, allowed);
            return None;
        }
    };
    if raw.within.is_some() && matches!(signal.kind(), Kind::Flag | Kind::Level { .. }) {
        mistakes.wrong(at("within"), "given", "counters and minutes only");
    }
    condition
}

const MINUTE: Span = Span::from_mins(1);

fn check_minutes(
    at: &impl Fn(&str) -> String,
    above: i64,
    raw: &file::Rule,
    mistakes: &mut Mistakes,
) -> Option<Condition> {
    let within = span(&at("within"), raw.within.as_deref(), MINUTE, mistakes)?;
    let minutes = within.millis() / 60_000;
    if within.millis() % 60_000 != 0 || minutes > 60 {
        mistakes.wrong(at("within"), within, "whole minutes, up to 60m");
        return None;
    }
    let counted = u32::try_from(above)
        .ok()
        .filter(|above| u64::from(*above) < minutes);
    let Some(counted) = counted else {
        mistakes.wrong(at("above"), above, format!("0 to {}", minutes - 1));
        return None;
    };
    Some(Condition::Minutes(counted, u32::try_from(minutes).ok()?))
}

/// What follows, as words.
#[derive(Default)]
struct Outcome<'a> {
    verdict: Option<&'a str>,
    action: Option<&'a str>,
    until: Option<&'a str>,
    clear: Option<&'a str>,
    repeat: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Outcome<'_> {
    fn check(&self, at: &impl Fn(&str) -> String, mistakes: &mut Mistakes) -> Option<Effect> {
        let verdict = verdict(&at("verdict"), self.verdict, mistakes);
        let action = action(&at("action"), self.action, mistakes);
        let until = word(&at("until"), self.until, &UNTILS, mistakes);
        let clear = span(&at("clear"), self.clear, Span::ZERO, mistakes);
        let reason = reason(&at("reason"), self.reason, mistakes);
        let repeat = self
            .repeat
            .map(|word| action_of(&at("repeat"), word, mistakes));
        let effect = Effect {
            verdict: verdict?,
            action: action?,
            reason: reason?,
            until: until?,
            clear: clear?,
            repeat: repeat.unwrap_or(None),
        };
        sound(at, &effect, mistakes);
        Some(effect)
    }
}

/// Whether the parts of an effect go together.
fn sound(at: &impl Fn(&str) -> String, effect: &Effect, mistakes: &mut Mistakes) {
    if effect.verdict == Verdict::Healthy && !effect.action.is_harmless() {
        mistakes.wrong(
            at("action"),
            effect.action,
            "none or restart-app of what is healthy",
        );
    }
    if effect.until == Until::Done && effect.action.is_harmless() {
        mistakes.wrong(at("until"), "done", "gone, where there is nothing to do");
    }
    if let Some(repeat) = effect.repeat
        && (effect.until == Until::Gone || repeat.is_harmless())
    {
        let allowed = "an action on the GPU, where until is done";
        mistakes.wrong(at("repeat"), repeat, allowed);
    }
}

fn check_satisfied(
    given: &BTreeMap<String, Vec<String>>,
    mistakes: &mut Mistakes,
) -> BTreeMap<Action, Vec<Act>> {
    let mut satisfied = BTreeMap::new();
    for (name, acts) in given {
        let field = format!("satisfied: {name}");
        let acts = acts
            .iter()
            .filter_map(|act| word(&field, Some(act), &ACTS, mistakes));
        let acts = acts.collect();
        if let Some(action) = action_of(&field, name, mistakes) {
            satisfied.insert(action, acts);
        }
    }
    // An action that nothing satisfies would stand for ever. An rma is an operator's to end.
    for action in Action::ALL.iter().filter(|action| !action.is_harmless()) {
        let has_none = satisfied.get(action).is_none_or(Vec::is_empty);
        if has_none && *action != Action::Rma {
            let words = one_of(ACTS.iter().map(|(word, _)| *word));
            mistakes.missing(format!("satisfied: {action}"), words);
        }
    }
    satisfied
}

fn check_nvlink5(given: &[file::NvLink5], mistakes: &mut Mistakes) -> Vec<Decode> {
    let mut units = BTreeSet::new();
    let mut decodes = Vec::new();
    for raw in given {
        let at = |field: &str| format!("nvlink5 {} {}: {field}", raw.xid, raw.unit);
        if !(144..=150).contains(&raw.xid) {
            mistakes.wrong(at("xid"), raw.xid, "144 to 150");
        }
        if raw.unit.is_empty() || !units.insert((raw.xid, &raw.unit)) {
            mistakes.wrong(
                at("unit"),
                format!("{:?}", raw.unit),
                "each unit of an XID once",
            );
        }
        let of = [("bits", true), ("values", false)];
        let bits = word(&at("of"), raw.of.as_deref(), &of, mistakes).unwrap_or_default();
        for value in raw.fatal.iter().chain(&raw.ignore) {
            if bits && value.count_ones() != 1 {
                mistakes.wrong(
                    at("of"),
                    format!("bits, with {value:#x}"),
                    "a single bit each",
                );
            }
        }
        if let Some(both) = raw.fatal.iter().find(|value| raw.ignore.contains(value)) {
            mistakes.wrong(
                at("ignore"),
                format!("{both:#x}"),
                "what is not fatal as well",
            );
        }
        decodes.push(Decode {
            xid: raw.xid,
            unit: raw.unit.to_ascii_uppercase(),
            bits,
            fatal: raw.fatal.clone(),
            ignore: raw.ignore.clone(),
        });
    }
    decodes
}

fn span(field: &str, given: Option<&str>, least: Span, mistakes: &mut Mistakes) -> Option<Span> {
    let allowed = || format!("a length of time such as 90s or 1h30m, {least} to {LONGEST}");
    let Some(text) = given else {
        mistakes.missing(field.to_owned(), allowed());
        return None;
    };
    let read = text
        .parse::<Span>()
        .ok()
        .filter(|span| (least..=LONGEST).contains(span));
    if read.is_none() {
        mistakes.wrong(field.to_owned(), format!("{text:?}"), allowed());
    }
    read
}

fn word<T: Copy>(
    field: &str,
    given: Option<&str>,
    known: &[(&str, T)],
    mistakes: &mut Mistakes,
) -> Option<T> {
    let allowed = || one_of(known.iter().map(|(word, _)| *word));
    let Some(text) = given else {
        mistakes.missing(field.to_owned(), allowed());
        return None;
    };
    let found = known
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        mistakes.wrong(field.to_owned(), format!("{text:?}"), allowed());
    }
    found
}

fn verdict(field: &str, given: Option<&str>, mistakes: &mut Mistakes) -> Option<Verdict> {
    let known: Vec<_> = Verdict::ALL.iter().map(|v| (v.as_str(), *v)).collect();
    word(field, given, &known, mistakes)
}

fn action(field: &str, given: Option<&str>, mistakes: &mut Mistakes) -> Option<Action> {
    let known: Vec<_> = Action::ALL.iter().map(|a| (a.as_str(), *a)).collect();
    word(field, given, &known, mistakes)
}

fn action_of(field: &str, given: &str, mistakes: &mut Mistakes) -> Option<Action> {
    action(field, Some(given), mistakes)
}

/// A token of one's own may be given: records keep those that they do not know.
fn reason(field: &str, given: Option<&str>, mistakes: &mut Mistakes) -> Option<HealthReason> {
    let allowed = "a token such as TooHot: up to 40 letters and digits, a capital first";
    let Some(text) = given else {
        mistakes.missing(field.to_owned(), allowed);
        return None;
    };
    let fits = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
        && text.len() <= 40;
    if !fits {
        mistakes.wrong(field.to_owned(), format!("{text:?}"), allowed);
    }
    fits.then(|| HealthReason::from(text))
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
