//! Policies of every form.

use crate::fleet::POLICY;
use leasehold_common::class::Side;
use leasehold_common::policy::{Granularity, Isolation, Policy, Share};
use leasehold_common::topology::Prefix;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Floors and ceilings of every form, most of them slack.
pub fn policy() -> impl Strategy<Value = Policy> {
    let share = (
        prop::sample::select(vec![Side::Internal, Side::Tenant]),
        prop::option::of(0..5_u32),
        prop::option::of(0..3_u32),
    );
    let share = share.prop_map(|(side, nodes, domains)| Share {
        side,
        sku: "h200".parse().unwrap(),
        domains,
        nodes,
    });
    let shares = prop::collection::vec(share, 0..2);
    let none = prop::bool::weighted(0.6);
    let rules = (shares.clone(), shares, none, apart(), rates());
    rules.prop_map(|(floors, ceilings, none, apart, rates)| Policy {
        sanitising_per_hour: rates,
        floors: if none { Vec::new() } else { floors },
        ceilings: if none { Vec::new() } else { ceilings },
        ..apart
    })
}

/// So few passes an hour that they are often in the way, mostly none.
fn rates() -> impl Strategy<Value = BTreeMap<Prefix, u32>> {
    let places = vec!["", "hall-0", "hall-0/row-0", "hall-0/row-0/rack-1"];
    let place = prop::sample::select(places).prop_map(|place| place.parse().unwrap());
    prop_oneof![
        3 => Just(BTreeMap::new()),
        2 => prop::collection::btree_map(place, 1..4_u32, 1..3),
    ]
}

/// Hardware kept apart in every way there is, and nothing else.
pub fn apart() -> impl Strategy<Value = Policy> {
    let all = Granularity::ALL.to_vec();
    prop::sample::select(all).prop_map(|granularity| {
        let isolation = Isolation {
            granularity,
            ..Isolation::default()
        };
        Policy {
            isolation: [("h200".parse().unwrap(), isolation)].into(),
            ..POLICY
        }
    })
}

/// What it keeps apart and how it cleans, and nothing else of it.
pub fn only_apart(policy: &Policy) -> Policy {
    Policy {
        isolation: policy.isolation.clone(),
        sanitising_per_hour: policy.sanitising_per_hour.clone(),
        ..POLICY
    }
}
