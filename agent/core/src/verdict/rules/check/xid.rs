//! Checks what the rules say about XIDs, and joins it with the catalogue.

use super::{Class, Effect, Entry, Mistakes, Outcome, Policy, Until, XidRule, file};
use super::{action, action_of, one_of, reason, sound, span, verdict, word};
use crate::verdict::rules::{Decoder, Often, Tenants, With};
use leasehold_common::node::{Action, HealthReason};
use leasehold_common::time::Span;
use std::collections::{BTreeMap, BTreeSet};

const DECODERS: [(&str, Decoder); 2] = [
    ("nvlink5", Decoder::NvLink5),
    ("recovery-action", Decoder::RecoveryAction),
];

/// What XIDs mean.
pub struct Xids {
    pub known: BTreeMap<u32, XidRule>,
    pub unknown: XidRule,
    /// What is to be checked, and what is to be reset, of the fabric.
    pub decoded: (Effect, Effect),
}

/// Effects of each policy, without a reason, and the reason of each class.
struct Tables {
    policies: BTreeMap<Policy, Effect>,
    reasons: BTreeMap<Class, HealthReason>,
}

impl Tables {
    fn effect(&self, policy: Policy, class: Class) -> Option<Effect> {
        let reason = self.reasons.get(&class)?.clone();
        let effect = self.policies.get(&policy)?.clone();
        Some(Effect { reason, ..effect })
    }
}

/// The XIDs, where the tables are whole.
pub fn check(given: &file::Xid, catalogue: &[Entry], mistakes: &mut Mistakes) -> Option<Xids> {
    let tables = check_tables(given, mistakes);
    let mut known: BTreeMap<u32, XidRule> = catalogue
        .iter()
        .map(|entry| {
            let effect = tables.effect(entry.action, entry.class);
            (entry.xid, plain(entry.words.clone(), effect))
        })
        .collect();
    let mut overridden = BTreeSet::new();
    for raw in &given.overrides {
        for code in &raw.codes {
            let at = |field: &str| format!("xid.override {code}: {field}");
            let Some(entry) = catalogue.iter().find(|entry| entry.xid == *code) else {
                mistakes.wrong(at("codes"), code, "codes of xid.json");
                continue;
            };
            if !overridden.insert(*code) {
                mistakes.wrong(at("codes"), "given twice", "each code once");
            }
            if let Some(rule) = check_override(&at, raw, entry, &tables, catalogue, mistakes) {
                known.insert(*code, rule);
            }
        }
        if raw.codes.is_empty() {
            mistakes.missing("xid.override: codes".to_owned(), "codes of xid.json");
        }
    }
    let unknown = tables.effect(Policy::Check, Class::Unused)?;
    Some(Xids {
        known,
        unknown: plain("not in the catalogue".to_owned(), Some(unknown)),
        decoded: (
            tables.effect(Policy::Check, Class::Fabric)?,
            tables.effect(Policy::ResetGpu, Class::Fabric)?,
        ),
    })
}

fn plain(words: String, effect: Option<Effect>) -> XidRule {
    XidRule {
        words,
        effect,
        often: None,
        tenants: None,
        with: None,
        decode: None,
    }
}

fn check_tables(given: &file::Xid, mistakes: &mut Mistakes) -> Tables {
    let policy_words = || one_of(ACTING.iter().map(|policy| policy.as_str()));
    let mut policies = BTreeMap::new();
    for (name, raw) in &given.policy {
        let at = |field: &str| format!("xid.policy.{name}: {field}");
        let known = ACTING.iter().find(|policy| policy.as_str() == name);
        let Some(policy) = known else {
            mistakes.wrong("xid.policy".to_owned(), format!("{name:?}"), policy_words());
            continue;
        };
        let effect = Outcome {
            verdict: raw.verdict.as_deref(),
            action: raw.action.as_deref(),
            until: raw.until.as_deref(),
            clear: raw.clear.as_deref(),
            repeat: raw.repeat.as_deref(),
            // Each class has its own, put in when both are known.
            reason: Some("Xid"),
        }
        .check(&at, mistakes);
        if let Some(effect) = effect {
            if *policy == Policy::RestartApp && !effect.verdict.can_be_let() {
                mistakes.wrong(at("verdict"), effect.verdict, NOT_CONDEMNED);
            }
            policies.insert(*policy, effect);
        }
    }
    for policy in ACTING {
        if !given.policy.contains_key(policy.as_str()) {
            mistakes.missing(format!("xid.policy.{}", policy.as_str()), policy_words());
        }
    }
    let class_words = || one_of(Class::ALL.iter().map(|class| class.as_str()));
    let mut reasons = BTreeMap::new();
    for name in given.reason.keys() {
        if !Class::ALL.iter().any(|class| class.as_str() == name) {
            mistakes.wrong("xid.reason".to_owned(), format!("{name:?}"), class_words());
        }
    }
    for class in Class::ALL {
        let field = format!("xid.reason: {}", class.as_str());
        let given = given.reason.get(class.as_str()).map(String::as_str);
        if let Some(token) = reason(&field, given, mistakes) {
            reasons.insert(*class, token);
        }
    }
    Tables { policies, reasons }
}

/// The policies that have an effect.
const ACTING: [Policy; 5] = [
    Policy::RestartApp,
    Policy::Check,
    Policy::ResetGpu,
    Policy::RebootNode,
    Policy::DrainRma,
];

const NOT_CONDEMNED: &str = "healthy or degraded: an application's fault condemns no hardware";

fn check_override(
    at: &impl Fn(&str) -> String,
    raw: &file::Override,
    entry: &Entry,
    tables: &Tables,
    catalogue: &[Entry],
    mistakes: &mut Mistakes,
) -> Option<XidRule> {
    let policies: Vec<_> = Policy::ALL.iter().map(|p| (p.as_str(), *p)).collect();
    let policy = match raw.policy.as_deref() {
        Some(text) => word(&at("policy"), Some(text), &policies, mistakes)?,
        None => entry.action,
    };
    let effect = match policy {
        Policy::Ignore => None,
        Policy::RestartApp
        | Policy::Check
        | Policy::ResetGpu
        | Policy::RebootNode
        | Policy::DrainRma => Some(changed(
            at,
            raw,
            tables.effect(policy, entry.class)?,
            mistakes,
        )),
    };
    let often = raw.often.as_ref().map(|raw| check_often(at, raw, mistakes));
    let tenants = raw
        .tenants
        .as_ref()
        .map(|raw| check_tenants(at, raw, mistakes));
    let with = raw
        .with
        .as_ref()
        .map(|raw| check_with(at, raw, catalogue, mistakes));
    let decode = raw
        .decode
        .as_deref()
        .map(|text| word(&at("decode"), Some(text), &DECODERS, mistakes));
    let rule = XidRule {
        effect,
        often: settled(often)?,
        tenants: settled(tenants)?,
        with: settled(with)?,
        decode: settled(decode)?,
        ..plain(entry.words.clone(), None)
    };
    let effects = [
        rule.effect.as_ref(),
        rule.often.as_ref().map(|often| &often.effect),
        rule.tenants.as_ref().map(|tenants| &tenants.effect),
    ];
    let condemned = effects
        .into_iter()
        .flatten()
        .find(|e| !e.verdict.can_be_let());
    if entry.class == Class::AppFault
        && let Some(effect) = condemned
    {
        mistakes.wrong(at("verdict"), effect.verdict, NOT_CONDEMNED);
    }
    Some(rule)
}

/// Absent is sound; given and wrong is not.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether the rule can be used, the inner one whether it has the part"
)]
fn settled<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    part.map_or(Some(None), |part| part.map(Some))
}

fn changed(
    at: &impl Fn(&str) -> String,
    raw: &file::Override,
    mut effect: Effect,
    mistakes: &mut Mistakes,
) -> Effect {
    if let Some(given) = raw.verdict.as_deref() {
        effect.verdict = verdict(&at("verdict"), Some(given), mistakes).unwrap_or(effect.verdict);
    }
    if let Some(given) = raw.action.as_deref() {
        effect.action = action_of(&at("action"), given, mistakes).unwrap_or(effect.action);
    }
    if let Some(given) = raw.reason.as_deref() {
        effect.reason = reason(&at("reason"), Some(given), mistakes).unwrap_or(effect.reason);
    }
    if let Some(given) = raw.repeat.as_deref() {
        effect.repeat = action_of(&at("repeat"), given, mistakes).or(effect.repeat);
    }
    sound(at, &effect, mistakes);
    effect
}

fn check_often(
    at: &impl Fn(&str) -> String,
    raw: &file::Often,
    mistakes: &mut Mistakes,
) -> Option<Often> {
    let at = |field: &str| at(&format!("often.{field}"));
    let times = count(&at("times"), raw.times, mistakes);
    let within = span(
        &at("within"),
        raw.within.as_deref(),
        Span::from_secs(1),
        mistakes,
    );
    let apart = span(&at("apart"), raw.apart.as_deref(), Span::ZERO, mistakes);
    let alone = raw.alone.as_deref();
    let alone = alone.map(|text| span(&at("alone"), Some(text), Span::ZERO, mistakes));
    let effect = graver(
        &at,
        [&raw.verdict, &raw.action, &raw.clear, &raw.reason],
        mistakes,
    );
    Some(Often {
        times: times?,
        within: within?,
        apart: apart?,
        alone: settled(alone)?,
        effect: effect?,
    })
}

fn check_tenants(
    at: &impl Fn(&str) -> String,
    raw: &file::Tenants,
    mistakes: &mut Mistakes,
) -> Option<Tenants> {
    let at = |field: &str| at(&format!("tenants.{field}"));
    let distinct = count(&at("distinct"), raw.distinct, mistakes);
    let within = span(
        &at("within"),
        raw.within.as_deref(),
        Span::from_secs(1),
        mistakes,
    );
    let effect = graver(
        &at,
        [&raw.verdict, &raw.action, &raw.clear, &raw.reason],
        mistakes,
    );
    Some(Tenants {
        distinct: distinct?,
        within: within?,
        effect: effect?,
    })
}

/// What follows where one fault has become another matter: gone after `clear`, or, without that,
/// until its action was done.
fn graver(
    at: &impl Fn(&str) -> String,
    [verdict, action, clear, reason]: [&Option<String>; 4],
    mistakes: &mut Mistakes,
) -> Option<Effect> {
    Outcome {
        verdict: verdict.as_deref(),
        action: action.as_deref(),
        until: Some(if clear.is_some() { "gone" } else { "done" }),
        clear: Some(clear.as_deref().unwrap_or("0s")),
        repeat: None,
        reason: reason.as_deref(),
    }
    .check(at, mistakes)
    .map(|effect| Effect {
        repeat: (effect.until == Until::Done).then_some(Action::RebootNode),
        ..effect
    })
}

fn check_with(
    at: &impl Fn(&str) -> String,
    raw: &file::With,
    catalogue: &[Entry],
    mistakes: &mut Mistakes,
) -> Option<With> {
    let at = |field: &str| at(&format!("with.{field}"));
    for code in raw.calm.iter().chain(&raw.harsh) {
        if !catalogue.iter().any(|entry| entry.xid == *code) {
            mistakes.wrong(at("calm, harsh"), code, "codes of xid.json");
        }
    }
    if let Some(both) = raw.calm.iter().find(|code| raw.harsh.contains(code)) {
        mistakes.wrong(at("calm"), both, "codes that are not harsh as well");
    }
    let within = span(
        &at("within"),
        raw.within.as_deref(),
        Span::from_millis(1),
        mistakes,
    );
    let harsh = action(&at("action"), raw.action.as_deref(), mistakes);
    let alone = raw
        .alone
        .as_deref()
        .map(|given| action_of(&at("alone"), given, mistakes));
    for (field, action) in [("action", harsh), ("alone", alone.flatten())] {
        if let Some(action) = action.filter(|action| action.is_harmless()) {
            mistakes.wrong(at(field), action, "an action on the GPU");
        }
    }
    Some(With {
        within: within?,
        calm: raw.calm.clone(),
        harsh: raw.harsh.clone(),
        action: harsh?,
        alone: settled(alone)?,
    })
}

fn count(field: &str, given: Option<i64>, mistakes: &mut Mistakes) -> Option<usize> {
    const ALLOWED: &str = "2 to 8";
    let Some(number) = given else {
        mistakes.missing(field.to_owned(), ALLOWED);
        return None;
    };
    let read = usize::try_from(number).ok().filter(|n| (2..=8).contains(n));
    if read.is_none() {
        mistakes.wrong(field.to_owned(), number, ALLOWED);
    }
    read
}
