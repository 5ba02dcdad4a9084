//! What the leader shows of the cell.

use super::{Dated, Shown};
use leasehold_common::class::Side;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Prefix;
use leasehold_core::tally::{Tally, Watts};
use leasehold_daemon::metrics::{Sheet, Unit};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::Instant;

pub(super) fn register(registry: &mut Registry, shown: Shown) {
    registry.register_collector(Box::new(Cell { shown }));
}

#[derive(Debug)]
struct Cell {
    shown: Shown,
}

impl Collector for Cell {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shown = self.shown.borrow().clone();
        let Some(shown) = shown else {
            return Ok(());
        };
        let sheet = &mut Sheet::from(encoder);
        let ages = Ages::of(&shown);
        ledger(sheet, &shown.tally, &ages)?;
        nodes(sheet, &shown.tally, &ages)?;
        gpus(sheet, &shown.tally)?;
        leases(sheet, &shown.tally, &ages)?;
        power(sheet, &shown.tally)
    }
}

/// How long ago something was, at the time of the scrape.
struct Ages {
    now: Timestamp,
    since: f64,
}

impl Ages {
    fn of(shown: &Dated) -> Self {
        Self {
            now: shown.now,
            since: Instant::now()
                .saturating_duration_since(shown.at)
                .as_secs_f64(),
        }
    }

    fn of_instant(&self, at: Timestamp) -> f64 {
        self.now.since(at).std().as_secs_f64() + self.since
    }
}

const fn side(side: Option<Side>) -> &'static str {
    match side {
        Some(side) => side.as_str(),
        None => "none",
    }
}

/// A place as a label; the cell as a whole is `/`, which is the name of no place.
fn place(prefix: &Prefix) -> &str {
    match prefix.as_str() {
        "" => "/",
        place => place,
    }
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn ledger(sheet: &mut Sheet<'_>, tally: &Tally, ages: &Ages) -> fmt::Result {
    sheet.gauge(
        "leasehold_tally_age",
        Some(&Unit::Seconds),
        "How long ago nodes, leases and watts were counted.",
        ages.since,
    )?;
    sheet.gauge(
        "leasehold_ledger_epoch",
        None,
        "The ledger's epoch: one more after each recovery.",
        tally.epoch.0 as f64,
    )?;
    sheet.gauge(
        "leasehold_ledger_seq",
        None,
        "The ledger's last record.",
        tally.seq.0 as f64,
    )?;
    sheet.gauge(
        "leasehold_frozen",
        None,
        "1 while nothing is decided: the store is from the past, or the clock is wrong.",
        flag(tally.is_frozen),
    )?;
    sheet.gauge(
        "leasehold_brake",
        None,
        "1 while consequences of silent nodes are held back.",
        flag(tally.is_braked),
    )
}

fn nodes(sheet: &mut Sheet<'_>, tally: &Tally, ages: &Ages) -> fmt::Result {
    sheet.gauges(
        "leasehold_nodes",
        None,
        "Nodes, by the side that has them and by state.",
        tally
            .nodes
            .iter()
            .map(|((of, state), n)| ([("side", side(*of)), ("state", state.as_str())], *n as f64)),
    )?;
    sheet.gauges(
        "leasehold_nodes_quarantined",
        None,
        "Quarantined nodes, by why.",
        tally
            .quarantined
            .iter()
            .map(|(why, n)| ([("reason", why.as_str())], *n as f64)),
    )?;
    sheet.gauges(
        "leasehold_nodes_flagged",
        None,
        "Nodes on which no lease begins, by flag.",
        tally
            .flagged
            .iter()
            .map(|(flag, n)| ([("flag", flag.as_str())], *n as f64)),
    )?;
    sheet.gauges(
        "leasehold_agents",
        None,
        "Nodes, by whether their agent is there.",
        [
            ([("presence", "here")], tally.agents_here as f64),
            ([("presence", "silent")], tally.agents_silent as f64),
        ],
    )?;
    sheet.gauges(
        "leasehold_agent_last_seen",
        Some(&Unit::Seconds),
        "How long ago a silent node's sign of life went; the hundred that are silent longest.",
        tally
            .silent
            .iter()
            .map(|(at, node)| ([("node", node.as_str())], ages.of_instant(*at))),
    )
}

fn gpus(sheet: &mut Sheet<'_>, tally: &Tally) -> fmt::Result {
    sheet.gauges(
        "leasehold_gpus",
        None,
        "GPUs, by the side that has their node, by SKU and by what they are at.",
        tally.skus.iter().flat_map(|(sku, of_sku)| {
            of_sku.gpus.iter().map(move |((of, at), n)| {
                let labels = [
                    ("side", side(*of)),
                    ("sku", sku.as_str()),
                    ("state", at.as_str()),
                ];
                (labels, *n as f64)
            })
        }),
    )?;
    sheet.gauges(
        "leasehold_placeable",
        None,
        "Leases of so many GPUs for which hardware is free now, each size taken alone.",
        tally.skus.iter().flat_map(|(sku, of_sku)| {
            of_sku.placeable.iter().map(move |((of, gpus), n)| {
                let labels = [
                    ("side", of.to_string()),
                    ("sku", sku.to_string()),
                    ("gpus", gpus.to_string()),
                ];
                (labels, *n as f64)
            })
        }),
    )
}

fn leases(sheet: &mut Sheet<'_>, tally: &Tally, ages: &Ages) -> fmt::Result {
    sheet.gauges(
        "leasehold_leases",
        None,
        "Leases that are not over, by side and state.",
        tally.leases.iter().map(|((of, state), n)| {
            (
                [("side", of.as_str()), ("state", state.as_str())],
                *n as f64,
            )
        }),
    )?;
    sheet.gauges(
        "leasehold_pending_requests",
        None,
        "Requests that wait, by side and first reason.",
        tally.pending.iter().map(|((of, reason), waiting)| {
            let labels = [("side", of.as_str()), ("reason", reason.as_str())];
            (labels, waiting.requests as f64)
        }),
    )?;
    sheet.gauges(
        "leasehold_pending_oldest",
        Some(&Unit::Seconds),
        "How long the oldest request that waits for a reason has waited in all.",
        tally.pending.iter().map(|((of, reason), waiting)| {
            let labels = [("side", of.as_str()), ("reason", reason.as_str())];
            (labels, ages.of_instant(waiting.oldest))
        }),
    )?;
    sheet.gauges(
        "leasehold_releasing_oldest",
        Some(&Unit::Seconds),
        "How long the hardware of a lease that has ended has been on its way back: the oldest.",
        tally
            .releasing
            .iter()
            .map(|(of, since)| ([("side", of.as_str())], ages.of_instant(*since))),
    )
}

fn power(sheet: &mut Sheet<'_>, tally: &Tally) -> fmt::Result {
    let watts = Unit::Other("watts".to_owned());
    let mut watts_of = |name, help, of: fn(&Watts) -> Option<f64>| {
        let series = tally.power.iter().filter_map(|(prefix, watts)| {
            let labels = [("prefix", place(prefix))];
            Some((labels, of(watts)?))
        });
        sheet.gauges(name, Some(&watts), help, series)
    };
    watts_of(
        "leasehold_power_budget",
        "What leases below a place may draw together.",
        |watts| watts.budget.map(|budget| budget as f64),
    )?;
    watts_of(
        "leasehold_power_drawn",
        "What the nodes below a place say they draw.",
        |watts| Some(watts.drawn_mw as f64 / 1e3),
    )?;
    watts_of(
        "leasehold_power_committed",
        "What leases that have hardware below a place may draw.",
        |watts| Some(watts.committed_mw as f64 / 1e3),
    )
}
