//! Slices of GPUs: where they go, why they wait, and who may be beside whom.

use crate::fleet::{POLICY, Twice, asks, hour, of, spec};
use crate::sides::apart;
use leasehold_common::class::Side;
use leasehold_common::explain::{Outcome, Reason, ScoreField};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Granularity, Isolation, Policy};
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Span;
use leasehold_placement::checker::violations;
use leasehold_placement::{Decision, End, Request, plan};
use proptest::prelude::*;

pub fn slices(wanted: &[(&str, u32)]) -> Shape {
    let each = wanted
        .iter()
        .map(|(name, count)| (name.parse().unwrap(), *count));
    Shape::slices(each)
}

/// HGX nodes whose GPUs can be partitioned.
pub fn sliceable(racks: u32, per_rack: u32) -> Twice {
    let mut fleet = Twice::hgx(racks, per_rack);
    let name = "h200".parse().unwrap();
    fleet.describe(SkuCatalogue::built_in().get(&name).unwrap().clone());
    fleet
}

fn on(decision: &Decision) -> Vec<String> {
    let plan = decision.plan().expect("placed");
    let on_nodes = plan.slices.iter();
    let each = on_nodes.flat_map(|(node, on)| on.iter().map(move |one| format!("n{node} {one}")));
    each.collect()
}

#[test]
fn the_fullest_gpu_is_filled_first_and_a_fresh_one_only_for_what_has_no_other_place() {
    let mut fleet = sliceable(1, 2);
    let (_, first) = fleet.place(&asks(slices(&[("3g.71gb", 1)])), hour(0));
    assert_eq!(on(&first), ["n0 3g.71gb at 4 of gpu 0"]);
    let (_, second) = fleet.place(&asks(slices(&[("1g.18gb", 2)])), hour(0));
    assert!(on(&second).iter().all(|one| one.ends_with("of gpu 0")));
    // A 4g has no place beside them; it is the first on another GPU of the same node.
    let (_, third) = fleet.place(&asks(slices(&[("4g.71gb", 1)])), hour(0));
    assert_eq!(on(&third), ["n0 4g.71gb at 0 of gpu 1"]);
    // To leases of whole GPUs both are taken.
    let (_, whole) = fleet.place(&asks(Shape::gpus(6)), hour(0));
    assert_eq!(whole.plan().unwrap().gpus[&NodeIndex(0)].to_string(), "2-7");
    let (_, node) = fleet.place(&asks(Shape::gpus(8)), hour(0));
    assert!(node.plan().unwrap().nodes.contains(NodeIndex(1)));
    fleet.cell.check();
}

#[test]
fn a_lease_of_slices_that_waits_says_why_and_until_when() {
    let mut fleet = sliceable(1, 1);
    for _ in 0..8 {
        let _ = fleet.place(&asks(slices(&[("4g.71gb", 1)])), hour(0));
    }
    let (_, decision) = fleet.place(&asks(slices(&[("7g.141gb", 1)])), hour(1));
    let Decision::Wait { earliest, why } = decision else {
        panic!("every GPU has slices: {decision:?}");
    };
    // The first leases end after two hours, and their hardware is clean ten minutes later.
    assert_eq!(earliest, Some(hour(2) + POLICY.turnaround));
    assert_eq!((why.evaluated, why.fit), (1, 0));
    let reasons: Vec<_> = why
        .reasons
        .iter()
        .map(|one| (one.reason.clone(), &*one.detail))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                Reason::Fragmented,
                "32 memory slices are free, up to 32 on one node, but not where 1 x 7g.141gb could be"
            ),
            (
                Reason::Capacity,
                "no node can give 1 x 7g.141gb; 1 that would do are held or booked"
            ),
        ]
    );
    assert!(!why.unblocked_by.is_empty());
}

#[test]
fn slices_on_a_node_that_both_sides_have_change_no_side() {
    let mut fleet = sliceable(1, 1);
    let policy = apart(Granularity::Gpu);
    fleet.adopt(&policy);
    fleet.lease_on(0, 1, &asks(Shape::gpus(1)));
    fleet.lease_on(0, 1, &of(Side::Internal, asks(Shape::gpus(1))));
    let changes = |shape: Shape| {
        let decision = plan(&fleet.cell, &asks(shape), &policy, hour(0));
        let winner = decision.why().winner.clone().unwrap();
        winner
            .score
            .iter()
            .find(|(field, _)| *field == ScoreField::SideChanges)
            .unwrap()
            .1
    };
    assert_eq!(changes(Shape::gpus(1)), 0);
    assert_eq!(changes(slices(&[("1g.18gb", 1)])), 0);
}

#[test]
fn slices_that_only_wait_for_an_hour_of_cleaning_are_told_so() {
    let mut fleet = sliceable(1, 2);
    let policy = Policy {
        sanitising_per_hour: [("hall-a".parse().unwrap(), 1)].into(),
        ..POLICY
    };
    fleet.adopt(&policy);
    let until = |to| Request {
        end: End::At(to),
        ..asks(slices(&[("1g.18gb", 1)]))
    };
    let then = Request {
        account: "globex".parse().unwrap(),
        start: Some(hour(3)),
        end: End::After(Span::from_hours(9)),
        ..asks(Shape::gpus(8))
    };
    fleet.lease_on(0, 8, &then);
    fleet.lease_on(1, 8, &of(Side::Internal, asks(Shape::gpus(8))));
    let late = hour(2) + Span::from_mins(20);
    let decision = plan(&fleet.cell, &until(late), &policy, hour(0));
    let reasons: Vec<_> = decision
        .why()
        .reasons
        .iter()
        .map(|one| &one.reason)
        .collect();
    assert!(reasons.contains(&&Reason::AwaitingCleanup), "{reasons:?}");
    let soon = plan(&fleet.cell, &until(hour(1)), &policy, hour(0));
    assert!(soon.plan().is_some());
}

#[test]
fn what_no_node_could_hold_is_never() {
    let fleet = sliceable(1, 1);
    for (shape, what) in [
        (
            slices(&[("7g.141gb", 9)]),
            "9 x 7g.141gb: no node of sku h200 with as many",
        ),
        (slices(&[("1g.5gb", 1)]), "gpus of sku h200 have 1g.18gb"),
        (slices(&[("1g.18gb", 0)]), "it asks for nothing"),
        (slices(&[]), "it asks for nothing"),
    ] {
        let decision = plan(&fleet.cell, &asks(shape), &POLICY, hour(0));
        let why = decision.why();
        assert_eq!(why.outcome, Outcome::Never, "{why:?}");
        assert!(
            why.reasons[0].detail.contains(what),
            "{}",
            why.reasons[0].detail
        );
    }
    // Nothing was said of how these GPUs are partitioned.
    let undescribed = Twice::hgx(1, 1);
    let decision = plan(
        &undescribed.cell,
        &asks(slices(&[("1g.18gb", 1)])),
        &POLICY,
        hour(0),
    );
    assert!(
        decision.why().reasons[0]
            .detail
            .ends_with("are not partitioned")
    );
}

#[test]
fn slices_of_several_accounts_are_together_only_where_policy_says_so() {
    let globex = |shape| Request {
        account: "globex".parse().unwrap(),
        ..asks(shape)
    };
    let one = || slices(&[("1g.18gb", 1)]);
    let mut fleet = sliceable(1, 2);
    let _ = fleet.place(&asks(one()), hour(0));
    let apart = plan(&fleet.cell, &globex(one()), &POLICY, hour(0));
    assert_eq!(on(&apart), ["n1 1g.18gb at 6 of gpu 0"]);

    let isolation = Isolation {
        mig_colocation: true,
        ..Isolation::default()
    };
    let together = Policy {
        isolation: [("h200".parse().unwrap(), isolation)].into(),
        ..POLICY
    };
    fleet.cell.adopt(&together);
    let decision = plan(&fleet.cell, &globex(one()), &together, hour(0));
    assert_eq!(on(&decision), ["n0 1g.18gb at 5 of gpu 0"]);
    let placed = decision.plan().unwrap();
    assert_eq!(
        violations(&fleet.plain, &globex(one()), &together, hour(0), placed),
        []
    );
    let broken = violations(&fleet.plain, &globex(one()), &POLICY, hour(0), placed);
    assert!(!broken.is_empty(), "the checker asks the policy too");

    // The other side never, and whole GPUs not either.
    let research = of(Side::Internal, asks(one()));
    let across = plan(&fleet.cell, &research, &together, hour(0));
    assert_eq!(
        across.plan().unwrap().nodes.iter().next(),
        Some(NodeIndex(1))
    );
    let whole = plan(&fleet.cell, &globex(Shape::gpus(1)), &together, hour(0));
    assert_eq!(
        whole.plan().unwrap().nodes.iter().next(),
        Some(NodeIndex(1))
    );
}

#[test]
fn a_slice_that_is_booked_for_later_is_kept_for_the_whole_window() {
    let mut fleet = sliceable(1, 1);
    for node_gpu in 1..8 {
        let _ = node_gpu;
        let _ = fleet.place(&asks(Shape::gpus(1)), hour(0));
    }
    let later = Request {
        start: Some(hour(1)),
        ..asks(slices(&[("4g.71gb", 1)]))
    };
    let (lease, booked) = fleet.place(&later, hour(0));
    assert_eq!(on(&booked), ["n0 4g.71gb at 0 of gpu 7"]);
    let long = asks(slices(&[("4g.71gb", 1)]));
    assert!(plan(&fleet.cell, &long, &POLICY, hour(0)).plan().is_none());
    let short = Request {
        end: End::After(Span::from_mins(50)),
        ..long.clone()
    };
    assert!(plan(&fleet.cell, &short, &POLICY, hour(0)).plan().is_some());
    let (_, beside) = fleet.place(&asks(slices(&[("3g.71gb", 1)])), hour(0));
    assert_eq!(on(&beside), ["n0 3g.71gb at 4 of gpu 7"]);
    // Both can go on, as neither is in the other's way.
    fleet.set_end(lease, Some(hour(9))).unwrap();
    fleet.cell.check();
}

#[test]
fn slices_of_a_full_gpu_draw_no_less_than_the_gpu() {
    let name = "h200".parse().unwrap();
    let sku = SkuCatalogue::built_in().get(&name).unwrap().clone();
    // Full by compute, full by memory though compute is left that nobody can have, and full by both.
    let full: [&[(&str, u32)]; 5] = [
        &[("1g.18gb", 7)],
        &[("1g.35gb", 4)],
        &[("3g.71gb", 2)],
        &[("4g.71gb", 1), ("3g.71gb", 1)],
        &[("7g.141gb", 1)],
    ];
    for cap in [None, Some(200), Some(333), Some(700)] {
        let whole = sku.envelope_capped(1, cap);
        for slices in full {
            let each = slices.iter().map(|(name, count)| {
                let parts = sku.parts_of(&name.parse().unwrap());
                sku.envelope_parts(parts, cap).0 * u64::from(*count)
            });
            let sum: u64 = each.sum();
            assert!(sum >= whole.0, "{slices:?} at {cap:?}");
            assert!(
                sum * 100 <= whole.0 * 108,
                "{slices:?} at {cap:?} is not much more"
            );
        }
    }
}

fn wish() -> impl Strategy<Value = Shape> {
    let names = [
        "1g.18gb",
        "1g.18gb+me",
        "1g.35gb",
        "2g.35gb",
        "3g.71gb",
        "4g.71gb",
        "7g.141gb",
    ];
    prop::collection::vec((prop::sample::select(names.to_vec()), 1..4_u32), 1..3)
        .prop_map(|wanted| slices(&wanted))
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_every_gpu_has_a_layout_that_can_be(
        steps in prop::collection::vec((wish(), any::<bool>(), 0..3_u64, 0..4_u64), 1..40),
    ) {
        let isolation = Isolation { mig_colocation: true, ..Isolation::default() };
        let together = Policy {
            isolation: [("h200".parse().unwrap(), isolation)].into(),
            ..POLICY
        };
        let mut fleet = Twice::default();
        let name = "h200".parse().unwrap();
        fleet.describe(SkuCatalogue::built_in().get(&name).unwrap().clone());
        for n in 0..3 {
            fleet.admit(n, spec(&format!("hall-a/row-1/rack-0/d{n}"), "h200", 2));
        }
        fleet.cell.adopt(&together);
        let mut now = hour(0);
        let mut leases = Vec::new();
        for (shape, other, later, passes) in steps {
            let account = if other { "globex" } else { "acme" };
            let request = Request {
                account: account.parse().unwrap(),
                start: (later > 0).then(|| now + Span::from_hours(later)),
                ..asks(shape)
            };
            let decision = plan(&fleet.cell, &request, &together, now);
            if let Some(plan) = decision.plan() {
                let broken = violations(&fleet.plain, &request, &together, now, plan);
                prop_assert!(broken.is_empty(), "{:?}", broken);
                let lease = fleet.next_lease();
                fleet.book(plan.booking(lease, &request)).unwrap();
                leases.push(lease);
            }
            now = now + Span::from_mins(20 * passes);
            fleet.cell.advance(now);
            if passes == 3 && !leases.is_empty() {
                fleet.unbook(leases.remove(0));
            }
            fleet.cell.check();
        }
    }
}
