//! A cell in numbers.

use crate::fixture::{Cell, gpus, health, minutes, node, nodes, wish};
use leasehold_common::api::{DrainNodes, EndLease, SetPowerBudget, WantedStep};
use leasehold_common::class::{Class, Side};
use leasehold_common::lease::LeaseState;
use leasehold_common::node::NodeState;
use leasehold_common::time::Span;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View};
use leasehold_core::tally::{GpuUse, SILENT_NAMED, Tally};

fn tally(cell: &Cell) -> Tally {
    cell.state.tally(true, cell.now)
}

fn all_gpus(tally: &Tally, at: GpuUse) -> u64 {
    let all = tally.skus.values().flat_map(|sku| &sku.gpus);
    let of = all.filter(|((_, is), _)| *is == at);
    of.map(|(_, n)| *n).sum()
}

fn placeable(tally: &Tally, side: Side, size: u32) -> u64 {
    tally.skus[&"h200".parse().unwrap()].placeable[&(side, size)]
}

/// Four nodes of a busy hour: one leased whole, one in parts, one with a sick GPU, one drained.
fn busy() -> Cell {
    let mut cell = Cell::of(4);
    cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    cell.lease(wish(gpus(3)));
    cell.agents_answer([1]);
    cell.tell([Event::Health(node(2), Some(Box::new(health(2, &[1], &[]))))]);
    let drain = DrainNodes {
        nodes: "h003".into(),
        reason: "a fan is loud".into(),
        flag: None,
        until: None,
    };
    cell.ask(Command::DrainNodes(drain)).unwrap();
    cell
}

#[test]
fn nodes_and_gpus_add_up_to_what_status_says() {
    let cell = busy();
    let View::Status(status) = cell.query(&Query::Status) else {
        panic!("status")
    };
    let tally = tally(&cell);
    for (state, count) in &status.nodes {
        let of = tally.nodes.iter().filter(|((_, is), _)| is == state);
        assert_eq!(of.map(|(_, n)| *n).sum::<u64>(), *count, "{state}");
    }
    let leased = (Some(Side::Tenant), NodeState::Leased);
    assert_eq!(tally.nodes[&leased], 2);
    assert_eq!(tally.nodes[&(None, NodeState::Available)], 2);
    assert_eq!(all_gpus(&tally, GpuUse::Leased), status.gpus_leased);
    assert_eq!(all_gpus(&tally, GpuUse::Free), status.gpus_free);
    assert_eq!(all_gpus(&tally, GpuUse::Sick), 1);
    assert_eq!(all_gpus(&tally, GpuUse::Closed), 8);
    let gpus = tally.skus.values().flat_map(|sku| sku.gpus.values());
    assert_eq!(gpus.sum::<u64>(), status.gpus);
    assert_eq!(tally.flagged.values().sum::<u64>(), 1);
    assert_eq!(tally.leases[&(Side::Tenant, LeaseState::Active)], 2);
    assert_eq!((tally.agents_here, tally.agents_silent), (4, 0));
    assert_eq!((tally.epoch, tally.seq), (status.epoch, status.seq));
}

#[test]
fn a_count_in_pieces_comes_to_the_same() {
    let cell = busy();
    let whole = tally(&cell);
    for room in 1..=9 {
        let mut count = cell.state.begin_count(true, cell.now);
        let mut pieces = 0;
        let counted = loop {
            pieces += 1;
            if let Some(tally) = cell.state.count_on(&mut count, room, cell.now) {
                break tally;
            }
        };
        assert_eq!(counted, whole, "{room} at a time");
        assert!(pieces >= 4 / room, "{pieces} pieces of {room}");
    }
}

#[test]
fn placeable_is_how_often_a_size_finds_hardware() {
    let mut cell = Cell::of(3);
    let before = tally(&cell);
    let found = |tally: &Tally, side| [1, 2, 4, 8, 16].map(|size| placeable(tally, side, size));
    assert_eq!(found(&before, Side::Tenant), [24, 12, 6, 3, 1]);
    assert_eq!(found(&before, Side::Internal), [24, 12, 6, 3, 1]);
    // Five GPUs of one node: three of it are left to that side alone, and no size above two fits there.
    cell.lease(wish(gpus(5)));
    let after = tally(&cell);
    assert_eq!(found(&after, Side::Tenant), [19, 9, 4, 2, 1]);
    assert_eq!(found(&after, Side::Internal), [16, 8, 4, 2, 1]);
}

#[test]
fn requests_that_wait_are_counted_by_the_token_that_people_see() {
    let mut cell = Cell::of(1);
    cell.lease(wish(nodes(1)));
    let first = cell.lease(wish(nodes(1)));
    let asked = cell.now;
    cell.pass(minutes(3));
    cell.lease(wish(gpus(2)));
    let token = cell.view(first).reason.unwrap().to_string();
    assert_eq!(token, "Capacity");
    let tally = tally(&cell);
    let waiting = tally.pending[&(Side::Tenant, token)];
    assert_eq!((waiting.requests, waiting.oldest), (2, asked));
}

#[test]
fn watts_are_those_of_power_show() {
    let mut cell = Cell::of(8);
    cell.lease(wish(nodes(2)));
    let mut later = wish(nodes(1));
    later.start = Some(cell.now + minutes(60));
    cell.lease(later);
    cell.ask(Command::SetPowerBudget(SetPowerBudget {
        prefix: "hall-a/row-1".parse().unwrap(),
        steps: vec![WantedStep {
            from: None,
            watts: Some(50_000),
        }],
        why: None,
    }))
    .unwrap();
    let View::Power(list) = cell.query(&Query::Power { prefix: None }) else {
        panic!("power")
    };
    let tally = tally(&cell);
    assert_eq!(list.items.len(), 2);
    for view in list.items {
        let watts = tally.power[&view.prefix];
        assert_eq!(watts.budget, view.budget_watts, "{}", view.prefix);
        assert_eq!(watts.drawn_mw / 1000, view.drawn_watts, "{}", view.prefix);
        let committed = watts.committed_mw.div_ceil(1000);
        assert_eq!(committed, view.booked_watts, "{}", view.prefix);
    }
}

#[test]
fn silent_agents_are_named_the_longest_silent_first_and_not_without_end() {
    let many = SILENT_NAMED + 20;
    let mut cell = Cell::of(many);
    let began = cell.now;
    cell.tell([Event::Live(node(7), None)]);
    cell.pass(Span::from_secs(1));
    cell.tell((0..many).map(|n| Event::Live(node(n), None)));
    let tally = tally(&cell);
    assert_eq!(tally.agents_silent, many as u64);
    assert_eq!(tally.silent.len(), SILENT_NAMED);
    assert_eq!(tally.silent.first(), Some(&(began, node(7))));
}

#[test]
fn hardware_on_its_way_back_and_what_did_not_come_back_show() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    let end = EndLease {
        now: true,
        confirm_gpus: None,
    };
    cell.ask(Command::EndLease(id, end)).unwrap();
    let ended = cell.now;
    assert_eq!(tally(&cell).releasing[&Side::Tenant], ended);
    cell.pass(minutes(21));
    let after = tally(&cell);
    assert!(after.releasing.is_empty());
    assert_eq!(after.quarantined[&"NotReturned".into()], 1);
}

#[test]
fn accounts_and_single_leases_are_counted_for_whoever_asks_for_them() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(gpus(3)));
    cell.lease(wish(nodes(2)));
    let with = tally(&cell);
    let acme = &with.accounts[&"acme".parse().unwrap()];
    assert_eq!((acme.side, acme.gpus), (Side::Tenant, 3));
    assert_eq!(acme.leases[&LeaseState::Requested], 1);
    assert_eq!(with.accounts[&"globex".parse().unwrap()].gpus, 0);
    let held: Vec<_> = with
        .holding
        .iter()
        .map(|l| (l.lease, l.class, l.gpus))
        .collect();
    assert_eq!(held, [(id, Class::OnDemand, 3)]);
    let without = cell.state.tally(false, cell.now);
    assert!(without.accounts.is_empty() && without.holding.is_empty());
}
