//! What must hold of every decision on every small fleet.

use crate::brute::{any_placement, at_its_best};
use crate::fleet::{POLICY, Twice};
use crate::happenings::{HORIZON, op, played_by, request, steps};
use crate::houses::{apart, policy};
use leasehold_common::lease::Shape;
use leasehold_common::policy::Policy;
use leasehold_common::time::Span;
use leasehold_common::units::MilliWatts;
use leasehold_placement::checker::violations;
use leasehold_placement::power::{Budget, BudgetStep, Minute};
use leasehold_placement::{Cell, Decision, End, plan};
use proptest::prelude::*;

/// The same cell, made in one go from plain data.
fn rebuilt(fleet: &Twice) -> Cell {
    let mut cell = Cell::new();
    cell.adopt(&fleet.house());
    cell.advance(fleet.cell.now());
    for sku in fleet.plain.skus.values() {
        cell.describe(sku.clone());
    }
    for (index, (spec, condition)) in fleet.plain.nodes.iter().rev() {
        cell.set_node(*index, spec.clone());
        cell.set_condition(*index, *condition);
    }
    for booked in fleet.plain.bookings.iter().rev() {
        let booking = booked.booking.clone();
        match booking.to {
            Some(at) if booked.awaiting_return => cell.book_ended(booking, at).unwrap(),
            _ => cell.book_again(booking).unwrap(),
        }
    }
    for (unit, steps) in &fleet.plain.budgets {
        let steps = steps.iter().map(|(from, limit)| BudgetStep {
            from: Minute::containing(*from),
            limit: limit.map(MilliWatts),
        });
        cell.set_budget(unit, Some(Budget::new(steps.collect()).unwrap()));
    }
    cell
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3 * ProptestConfig::default().cases))]

    #[test]
    fn a_decision_is_legal_or_there_was_none_to_be_had(
        ops in prop::collection::vec(op(), 0..40),
        request in request(),
        policy in policy(),
        stricter in prop::bool::weighted(0.2),
    ) {
        let (mut fleet, now) = played_by(ops, &policy);
        // What was allowed by an earlier policy is there still.
        let policy = if stricter { Policy { isolation: [].into(), ..policy } } else { policy };
        fleet.adopt(&policy);
        fleet.note_passes();
        // Of a gang with cleaning to wait for it is only known when all of it is cleaned at the latest.
        let is_known = policy.sanitising_per_hour.is_empty() || request.shape == Shape::nodes(1)
            || matches!(request.shape, Shape::Gpus { .. });
        let start = request.start.map_or(now, |start| start.max(now));
        let possible = |at| any_placement(&fleet.plain, &request, &policy, now, at);
        // What is kept for a side may be used up: an empty cell of the same policy can hold it.
        let ever = || {
            let at_best = at_its_best(&fleet.plain);
            any_placement(&at_best, &request, &POLICY, now, start)
        };
        match plan(&fleet.cell, &request, &policy, now) {
            Decision::Placed { plan, why } => {
                let broken = violations(&fleet.plain, &request, &policy, now, &plan);
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
                prop_assert!(!is_known || !possible(start));
                prop_assert!(why.reason().is_some());
                prop_assert!(ever(), "never, not wait");
                // Hardware comes free at ends of bookings and turnarounds, and those are whole steps.
                let first = (1..4 * HORIZON)
                    .map(|n| start + steps(n))
                    .find(|at| possible(*at));
                let exact = is_known;
                if exact {
                    prop_assert_eq!(earliest, first);
                } else if let Some(at) = earliest {
                    // Where cleaning queues, a gang may come sooner than promised.
                    prop_assert!(possible(at));
                }
                if let Some(at) = earliest.filter(|_| exact) {
                    prop_assert!(!possible(at - Span::from_millis(1)));
                }
            }
            Decision::Never { why } => {
                prop_assert!(!possible(start));
                prop_assert!(why.reason().is_some());
                prop_assert!(!ever());
            }
        }
    }

    #[test]
    fn every_node_is_counted(
        ops in prop::collection::vec(op(), 0..40),
        request in request(),
        apart in apart(),
    ) {
        let (fleet, now) = played_by(ops, &apart);
        let decision = plan(&fleet.cell, &request, &apart, now);
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
        apart in apart(),
    ) {
        let (fleet, now) = played_by(ops, &apart);
        let answer = plan(&fleet.cell, &request, &apart, now);
        prop_assert_eq!(&answer, &plan(&fleet.cell, &request, &apart, now));
        prop_assert_eq!(&answer, &plan(&rebuilt(&fleet), &request, &apart, now));
    }

    #[test]
    fn a_cell_kept_by_small_changes_is_the_cell_made_in_one_go(
        ops in prop::collection::vec(op(), 0..60),
        apart in apart(),
    ) {
        let (fleet, now) = played_by(ops, &apart);
        fleet.cell.check();
        prop_assert_eq!(&rebuilt(&fleet), &fleet.cell);
        for index in fleet.plain.nodes.keys() {
            // Every GPU is held, or free, or neither because something is the matter; never both.
            let (held, free) = (fleet.cell.held_gpus(*index, now), fleet.cell.free_gpus(*index, now));
            prop_assert!(held.common(free).is_empty());
        }
    }
}
