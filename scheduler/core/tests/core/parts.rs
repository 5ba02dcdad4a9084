//! Leases of GPUs and slices that go on with fewer of them.

use crate::fixture::{Cell, MORNING, gpu, gpus, minutes, node, nodes, wish};
use leasehold_common::api::{CreateLease, ProblemCode, ShrinkLease};
use leasehold_common::grant::{AckState, Order};
use leasehold_common::ids::{GpuUuid, LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseState as S, SegmentReason, Shape};
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View, Write};

fn keep_gpus(id: LeaseId, gpus: u32) -> Command {
    let wish = ShrinkLease {
        gpus: Some(gpus),
        ..ShrinkLease::default()
    };
    Command::ShrinkLease(id, wish)
}

fn slices(wanted: &[(&str, u32)]) -> Shape {
    let each = wanted
        .iter()
        .map(|(name, count)| (name.parse().unwrap(), *count));
    Shape::slices(each)
}

fn keep_slices(id: LeaseId, wanted: &[(&str, u32)]) -> Command {
    let each = wanted
        .iter()
        .map(|(name, count)| (name.parse().unwrap(), *count));
    let wish = ShrinkLease {
        slices: Some(each.collect()),
        ..ShrinkLease::default()
    };
    Command::ShrinkLease(id, wish)
}

/// The GPUs that a node is told to serve to a lease, and by which generation of its terms.
fn granted(cell: &Cell, n: u32, id: LeaseId) -> (Vec<GpuUuid>, u64) {
    let grants = cell.state.grants_of(NodeIndex(n)).unwrap();
    let grant = grants.grants[&id].open().unwrap();
    assert_eq!(grant.order, Order::Serve);
    (grant.gpus, grant.term.generation.0)
}

fn used_gpus(cell: &Cell, account: &str) -> u64 {
    match cell.query(&Query::Account(account.parse().unwrap())) {
        View::Account(account) => account.used_gpus,
        other => panic!("{other:?}"),
    }
}

/// A lease of `acme` that is used.
fn active(cell: &mut Cell, shape: Shape) -> LeaseId {
    let id = cell.lease(wish(shape));
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Active);
    id
}

#[test]
fn gpus_given_up_are_free_once_the_node_follows_and_not_before() {
    let mut cell = Cell::of(1);
    let id = active(&mut cell, gpus(8));
    let waits = cell.lease(wish(gpus(4)));
    assert_eq!(cell.state_of(waits), S::Requested);
    let (_, before) = granted(&cell, 0, id);
    cell.pass(minutes(1));
    let said_before = cell.obedient(0);
    cell.ask_as("s1", keep_gpus(id, 4)).unwrap();
    assert!(cell.ask_as("s1", keep_gpus(id, 4)).unwrap().replayed);

    let view = cell.view(id);
    assert_eq!((view.state, view.gpu_count), (S::Active, 4));
    assert_eq!(view.shape, gpus(4));
    assert_eq!(view.segments[1].reason, SegmentReason::Shrunk);
    assert_eq!(view.segments[1].gpus[&node(0)].to_string(), "0-3");
    assert_eq!(view.gpus_leaving[&node(0)].to_string(), "4-7");
    let (told, after) = granted(&cell, 0, id);
    assert_eq!(told, [0, 1, 2, 3].map(|slot| gpu(0, slot)));
    assert!(after > before);

    // The node has said nothing, or still speaks of the old terms: the GPUs are nobody's.
    assert_eq!(used_gpus(&cell, "acme"), 8);
    cell.tell([Event::Acks(node(0), Some(Box::new(said_before)))]);
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.reload([0]);
    assert_eq!(cell.state_of(waits), S::Requested);
    assert!(!cell.view(id).gpus_leaving.is_empty());

    cell.agents_answer([0]);
    assert_eq!(cell.state_of(waits), S::Preparing);
    let (theirs, _) = granted(&cell, 0, waits);
    assert_eq!(theirs, [4, 5, 6, 7].map(|slot| gpu(0, slot)));
    assert!(cell.view(id).gpus_leaving.is_empty());
    assert_eq!(used_gpus(&cell, "acme"), 8);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(waits), S::Active);
    cell.reload([0]);
    assert_eq!(cell.state_of(id), S::Active);
    let words = cell.words(|record| record.subject.lease_id == Some(id));
    assert_eq!(
        words[words.len() - 2..],
        ["lease.shrunk ", "lease.progress shed"]
    );
}

#[test]
fn a_lease_that_shrinks_twice_gets_rid_of_all_of_it_at_once() {
    let mut cell = Cell::of(1);
    let id = active(&mut cell, gpus(8));
    cell.ask(keep_gpus(id, 4)).unwrap();
    cell.ask(keep_gpus(id, 1)).unwrap();
    cell.reload([0]);
    assert_eq!(cell.view(id).gpus_leaving[&node(0)].to_string(), "1-7");
    cell.agents_answer([0]);
    assert!(cell.view(id).gpus_leaving.is_empty());
    let whole = active(&mut cell, gpus(7));
    // What it has given up and got rid of is not its own a second time.
    let other = cell.lease(wish(gpus(1)));
    cell.ask(keep_gpus(whole, 3)).unwrap();
    assert_eq!(cell.view(whole).gpus_leaving[&node(0)].len(), 4);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(other), S::Preparing);
    cell.reload([0]);
}

#[test]
fn a_lease_that_ends_before_its_node_followed_gives_everything_back_at_once() {
    let mut cell = Cell::of(1);
    let id = active(&mut cell, gpus(8));
    let waits = cell.lease(wish(nodes(1)));
    cell.ask(keep_gpus(id, 2)).unwrap();
    cell.pass(minutes(180));
    assert_eq!(cell.state_of(id), S::Releasing);
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.reload([0]);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(id), S::Closed);
    assert_eq!(cell.state_of(waits), S::Preparing);
    cell.reload([0]);
    assert_eq!(used_gpus(&cell, "acme"), 8);
}

#[test]
fn a_lease_that_has_not_begun_gives_gpus_up_that_are_free_at_once() {
    let mut cell = Cell::of(1);
    let mut later = wish(gpus(8));
    later.start = Some(MORNING + minutes(60));
    let id = cell.lease(later);
    let long = CreateLease {
        length: Some(minutes(300)),
        ..wish(gpus(4))
    };
    let waits = cell.lease(long);
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.ask(keep_gpus(id, 4)).unwrap();
    assert!(cell.view(id).gpus_leaving.is_empty());
    assert_eq!(cell.state_of(waits), S::Preparing);
    cell.reload([0]);
}

#[test]
fn slices_given_up_are_free_once_the_node_follows() {
    let mut cell = Cell::of(1);
    let id = active(&mut cell, slices(&[("1g.18gb", 56)]));
    let waits = cell.lease(wish(gpus(2)));
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.ask(keep_slices(id, &[("1g.18gb", 42)])).unwrap();
    let view = cell.view(id);
    assert_eq!(view.shape, slices(&[("1g.18gb", 42)]));
    assert_eq!(view.slices[&node(0)].len(), 42);
    assert_eq!(view.gpus_leaving[&node(0)].to_string(), "6-7");
    cell.reload([0]);
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(waits), S::Preparing);
    let (theirs, _) = granted(&cell, 0, waits);
    assert_eq!(theirs, [6, 7].map(|slot| gpu(0, slot)));
    cell.reload([0]);
}

#[test]
fn slices_of_a_gpu_that_is_kept_are_free_for_other_slices() {
    let mut cell = Cell::of(1);
    let id = active(&mut cell, slices(&[("1g.18gb", 56)]));
    let waits = cell.lease(wish(slices(&[("2g.35gb", 1)])));
    cell.ask(keep_slices(id, &[("1g.18gb", 52)])).unwrap();
    assert_eq!(cell.state_of(waits), S::Requested);
    cell.reload([0]);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(waits), S::Preparing);
    cell.reload([0]);
}

#[test]
fn a_wish_for_fewer_that_makes_no_sense_is_refused_and_changes_nothing() {
    let mut cell = Cell::of(2);
    let some = active(&mut cell, gpus(3));
    let sliced = cell.lease(wish(slices(&[("1g.18gb", 2), ("2g.35gb", 1)])));
    let gang = cell.lease(wish(nodes(1)));
    let before: Vec<_> = cell.state.leases().cloned().collect();
    let mut refused = |command| {
        let problem = cell.ask(command).unwrap_err();
        (problem.code, problem.detail)
    };
    for (command, says) in [
        (keep_gpus(some, 0), "1 to 2"),
        (keep_gpus(some, 3), "1 to 2"),
        (keep_gpus(some, 300), "1 to 2"),
        (keep_slices(sliced, &[]), "none"),
        (keep_slices(sliced, &[("1g.18gb", 3)]), "2 x 1g.18gb"),
        (keep_slices(sliced, &[("3g.71gb", 1)]), "2 x 1g.18gb"),
        (
            keep_slices(sliced, &[("1g.18gb", 2), ("2g.35gb", 1)]),
            "2 x 1g.18gb",
        ),
    ] {
        let (code, detail) = refused(command);
        assert_eq!(code, ProblemCode::InvalidField, "{detail}");
        assert!(detail.contains(says), "{detail}");
    }
    for (command, says) in [
        (keep_gpus(gang, 1), "nodes or drop"),
        (keep_gpus(sliced, 1), "by slices, not by gpus"),
        (
            keep_slices(some, &[("1g.18gb", 1)]),
            "by gpus, not by slices",
        ),
    ] {
        let (code, detail) = refused(command);
        assert_eq!(code, ProblemCode::IllegalState, "{detail}");
        assert!(detail.contains(says), "{detail}");
    }
    let dry = Write {
        command: keep_gpus(some, 1),
        idempotency: None,
        dry_run: true,
        if_match: None,
    };
    match cell.write(dry).unwrap().view {
        View::Lease(lease) => {
            assert_eq!((lease.gpu_count, lease.shape), (1, gpus(1)));
            assert!(lease.envelope_watts < cell.view(some).envelope_watts);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cell.state.leases().cloned().collect::<Vec<_>>(), before);
}

#[test]
fn a_node_that_refuses_the_newer_terms_keeps_the_gpus_from_others() {
    let mut cell = Cell::of(1);
    let id = active(&mut cell, gpus(8));
    let waits = cell.lease(wish(gpus(4)));
    let mut said = cell.obedient(0);
    cell.ask(keep_gpus(id, 4)).unwrap();
    // It serves what it served before, and says why it does not follow.
    let entry = said.leases.get_mut(&id).unwrap();
    entry.refused = Some(leasehold_common::grant::RefusalReason::UnknownRequirement);
    assert_eq!(entry.state, AckState::Serving);
    cell.tell([Event::Acks(node(0), Some(Box::new(said)))]);
    assert_eq!(cell.state_of(waits), S::Requested);
    assert_eq!(cell.state_of(id), S::Active);
}
