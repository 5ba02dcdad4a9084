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

use fixture::{Cell, gpus, nodes, wish};
use leasehold_core::tally::Counted;
use std::time::{Duration, Instant};

const NODES: usize = 125_000;
const LEASES: usize = 20_000;

fn main() {
    let mut cell = Cell::of(NODES);
    for n in 0..LEASES {
        let shape = match n % 2 {
            0 => nodes(1),
            _ => gpus(1 + u32::try_from(n % 8).unwrap()),
        };
        cell.lease(wish(shape));
    }
    for room in [500, 2_000, 8_000, usize::MAX] {
        let (began, mut pieces, mut longest) = (Instant::now(), 0, Duration::ZERO);
        let mut count = cell.state.begin_count(true, cell.now);
        let tally = loop {
            let piece = Instant::now();
            let counted = cell.state.count_on(count, room, cell.now);
            longest = longest.max(piece.elapsed());
            pieces += 1;
            match counted {
                Counted::On(further) => count = further,
                Counted::Whole(tally) => break tally,
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
