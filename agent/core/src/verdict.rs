//! What the agent makes of a GPU.
//!
//! The first, small policy: what the driver says about itself, and nothing that needs a history. An
//! application's own errors and a power cap are never held against a GPU.

use crate::sample::{Contact, GpuSample};
use leasehold_common::node::{Action, GpuHealth, GpuProcess, HealthReason, Reading, Verdict};
use leasehold_common::time::Timestamp;

/// The verdict on one reading, and every reason for it.
pub fn judge(sample: &GpuSample) -> (Verdict, Vec<HealthReason>) {
    match sample.contact {
        Contact::Lost => return (Verdict::Lost, vec![HealthReason::GpuLost]),
        Contact::Missing => return (Verdict::Lost, vec![HealthReason::GpuMissing]),
        Contact::Unresponsive => {
            return (Verdict::Unresponsive, vec![HealthReason::Unresponsive]);
        }
        Contact::Answered => {}
    }
    let mut reasons = Vec::new();
    let mut verdict = Verdict::Healthy;
    let mut find = |holds: bool, reason: HealthReason, worst: Verdict| {
        if holds {
            reasons.push(reason);
            verdict = verdict.max(worst);
        }
    };
    let above_zero = |reading: &Reading<u64>| reading.value().is_some_and(|count| *count > 0);
    let action = sample.recovery_action.value().copied().unwrap_or(0);
    let hot = match (sample.temperature.value(), sample.slowdown.value()) {
        (Some(now), Some(limit)) => now >= limit,
        _ => false,
    };
    find(
        action != 0,
        HealthReason::RecoveryAction,
        Verdict::Unhealthy,
    );
    find(
        above_zero(&sample.ecc_uncorrected),
        HealthReason::UncorrectedEcc,
        Verdict::Unhealthy,
    );
    // Only where the driver says "off": kinds of GPU without ECC say "unsupported".
    find(
        sample.ecc_enabled == Reading::Value(false),
        HealthReason::EccOff,
        Verdict::Unhealthy,
    );
    find(hot, HealthReason::TooHot, Verdict::Degraded);
    (verdict, reasons)
}

/// The health of one GPU after a reading. `since` is kept while the verdict stays the same.
///
/// `explained` says that a lease is served on it, so that whatever runs there is that lease's.
pub fn health(
    before: Option<&GpuHealth>,
    sample: &GpuSample,
    explained: bool,
    now: Timestamp,
) -> GpuHealth {
    let (verdict, reasons) = judge(sample);
    let since = before
        .filter(|before| before.verdict == verdict)
        .map_or(now, |before| before.since);
    GpuHealth {
        verdict,
        reasons,
        action: Action::None,
        findings: Vec::new(),
        since,
        power_mw: sample.power_mw.clone(),
        limit_mw: sample.limit_mw.clone(),
        temperature: sample.temperature.clone(),
        energy_mj: sample.energy_mj.clone(),
        memory_used: sample.memory_used.clone(),
        ecc_uncorrected: sample.ecc_uncorrected.clone(),
        unexplained: if explained {
            Vec::new()
        } else {
            unexplained(before, sample)
        },
    }
}

/// The processes that no lease explains. Where the list cannot be read the last one stands: a GPU
/// does not become free because one call failed.
fn unexplained(before: Option<&GpuHealth>, sample: &GpuSample) -> Vec<GpuProcess> {
    let known = before.map_or(&[][..], |before| &before.unexplained);
    match &sample.processes {
        Reading::Value(processes) => processes
            .iter()
            .map(|process| GpuProcess {
                // A name is looked up once, when the process is first seen.
                name: process.name.clone().or_else(|| {
                    known
                        .iter()
                        .find(|k| k.pid == process.pid)
                        .and_then(|k| k.name.clone())
                }),
                ..process.clone()
            })
            .collect(),
        Reading::Unsupported => Vec::new(),
        Reading::Failed(_) => known.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::samples::idle;
    use leasehold_common::units::Celsius;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    #[test]
    fn a_gpu_in_order_is_healthy_and_has_no_reason() {
        assert_eq!(judge(&idle()), (Verdict::Healthy, vec![]));
    }

    #[test]
    fn every_fault_is_named_and_the_worst_decides() {
        let sick = GpuSample {
            temperature: Reading::Value(Celsius(89)),
            ecc_uncorrected: Reading::Value(2),
            recovery_action: Reading::Value(1),
            ..idle()
        };
        let (verdict, reasons) = judge(&sick);
        assert_eq!(verdict, Verdict::Unhealthy);
        assert_eq!(
            reasons,
            [
                HealthReason::RecoveryAction,
                HealthReason::UncorrectedEcc,
                HealthReason::TooHot
            ]
        );
    }

    #[test]
    fn heat_alone_only_degrades() {
        let hot = GpuSample {
            temperature: Reading::Value(Celsius(90)),
            ..idle()
        };
        assert_eq!(judge(&hot), (Verdict::Degraded, vec![HealthReason::TooHot]));
    }

    #[test]
    fn a_reading_that_failed_is_no_fault_of_the_gpu() {
        let dumb = GpuSample {
            recovery_action: Reading::Failed("timeout".into()),
            ecc_uncorrected: Reading::Unsupported,
            ecc_enabled: Reading::Unsupported,
            temperature: Reading::Failed("no permission".into()),
            ..idle()
        };
        assert_eq!(judge(&dumb).0, Verdict::Healthy);
    }

    #[test]
    fn a_silent_gpu_is_never_fit_to_be_let() {
        for (contact, reason) in [
            (Contact::Lost, HealthReason::GpuLost),
            (Contact::Missing, HealthReason::GpuMissing),
            (Contact::Unresponsive, HealthReason::Unresponsive),
        ] {
            let (verdict, reasons) = judge(&GpuSample::silent(contact, "gone"));
            assert!(!verdict.can_be_let());
            assert_eq!(reasons, [reason]);
        }
    }

    #[test]
    fn since_is_kept_while_the_verdict_stays() {
        let first = health(None, &idle(), false, at(1));
        let second = health(Some(&first), &idle(), false, at(2));
        assert_eq!(second.since, at(1));
        let lost = GpuSample::silent(Contact::Lost, "gpu is lost");
        assert_eq!(health(Some(&second), &lost, false, at(3)).since, at(3));
    }

    #[test]
    fn a_process_stays_while_the_list_cannot_be_read() {
        let process = GpuProcess {
            pid: 4711,
            name: Some("python3".into()),
            memory: None,
        };
        let busy = GpuSample {
            processes: Reading::Value(vec![process.clone()]),
            ..idle()
        };
        let dumb = GpuSample {
            processes: Reading::Failed("timeout".into()),
            ..idle()
        };
        let seen = health(None, &busy, false, at(1));
        assert_eq!(seen.unexplained, [process]);
        let still = health(Some(&seen), &dumb, false, at(2));
        assert_eq!(still.unexplained.len(), 1);
        assert!(
            health(Some(&still), &busy, true, at(3))
                .unexplained
                .is_empty()
        );
        assert!(
            health(Some(&still), &idle(), false, at(3))
                .unexplained
                .is_empty()
        );
    }
}
