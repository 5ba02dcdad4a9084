//! Rules of one's own, and what is wrong with them.

use super::*;
use crate::verdict::{RuleMistake, RulesError, xid_name};
use leasehold_common::units::Celsius;

/// The built-in rules with one piece of text replaced.
fn with(old: &str, new: &str) -> Result<Rules, RulesError> {
    let text = Rules::built_in_text();
    assert!(text.contains(old), "{old:?} is not in the rules");
    Rules::from_toml(&text.replacen(old, new, 1))
}

fn mistakes(old: &str, new: &str) -> Vec<RuleMistake> {
    match with(old, new) {
        Err(RulesError::Mistakes(found)) => found,
        Err(RulesError::Form { said }) => panic!("{new:?}: {said}"),
        Ok(_) => panic!("{new:?} was taken"),
    }
}

#[test]
fn the_built_in_rules_are_sound() {
    assert_eq!(
        Rules::from_toml(Rules::built_in_text()).as_ref(),
        Ok(&**Rules::built_in())
    );
    assert_eq!(xid_name(79).unwrap().1, "GPU no longer answers on PCIe");
    assert_eq!(xid_name(4711), None);
}

#[test]
fn every_reason_and_every_action_is_explained_to_operators() {
    const DOCUMENT: &str = include_str!("../../../../../common/docs/operations.md");
    let rules = Rules::built_in();
    let of_rules = rules.rules.iter().map(|rule| &rule.effect);
    let of_xids = rules.xids.values().flat_map(|xid| {
        let often = xid.often.as_ref().map(|often| &often.effect);
        let tenants = xid.tenants.as_ref().map(|tenants| &tenants.effect);
        xid.effect.iter().chain(often).chain(tenants)
    });
    for effect in of_rules.chain(of_xids) {
        let known = HealthReason::ALL.contains(&effect.reason);
        assert!(known, "{} is a token of its own", effect.reason);
        let verdict = effect.verdict;
        let row = DOCUMENT
            .lines()
            .find(|line| line.starts_with(&format!("| `{verdict}` |")))
            .expect("each verdict has a row");
        let word = format!("`{}`", effect.reason);
        assert!(row.contains(&word), "{verdict} lacks {word}");
    }
    for action in Action::ALL {
        assert!(DOCUMENT.contains(&format!("\n| `{action}` |")), "{action}");
    }
}

#[test]
fn every_finding_about_a_node_is_explained_to_operators() {
    const DOCUMENT: &str = include_str!("../../../../../common/docs/operations.md");
    for (signal, rule) in Rules::built_in().node().each() {
        let (reason, verdict, action) = (signal.reason(), rule.verdict, rule.action);
        let row = format!("\n| `{reason}` | `{verdict}` | `{action}` |");
        assert!(DOCUMENT.contains(&row), "there is no row {row:?}");
    }
}

#[test]
fn what_is_wrong_with_a_rule_about_a_node_is_said() {
    let wrong = [
        (
            "[node.gpu-count]",
            "[node.gpu-cuont]",
            "node is \"gpu-cuont\"",
        ),
        (
            "at_least = 95",
            "at_least = 101",
            "node.disk-full: at_least is 101; allowed: 1 to 100",
        ),
        (
            "unit = \"ms\"",
            "unit = \"s\"",
            "node.clock-unsynchronised: unit is \"s\"",
        ),
        (
            "[node.driver-mismatch]",
            "[node.driver-mismatch]\nat_least = 1",
            "node.driver-mismatch: at_least is 1; allowed: none",
        ),
    ];
    for (old, new, words) in wrong {
        let found = mistakes(old, new);
        let said = found.iter().any(|m| m.to_string().starts_with(words));
        assert!(said, "{words:?} is not in {found:?}");
    }
    let missing = mistakes("[node.gpu-count]", "[node.gpu-cuont]");
    let missing = missing.iter().any(|m| m.field == "node.gpu-count");
    assert!(missing, "a rule that is left out is told");
}

#[test]
fn a_threshold_of_ones_own_decides() {
    let rules = with("at_most = 0\nhold = \"5s\"", "at_most = 10\nhold = \"0s\"").unwrap();
    let warm = GpuSample {
        temperature: Reading::Value(Celsius(80)),
        ..idle()
    };
    let seen = Observation {
        sample: Some(&warm),
        events: &[],
    };
    let state = crate::verdict::health(&GpuState::default(), &seen, MORNING, &rules);
    assert_eq!(state.reasons(), [HealthReason::TooHot]);
}

#[test]
fn what_a_rule_found_that_is_no_longer_there_ends_when_its_action_was_done() {
    let sick = GpuSample {
        recovery_action: Reading::Value(4),
        ..idle()
    };
    let mut gpu = Gpu::new();
    gpu.stays(&sick, 1);
    let other = with(
        "name = \"driver-wants-drain-and-reset\"",
        "name = \"another\"",
    )
    .unwrap();
    let observe = |gpu: &mut Gpu, sample: Option<&GpuSample>, events: &[Event]| {
        gpu.now = gpu.now + Span::from_secs(1);
        gpu.state
            .observe(&Observation { sample, events }, gpu.now, &other);
    };
    observe(&mut gpu, Some(&idle()), &[]);
    assert_eq!(gpu.state.action(), Action::DrainAndReset);
    let reset = Event::Reset { at: gpu.now };
    observe(&mut gpu, None, &[reset]);
    observe(&mut gpu, Some(&idle()), &[]);
    gpu.is_healthy("after the reset");
}

#[test]
fn each_mistake_names_its_field_what_stands_there_and_what_is_allowed() {
    #[rustfmt::skip]
    let cases = [
        ("signal = \"slowdown-margin\"", "signal = \"slowdown\"", "rule \"too-hot\": signal is \"slowdown\"; allowed: lost, missing, "),
        ("unit = \"celsius\"\nat_most = 0", "unit = \"kelvin\"\nat_most = 0", "rule \"too-hot\": unit is \"kelvin\"; allowed: \"celsius\""),
        ("at_most = 0", "at_most = 400", "rule \"too-hot\": at_most is 400; allowed: -50 to 100"),
        ("at_most = 0", "at_most = 0\nis = 0", "rule \"too-hot\": threshold is is = 0, at_most = 0; allowed: exactly one of is, above, at_least, at_most"),
        ("at_most = 0\n", "", "rule \"too-hot\": threshold is missing; allowed: exactly one of"),
        ("hold = \"5s\"", "hold = \"soon\"", "hold is \"soon\"; allowed: a length of time such as 90s or 1h30m, 0s to 90d"),
        ("reason = \"TooHot\"\n", "", "rule \"too-hot\": reason is missing; allowed: a token such as TooHot"),
        ("reason = \"TooHot\"", "reason = \"too hot\"", "reason is \"too hot\"; allowed: a token"),
        ("verdict = \"lost\"", "verdict = \"gone\"", "rule \"lost\": verdict is \"gone\"; allowed: healthy, degraded, unhealthy, unresponsive, lost"),
        ("action = \"reset-gpu\"\nrepeat", "action = \"reset\"\nrepeat", "rule \"driver-wants-reset\": action is \"reset\"; allowed: none, restart-app, reset-gpu, drain-and-reset, reboot-node, check-fabric, rma"),
        ("until = \"done\"", "until = \"later\"", "until is \"later\"; allowed: gone, done"),
        ("repeat = \"reboot-node\"", "repeat = \"none\"", "repeat is none; allowed: an action on the GPU"),
        ("name = \"missing\"", "name = \"lost\"", "rule \"lost\": name is given twice; allowed: each name once"),
        ("name = \"missing\"", "name = \"Missing GPU\"", "name is \"Missing GPU\"; allowed: up to 40 of a-z, 0-9 and '-'"),
        ("name = \"missing\"\n", "", "rule 9: name is missing; allowed: a kebab-case name"),
        ("signal = \"missing\"", "signal = \"lost\"", "rule \"missing\": signal is the same, with the same threshold, as of rule \"lost\"; allowed: each signal and threshold once"),
        ("grows_by = 1\n", "grows_by = 0\n", "rule \"uncorrected-ecc\": grows_by is 0; allowed: 1 to 1000000000"),
        ("above = 6\n", "above = 10\n", "rule \"thermal-slowdown\": above is 10; allowed: 0 to 9"),
        ("within = \"10m\"\nhold = \"0s\"\nclear = \"5m\"", "within = \"2h\"\nhold = \"0s\"\nclear = \"5m\"", "within is 2h; allowed: whole minutes, up to 60m"),
        ("verdict = \"healthy\"\naction = \"none\"", "verdict = \"healthy\"\naction = \"rma\"", "rule \"persistence-off\": action is rma; allowed: none or restart-app of what is healthy"),
        ("reboot-node = [\"reboot\"]", "reboot-node = [\"kick\"]", "satisfied: reboot-node is \"kick\"; allowed: reset, anew, reload, reboot"),
        ("reboot-node = [\"reboot\"]", "reboot-node = []", "satisfied: reboot-node is missing; allowed: reset, anew, reload, reboot"),
        ("[xid.policy.check]", "[xid.policy.look]", "xid.policy is \"look\"; allowed: restart-app, check, reset-gpu, reboot-node, drain-rma"),
        ("[xid.policy.check]", "[xid.policy.look]", "xid.policy.check is missing; allowed: restart-app"),
        ("app-fault = \"AppFault\"", "app = \"AppFault\"", "xid.reason is \"app\"; allowed: app-fault, hardware-fault, driver, fabric, thermal-power, unused"),
        ("codes = [13, 31, 32]", "codes = [13, 31, 999]", "xid.override 999: codes is 999; allowed: codes of xid.json"),
        ("codes = [13, 31, 32]", "codes = [13, 31, 45]", "xid.override 45: codes is given twice; allowed: each code once"),
        ("codes = [79]", "codes = [79]\npolicy = \"panic\"", "xid.override 79: policy is \"panic\"; allowed: ignore, restart-app, check, reset-gpu, reboot-node, drain-rma"),
        ("codes = [79]", "codes = [79]\naction = \"panic\"", "xid.override 79: action is \"panic\"; allowed: none, restart-app"),
        ("codes = [79]", "codes = [79]\ndecode = \"morse\"", "xid.override 79: decode is \"morse\"; allowed: nvlink5, recovery-action"),
        ("distinct = 2\nwithin = \"7d\"\nverdict = \"degraded\"", "distinct = 2\nwithin = \"7d\"\nverdict = \"unhealthy\"", "xid.override 13: verdict is unhealthy; allowed: healthy or degraded: an application's fault condemns no hardware"),
        ("alone = \"5s\"", "alone = \"yes\"", "xid.override 45: often.alone is \"yes\"; allowed: a length of time"),
        ("distinct = 2", "distinct = 1", "xid.override 13: tenants.distinct is 1; allowed: 2 to 8"),
        ("calm = [63, 94]", "calm = [63, 94, 95]", "with.calm is 95; allowed: codes that are not harsh as well"),
        ("fatal = [0x2, 0x10]", "fatal = [0x2, 0x11]", "nvlink5 144 SAW_MVB: of is bits, with 0x11; allowed: a single bit each"),
        ("ignore = [0x1, 0x4, 0x8, 0x20]", "ignore = [0x2]", "nvlink5 144 SAW_MVB: ignore is 0x2; allowed: what is not fatal as well"),
        ("xid = 144", "xid = 143", "nvlink5 143 SAW_MVB: xid is 143; allowed: 144 to 150"),
    ];
    for (old, new, wanted) in cases {
        let told: Vec<String> = mistakes(old, new).iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|t| t.contains(wanted)),
            "{new:?}: {told:#?}"
        );
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = Rules::built_in_text()
        .replacen("at_most = 0", "at_most = 400", 1)
        .replacen("codes = [79]", "codes = [999]", 1);
    let told = Rules::from_toml(&text).unwrap_err().to_string();
    assert!(
        told.starts_with("rules of health: rule \"too-hot\""),
        "{told}"
    );
    assert!(told.contains("; xid.override 999"), "{told}");
}

#[test]
fn a_field_that_is_not_known_is_told_with_its_place() {
    let told = with("hold = \"5s\"", "hodl = \"5s\"")
        .unwrap_err()
        .to_string();
    assert!(told.contains("hodl") && told.contains("line "), "{told}");
}
