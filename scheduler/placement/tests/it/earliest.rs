//! The earliest start is the first there is: every instant is tried.
//!
//! Everything happens on multiples of twenty seconds, so that starts and ends lie inside the minutes
//! by which watts are booked, and budgets rise and fall while leases wait.

use crate::brute::any_placement;
use crate::fleet::{POLICY, Twice, share, spec};
use crate::happenings::small_sku;
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix};
use leasehold_common::units::MilliWatts;
use leasehold_placement::power::{Budget, BudgetStep, Minute};
use leasehold_placement::{Booking, Decision, End, Request, plan};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How many instants are tried after the one asked for: past the end of everything.
const INSTANTS: u64 = 90;
/// When the last of what is booked or allowed changes.
const LAST: u64 = 40;
const NODES: u32 = 5;

fn tick(n: u64) -> Timestamp {
    Timestamp::EPOCH + ticks(n)
}

fn ticks(n: u64) -> Span {
    Span::from_secs(20 * n)
}

/// Two racks: one domain of three nodes, and two nodes that are each their own.
fn place(n: u32) -> String {
    let (rack, domain) = if n < 3 { (0, 0) } else { (1, n) };
    format!("hall-0/row-0/rack-{rack}/d{domain}")
}

prop_compose! {
    fn booking()(
        who in 0..3_usize,
        nodes in prop::collection::vec(0..NODES, 1..3),
        slots in prop_oneof![2 => Just(0_u16), 1 => 1..16_u16],
        from in 0..LAST,
        length in prop::option::weighted(0.95, 1..15_u64),
        cap in prop::option::weighted(0.3, prop::sample::select(vec![200, 350])),
    ) -> Booking {
        let (account, class) = WHO[who];
        let nodes: Vec<NodeIndex> = nodes.into_iter().map(NodeIndex).collect();
        let gpus = match slots {
            0 => [].into(),
            _ => nodes.iter().map(|node| (*node, GpuSlots(slots))).collect(),
        };
        Booking {
            lease: leasehold_common::ids::LeaseId(0),
            account: account.parse().unwrap(),
            class,
            from: tick(from),
            to: length.map(|length| tick(from + length)),
            nodes: nodes.into_iter().collect(),
            gpus,
            slices: BTreeMap::new(),
            host: None,
            gpu_cap_watts: cap,
        }
    }
}

const WHO: [(&str, Class); 3] = [
    ("acme", Class::OnDemand),
    ("globex", Class::Committed),
    ("research", Class::InternalBatch),
];

prop_compose! {
    fn request()(
        who in 0..3_usize,
        shape in prop_oneof![
            2 => (1..5_u32).prop_map(Shape::gpus),
            3 => (1..5_u32, prop_oneof![3 => Just(0), 1 => Just(1_u32)]).prop_map(|(count, spares)| {
                Shape::Nodes { count, at_least: None, spares, whole: None }
            }),
        ],
        within in prop::sample::select(vec![Locality::Cell, Locality::Rack]),
        start in prop::option::weighted(0.3, 0..LAST),
        end in prop_oneof![
            4 => (1..12_u64).prop_map(|n| End::After(ticks(n))),
            2 => (LAST / 2..LAST + 10).prop_map(|n| End::At(tick(n))),
            1 => Just(End::Open),
        ],
        cap in prop::option::weighted(0.2, Just(350)),
    ) -> Request {
        let (account, class) = WHO[who];
        Request {
            account: account.parse().unwrap(),
            class,
            shape,
            sku: "h200".parse().unwrap(),
            within,
            start: start.map(tick),
            end,
            host: None,
            gpu_cap_watts: cap,
        }
    }
}

/// Below a place, kilowatts from the first minute on and from later ones on.
type Steps = (&'static str, u32, Vec<(u64, Option<u32>)>);

fn budget() -> impl Strategy<Value = Steps> {
    let unit = vec!["", "hall-0", "hall-0/row-0/rack-0", "hall-0/row-0/rack-1"];
    let later = (1..LAST / 3, prop::option::weighted(0.9, 0..14_u32));
    let later = prop::collection::vec(later, 0..3);
    (prop::sample::select(unit), 1..14_u32, later)
}

fn set_budget(fleet: &mut Twice, (unit, first, later): Steps) {
    let unit: Prefix = unit.parse().unwrap();
    let mut steps = std::collections::BTreeMap::from([(0, Some(first))]);
    steps.extend(later);
    let watts = |kilowatts: u32| MilliWatts::from_watts(u64::from(kilowatts) * 1000);
    let minute = |n: &u64| tick(3 * n);
    let budget = steps.iter().map(|(n, limit)| BudgetStep {
        from: Minute::containing(minute(n)),
        limit: limit.map(watts),
    });
    let budget = Budget::new(budget.collect()).unwrap();
    fleet.cell.set_budget(&unit, Some(budget));
    let plain = steps
        .iter()
        .map(|(n, limit)| (minute(n), limit.map(|limit| watts(limit).0)));
    fleet.plain.budgets.insert(unit, plain.collect());
}

fn policy() -> impl Strategy<Value = Policy> {
    let share = (
        prop::sample::select(vec![Side::Internal, Side::Tenant]),
        prop::option::of(0..4_u32),
        prop::option::of(0..3_u32),
    )
        .prop_map(|(side, domains, nodes)| share(side, "h200", domains, nodes));
    let shares = prop::collection::vec(share, 0..2);
    (shares.clone(), shares, any::<bool>()).prop_map(|(floors, ceilings, none)| Policy {
        turnaround: ticks(2),
        floors: if none { Vec::new() } else { floors },
        ceilings: if none { Vec::new() } else { ceilings },
        ..POLICY
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3 * ProptestConfig::default().cases))]

    #[test]
    fn nobody_is_told_a_later_start_than_the_first_there_is(
        bookings in prop::collection::vec(booking(), 0..10),
        budgets in prop::collection::vec(budget(), 0..3),
        policy in policy(),
        asked in prop::collection::vec(request(), 1..6),
        now in 0..6_u64,
    ) {
        let mut fleet = Twice::default();
        fleet.describe(small_sku());
        for n in 0..NODES {
            fleet.admit(n, spec(&place(n), "h200", 4));
        }
        for booking in bookings {
            let lease = fleet.next_lease();
            // What meets another booking is refused, and is not there then.
            let _ = fleet.book(Booking { lease, ..booking });
        }
        for steps in budgets {
            set_budget(&mut fleet, steps);
        }
        let now = tick(now);
        fleet.cell.advance(now);
        for request in asked {
            let start = request.start.map_or(now, |start| start.max(now));
            let Decision::Wait { earliest, .. } = plan(&fleet.cell, &request, &policy, now) else {
                continue;
            };
            let possible = |at| any_placement(&fleet.plain, &request, &policy, now, at);
            let first = (0..INSTANTS).map(|n| start + ticks(n)).find(|at| possible(*at));
            prop_assert_eq!(earliest, first, "{:?}", request);
            if let Some(at) = earliest {
                prop_assert!(!possible(at - Span::from_millis(1)));
            }
        }
    }
}
