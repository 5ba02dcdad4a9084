//! What could be let, held against letting it.

use crate::brute::any_placement;
use crate::fleet::{POLICY, Twice, asks, gang_asks, hour, share};
use crate::happenings::{op, played_by};
use crate::houses::policy;
use leasehold_common::api::{Surplus, SurplusRow, SurplusShape};
use leasehold_common::class::{Class, Side};
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Isolation, Policy};
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use leasehold_placement::{End, Request, plan, surplus};
use proptest::prelude::*;

/// Rows as `nodes of 1: 12`.
fn told(surplus: &Surplus) -> Vec<String> {
    let rows = surplus.rows.iter();
    let of = |row: &SurplusRow| match &row.profile {
        Some(profile) => profile.to_string(),
        None => row.size.to_string(),
    };
    rows.map(|row| format!("{} of {}: {}", row.shape, of(row), row.leases))
        .collect()
}

#[test]
fn slices_are_counted_by_profile_where_a_newcomer_may_have_them() {
    let mut fleet = Twice::hgx(1, 2);
    let name = "h200".parse().unwrap();
    fleet.describe(SkuCatalogue::built_in().get(&name).unwrap().clone());
    let slices = |has: &Surplus| -> Vec<String> {
        let told = told(has).into_iter();
        told.filter(|row| row.starts_with("slices")).collect()
    };
    let has =
        |fleet: &Twice, policy: &Policy| surplus(&fleet.cell, policy, hour(0), Span::from_hours(1));
    let all = [
        "slices of 7g.141gb: 16",
        "slices of 4g.71gb: 16",
        "slices of 3g.71gb: 32",
        "slices of 2g.35gb: 48",
        "slices of 1g.35gb: 64",
        "slices of 1g.18gb+me: 16",
        "slices of 1g.18gb: 112",
    ];
    assert_eq!(slices(&has(&fleet, &POLICY)), all);
    // One slice of somebody else's keeps the node, and where policy lets them be together no more than
    // what overlaps with it.
    let _ = fleet.place(
        &asks(Shape::slices([("3g.71gb".parse().unwrap(), 1)])),
        hour(0),
    );
    let other_node = slices(&has(&fleet, &POLICY));
    assert_eq!(other_node[6], "slices of 1g.18gb: 56");
    let together = Policy {
        isolation: [(
            "h200".parse().unwrap(),
            Isolation {
                mig_colocation: true,
                ..Isolation::default()
            },
        )]
        .into(),
        ..POLICY
    };
    fleet.cell.adopt(&together);
    let beside = slices(&has(&fleet, &together));
    assert_eq!(
        beside[..3],
        [
            "slices of 7g.141gb: 15",
            "slices of 4g.71gb: 16",
            "slices of 3g.71gb: 31"
        ]
    );
    assert_eq!(
        beside[6], "slices of 1g.18gb: 109",
        "four compute slices are left of the GPU"
    );
}

#[test]
fn one_gpu_let_is_a_node_a_rack_and_a_domain_less() {
    let mut fleet = Twice::nvl(2, 3);
    let gb200 = |shape| Request {
        sku: "gb200".parse().unwrap(),
        ..asks(shape)
    };
    fleet.lease_on(4, 1, &gb200(Shape::gpus(1)));
    let has = surplus(&fleet.cell, &POLICY, hour(0), Span::from_hours(1));
    let said = [
        "nodes of 1: 5",
        "racks of 3: 1",
        "domains of 3: 1",
        "gpus of 1: 20",
        "gpus of 2: 10",
        "gpus of 3: 5",
        "gpus of 4: 5",
    ];
    assert_eq!(told(&has), said);
}

#[test]
fn what_is_booked_for_tomorrow_can_be_let_today() {
    let mut fleet = Twice::hgx(1, 2);
    let tomorrow = Request {
        start: Some(hour(24)),
        ..asks(Shape::gpus(8))
    };
    fleet.lease_on(0, 8, &tomorrow);
    let nodes = |hours| {
        let has = surplus(&fleet.cell, &POLICY, hour(0), Span::from_hours(hours));
        has.rows[0].leases
    };
    assert_eq!((nodes(23), nodes(24)), (2, 1), "the turnaround counts too");
}

#[test]
fn what_is_kept_for_the_house_is_no_surplus() {
    let fleet = Twice::nvl(3, 2);
    let policy = Policy {
        floors: vec![share(Side::Internal, "gb200", Some(2), None)],
        ..POLICY
    };
    let has = surplus(&fleet.cell, &policy, hour(0), Span::from_hours(1));
    assert_eq!(
        told(&has)[..3],
        ["nodes of 1: 2", "racks of 2: 1", "domains of 2: 1"]
    );
}

/// One more lease of a row, for somebody new.
fn one_of(row: &SurplusRow, horizon: Span) -> Request {
    let size = row.size;
    let (shape, within) = match row.shape {
        SurplusShape::Gpus => (Shape::gpus(size), Locality::Cell),
        SurplusShape::Nodes => (Shape::nodes(size), Locality::Cell),
        SurplusShape::Racks => (Shape::nodes(size), Locality::Rack),
        SurplusShape::Domains => (Shape::nodes(size), Locality::Domain),
        SurplusShape::Slices => {
            let profile = row.profile.clone().expect("a row of slices says which");
            (Shape::slices([(profile, size)]), Locality::Cell)
        }
    };
    Request {
        account: "newcomer".parse().unwrap(),
        class: Class::OnDemand,
        end: End::After(horizon),
        ..gang_asks(shape, within)
    }
}

/// How many there are until one waits.
fn by_letting_them(fleet: &Twice, request: &Request, policy: &Policy, now: Timestamp) -> u32 {
    let mut fleet = fleet.clone();
    let mut leases = 0;
    while let Some(plan) = plan(&fleet.cell, request, policy, now).plan() {
        let lease = fleet.next_lease();
        fleet.book(plan.booking(lease, request)).unwrap();
        leases += 1;
    }
    leases
}

proptest! {
    #[test]
    fn surplus_is_what_can_be_let_until_there_is_no_more(
        ops in prop::collection::vec(op(), 0..40),
        policy in policy(),
        steps in 1..20_u64,
    ) {
        let (mut fleet, now) = played_by(ops, &policy);
        fleet.note_passes();
        let horizon = Span::from_mins(5 * steps);
        let has = surplus(&fleet.cell, &policy, now, horizon);
        let kept = policy.floors.iter().chain(&policy.ceilings);
        let kept = kept.filter(|share| share.sku.as_str() == "h200").count();
        let watts = fleet.plain.budgets.len();
        for row in has.rows.iter().filter(|row| row.sku.as_str() == "h200") {
            let request = one_of(row, horizon);
            let let_out = by_letting_them(&fleet, &request, &policy, now);
            let is_washed = !policy.sanitising_per_hour.is_empty();
            if is_washed {
                // Each is taken to be cleaned after all others.
                prop_assert!(kept > 0 || row.leases <= let_out, "{:?} {}", row, let_out);
            } else if kept == 0 {
                prop_assert_eq!(row.leases, let_out, "{:?}", row);
            } else if watts == 0 && row.shape != SurplusShape::Racks {
                // Who asks again and again enters domains in another order.
                prop_assert!(row.leases >= let_out, "{:?} {}", row, let_out);
            }
            if row.shape == SurplusShape::Nodes {
                // All of them together are one placement, and where one kind of thing is short no
                // placement has more.
                let all = |count| Request {
                    shape: Shape::nodes(count),
                    ..request.clone()
                };
                let can = |count| any_placement(&fleet.plain, &all(count), &policy, now, now);
                prop_assert!(row.leases == 0 || can(row.leases));
                let may_be_more = is_washed || (kept > 0 && watts > 0) || kept > 1;
                prop_assert!(may_be_more || !can(row.leases + 1));
            }
        }
    }
}
