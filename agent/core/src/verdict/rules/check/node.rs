//! Checks the rules about the node itself.

use super::{Mistakes, action, one_of, span, verdict};
use crate::node_health::{NodeRule, NodeRules, NodeSignal, Threshold};
use crate::verdict::rules::file;
use leasehold_common::node::Verdict;
use leasehold_common::time::Span;
use std::collections::BTreeMap;

/// A rule for every signal. What is not to be judged is given as healthy, not left out.
pub fn check(given: &BTreeMap<String, file::Node>, mistakes: &mut Mistakes) -> Option<NodeRules> {
    let known = |name: &str| NodeSignal::ALL.iter().any(|signal| signal.as_str() == name);
    for name in given.keys().filter(|name| !known(name)) {
        let words = one_of(NodeSignal::ALL.iter().map(|signal| signal.as_str()));
        mistakes.wrong("node".to_owned(), format!("{name:?}"), words);
    }
    let mut rules = BTreeMap::new();
    for signal in NodeSignal::ALL {
        match given.get(signal.as_str()) {
            None => mistakes.missing(format!("node.{}", signal.as_str()), "a rule"),
            Some(raw) => {
                let rule = check_rule(signal, raw, mistakes);
                rules.extend(rule.map(|rule| (signal, rule)));
            }
        }
    }
    NodeRules::complete(rules)
}

fn check_rule(signal: NodeSignal, raw: &file::Node, mistakes: &mut Mistakes) -> Option<NodeRule> {
    let at = |field: &str| format!("node.{}: {field}", signal.as_str());
    let at_least = check_threshold(&at, signal, raw, mistakes);
    let hold = span(&at("hold"), raw.hold.as_deref(), Span::ZERO, mistakes);
    let clear = span(&at("clear"), raw.clear.as_deref(), Span::ZERO, mistakes);
    let verdict = verdict(&at("verdict"), raw.verdict.as_deref(), mistakes);
    let action = action(&at("action"), raw.action.as_deref(), mistakes);
    let rule = NodeRule {
        at_least: at_least?,
        hold: hold?,
        clear: clear?,
        verdict: verdict?,
        action: action?,
    };
    if rule.verdict == Verdict::Healthy && !rule.action.is_harmless() {
        let allowed = "none or restart-app of what is healthy";
        mistakes.wrong(at("action"), rule.action, allowed);
    }
    Some(rule)
}

fn check_threshold(
    at: &impl Fn(&str) -> String,
    signal: NodeSignal,
    raw: &file::Node,
    mistakes: &mut Mistakes,
) -> Option<u64> {
    let given_unit = raw.unit.as_deref();
    match signal.threshold() {
        Threshold::Flag => {
            if let Some(given) = raw.at_least {
                mistakes.wrong(at("at_least"), given, "none: it is a flag");
            }
            if let Some(given) = given_unit {
                mistakes.wrong(at("unit"), format!("{given:?}"), "none: it is a flag");
            }
            Some(0)
        }
        Threshold::AtLeast { unit, least, most } => {
            if given_unit != Some(unit) {
                let given = given_unit.map(|given| format!("{given:?}"));
                mistakes.wrong(at("unit"), given.unwrap_or_default(), format!("{unit:?}"));
            }
            let allowed = format!("{least} to {most}");
            let Some(given) = raw.at_least else {
                mistakes.missing(at("at_least"), allowed);
                return None;
            };
            let read = u64::try_from(given).ok();
            let read = read.filter(|given| (least..=most).contains(given));
            if read.is_none() {
                mistakes.wrong(at("at_least"), given, allowed);
            }
            read
        }
    }
}
