//! How much is missing of what runs out.

use super::ask::{Ask, Need};
use super::faults::Cause;
use super::gang::Size;
use super::limits::{Kept, Limits, Price};
use super::tally::Tally;
use super::together::Together;
use crate::cell::other;
use crate::power::Shortage;
use leasehold_common::explain::{Dimension, Unblock};
use leasehold_common::node_set::NodeSet;
use std::collections::BTreeMap;

/// What limits lack for nodes that would be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Missing {
    /// Under the budget that is shortest.
    watts: Option<Shortage>,
    kept: Kept,
}

impl Missing {
    /// For all of these nodes.
    pub(super) fn of(limits: &Limits<'_>, nodes: &NodeSet) -> Self {
        Self {
            watts: limits.shortage(nodes),
            kept: limits.kept_from(nodes),
        }
    }

    /// The same of both.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            watts: self.watts.or(other.watts),
            kept: if self.kept == Kept::default() {
                other.kept
            } else {
                self.kept
            },
        }
    }

    fn watts(&self) -> u64 {
        let missing = self.watts.map(|short| short.missing.0.div_ceil(1000));
        missing.unwrap_or_default()
    }

    /// The budget that is shortest, and by how much.
    pub(super) fn more_watts(&self, ask: &Ask<'_>) -> Option<Unblock> {
        self.watts.map(|short| Unblock::PowerFreed {
            unit: ask.cell.grid().prefix(short.unit).clone(),
            watts: self.watts(),
        })
    }

    /// The floor and the ceiling that are in the way, and by how much.
    pub(super) fn more_shares(&self, ask: &Ask<'_>) -> Vec<Unblock> {
        let Kept { floor, ceiling } = self.kept;
        let is_any = |price: &Price| *price != Price::default();
        let floor = Some(floor)
            .filter(is_any)
            .map(|kept| Unblock::FloorLowered {
                side: other(ask.side),
                sku: ask.request.sku.clone(),
                nodes: kept.nodes,
                domains: kept.domains,
            });
        let ceiling = Some(ceiling)
            .filter(is_any)
            .map(|kept| Unblock::CeilingRaised {
                side: ask.side,
                sku: ask.request.sku.clone(),
                nodes: kept.nodes,
                domains: kept.domains,
            });
        floor.into_iter().chain(ceiling).collect()
    }

    fn enter(&self, cause: Cause, amounts: &mut Amounts) {
        match cause {
            Cause::Power => amounts.enter(Dimension::Watts, self.watts()),
            Cause::Reserved => {
                let Kept { floor, ceiling } = self.kept;
                let nodes = floor.nodes.max(ceiling.nodes);
                let domains = floor.domains.max(ceiling.domains);
                amounts.enter(Dimension::KeptNodes, u64::from(nodes));
                amounts.enter(Dimension::KeptDomains, u64::from(domains));
            }
            Cause::Held
            | Cause::Cpu
            | Cause::Memory
            | Cause::Draining
            | Cause::Cleanup
            | Cause::Unavailable => {}
        }
    }
}

/// Amounts that are not nothing.
#[derive(Debug, Default)]
struct Amounts(BTreeMap<Dimension, u32>);

impl Amounts {
    fn enter(&mut self, dimension: Dimension, amount: u64) {
        if amount > 0 {
            let amount = u32::try_from(amount).unwrap_or(u32::MAX);
            self.0.insert(dimension, amount);
        }
    }
}

/// What runs out for a request of one node, by what it is told that is in the way.
pub(super) fn of_one(
    ask: &Ask<'_>,
    tally: &Tally,
    told: &[Cause],
    missing: Missing,
) -> BTreeMap<Dimension, u32> {
    let mut amounts = Amounts::default();
    let most = u64::from(tally.loose.most);
    for cause in told {
        match cause {
            Cause::Held | Cause::Draining | Cause::Cleanup | Cause::Unavailable => match ask.need {
                Need::Whole => amounts.enter(Dimension::Nodes, 1),
                Need::Gpus(wanted) => {
                    let short = u64::from(wanted).saturating_sub(most);
                    amounts.enter(Dimension::Gpus, short);
                }
                Need::Slices(_) => {
                    let wanted = ask.wish.map_or(0, |wish| u64::from(wish.eighths));
                    let short = wanted.saturating_sub(most);
                    amounts.enter(Dimension::MemorySlices, short);
                }
            },
            Cause::Cpu => {
                amounts.enter(
                    Dimension::CpuMilli,
                    tally.scarce.cpu_milli.unwrap_or_default(),
                );
            }
            Cause::Memory => {
                amounts.enter(
                    Dimension::MemoryMib,
                    tally.scarce.memory_mib.unwrap_or_default(),
                );
            }
            Cause::Power | Cause::Reserved => missing.enter(*cause, &mut amounts),
        }
    }
    amounts.0
}

/// What runs out for a gang, by what it is told that is in the way: nodes over all of the cell, nodes of
/// one unit, of which `most_fit` are the most, or what limits lack.
pub(super) fn of_gang(
    (tally, size, most_fit): (&Tally, Size, u32),
    together: Option<&Together>,
    told: &[Cause],
    missing: Missing,
) -> BTreeMap<Dimension, u32> {
    let mut amounts = Amounts::default();
    let wanted = size.nodes;
    let is_limit = |cause: &Cause| matches!(cause, Cause::Power | Cause::Reserved);
    if tally.fit < wanted && !told.iter().all(is_limit) {
        amounts.enter(Dimension::Nodes, u64::from(wanted - tally.fit));
    }
    if tally.fit >= wanted {
        let spares = together.and_then(|together| together.spares);
        let most = spares.unwrap_or(wanted).min(most_fit);
        amounts.enter(Dimension::Unit, u64::from(wanted.saturating_sub(most)));
    }
    for cause in [Cause::Power, Cause::Reserved] {
        let binds = together.is_some_and(|together| together.binds(cause));
        if binds || told.contains(&cause) {
            missing.enter(cause, &mut amounts);
        }
    }
    if amounts.0.is_empty() {
        // Each limit leaves enough nodes, and not of the same ones.
        let most = together.map_or(tally.fit, |together| together.most);
        amounts.enter(Dimension::Unit, u64::from(wanted.saturating_sub(most)));
    }
    amounts.0
}
