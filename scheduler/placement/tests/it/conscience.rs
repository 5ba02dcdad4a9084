//! The checker, shown plans that are wrong: a conscience that never speaks up checks nothing.

use crate::fleet::{POLICY, Twice, asks, hour};
use leasehold_common::lease::Shape;
use leasehold_common::time::Timestamp;
use leasehold_placement::checker::{Violation, violations};
use leasehold_placement::{Plan, plan};

/// What the checker says of a good plan that was tampered with.
fn said(tamper: impl FnOnce(&mut Plan)) -> Vec<Violation> {
    let fleet = Twice::hgx(1, 2);
    let request = asks(Shape::Gpus { count: 2 });
    assert_eq!(request.start, None);
    let decision = plan(&fleet.cell, &request, &POLICY, hour(5));
    let mut plan = decision.plan().expect("an empty fleet has room").clone();
    tamper(&mut plan);
    violations(&fleet.plain, &request, &POLICY, hour(5), &plan)
}

fn times(start: Timestamp, end: Option<Timestamp>) -> Violation {
    Violation::Times { start, end }
}

#[test]
fn a_good_plan_breaks_nothing() {
    assert_eq!(said(|_| {}), []);
}

#[test]
fn a_plan_that_begins_before_it_is_decided_is_told_even_where_no_start_was_asked_for() {
    let found = said(|plan| {
        plan.start = hour(4);
        plan.end = Some(hour(6));
    });
    assert_eq!(found, [times(hour(4), Some(hour(6)))]);
}

#[test]
fn a_plan_that_ends_elsewhere_or_never_is_told() {
    let late = said(|plan| plan.end = Some(hour(8)));
    assert_eq!(late, [times(hour(5), Some(hour(8)))]);
    let open = said(|plan| plan.end = None);
    assert_eq!(open, [times(hour(5), None)]);
}
