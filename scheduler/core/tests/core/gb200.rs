//! Cells of nodes that share NVLink memory in domains.

use crate::fixture::{Cell, health, inventory, live, node, report};
use leasehold_common::api::{CreateLease, ImportLine, ImportNodes};
use leasehold_common::class::Side;
use leasehold_core::Event;

/// With so many GB200 nodes of four GPUs, four in a domain, all of them available, and the accounts
/// `acme` (a tenant) and `research` (internal).
pub fn cell(count: usize) -> Cell {
    let mut cell = Cell::empty();
    cell.account("acme", Side::Tenant, None);
    cell.account("research", Side::Internal, None);
    let lines = inventory(count).nodes.into_iter().enumerate();
    let lines = lines.map(|(n, line)| ImportLine {
        path: format!("hall-a/row-1/rack-{0}/d{0}", n / 4),
        sku: "gb200".into(),
        ..line
    });
    let wish = ImportNodes {
        nodes: lines.collect(),
    };
    cell.import(&wish).unwrap();
    for n in 0..count {
        let (mut report, mut health) = (report(n), health(n, &[], &[]));
        report.gpus.truncate(4);
        for gpu in &mut report.gpus {
            gpu.name = "NVIDIA GB200".into();
        }
        health
            .gpus
            .retain(|uuid, _| report.gpus.iter().any(|gpu| gpu.uuid == *uuid));
        cell.tell([
            Event::Live(node(n), Some(live())),
            Event::Report(node(n), Some(Box::new(report))),
            Event::Health(node(n), Some(Box::new(health))),
        ]);
    }
    cell
}

/// The same wish, of this kind of node.
pub fn of(wish: CreateLease) -> CreateLease {
    CreateLease {
        sku: "gb200".parse().unwrap(),
        ..wish
    }
}
