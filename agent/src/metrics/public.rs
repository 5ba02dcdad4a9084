//! `/metrics`: what names no tenant.

use super::counts::{Counts, Readings};
use super::{Shown, Snapshot};
use leasehold_agent_core::grants::Phase;
use leasehold_agent_core::verdict::xid_name;
use leasehold_common::node::{Action, Verdict};
use leasehold_daemon::metrics::{Sheet, Unit};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

pub(super) fn register(registry: &mut Registry, counts: &Counts, shown: Shown) {
    counts.register(registry);
    let readings = counts.readings.clone();
    registry.register_collector(Box::new(Public { readings, shown }));
}

#[derive(Debug)]
struct Public {
    readings: Readings,
    shown: Shown,
}

impl Collector for Public {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::from(encoder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let help = "The version of this program.";
        sheet.gauges("leasehold_build_info", None, help, [(version, 1.0)])?;
        let now = Instant::now();
        let ages = self.readings.ages(now);
        sheet.gauges(
            "leasehold_agent_gpu_reading_age",
            Some(&Unit::Seconds),
            "How long ago this GPU last answered.",
            ages.iter()
                .map(|(gpu, age)| ([("UUID", gpu.as_str())], *age)),
        )?;
        let shown = self.shown.borrow().clone();
        match shown {
            Some(shown) => {
                itself(&mut sheet, &shown, now)?;
                gpus(&mut sheet, &shown)?;
                leases(&mut sheet, &shown)
            }
            None => Ok(()),
        }
    }
}

fn itself(sheet: &mut Sheet<'_>, shown: &Snapshot, now: Instant) -> fmt::Result {
    let age = now.saturating_duration_since(shown.at).as_secs_f64();
    sheet.gauge(
        "leasehold_agent_turn_age",
        Some(&Unit::Seconds),
        "How long ago the agent's loop finished a turn.",
        age,
    )?;
    sheet.gauge(
        "leasehold_agent_ready",
        None,
        "1 once the hardware was read, or is known not to be readable.",
        flag(shown.is_ready),
    )?;
    sheet.gauge(
        "leasehold_agent_troubles",
        None,
        "What is wrong on the node and no single GPU's fault: driver, disk, grants.",
        number(shown.troubles),
    )?;
    sheet.gauge(
        "leasehold_agent_store_contact",
        None,
        "1 while the store answers.",
        flag(shown.is_in_contact),
    )?;
    sheet.counter(
        "leasehold_agent_store_contacts_regained",
        None,
        "How often the store answered again after it had not.",
        shown.contacts as f64,
    )
}

fn gpus(sheet: &mut Sheet<'_>, shown: &Snapshot) -> fmt::Result {
    let verdicts = shown.gpus.iter().flat_map(|gpu| {
        let series = move |verdict: &Verdict| {
            let labels = [("UUID", gpu.uuid.as_str()), ("verdict", verdict.as_str())];
            (labels, flag(gpu.verdict == *verdict))
        };
        Verdict::ALL.iter().map(series)
    });
    sheet.gauges(
        "leasehold_agent_gpu_verdict",
        None,
        "1 for what the agent makes of this GPU, 0 for every other verdict.",
        verdicts,
    )?;
    let actions = shown.gpus.iter().flat_map(|gpu| {
        let series = move |action: &Action| {
            let labels = [("UUID", gpu.uuid.as_str()), ("action", action.as_str())];
            (labels, flag(gpu.action == *action))
        };
        Action::ALL.iter().map(series)
    });
    sheet.gauges(
        "leasehold_agent_gpu_action",
        None,
        "1 for what is to be done about this GPU, 0 for every other action.",
        actions,
    )?;
    sheet.gauges(
        "leasehold_agent_gpu_reasons",
        None,
        "For how many reasons this GPU has its verdict.",
        shown
            .gpus
            .iter()
            .map(|gpu| ([("UUID", gpu.uuid.as_str())], number(gpu.reasons))),
    )?;
    sheet.gauges(
        "leasehold_agent_gpu_unexplained_processes",
        None,
        "Processes on this GPU that no lease explains.",
        shown
            .gpus
            .iter()
            .map(|gpu| ([("UUID", gpu.uuid.as_str())], number(gpu.unexplained))),
    )?;
    let xids: Vec<_> = shown
        .gpus
        .iter()
        .flat_map(|gpu| {
            by_known_xid(&gpu.xids)
                .into_iter()
                .map(|(xid, n)| (&gpu.uuid, xid, n))
        })
        .collect();
    sheet.counters(
        "leasehold_agent_xid",
        None,
        "XIDs of this GPU since the agent has known it, what two sources say of one counted once.",
        xids.iter().map(|(gpu, xid, total)| {
            (
                [("UUID", gpu.as_str()), ("xid", xid.as_str())],
                *total as f64,
            )
        }),
    )
}

/// Codes that no catalogue knows are one series: whoever writes to the kernel's log makes no others.
fn by_known_xid(xids: &[(u32, u64)]) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for (code, total) in xids {
        let xid = match xid_name(*code) {
            Some(_) => code.to_string(),
            None => "other".to_owned(),
        };
        *totals.entry(xid).or_insert(0) += total;
    }
    totals
}

fn leases(sheet: &mut Sheet<'_>, shown: &Snapshot) -> fmt::Result {
    let of = |phase| number(shown.leases.iter().filter(|l| l.phase == phase).count());
    sheet.gauges(
        "leasehold_agent_leases",
        None,
        "Leases on this node that are not over, by how far they are.",
        [
            ([("state", "accepted")], of(Phase::Accepted)),
            ([("state", "serving")], of(Phase::Serving)),
        ],
    )?;
    sheet.gauge(
        "leasehold_agent_leases_ended",
        None,
        "Leases that are over and remembered with their meters.",
        number(shown.ended),
    )?;
    sheet.gauge(
        "leasehold_agent_grants_refused",
        None,
        "Grants that were received and are not followed.",
        number(shown.refused),
    )
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn number(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_nobody_knows_share_a_series() {
        let totals = by_known_xid(&[(79, 2), (4_000_000, 1), (4_000_001, 3)]);
        let expected = [("79".to_owned(), 2), ("other".to_owned(), 4)];
        assert_eq!(totals, BTreeMap::from(expected));
    }
}
