//! How long a count of a large cell takes, and how long its longest piece holds the state up.

#![expect(
    clippy::unwrap_used,
    reason = "the cell is made up: what cannot be is a defect of this measurement"
)]

#[expect(
    dead_code,
    reason = "stories use more of the cell than a measurement does"
)]
#[path = "../tests/core/fixture.rs"]
mod fixture;

use fixture::{Cell, gpu, gpus, inventory, node, nodes, wish};
use leasehold_common::ids::NodeIndex;
use leasehold_common::keys::Key;
use leasehold_common::ledger::LedgerHead;
use leasehold_common::node::FleetRecord;
use leasehold_common::record::{decode, encode};
use std::time::{Duration, Instant};

const NODES: usize = 125_000;
const LEASES: usize = 100;

fn main() {
    let mut cell = cell_of(NODES);
    for n in 0..LEASES {
        let shape = match n % 2 {
            0 => nodes(1),
            _ => gpus(1 + u32::try_from(n % 8).unwrap()),
        };
        cell.lease(wish(shape));
    }
    for room in [500, 5_000, usize::MAX] {
        let (began, mut pieces, mut longest) = (Instant::now(), 0, Duration::ZERO);
        let mut count = cell.state.begin_count(true, cell.now);
        let tally = loop {
            let piece = Instant::now();
            let counted = cell.state.count_on(&mut count, room, cell.now);
            longest = longest.max(piece.elapsed());
            pieces += 1;
            if let Some(tally) = counted {
                break tally;
            }
        };
        println!(
            "{} nodes and {} leases, {room} at a time: {:?} in {pieces} pieces, the longest {longest:?}",
            tally.nodes.values().sum::<u64>(),
            tally.leases.values().sum::<u64>(),
            began.elapsed(),
        );
    }
}

/// A cell in which so many nodes stand ready, all of them like the one that was admitted.
fn cell_of(count: usize) -> Cell {
    let mut cell = Cell::of(1);
    let admitted: FleetRecord = decode(&cell.stored[&Key::Fleet(node(0))]).unwrap();
    for (n, line) in inventory(count).nodes.iter().enumerate().skip(1) {
        let mut fleet = FleetRecord {
            name: node(n),
            index: NodeIndex(u32::try_from(n).unwrap()),
            path: line.path.parse().unwrap(),
            ..admitted.clone()
        };
        for (slot, held) in fleet.gpus.iter_mut().enumerate() {
            held.uuid = gpu(n, slot);
        }
        cell.stored.insert(Key::Fleet(node(n)), encode(&fleet));
    }
    let mut head: LedgerHead = decode(&cell.stored[&Key::Head]).unwrap();
    head.next_node = NodeIndex(u32::try_from(count).unwrap());
    cell.stored.insert(Key::Head, encode(&head));
    cell.reload(0..count);
    cell
}
