//! Whose leases would be taken back: stories, and every set there is as the oracle.

use crate::fleet::{POLICY, Twice, asks, gang_asks, hour, share};
use crate::happenings::{op, played_by, request};
use crate::houses::policy;
use leasehold_common::class::{Class, Side};
use leasehold_common::explain::Reclaim;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::Shape;
use leasehold_common::policy::{Policy, ReclaimTerms};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use leasehold_placement::{Booked, Decision, Request, plan, victims};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The policy of the stories, with the classes that may be reclaimed and how long they run first.
fn reclaiming(policy: Policy) -> Policy {
    let terms = |minutes| ReclaimTerms {
        min_run: Span::from_mins(minutes),
    };
    Policy {
        reclaim: [
            (Class::OnDemand, terms(60)),
            (Class::InternalBatch, terms(10)),
            (Class::Spot, terms(0)),
        ]
        .into(),
        ..policy
    }
}

/// A lease of a class for ten hours.
fn of_class(class: Class, account: &str, shape: Shape) -> Request {
    Request {
        account: account.parse().unwrap(),
        class,
        end: leasehold_placement::End::After(Span::from_hours(10)),
        ..asks(shape)
    }
}

fn critical(shape: Shape, within: Locality) -> Request {
    Request {
        account: "research".parse().unwrap(),
        class: Class::InternalCritical,
        ..gang_asks(shape, within)
    }
}

fn ids(reclaim: &Reclaim) -> Vec<u64> {
    reclaim
        .victims
        .iter()
        .map(|victim| victim.lease.0)
        .collect()
}

#[test]
fn a_rack_gang_takes_back_the_spot_rack_and_not_the_sold_one() {
    let mut fleet = Twice::hgx(3, 2);
    for (node, class) in [
        (0, Class::OnDemand),
        (1, Class::OnDemand),
        (2, Class::Committed),
        (3, Class::Spot),
        (4, Class::Spot),
        (5, Class::Spot),
    ] {
        fleet.lease_on(node, 8, &of_class(class, "globex", Shape::gpus(8)));
    }
    let wanted = critical(Shape::nodes(2), Locality::Rack);
    let found = victims(&fleet.cell, &wanted, &reclaiming(POLICY), hour(2)).unwrap();
    assert_eq!(ids(&found), [5, 6]);
    assert_eq!(found.nodes.to_string(), "4-5");
    // Ten minutes' notice and ten of turnaround.
    assert_eq!(found.from, hour(2) + Span::from_mins(20));
    assert_eq!(found.victims[0].ends, hour(2) + Span::from_mins(10));
}

#[test]
fn what_is_sold_on_demand_goes_only_where_nothing_worse_would_do_and_is_told_two_hours_before() {
    let mut fleet = Twice::hgx(1, 2);
    fleet.lease_on(0, 8, &of_class(Class::OnDemand, "globex", Shape::gpus(8)));
    fleet.lease_on(1, 8, &of_class(Class::Spot, "acme", Shape::gpus(8)));
    let policy = reclaiming(POLICY);
    let now = hour(1);
    let one = victims(
        &fleet.cell,
        &critical(Shape::nodes(1), Locality::Cell),
        &policy,
        now,
    );
    assert_eq!(ids(&one.unwrap()), [2]);
    let both = critical(Shape::nodes(2), Locality::Cell);
    let found = victims(&fleet.cell, &both, &policy, now).unwrap();
    assert_eq!(
        (ids(&found), found.from),
        (vec![1, 2], now + Span::from_mins(130))
    );
    let too_young = now - Span::from_mins(1);
    assert_eq!(victims(&fleet.cell, &both, &policy, too_young), None);
}

#[test]
fn no_class_takes_back_its_own_kind_or_better() {
    let mut fleet = Twice::hgx(1, 1);
    fleet.lease_on(0, 8, &of_class(Class::OnDemand, "globex", Shape::gpus(8)));
    let wanted = asks(Shape::nodes(1));
    assert_eq!(
        victims(&fleet.cell, &wanted, &reclaiming(POLICY), hour(2)),
        None
    );
    let sold = Request {
        class: Class::Committed,
        ..wanted
    };
    assert!(victims(&fleet.cell, &sold, &reclaiming(POLICY), hour(2)).is_some());
    // What policy does not name stays.
    assert_eq!(victims(&fleet.cell, &sold, &POLICY, hour(2)), None);
}

#[test]
fn a_whole_domain_is_taken_from_its_one_lease_rather_than_from_three() {
    let mut fleet = Twice::nvl(2, 3);
    let spot = Request {
        sku: "gb200".parse().unwrap(),
        ..of_class(Class::Spot, "globex", Shape::gpus(4))
    };
    for node in 0..3 {
        fleet.lease_on(node, 4, &spot);
    }
    let gang = Request {
        shape: Shape::nodes(3),
        ..spot
    };
    let (_, placed) = fleet.place(&gang, hour(0));
    assert!(placed.plan().is_some());
    let wanted = Request {
        sku: "gb200".parse().unwrap(),
        ..critical(Shape::nodes(3), Locality::Domain)
    };
    let found = victims(&fleet.cell, &wanted, &reclaiming(POLICY), hour(1)).unwrap();
    assert_eq!(ids(&found), [4]);
    let loser = &found.runners_up[0];
    assert_eq!(loser.leases, [LeaseId(1), LeaseId(2), LeaseId(3)]);
    assert_eq!(loser.lost_by.as_str(), "leases");
}

#[test]
fn a_large_gang_takes_back_many_and_none_that_is_needless() {
    let mut fleet = Twice::hgx(5, 8);
    for node in 0..40 {
        let class = if node % 5 == 0 {
            Class::OnDemand
        } else {
            Class::Spot
        };
        fleet.lease_on(node, 8, &of_class(class, "globex", Shape::gpus(8)));
    }
    let wanted = critical(Shape::nodes(30), Locality::Cell);
    let found = victims(&fleet.cell, &wanted, &reclaiming(POLICY), hour(2)).unwrap();
    assert_eq!(found.victims.len(), 30);
    assert!(
        found
            .victims
            .iter()
            .all(|victim| victim.class == Class::Spot)
    );
}

#[test]
fn where_the_house_keeps_its_floor_the_other_side_takes_back_nothing() {
    let mut fleet = Twice::hgx(1, 2);
    let batch = Request {
        account: "research".parse().unwrap(),
        ..of_class(Class::InternalBatch, "research", Shape::gpus(8))
    };
    fleet.lease_on(0, 8, &batch);
    fleet.lease_on(1, 8, &batch);
    let sold = Request {
        class: Class::Committed,
        ..asks(Shape::nodes(1))
    };
    let kept = |nodes| Policy {
        floors: vec![share(Side::Internal, "h200", None, Some(nodes))],
        ..reclaiming(POLICY)
    };
    assert_eq!(victims(&fleet.cell, &sold, &kept(2), hour(1)), None);
    assert!(victims(&fleet.cell, &sold, &kept(1), hour(1)).is_some());
}

/// When a class that is told at `now` has left its hardware.
fn start_after(class: Class, request: &Request, policy: &Policy, now: Timestamp) -> Timestamp {
    let gone = now + class.notice() + policy.turnaround;
    request.start.map_or(gone, |start| start.max(gone))
}

/// The first start for which any legal set suffices, and of those sets the best as far as classes
/// and numbers go.
fn by_trying_all(
    fleet: &Twice,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
) -> Option<(Timestamp, [usize; 3])> {
    let may_go = |booked: &&Booked| {
        let booking = &booked.booking;
        let terms = policy.reclaim.get(&booking.class);
        booking.class > request.class
            && ![Class::Committed, Class::InternalCritical].contains(&booking.class)
            && !booked.awaiting_return
            && booking.from <= now
            && booking
                .to
                .is_none_or(|to| to > now + booking.class.notice())
            && terms.is_some_and(|terms| booking.from + terms.min_run <= now)
    };
    let legal: Vec<_> = fleet.plain.bookings.iter().filter(may_go).collect();
    for class in [Class::Spot, Class::OnDemand] {
        let start = start_after(class, request, policy, now);
        let told: Vec<_> = legal
            .iter()
            .filter(|booked| booked.booking.class.notice() <= class.notice())
            .filter(|booked| {
                // What is over by then may still wait to be cleaned.
                let to = booked
                    .booking
                    .to
                    .filter(|_| policy.sanitising_per_hour.is_empty());
                to.is_none_or(|to| to + policy.turnaround > start)
            })
            .collect();
        let mut best: Option<[usize; 3]> = None;
        for set in 0..1_u32 << told.len() {
            let gone: Vec<_> = told
                .iter()
                .enumerate()
                .filter(|(at, _)| set >> at & 1 == 1)
                .map(|(_, booked)| &booked.booking)
                .collect();
            let number = |class| gone.iter().filter(|b| b.class == class).count();
            let harm = [
                number(Class::OnDemand),
                number(Class::InternalBatch),
                gone.len(),
            ];
            if best.is_some_and(|best| best <= harm) {
                continue;
            }
            let mut cell = fleet.cell.clone();
            gone.iter().for_each(|booking| cell.unbook(booking.lease));
            let then = Request {
                start: Some(start),
                ..request.clone()
            };
            if plan(&cell, &then, policy, now).plan().is_some() {
                best = Some(harm);
            }
        }
        if let Some(best) = best {
            return Some((start, best)).filter(|(_, [.., leases])| *leases > 0);
        }
    }
    None
}

proptest! {
    #[test]
    fn what_is_taken_back_may_be_suffices_and_is_the_least(
        ops in prop::collection::vec(op(), 0..40),
        wanted in request(),
        best_class in any::<bool>(),
        policy in policy(),
    ) {
        let (fleet, now) = played_by(ops, &policy);
        let policy = reclaiming(policy);
        let wanted = Request {
            class: match wanted.class {
                Class::InternalBatch => Class::InternalCritical,
                Class::OnDemand if best_class => Class::Committed,
                class => class,
            },
            ..wanted
        };
        let found = victims(&fleet.cell, &wanted, &policy, now);
        let waits = matches!(plan(&fleet.cell, &wanted, &policy, now), Decision::Wait { .. });
        let expected = by_trying_all(&fleet, &wanted, &policy, now).filter(|_| waits);
        let said = found.as_ref().map(|found| {
            let harm = |at: usize| usize::try_from(found.harm[at].1).unwrap();
            (found.from, [harm(0), harm(1), harm(2)])
        });
        prop_assert_eq!(said, expected);
        if let Some(found) = found {
            let set: BTreeSet<u64> = ids(&found).into_iter().collect();
            prop_assert_eq!(set.len(), found.victims.len());
            for loser in &found.runners_up {
                let harm: Vec<i64> = loser.harm.iter().map(|(_, n)| *n).collect();
                let best: Vec<i64> = found.harm.iter().map(|(_, n)| *n).collect();
                prop_assert!(harm >= best);
            }
        }
    }
}
