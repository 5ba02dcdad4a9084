//! What must hold of every decision on every small fleet.

use crate::brute::{any_placement, at_its_best};
use crate::fleet::{POLICY, Twice, spec};
use leasehold_common::class::Class;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use leasehold_placement::checker::violations;
use leasehold_placement::{Booking, Cell, Decision, End, Request, plan};
use proptest::prelude::*;

/// Everything happens on whole steps of five minutes, so that ends, starts and turnarounds (two
/// steps) often meet exactly.
fn step(n: u64) -> Timestamp {
    Timestamp::EPOCH + steps(n)
}

fn steps(n: u64) -> Span {
    Span::from_mins(5 * n)
}

const HORIZON: u64 = 40;

/// One thing that happens to a fleet.
#[derive(Debug, Clone)]
enum Op {
    Admit {
        node: u32,
        place: u32,
        sku: bool,
        owner: Owner,
    },
    Remove {
        node: u32,
    },
    Condition {
        node: u32,
        state: NodeState,
        flagged: bool,
        silent: bool,
        healthy: u16,
    },
    Place {
        request: Request,
    },
    /// Whatever was decided elsewhere: the cell takes it or refuses it.
    Book {
        request: Request,
        nodes: Vec<u32>,
        slots: u16,
        from: u64,
    },
    SetEnd {
        lease: u64,
        to: Option<u64>,
    },
    Unbook {
        lease: u64,
    },
    End {
        lease: u64,
    },
    Release {
        lease: u64,
        node: u32,
    },
    Pass {
        steps: u64,
    },
}

const NODES: u32 = 6;

fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![6 => Just(Owner::Sellable), 2 => Just(Owner::Internal), 1 => Just(Owner::Spare)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        5 => (1..10_u64).prop_map(|n| End::After(steps(n))),
        2 => (1..HORIZON).prop_map(|n| End::At(step(n))),
        1 => Just(End::Open),
    ]
}

prop_compose! {
    fn request()(
        who in 0..3_usize,
        nodes in any::<bool>(),
        count in 1..5_u32,
        other_sku in prop::bool::weighted(0.1),
        within in prop::sample::select(Locality::ALL.to_vec()),
        start in prop::option::weighted(0.3, 0..HORIZON),
        end in end(),
    ) -> Request {
        let (account, class) = [
            ("acme", Class::OnDemand),
            ("globex", Class::Committed),
            ("research", Class::InternalBatch),
        ][who];
        Request {
            account: account.parse().unwrap(),
            class,
            shape: if nodes { Shape::nodes(count) } else { Shape::gpus(count) },
            sku: if other_sku { "h100" } else { "h200" }.parse().unwrap(),
            within,
            start: start.map(step),
            end,
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let node = 0..NODES;
    let lease = 1..12_u64;
    let state = prop_oneof![
        6 => Just(NodeState::Available),
        1 => Just(NodeState::Unreachable),
        1 => Just(NodeState::Sanitising),
    ];
    prop_oneof![
        2 => (node.clone(), 0..8_u32, prop::bool::weighted(0.1), owner())
            .prop_map(|(node, place, sku, owner)| Op::Admit { node, place, sku, owner }),
        1 => node.clone().prop_map(|node| Op::Remove { node }),
        3 => (node.clone(), state, prop::bool::weighted(0.1), prop::bool::weighted(0.1), 0..16_u16)
            .prop_map(|(node, state, flagged, silent, sick)| Op::Condition {
                node, state, flagged, silent,
                // Mostly healthy.
                healthy: if sick < 10 { 0xf } else { sick },
            }),
        10 => request().prop_map(|request| Op::Place { request }),
        3 => (request(), prop::collection::vec(node.clone(), 1..3), 0..16_u16, 0..HORIZON)
            .prop_map(|(request, nodes, slots, from)| Op::Book { request, nodes, slots, from }),
        2 => (lease.clone(), prop::option::of(0..HORIZON))
            .prop_map(|(lease, to)| Op::SetEnd { lease, to }),
        1 => lease.clone().prop_map(|lease| Op::Unbook { lease }),
        2 => lease.clone().prop_map(|lease| Op::End { lease }),
        2 => (lease, node).prop_map(|(lease, node)| Op::Release { lease, node }),
        2 => (0..4_u64).prop_map(|steps| Op::Pass { steps }),
    ]
}

/// Where a node of a random fleet stands: racks with one domain of two nodes or two of one.
fn place(n: u32) -> String {
    let domain = if n < 4 { 0 } else { n % 2 };
    format!("hall-{}/row-{}/rack-{}/d{domain}", n / 6, n / 4, n / 2)
}

fn apply(fleet: &mut Twice, now: &mut Timestamp, op: Op) {
    match op {
        Op::Admit {
            node,
            place: at,
            sku,
            owner,
        } => {
            let sku = if sku { "h100" } else { "h200" };
            let mut spec = spec(&place(at), sku, 4);
            spec.owner = owner;
            fleet.admit(node, spec);
        }
        Op::Remove { node } => {
            if fleet.cell.remove_node(NodeIndex(node)).is_ok() {
                fleet.plain.nodes.remove(&NodeIndex(node));
            }
        }
        Op::Condition {
            node,
            state,
            flagged,
            silent,
            healthy,
        } => {
            if fleet.plain.nodes.contains_key(&NodeIndex(node)) {
                fleet.change(node, |condition| {
                    condition.state = state;
                    condition.flagged = flagged;
                    condition.silent = silent;
                    condition.healthy = GpuSlots(healthy);
                });
            }
        }
        Op::Place { request } => {
            let _ = fleet.place(&request, *now);
        }
        Op::Book {
            request,
            nodes,
            slots,
            from,
        } => {
            let nodes: Vec<_> = nodes.into_iter().map(NodeIndex).collect();
            let gpus = match slots {
                0 => [].into(),
                _ => nodes.iter().map(|n| (*n, GpuSlots(slots))).collect(),
            };
            let before = fleet.cell.clone();
            let booking = Booking {
                lease: fleet.next_lease(),
                account: request.account.clone(),
                class: request.class,
                from: step(from),
                to: request.end.if_started(step(from)),
                nodes: nodes.into_iter().collect(),
                gpus,
            };
            if fleet.book(booking).is_err() {
                assert_eq!(fleet.cell, before, "a booking refused changes nothing");
            }
        }
        Op::SetEnd { lease, to } => {
            let before = fleet.cell.clone();
            if fleet.set_end(LeaseId(lease), to.map(step)).is_err() {
                assert_eq!(fleet.cell, before, "an end refused changes nothing");
            }
        }
        Op::Unbook { lease } => fleet.unbook(LeaseId(lease)),
        Op::End { lease } => fleet.end(LeaseId(lease), *now),
        Op::Release { lease, node } => fleet.release(LeaseId(lease), NodeIndex(node)),
        Op::Pass { steps: n } => {
            *now = *now + steps(n);
            if n % 2 == 0 {
                // Bookings that begin without the cell being told are judged just the same.
                fleet.cell.advance(*now);
            }
        }
    }
}

fn played(ops: Vec<Op>) -> (Twice, Timestamp) {
    let mut fleet = Twice::default();
    for n in 0..4 {
        fleet.admit(n, spec(&place(n), "h200", 4));
    }
    let mut now = step(2);
    for op in ops {
        apply(&mut fleet, &mut now, op);
    }
    (fleet, now)
}

/// The same cell, made in one go from plain data.
fn rebuilt(fleet: &Twice) -> Cell {
    let mut cell = Cell::new();
    cell.advance(fleet.cell.now());
    for (index, (spec, condition)) in fleet.plain.nodes.iter().rev() {
        cell.set_node(*index, spec.clone());
        cell.set_condition(*index, *condition);
    }
    for booked in fleet.plain.bookings.iter().rev() {
        let booking = booked.booking.clone();
        match booking.to {
            Some(at) if booked.awaiting_return => cell.book_ended(booking, at).unwrap(),
            _ => cell.book(booking).unwrap(),
        }
    }
    cell
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3 * ProptestConfig::default().cases))]

    #[test]
    fn a_decision_is_legal_or_there_was_none_to_be_had(
        ops in prop::collection::vec(op(), 0..40),
        request in request(),
    ) {
        let (fleet, now) = played(ops);
        let start = request.start.map_or(now, |start| start.max(now));
        let possible = |at| any_placement(&fleet.plain, &request, &POLICY, now, at);
        match plan(&fleet.cell, &request, &POLICY, now) {
            Decision::Placed { plan, why } => {
                let broken = violations(&fleet.plain, &request, &POLICY, now, &plan);
                prop_assert!(broken.is_empty(), "{:?} {:?}", broken, plan);
                prop_assert_eq!(plan.start, start);
                let winner = why.winner.unwrap();
                prop_assert_eq!((winner.nodes, winner.gpus), (plan.nodes, plan.gpus));
                prop_assert!(why.runners_up.len() <= 3);
                for loser in &why.runners_up {
                    prop_assert!(loser.lost_by.is_some());
                    let scores = |s: &[(_, i64)]| s.iter().map(|(_, n)| *n).collect::<Vec<_>>();
                    prop_assert!(scores(&loser.score) > scores(&winner.score));
                }
            }
            Decision::Wait { earliest, why } => {
                prop_assert!(!possible(start));
                prop_assert!(why.reason().is_some());
                let at_best = at_its_best(&fleet.plain);
                prop_assert!(any_placement(&at_best, &request, &POLICY, now, start), "never, not wait");
                // Hardware comes free at ends of bookings and turnarounds, and those are whole steps.
                let first = (1..4 * HORIZON)
                    .map(|n| start + steps(n))
                    .find(|at| possible(*at));
                prop_assert_eq!(earliest, first);
                if let Some(at) = earliest {
                    prop_assert!(!possible(at - Span::from_millis(1)));
                }
            }
            Decision::Never { why } => {
                prop_assert!(!possible(start));
                prop_assert!(why.reason().is_some());
                let at_best = at_its_best(&fleet.plain);
                prop_assert!(!any_placement(&at_best, &request, &POLICY, now, start));
            }
        }
    }

    #[test]
    fn every_node_is_counted(ops in prop::collection::vec(op(), 0..40), request in request()) {
        let (fleet, now) = played(ops);
        let decision = plan(&fleet.cell, &request, &POLICY, now);
        let why = decision.why();
        let invalid = matches!(request.end, End::At(until) if until <= request.start.unwrap_or(now).max(now));
        if !invalid {
            let nodes = u32::try_from(fleet.cell.len()).unwrap();
            prop_assert_eq!(why.evaluated, nodes);
            let failures: u32 = why.filtered.values().sum();
            prop_assert!(failures >= nodes - why.fit, "each that does not fit fails something");
            prop_assert!(why.filtered.values().all(|n| *n <= nodes - why.fit));
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer(
        ops in prop::collection::vec(op(), 0..40),
        request in request(),
    ) {
        let (fleet, now) = played(ops);
        let answer = plan(&fleet.cell, &request, &POLICY, now);
        prop_assert_eq!(&answer, &plan(&fleet.cell, &request, &POLICY, now));
        prop_assert_eq!(&answer, &plan(&rebuilt(&fleet), &request, &POLICY, now));
    }

    #[test]
    fn a_cell_kept_by_small_changes_is_the_cell_made_in_one_go(
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let (fleet, now) = played(ops);
        fleet.cell.check();
        prop_assert_eq!(&rebuilt(&fleet), &fleet.cell);
        for index in fleet.plain.nodes.keys() {
            // Every GPU is held, or free, or neither because something is the matter; never both.
            let (held, free) = (fleet.cell.held_gpus(*index, now), fleet.cell.free_gpus(*index, now));
            prop_assert!(held.common(free).is_empty());
        }
    }
}
