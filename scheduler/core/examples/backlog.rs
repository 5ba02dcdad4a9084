//! How long it takes until a node that has become free is somebody's, with ten thousand leases that
//! wait for one: `cargo xtask bench packing` runs it, in release.

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

use fixture::{Cell, gpus, minutes, node, nodes, wish};
use leasehold_common::api::{CreateLease, EndLease};
use leasehold_common::lease::LeaseState;
use leasehold_core::command::Command;
use leasehold_core::{Event, step};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const NODES: usize = 12_500;
const PENDING: usize = 10_000;

fn main() {
    let mut cell = Cell::of(NODES);
    let of = |account: &str, shape, length| CreateLease {
        account: account.parse().unwrap(),
        length: Some(minutes(length)),
        ..wish(shape)
    };
    let ends = cell.lease(of("acme", nodes(1), 20_000));
    let gang = u32::try_from(NODES / 500).unwrap();
    for shape in [nodes(gang), nodes(1)] {
        loop {
            let last = cell.lease(of("acme", shape.clone(), 20_000));
            if cell.state_of(last) == LeaseState::Requested {
                break;
            }
        }
    }
    for n in 0..PENDING {
        let k = u32::try_from(n % 16).unwrap();
        let shape = match n % 4 {
            0 => nodes(2 + k),
            1 => nodes(1),
            _ => gpus(1 + k % 8),
        };
        let length = 60 + u64::try_from(n % 1000).unwrap();
        cell.lease(of(["acme", "globex"][n % 2], shape, length));
    }
    let n = cell.record(ends).nodes().next().unwrap().as_usize();
    let end = EndLease {
        now: true,
        confirm_gpus: None,
    };
    cell.ask(Command::EndLease(ends, end)).unwrap();

    let acks = cell.obedient(n);
    let mut events = VecDeque::from([Event::Acks(node(n), Some(Box::new(acks)))]);
    let waiting = |cell: &Cell| {
        let leases = cell.state.leases();
        leases.filter(|l| l.state == LeaseState::Requested).count()
    };
    let before = waiting(&cell);
    let (mut steps, mut longest, all) = (0, Duration::ZERO, Instant::now());
    let mut placed_after = None;
    loop {
        let began = Instant::now();
        let step = step(&mut cell.state, &mut events, cell.now);
        longest = longest.max(began.elapsed());
        steps += 1;
        if placed_after.is_none() && step.batch.is_some() {
            placed_after = Some(all.elapsed());
        }
        if !step.more {
            break;
        }
    }
    let all = all.elapsed();
    println!(
        "{before} waited, {} wait: first commit after {placed_after:?}, all settled after {all:?} \
         in {steps} steps, the longest {longest:?}",
        waiting(&cell)
    );
}
