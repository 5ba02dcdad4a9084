//! Units that are taken whole or not at all.
//!
//! Where a request asks for whole units, a node is of use only with all others of its unit: so what keeps
//! one of them away keeps all, and they fit together or not. A whole unit has as many nodes of the SKU as
//! its domains are said to have, or as the largest unit of its size; one that has fewer is no whole one.
//! With that the packer has pools of one size, and takes each to its last node.

use super::ask::Ask;
use super::faults::{Faults, Few, Rule};
use super::survey::{Seat, count};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Locality;

/// How many nodes a whole unit of a size has: what the SKU says of domains, otherwise what the largest has.
pub(super) fn size_of(ask: &Ask<'_>, level: Locality, seats: &[Seat]) -> u32 {
    let said = ask.sku.and_then(|(sku, _)| ask.cell.described(sku));
    match said {
        Some(sku) if level == Locality::Domain => u32::from(sku.nodes_per_domain),
        Some(_) | None => {
            let units = seats.chunk_by(|a, b| a.shares(b, level));
            units.map(|unit| count(unit.len())).max().unwrap_or(0)
        }
    }
}

/// Lets nodes fit only where all of their unit do, and makes each unit one pool. All nodes of the SKU are
/// given, in topology order.
pub(super) fn keep(ask: &Ask<'_>, level: Locality, seats: &mut [Seat]) {
    let size = size_of(ask, level, seats);
    for unit in seats.chunk_by_mut(|a, b| a.shares(b, level)) {
        let pool = 2 * unit[0].unit(level);
        let is_whole = count(unit.len()) == size && unit.iter().all(|s| s.faults.is_eligible());
        let fits = unit.iter().all(|seat| seat.faults.fits());
        let causes = unit.iter().map(|seat| seat.faults.causes);
        let causes = causes.fold(Few::default(), Few::or);
        for seat in unit {
            seat.pool = pool;
            if !is_whole {
                seat.faults.failed.add(Rule::Place as u8);
            } else if !fits && seat.faults.fits() {
                seat.faults = Faults {
                    failed: Few::of(&[Rule::Unit as u8]),
                    causes,
                };
            }
        }
    }
}

/// Of nodes that fit, leaves those whose unit is there to its last node. All of them are given as well.
pub(super) fn keep_full(all: &[Seat], level: Locality, fitting: &mut Vec<Seat>) {
    let mut full = Vec::with_capacity(fitting.len());
    let mut units = all.chunk_by(|a, b| a.shares(b, level));
    for there in fitting.chunk_by(|a, b| a.shares(b, level)) {
        let mut same = units
            .by_ref()
            .filter(|unit| unit[0].shares(&there[0], level));
        if same.next().is_some_and(|unit| unit.len() == there.len()) {
            full.extend_from_slice(there);
        }
    }
    *fitting = full;
}

/// When all of so many nodes fit, by when each of them does.
pub(super) fn when_all(
    changes: &[(Timestamp, i64)],
    nodes: usize,
) -> impl Iterator<Item = (Timestamp, i64)> {
    let mut changes = changes.to_vec();
    changes.sort_unstable_by_key(|(at, _)| *at);
    let mut all = Vec::new();
    let (mut fit, mut fitted) = (0, false);
    for moment in changes.chunk_by(|a, b| a.0 == b.0) {
        fit += moment.iter().map(|(_, change)| change).sum::<i64>();
        let fits = usize::try_from(fit).is_ok_and(|fit| fit == nodes);
        if fits != fitted {
            all.push((moment[0].0, if fits { 1 } else { -1 }));
            fitted = fits;
        }
    }
    all.into_iter()
}
