//! When hardware is clean after a lease, where an hour has room for so many passes of cleaning.

use super::Fleet;
use crate::cell::Booked;
use crate::decision::Plan;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::Policy;
use leasehold_common::time::{Span, Timestamp};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000;

/// When cleaning begins after a booking on a node; absent where its end is open.
pub(super) fn begins(fleet: &Fleet, booked: &Booked, node: NodeIndex) -> Option<Timestamp> {
    let told = fleet.passes.get(&(booked.booking.lease, node)).copied();
    told.or(booked.booking.to)
}

/// When cleaning begins after the plan, node by node: one node after the other takes the first hour that
/// has room in every place above it, beside all that is booked.
pub(super) fn of_plan(
    fleet: &Fleet,
    policy: &Policy,
    plan: &Plan,
) -> BTreeMap<NodeIndex, Timestamp> {
    let mut mine = BTreeMap::new();
    let Some(end) = plan.end else {
        return mine;
    };
    for node in plan.nodes.iter() {
        let Some((spec, _)) = fleet.nodes.get(&node) else {
            continue;
        };
        let mut hour = end.unix_ms() / HOUR;
        let is_full = |hour: i64, mine: &BTreeMap<NodeIndex, Timestamp>| {
            let rates = policy.sanitising_per_hour.iter();
            let mut above = rates.filter(|(place, _)| place.holds(&spec.path));
            above.any(|(place, rate)| {
                let below = |node: &NodeIndex| {
                    let known = fleet.nodes.get(node);
                    known.is_some_and(|(spec, _)| place.holds(&spec.path))
                };
                let booked = fleet.passes.iter().map(|((_, node), at)| (node, at));
                let in_hour = booked
                    .chain(mine)
                    .filter(|(node, at)| at.unix_ms() / HOUR == hour && below(node));
                in_hour.count() >= *rate as usize
            })
        };
        while is_full(hour, &mine) {
            hour += 1;
        }
        let begins = Timestamp::EPOCH + Span::from_millis(hour.unsigned_abs() * 3_600_000);
        mine.insert(node, end.max(begins));
    }
    mine
}
