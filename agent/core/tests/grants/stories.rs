//! The grant rules, one story each.

use crate::node::{Node, at, end, gpu, grant, sealed};
use leasehold_agent_core::grants::{ENDED_MAX, Entry, GrantBook, Step};
use leasehold_common::grant::{AckState, GrantedSlice, RefusalReason, SealedGrant};
use leasehold_common::ids::{Epoch, Generation, LeaseId, Term};
use std::collections::BTreeMap;

const L: LeaseId = LeaseId(17);

#[test]
fn a_lease_is_kept_before_its_environment_is_written() {
    let mut node = Node::new();
    let steps = node.receive(&[grant(17, 1, &[0, 1], 10, Some(100))], 10);
    assert_eq!(steps, [Step::Keep(L), Step::WriteEnv(L)]);
    assert_eq!(node.ack(17).state, AckState::Serving);
}

#[test]
fn a_lease_waits_for_its_start_and_ends_by_the_clock() {
    let mut node = Node::new();
    let steps = node.receive(&[grant(17, 1, &[0], 10, Some(100))], 5);
    assert_eq!(steps, [Step::Keep(L)]);
    assert_eq!(node.ack(17).state, AckState::Accepted);
    assert_eq!(node.book.next_wake(at(5)), Some(at(10)));

    assert_eq!(node.decide(10), [Step::Keep(L), Step::WriteEnv(L)]);
    assert_eq!(node.book.next_wake(at(10)), Some(at(100)));

    assert_eq!(node.decide(100), [Step::RemoveEnv(L), Step::Retire(L)]);
    assert_eq!(node.ack(17).state, AckState::Returned);
    assert_eq!(node.book.next_wake(at(100)), None);
}

#[test]
fn a_lease_ends_by_the_clock_though_nothing_was_ever_received() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 0, Some(100))], 0);
    node.received = None;
    assert_eq!(node.decide(99), []);
    assert_eq!(node.decide(100), [Step::RemoveEnv(L), Step::Retire(L)]);
}

#[test]
fn absence_of_a_grant_orders_nothing() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 0, None)], 0);
    assert_eq!(node.receive(&[], 5), []);
    assert_eq!(node.ack(17).state, AckState::Serving);
}

#[test]
fn newer_terms_move_the_end_either_way() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 0, Some(100))], 0);
    node.receive(&[grant(17, 2, &[0], 0, Some(200))], 50);
    assert_eq!(node.decide(150), []);
    node.receive(&[grant(17, 3, &[0], 0, Some(160))], 155);
    assert_eq!(node.ack(17).state, AckState::Serving);
    node.decide(160);
    assert_eq!(node.ack(17).state, AckState::Returned);
    assert_eq!(node.ack(17).term.generation, Generation(3));
}

#[test]
fn an_order_to_end_ends_at_once_and_is_answered_even_for_a_lease_never_seen() {
    let mut node = Node::new();
    let lease = grant(17, 1, &[0], 0, None);
    node.receive(std::slice::from_ref(&lease), 0);
    let steps = node.receive(&[end(&lease, 2)], 1);
    assert_eq!(steps, [Step::RemoveEnv(L), Step::Retire(L)]);
    assert_eq!(node.ack(17).term.generation, Generation(2));

    let other = grant(18, 1, &[0], 0, None);
    node.receive(&[end(&lease, 2), end(&other, 2)], 2);
    assert_eq!(node.ack(18).state, AckState::Returned);
}

#[test]
fn an_answer_is_kept_until_the_grant_is_gone_and_the_lease_never_serves_again() {
    let mut node = Node::new();
    let lease = grant(17, 1, &[0], 0, Some(100));
    node.receive(std::slice::from_ref(&lease), 0);
    node.decide(100);
    assert_eq!(node.states(), BTreeMap::from([(17, AckState::Returned)]));
    node.receive(&[], 110);
    assert_eq!(node.states(), BTreeMap::new());

    // The store was restored from the past, and a clock was set back.
    node.receive(std::slice::from_ref(&lease), 50);
    assert_eq!(node.ack(17).state, AckState::Returned);
    // An extension that came too late is answered with its own terms.
    node.receive(&[grant(17, 2, &[0], 0, Some(500))], 120);
    assert_eq!(node.ack(17).state, AckState::Returned);
    assert_eq!(node.ack(17).term.generation, Generation(2));
}

#[test]
fn slices_of_one_gpu_are_in_several_leases_and_the_gpu_whole_in_none() {
    let sliced = |lease, start| {
        let mut grant = grant(lease, 1, &[0], 0, None);
        grant.slices = vec![GrantedSlice {
            gpu: gpu(0),
            profile: "3g.71gb".parse().unwrap(),
            start,
        }];
        grant.requires = vec!["mig".into()];
        grant
    };
    let mut node = Node::new();
    node.received = Some(sealed(&[
        sliced(1, 0),
        sliced(2, 4),
        sliced(3, 4),
        grant(4, 1, &[0], 0, None),
    ]));
    node.decide(0);
    let serving: Vec<_> = node.book.serving().map(|(lease, _)| lease.0).collect();
    assert_eq!(serving, [1, 2]);
}

#[test]
fn newer_terms_with_fewer_gpus_are_followed_and_what_was_used_before_is_counted() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0, 1, 2, 3], 0, None)], 0);
    let fewer = grant(17, 2, &[2, 3], 0, None);
    let steps = node.receive(std::slice::from_ref(&fewer), 100);
    let lease = LeaseId(17);
    assert_eq!(steps, [Step::Keep(lease), Step::WriteEnv(lease)]);
    let ack = node.ack(17);
    assert_eq!(
        (ack.state, ack.term.generation),
        (AckState::Serving, Generation(2))
    );
    assert_eq!(ack.meter.gpu_seconds, 400, "four GPUs for 100 s");
    assert_eq!(
        node.book.serving_gpus(),
        [gpu(2), gpu(3)].into_iter().collect()
    );
    // What was given up is somebody else's, and can be given up in part by one who has not begun.
    let other = grant(18, 1, &[0, 1], 0, None);
    node.receive(&[fewer.clone(), other], 100);
    let later = grant(19, 1, &[4, 5], 500, None);
    node.receive(&[fewer.clone(), later], 150);
    node.receive(&[fewer, grant(19, 2, &[5], 500, None)], 200);
    node.decide(600);
    assert_eq!(
        node.book.serving_gpus(),
        [0, 1, 2, 3, 5].map(gpu).into_iter().collect()
    );
    node.book.count(at(600), |_| None);
    assert_eq!(node.ack(17).meter.gpu_seconds, 400 + 2 * 500);
}

#[test]
fn each_refusal_says_why() {
    let mut foreign_cell = grant(1, 1, &[0], 0, None);
    foreign_cell.cell = "c2".parse().unwrap();
    let mut foreign_node = grant(2, 1, &[0], 0, None);
    foreign_node.node = "h002".parse().unwrap();
    let unknown_gpu = grant(3, 1, &[9], 0, None);
    let mut needs_more = grant(4, 1, &[0], 0, None);
    needs_more.requires.push("teleport".into());
    let occupied = grant(5, 1, &[5], 0, None);

    let mut node = Node::new();
    node.occupied.insert(gpu(5));
    let mut received = sealed(&[
        foreign_cell,
        foreign_node,
        unknown_gpu,
        needs_more,
        occupied,
    ]);
    let unreadable = SealedGrant {
        key_id: None,
        payload: "{}".into(),
        sig: None,
    };
    received.insert(LeaseId(6), unreadable);
    node.received = Some(received);
    assert_eq!(node.decide(0), []);

    let refusals: Vec<_> = node
        .book
        .acks()
        .values()
        .map(|ack| {
            assert_eq!(ack.state, AckState::Refused);
            assert!(!ack.detail.is_empty());
            ack.refused.clone().unwrap()
        })
        .collect();
    assert_eq!(
        refusals,
        [
            RefusalReason::ForeignCell,
            RefusalReason::ForeignNode,
            RefusalReason::UnknownGpu,
            RefusalReason::UnknownRequirement,
            RefusalReason::Occupied,
            RefusalReason::Unreadable,
        ]
    );
}

#[test]
fn a_refusal_is_tried_again_with_every_decision() {
    let mut node = Node::new();
    node.occupied.insert(gpu(0));
    node.receive(&[grant(17, 1, &[0], 0, None)], 0);
    assert_eq!(node.ack(17).state, AckState::Refused);
    node.occupied.clear();
    node.decide(1);
    assert_eq!(node.ack(17).state, AckState::Serving);
}

#[test]
fn older_terms_are_refused_and_what_is_served_is_still_said_to_be_served() {
    let mut node = Node::new();
    node.receive(&[grant(17, 5, &[0], 0, Some(100))], 0);
    node.receive(&[grant(17, 4, &[0], 0, Some(10))], 1);
    let ack = node.ack(17);
    assert_eq!(ack.state, AckState::Serving);
    assert_eq!(ack.term.generation, Generation(5));
    assert_eq!(ack.refused, Some(RefusalReason::OldTerm));
}

#[test]
fn a_higher_epoch_is_newer_and_remembered() {
    let mut node = Node::new();
    node.receive(&[grant(17, 900, &[0], 0, Some(100))], 0);
    let mut recovered = grant(17, 1, &[0], 0, Some(50));
    recovered.term = Term {
        epoch: Epoch(2),
        generation: Generation(1),
    };
    node.receive(&[recovered], 1);
    assert_eq!(node.book.epoch(), Epoch(2));
    node.decide(50);
    assert_eq!(node.ack(17).state, AckState::Returned);
}

#[test]
fn a_gpu_is_promised_once_at_a_time() {
    let mut node = Node::new();
    let first = grant(17, 1, &[0, 1], 0, Some(100));
    let clash = grant(18, 1, &[1, 2], 99, Some(200));
    let after = grant(19, 1, &[0, 1], 100, Some(200));
    node.receive(&[first, clash, after], 0);
    assert_eq!(node.ack(18).refused, Some(RefusalReason::Overlap));
    assert_eq!(node.ack(19).state, AckState::Accepted);
    node.decide(100);
    assert_eq!(node.ack(17).state, AckState::Returned);
    assert_eq!(node.ack(19).state, AckState::Serving);
}

#[test]
fn an_end_makes_room_for_what_arrives_with_it() {
    let mut node = Node::new();
    let first = grant(17, 1, &[0], 0, None);
    node.receive(std::slice::from_ref(&first), 0);
    // The newcomer has the lower number, and would be looked at first.
    node.receive(&[grant(3, 1, &[0], 5, None), end(&first, 2)], 5);
    assert_eq!(node.ack(17).state, AckState::Returned);
    assert_eq!(node.ack(3).state, AckState::Serving);
}

#[test]
fn a_clock_set_back_lets_nobody_in_beside_a_lease_being_served() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 100, Some(200))], 100);
    node.received = Some(sealed(&[
        grant(17, 1, &[0], 100, Some(200)),
        grant(18, 1, &[0], 10, Some(90)),
    ]));
    node.decide(20);
    assert_eq!(node.ack(17).state, AckState::Serving);
    assert_eq!(node.ack(18).refused, Some(RefusalReason::Overlap));
}

#[test]
fn an_accepted_lease_does_not_begin_beside_a_process_that_nobody_explains() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 10, Some(100))], 0);
    node.occupied.insert(gpu(0));
    assert_eq!(node.decide(10), []);
    let ack = node.ack(17);
    assert_eq!(ack.state, AckState::Accepted);
    assert_eq!(ack.refused, Some(RefusalReason::Occupied));
    // Its end is waited for, not its start, which has passed.
    assert_eq!(node.book.next_wake(at(10)), Some(at(100)));

    node.occupied.clear();
    node.decide(20);
    assert_eq!(node.ack(17).refused, None);
    assert_eq!(node.ack(17).state, AckState::Serving);
}

#[test]
fn an_extension_is_taken_though_a_gpu_was_lost() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 0, Some(100))], 0);
    let mut book = GrantBook::restored(
        node.book
            .live()
            .map(|(lease, entry)| (lease, entry.clone()))
            .collect(),
        BTreeMap::new(),
    );
    std::mem::swap(&mut node.book, &mut book);
    node.receive(&[grant(17, 2, &[0], 0, Some(300))], 50);
    assert_eq!(node.ack(17).term.generation, Generation(2));
}

#[test]
fn a_crash_between_the_two_writes_of_an_end_is_an_end() {
    let mut node = Node::new();
    node.receive(&[grant(17, 1, &[0], 0, Some(100))], 0);
    let live: BTreeMap<LeaseId, Entry> = node.book.live().map(|(l, e)| (l, e.clone())).collect();
    node.decide(100);
    let back = GrantBook::restored(live, node.book.ended().clone());
    assert_eq!(back.live().count(), 0);
}

#[test]
fn the_memory_of_ended_leases_is_bounded() {
    let mut node = Node::new();
    let many = u64::try_from(ENDED_MAX).unwrap() + 50;
    for lease in 1..=many {
        node.receive(&[end(&grant(lease, 1, &[0], 0, None), 2)], 0);
    }
    node.receive(&[], 0);
    assert_eq!(node.book.ended().len(), ENDED_MAX);
    assert!(node.book.ended().contains_key(&LeaseId(many)));
}
