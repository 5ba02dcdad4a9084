//! A lease from its request to its end.

use crate::fixture::{Cell, ack, gpus, minutes, node, nodes, wish};
use leasehold_common::api::{EndLease, ProblemCode};
use leasehold_common::class::Class;
use leasehold_common::grant::{AckState, Order, RefusalReason};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{ConditionKind, LeaseState as S};
use leasehold_common::node::{NodeState, StateReason};
use leasehold_common::time::Span;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View};

fn end(now: bool) -> EndLease {
    EndLease {
        now,
        confirm_gpus: None,
    }
}

#[test]
fn a_lease_is_prepared_served_ended_by_time_and_closed() {
    let mut cell = Cell::of(4);
    let id = cell.lease(wish(nodes(2)));
    assert_eq!(cell.state_of(id), S::Preparing);
    assert_eq!(cell.view(id).nodes, "h[000-001]");

    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Preparing, "one of two is not enough");
    cell.agents_answer([1]);
    assert_eq!(cell.state_of(id), S::Active);

    // A tenth of its term before its end.
    cell.pass(minutes(107));
    assert_eq!(cell.state_of(id), S::Active);
    cell.pass(minutes(1));
    assert_eq!(cell.state_of(id), S::Draining);
    cell.pass(minutes(12));
    assert_eq!(cell.state_of(id), S::Releasing);

    cell.agents_answer([0]);
    assert_eq!(
        cell.node_view(0).gpus_free,
        8,
        "back as soon as its own node says so"
    );
    assert_eq!(cell.node_view(1).gpus_free, 0);
    cell.agents_answer([1]);
    assert_eq!(cell.state_of(id), S::Closed);
    assert_eq!(
        cell.words(|r| r.subject.lease_id == Some(id)),
        [
            "placement.decided scheduled",
            "lease.state preparing",
            "lease.progress ready",
            "lease.state active",
            "lease.state draining",
            "lease.state releasing",
            "lease.progress returned",
            "lease.progress returned",
            "lease.state settling",
            "lease.state closed",
        ]
    );
    assert!(
        cell.state.grants_of(NodeIndex(0)).is_none(),
        "its tombstone is gone"
    );

    cell.pass(minutes(60 * 24 * 7));
    assert!(
        cell.state.lease(id).is_none(),
        "from here on only the log has it"
    );
}

#[test]
fn a_lease_booked_ahead_is_prepared_shortly_before_its_start() {
    let mut cell = Cell::of(1);
    let start = cell.now + minutes(60);
    let id = cell.lease(leasehold_common::api::CreateLease {
        start: Some(start),
        ..wish(gpus(2))
    });
    assert_eq!(cell.state_of(id), S::Scheduled);
    assert!(cell.state.grants_of(NodeIndex(0)).is_none());
    cell.pass(minutes(55));
    assert_eq!(cell.state_of(id), S::Preparing);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Preparing, "accepted is not served");
    cell.pass(minutes(5));
    assert!(
        cell.record(id)
            .conditions
            .contains_key(&ConditionKind::Delayed)
    );
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Active);
    assert!(cell.record(id).conditions.is_empty());
}

#[test]
fn ended_with_notice_it_runs_on_and_ended_now_it_does_not() {
    let mut cell = Cell::of(2);
    let polite = cell.lease(wish(nodes(1)));
    let abrupt = cell.lease(wish(nodes(1)));
    cell.agents_answer([0, 1]);

    cell.ask(Command::EndLease(abrupt, end(true))).unwrap();
    assert_eq!(cell.state_of(abrupt), S::Releasing);
    let grants = cell.state.grants_of(NodeIndex(1)).unwrap();
    let grant = grants.grants[&abrupt].open().unwrap();
    assert_eq!((grant.order, grant.term.generation.0), (Order::End, 2));

    cell.ask(Command::EndLease(polite, end(false))).unwrap();
    assert_eq!(cell.state_of(polite), S::Draining);
    let until = cell.record(polite).access_end;
    assert_eq!(until, Some(cell.now + Class::OnDemand.notice()));
    assert_eq!(
        cell.ask(Command::EndLease(abrupt, end(true)))
            .unwrap_err()
            .code,
        ProblemCode::IllegalState
    );
}

#[test]
fn a_lease_ended_before_its_start_can_be_loaded_again() {
    let mut cell = Cell::of(1);
    let start = cell.now + minutes(4);
    let id = cell.lease(leasehold_common::api::CreateLease {
        start: Some(start),
        ..wish(nodes(1))
    });
    assert_eq!(cell.state_of(id), S::Preparing);
    cell.ask(Command::EndLease(id, end(true))).unwrap();
    cell.reload([0]);
    assert_eq!(cell.state_of(id), S::Releasing);
    assert_eq!(cell.node_view(0).gpus_free, 0, "not back yet");
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Closed);
}

#[test]
fn an_end_that_comes_late_is_never_put_off() {
    let mut cell = Cell::of(1);
    let first = cell.lease(wish(nodes(1)));
    cell.agents_answer([0]);
    let start = cell.now + minutes(131);
    let second = cell.lease(leasehold_common::api::CreateLease {
        start: Some(start),
        ..wish(nodes(1))
    });
    assert_eq!(cell.state_of(second), S::Scheduled);
    // Nobody led for four hours, and the first thing the new leader hears is this.
    let promised = cell.record(first).access_end;
    cell.now = cell.now + minutes(240);
    cell.ask(Command::EndLease(first, end(true))).unwrap();
    assert_eq!(cell.record(first).access_end, promised);
    cell.reload([0]);
}

#[test]
fn part_of_a_lease_back_and_part_not_can_be_loaded_again() {
    let mut cell = Cell::of(2);
    let id = cell.lease(leasehold_common::api::CreateLease {
        length: Some(minutes(10)),
        ..wish(nodes(2))
    });
    cell.agents_answer([0, 1]);
    cell.pass(minutes(10));
    cell.agents_answer([0]);
    cell.reload([0, 1]);
    assert_eq!(
        (cell.node_view(0).gpus_free, cell.node_view(1).gpus_free),
        (8, 0)
    );
    assert_eq!(cell.state_of(id), S::Releasing);
}

#[test]
fn nodes_that_give_nothing_back_are_taken_out_and_the_lease_closes_without_them() {
    let mut cell = Cell::of(2);
    let id = cell.lease(leasehold_common::api::CreateLease {
        length: Some(minutes(10)),
        ..wish(nodes(2))
    });
    cell.agents_answer([0, 1]);
    cell.pass(minutes(10));
    cell.agents_answer([0]);
    cell.pass(minutes(20));
    assert_eq!(cell.state_of(id), S::Settling);
    let held = cell.node_view(1);
    assert_eq!(
        (held.state, held.reason),
        (NodeState::Quarantined, StateReason::NotReturned)
    );
    cell.pass(minutes(24 * 60));
    assert_eq!(cell.state_of(id), S::Closed);
    assert!(
        cell.record(id)
            .conditions
            .contains_key(&ConditionKind::MeterGap)
    );

    // The order to end it stays for as long as it takes, whoever leads.
    for _ in 0..2 {
        let grants = cell.state.grants_of(NodeIndex(1)).unwrap();
        assert_eq!(grants.grants[&id].open().unwrap().order, Order::End);
        assert_eq!(cell.node_view(1).leases, [id]);
        cell.reload([0, 1]);
        cell.pass(minutes(24 * 60 * 8));
    }
    cell.agents_answer([1]);
    assert_eq!(cell.node_view(1).state, NodeState::Available);
    assert_eq!(cell.node_view(1).gpus_free, 8);
    assert!(cell.state.lease(id).is_none(), "and now it is trimmed");
}

#[test]
fn a_node_that_two_leases_lost_can_be_taken_back_by_an_operator() {
    let mut cell = Cell::of(1);
    let short = |count| leasehold_common::api::CreateLease {
        length: Some(minutes(10)),
        ..wish(gpus(count))
    };
    let (one, two) = (cell.lease(short(2)), cell.lease(short(3)));
    cell.agents_answer([0]);
    cell.pass(minutes(10));
    cell.pass(minutes(20));
    assert_eq!(
        (cell.state_of(one), cell.state_of(two)),
        (S::Settling, S::Settling)
    );
    // While the agent says that it serves them, taking them back would take the order to end them
    // away from it.
    let admit = Command::AdmitNodes(leasehold_common::api::AdmitNodes {
        nodes: "h000".into(),
        reason: Some("wiped by hand".into()),
    });
    let refused = cell.ask(admit.clone()).unwrap_err();
    assert!(refused.allowed.unwrap().contains("serve nothing"));
    // It comes back without its disk, and does not read its grants yet.
    let mut acks = cell.obedient(0);
    acks.leases.clear();
    cell.tell([Event::Acks(node(0), Some(Box::new(acks)))]);
    cell.ask(admit).unwrap();
    assert_eq!(
        (cell.state_of(one), cell.state_of(two)),
        (S::Closed, S::Closed)
    );
    assert_eq!(cell.node_view(0).state, NodeState::Available);
    assert_eq!(cell.node_view(0).gpus_free, 8);
}

#[test]
fn a_grant_that_is_refused_ends_the_lease_and_waits_for_the_node_to_say_so() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(nodes(2)));
    let mut acks = cell.obedient(0);
    let refusal = acks.leases.get_mut(&id).unwrap();
    refusal.state = AckState::Refused;
    refusal.refused = Some(RefusalReason::Occupied);
    cell.tell([Event::Acks(node(0), Some(Box::new(acks)))]);
    assert_eq!(cell.state_of(id), S::Releasing);
    assert_eq!(cell.node_view(0).reason, StateReason::GrantRefused);
    let grants = cell
        .state
        .grants_of(NodeIndex(0))
        .expect("the order to end it");
    assert_eq!(grants.grants[&id].open().unwrap().order, Order::End);
    cell.agents_answer([0, 1]);
    assert_eq!(cell.state_of(id), S::Closed);
    assert_eq!(
        cell.node_view(0).state,
        NodeState::Quarantined,
        "until somebody looks"
    );
    assert_eq!(cell.node_view(1).state, NodeState::Available);
}

#[test]
fn a_refusal_that_comes_after_the_end_does_not_hold_up_the_others() {
    let mut cell = Cell::of(2);
    let id = cell.lease(leasehold_common::api::CreateLease {
        length: Some(minutes(10)),
        ..wish(nodes(2))
    });
    let (term, seq) = (cell.record(id).term, cell.record(id).term_seq);
    cell.pass(minutes(10));
    let mut acks = cell.obedient(0);
    acks.leases.insert(id, ack(term, seq, AckState::Refused));
    cell.tell([Event::Acks(node(0), Some(Box::new(acks)))]);
    cell.agents_answer([1]);
    assert_eq!(cell.node_view(1).gpus_free, 8);
}

#[test]
fn a_whole_gang_that_refuses_fits_into_one_commit() {
    let mut cell = Cell::of(200);
    let id = cell.lease(wish(nodes(200)));
    let refusals: Vec<Event> = (0..200)
        .map(|n| {
            let mut acks = cell.obedient(n);
            acks.leases.get_mut(&id).unwrap().state = AckState::Refused;
            Event::Acks(node(n), Some(Box::new(acks)))
        })
        .collect();
    cell.tell(refusals);
    assert_eq!(cell.state_of(id), S::Releasing);
    cell.agents_answer(0..200);
    assert_eq!(cell.state_of(id), S::Closed);
}

#[test]
fn a_whole_gang_that_comes_back_late_takes_several_commits() {
    let mut cell = Cell::of(150);
    let id = cell.lease(leasehold_common::api::CreateLease {
        length: Some(minutes(10)),
        ..wish(nodes(150))
    });
    cell.agents_answer(0..150);
    cell.pass(minutes(10));
    cell.pass(minutes(20));
    assert_eq!(cell.state_of(id), S::Settling);
    let back: Vec<Event> = (0..150)
        .map(|n| Event::Acks(node(n), Some(Box::new(cell.obedient(n)))))
        .collect();
    cell.tell(back);
    assert_eq!(cell.state_of(id), S::Closed);
    assert!((0..150).all(|n| cell.node_view(n).gpus_free == 8));
}

#[test]
fn ending_many_nodes_at_once_wants_the_number_of_gpus() {
    let mut cell = Cell::of(65);
    let id = cell.lease(wish(nodes(65)));
    cell.agents_answer(0..65);
    let refused = cell.ask(Command::EndLease(id, end(true))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::ConfirmationNeeded);
    assert_eq!(refused.field.as_deref(), Some("confirm_gpus"));
    assert_eq!(cell.state_of(id), S::Active);
    let confirmed = EndLease {
        now: true,
        confirm_gpus: Some(65 * 8),
    };
    cell.ask(Command::EndLease(id, confirmed)).unwrap();
    assert_eq!(cell.state_of(id), S::Releasing);
}

#[test]
fn a_lease_that_left_the_ledger_is_told_from_one_that_never_was() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(nodes(1)));
    cell.agents_answer(0..2);
    cell.ask(Command::EndLease(id, end(true))).unwrap();
    cell.agents_answer(0..2);
    assert_eq!(cell.state_of(id), S::Closed);
    let as_it_closed = cell.record(id).clone();
    let seen = cell.view(id);
    cell.pass(Span::from_hours(7 * 24));
    cell.tell([]);
    assert_eq!(cell.state.lease(id), None, "a week later");

    let asked = |query: Query| cell.state.look(&query, &crate::fixture::around(), cell.now);
    let gone = asked(Query::Explain(id)).unwrap_err();
    assert_eq!(gone.code, ProblemCode::LeaseLeftLedger);
    let never = asked(Query::Explain(id.next())).unwrap_err();
    assert_eq!(never.code, ProblemCode::UnknownLease);
    // Whoever finds its record in the log is shown the lease as it was.
    let past = |explained| Query::Past {
        lease: Box::new(as_it_closed.clone()),
        explained,
    };
    match asked(past(false)).unwrap() {
        View::Lease(lease) => assert_eq!(*lease, seen),
        other => panic!("{other:?}"),
    }
    match asked(past(true)).unwrap() {
        View::Explain(why) => assert!(why.explanation.is_some() && !why.node_names.is_empty()),
        other => panic!("{other:?}"),
    }
    let refused = cell.ask(Command::EndLease(id, end(true))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::LeaseLeftLedger);
}
