//! What is published of a GPU.

use super::GpuState;
use crate::sample::GpuSample;
use leasehold_common::node::{GpuHealth, GpuProcess, Reading};
use leasehold_common::time::Timestamp;

/// The health of one GPU as it is published: its verdict, and the latest reading.
///
/// `explained` says that a lease is served on it, so that whatever runs there is that lease's.
pub fn report(
    state: &GpuState,
    before: Option<&GpuHealth>,
    sample: &GpuSample,
    explained: bool,
    now: Timestamp,
) -> GpuHealth {
    GpuHealth {
        verdict: state.verdict(),
        reasons: state.reasons(),
        action: state.action(),
        findings: state.findings(),
        since: state.since().unwrap_or(now),
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
    use super::super::{Observation, health};
    use super::*;
    use crate::sample::samples::idle;
    use crate::verdict::Rules;

    fn seen(before: Option<&GpuHealth>, sample: &GpuSample, explained: bool) -> GpuHealth {
        let now = Timestamp::from_unix_ms(1000);
        let observation = Observation {
            sample: Some(sample),
            events: &[],
        };
        let state = health(&GpuState::default(), &observation, now, Rules::built_in());
        report(&state, before, sample, explained, now)
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
        let first = seen(None, &busy, false);
        assert_eq!(first.unexplained, [process]);
        let still = seen(Some(&first), &dumb, false);
        assert_eq!(still.unexplained.len(), 1);
        assert!(seen(Some(&still), &busy, true).unexplained.is_empty());
        assert!(seen(Some(&still), &idle(), false).unexplained.is_empty());
    }
}
