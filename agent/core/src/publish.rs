//! When health is worth a write to the store.
//!
//! Telemetry does not go into the store: a cell of 5,000 nodes that wrote every reading would do
//! 5,000 writes a second and say nothing new. What decides about leases goes at once, the rest when
//! it has moved, and at most once a minute.

use leasehold_common::grant::{AckRecord, Meter};
use leasehold_common::node::{Action, Finding, GpuHealth, HealthReason, HealthReport, Reading};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::units::MilliWatts;

/// How often a change that decides nothing is published: at 5,000 nodes about 80 writes a second,
/// a tenth of what a small etcd does.
pub const QUIET: Span = Span::from_secs(60);

/// How much power must have moved, in percent of what was published.
const POWER_PERCENT: u64 = 10;

/// Whether `now_report` should be published, given the last one that was.
pub fn due(last: Option<&HealthReport>, report: &HealthReport, now: Timestamp) -> bool {
    let Some(last) = last else { return true };
    if decides_otherwise(last, report) {
        return true;
    }
    // A clock that was set back must not silence the node until it has caught up.
    let quiet_over = now.since(last.at) >= QUIET || now < last.at;
    quiet_over && has_moved(last, report)
}

/// How often what leases have used is published while nothing else changes. Five minutes of use is
/// what a node that burns down takes with it; the bill is settled from the last word of each lease.
pub const METERS: Span = Span::from_mins(5);

/// Whether acknowledgements should be published, given the last ones that were and when.
pub fn acks_due(last: Option<(&AckRecord, Timestamp)>, acks: &AckRecord, now: Timestamp) -> bool {
    let Some((last, at)) = last else { return true };
    let without_meters = |record: &AckRecord| {
        let mut record = record.clone();
        for ack in record.leases.values_mut() {
            ack.meter = Meter::default();
        }
        record
    };
    if without_meters(last) != without_meters(acks) {
        return true;
    }
    (now.since(at) >= METERS || now < at) && last != acks
}

/// Whether a scheduler would decide otherwise.
fn decides_otherwise(last: &HealthReport, report: &HealthReport) -> bool {
    last.boot_id != report.boot_id
        || last.trouble != report.trouble
        || !kinds(&last.findings).eq(kinds(&report.findings))
        || !last.gpus.keys().eq(report.gpus.keys())
        || pairs(last, report).any(|(then, now)| {
            then.verdict != now.verdict
                || then.reasons != now.reasons
                || then.action != now.action
                || !kinds(&then.findings).eq(kinds(&now.findings))
                || then.unexplained.is_empty() != now.unexplained.is_empty()
        })
}

/// What was found and what is to be done, without the numbers, which move all the time.
fn kinds(findings: &[Finding]) -> impl Iterator<Item = (&HealthReason, Action)> {
    findings.iter().map(|found| (&found.reason, found.action))
}

/// Whether anything a person would like to see has moved.
fn has_moved(last: &HealthReport, report: &HealthReport) -> bool {
    pairs(last, report).any(|(then, now)| {
        let pids = |gpu: &GpuHealth| gpu.unexplained.iter().map(|p| p.pid).collect::<Vec<_>>();
        power_moved(&then.power_mw, &now.power_mw)
            || pids(then) != pids(now)
            || !words(then).eq(words(now))
    })
}

/// What is said of XIDs: the kernel's words can come after the driver's number.
fn words(gpu: &GpuHealth) -> impl Iterator<Item = &str> {
    let evidence = gpu.findings.iter().map(|found| found.evidence.as_str());
    evidence.filter(|words| words.starts_with("XID "))
}

fn power_moved(then: &Reading<MilliWatts>, now: &Reading<MilliWatts>) -> bool {
    match (then, now) {
        (Reading::Value(then), Reading::Value(now)) => {
            then.0.abs_diff(now.0).saturating_mul(100) > then.0.saturating_mul(POWER_PERCENT)
        }
        (Reading::Unsupported, Reading::Unsupported) | (Reading::Failed(_), Reading::Failed(_)) => {
            false
        }
        (Reading::Value(_) | Reading::Unsupported | Reading::Failed(_), _) => true,
    }
}

fn pairs<'a>(
    last: &'a HealthReport,
    report: &'a HealthReport,
) -> impl Iterator<Item = (&'a GpuHealth, &'a GpuHealth)> {
    report
        .gpus
        .iter()
        .filter_map(|(uuid, now)| last.gpus.get(uuid).map(|then| (then, now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::samples::idle;
    use crate::sample::{Contact, GpuSample};
    use crate::verdict::{GpuState, Observation, Rules, health, report as health_of};
    use leasehold_common::node::GpuProcess;
    use leasehold_common::record::{Unknown, Version};
    use leasehold_common::units::Celsius;
    use std::collections::BTreeMap;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    fn report(sample: &GpuSample, seconds: i64) -> HealthReport {
        let seen = Observation {
            sample: Some(sample),
            events: &[],
        };
        let state = health(&GpuState::default(), &seen, at(seconds), Rules::built_in());
        let gpu = health_of(&state, None, sample, false, at(seconds));
        HealthReport {
            version: Version::CURRENT,
            node: "h001".parse().unwrap(),
            boot_id: "b".into(),
            at: at(seconds),
            gpus: BTreeMap::from([("GPU-1".parse().unwrap(), gpu)]),
            trouble: None,
            findings: Vec::new(),
            unknown: Unknown::default(),
        }
    }

    fn drawing(watts: u64) -> GpuSample {
        GpuSample {
            power_mw: Reading::Value(MilliWatts::from_watts(watts)),
            ..idle()
        }
    }

    #[test]
    fn nothing_new_is_never_published() {
        let last = report(&idle(), 0);
        assert!(due(None, &last, at(0)));
        assert!(!due(Some(&last), &report(&idle(), 86_400), at(86_400)));
    }

    #[test]
    fn a_verdict_is_published_at_once() {
        let lost = GpuSample::silent(Contact::Lost, "gpu is lost");
        assert!(due(Some(&report(&idle(), 0)), &report(&lost, 1), at(1)));
    }

    #[test]
    fn what_is_to_be_done_is_published_at_once_and_its_numbers_are_not() {
        let hot = |celsius| GpuSample {
            temperature: Reading::Value(Celsius(celsius)),
            ..idle()
        };
        let last = report(&hot(90), 0);
        assert_eq!(
            last.gpus.values().next().unwrap().action,
            Action::DrainAndReset
        );
        assert!(!due(Some(&last), &report(&hot(91), 600), at(600)));
        assert!(due(Some(&last), &report(&idle(), 1), at(1)));
        // A finding that changes neither verdict nor reasons.
        let mut noted = report(&idle(), 1);
        let note = Finding {
            reason: HealthReason::AppFault,
            since: at(1),
            evidence: "XID 31".into(),
            action: Action::RestartApp,
        };
        noted
            .gpus
            .values_mut()
            .for_each(|gpu| gpu.findings.push(note.clone()));
        assert!(due(Some(&report(&idle(), 0)), &noted, at(1)));
    }

    #[test]
    fn a_process_nobody_explains_is_published_at_once_and_its_siblings_later() {
        let with = |pids: &[u32]| GpuSample {
            processes: Reading::Value(
                pids.iter()
                    .map(|pid| GpuProcess {
                        pid: *pid,
                        name: None,
                        memory: None,
                    })
                    .collect(),
            ),
            ..idle()
        };
        let one = report(&with(&[1]), 1);
        assert!(due(Some(&report(&idle(), 0)), &one, at(1)));
        let two = report(&with(&[1, 2]), 2);
        assert!(!due(Some(&one), &two, at(2)));
        assert!(due(Some(&one), &two, at(61)));
    }

    #[test]
    fn power_is_published_above_ten_percent_and_once_a_minute() {
        let last = report(&drawing(100), 0);
        assert!(!due(Some(&last), &report(&drawing(110), 90), at(90)));
        assert!(due(Some(&last), &report(&drawing(111), 90), at(90)));
        assert!(due(Some(&last), &report(&drawing(89), 60), at(60)));
        assert!(!due(Some(&last), &report(&drawing(700), 59), at(59)));
    }
}
