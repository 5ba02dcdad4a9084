//! A store that was restored from the past, a clock that is wrong.

use crate::fixture::{Cell, ack, gpus, minutes, node, nodes, settings, wish};
use leasehold_common::api::{ProblemCode, Recover};
use leasehold_common::grant::AckState;
use leasehold_common::ids::{Epoch, Generation, LeaseId, Seq, Term};
use leasehold_common::keys::Key;
use leasehold_common::lease::Digest;
use leasehold_common::log::Actor;
use leasehold_common::record;
use leasehold_common::time::Span;
use leasehold_core::command::{Command, Write};
use leasehold_core::{Effect, Event, Freeze, Loaded, RequestId, State, recover, step};
use std::collections::{BTreeMap, VecDeque};

fn load(stored: &BTreeMap<Key, Vec<u8>>) -> Loaded {
    let mut loaded = Loaded::default();
    for (key, value) in stored {
        loaded.take(key, value).unwrap();
    }
    loaded
}

fn operator() -> Actor {
    Actor {
        uid: 0,
        role: "owner".into(),
        request_id: "1".into(),
        idempotency_key: None,
    }
}

#[test]
fn terms_from_the_future_freeze_all_decisions_and_whoever_asks_is_told() {
    let mut cell = Cell::of(1);
    let id = cell.lease(wish(nodes(1)));
    let (stored, leases) = (cell.stored.clone(), cell.state.leases().count());
    let mut acks = cell.obedient(0);
    let term = Term {
        epoch: Epoch(1),
        generation: Generation(5),
    };
    acks.leases
        .insert(LeaseId(77), ack(term, Seq(9000), AckState::Serving));
    let asks = Event::Request {
        id: RequestId(900),
        actor: operator(),
        write: Box::new(Write {
            command: Command::CreateLease(wish(gpus(1))),
            idempotency: None,
            dry_run: false,
            if_match: None,
        }),
    };
    // Somebody asks in the same breath: what was decided for him is dropped, and he is told.
    let acks = Event::Acks(node(0), Some(Box::new(acks)));
    let mut events = VecDeque::from([asks, acks]);
    let frozen = step(&mut cell.state, &mut events, cell.now);
    assert!(frozen.batch.is_none());
    let Some(Freeze::StoreFromPast { differences }) = cell.state.frozen() else {
        panic!("it is frozen")
    };
    assert!(
        differences[0].contains("lease 77 from record 9000"),
        "{differences:?}"
    );
    let [
        Effect::Answer {
            id: RequestId(900),
            result,
        },
    ] = &frozen.effects[..]
    else {
        panic!("{:?}", frozen.effects)
    };
    assert_eq!(
        result.as_ref().as_ref().unwrap_err().code,
        ProblemCode::Frozen
    );

    let refused = cell.ask(Command::CreateLease(wish(gpus(1)))).unwrap_err();
    assert_eq!(
        (refused.code, refused.retryable),
        (ProblemCode::Frozen, true)
    );
    assert_eq!((&cell.stored, leases), (&stored, 1));
    assert!(
        cell.state
            .grants_of(leasehold_common::ids::NodeIndex(0))
            .is_some()
    );
    assert_eq!(
        cell.state.next_wake(),
        None,
        "lease {id} runs on by its own clock"
    );
}

#[test]
fn a_recovery_brings_back_what_the_log_has_and_uses_no_number_again() {
    let mut cell = Cell::of(3);
    let kept = cell.lease(wish(nodes(1)));
    let snapshot = cell.stored.clone();
    let at = cell.state.head().clone();
    cell.agents_answer([0]);
    let lost = cell.lease(wish(nodes(1)));
    let ended = cell.lease(wish(gpus(2)));
    cell.pass(minutes(1));
    let truth = cell.stored.clone();
    let head = cell.state.head().clone();

    // The snapshot is put back. This host's log and an agent know better.
    let mut loaded = load(&snapshot);
    let term = Term {
        epoch: Epoch(1),
        generation: Generation(1),
    };
    let mut acks = cell.obedient(2);
    acks.leases.insert(
        LeaseId(40),
        ack(term, Seq(head.seq.0 + 7), AckState::Serving),
    );
    loaded.acks.insert(node(2), acks);
    let differences = recover::differences(&loaded, Some((head.epoch, head.seq, head.log_hash)));
    assert_eq!(differences.len(), 2, "{differences:?}");

    let records: Vec<_> = cell
        .log
        .iter()
        .filter(|r| r.seq > at.seq)
        .cloned()
        .collect();
    let known = recover::Known {
        records: &records,
        log_head: (head.seq, head.log_hash),
    };
    let wish = Recover {
        reason: Some("disk died".into()),
    };
    let cell_name = settings().cell;
    let plan = recover::plan(&cell_name, &loaded, &known, &wish, &operator(), cell.now);
    assert_eq!(plan.report.unknown_leases, [node(2)]);
    assert!(plan.batch.head.epoch > head.epoch);
    assert_eq!(
        plan.batch.head.seq,
        Seq(head.seq.0 + 8),
        "after everything anybody has seen"
    );
    assert_eq!(plan.batch.head.next_lease, LeaseId(41));

    let mut restored = snapshot;
    for (key, value) in &plan.writes {
        match value {
            Some(value) => drop(restored.insert(key.clone(), value.to_string().into_bytes())),
            None => drop(restored.remove(key)),
        }
    }
    for id in [kept, lost, ended] {
        assert_eq!(
            restored[&Key::Lease(id)],
            truth[&Key::Lease(id)],
            "lease {id}"
        );
    }
    restored.insert(Key::Head, record::encode(&plan.batch.head));
    cell.stored = restored;
    cell.reload(0..3);
    assert!(cell.state.frozen().is_none());
    assert_eq!(cell.lease(crate::fixture::wish(gpus(1))), LeaseId(41));
    assert_eq!(cell.record(LeaseId(41)).term.epoch, plan.batch.head.epoch);
}

#[test]
fn a_log_that_agrees_with_the_ledger_shows_no_difference() {
    let cell = Cell::of(1);
    let head = cell.state.head();
    let loaded = load(&cell.stored);
    let log = |seq, hash| Some((head.epoch, Seq(seq), hash));
    assert!(
        recover::differences(&loaded, None).is_empty(),
        "a host without a log"
    );
    assert!(recover::differences(&loaded, log(head.seq.0, head.log_hash)).is_empty());
    assert!(
        recover::differences(&loaded, log(2, Digest::of(b"x"))).is_empty(),
        "it lags"
    );
    assert_eq!(
        recover::differences(&loaded, log(head.seq.0, Digest::of(b"x"))).len(),
        1
    );
    assert_eq!(
        recover::differences(&loaded, log(head.seq.0 + 1, Digest::of(b"x"))).len(),
        1
    );
}

#[test]
fn a_clock_behind_the_ledger_decides_nothing_until_everything_is_read_again() {
    let mut cell = Cell::of(1);
    let truth = cell.now;
    cell.now = truth - Span::from_secs(4);
    cell.lease(wish(gpus(1)));
    assert!(
        cell.state.head().now >= truth,
        "ledger time does not run backwards"
    );
    cell.now = truth - Span::from_secs(6);
    let refused = cell.ask(Command::CreateLease(wish(gpus(1)))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Frozen);
    assert!(refused.detail.contains("6s behind"), "{}", refused.detail);
    cell.now = truth;
    cell.ask(Command::CreateLease(wish(gpus(1)))).unwrap_err();
    cell.reload([0]);
    cell.lease(wish(gpus(1)));
}

#[test]
fn an_agent_that_serves_a_lease_nobody_gave_it_is_taken_out() {
    let mut cell = Cell::of(2);
    let id = cell.lease(wish(nodes(1)));
    let mut acks = cell.obedient(1);
    let lease = cell.record(id);
    acks.leases
        .insert(id, ack(lease.term, lease.term_seq, AckState::Serving));
    cell.tell([Event::Acks(node(1), Some(Box::new(acks)))]);
    let out = cell.node_view(1);
    assert_eq!(
        out.reason,
        leasehold_common::node::StateReason::UnknownLease
    );
}

#[test]
fn a_standby_follows_every_commit_to_the_same_state() {
    let mut cell = Cell::empty();
    let mut standby = State::new(settings());
    let mut seen: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
    let mut catch_up = |cell: &Cell| {
        let gone = seen.keys().filter(|key| !cell.stored.contains_key(key));
        let gone = gone.map(|key| (key.clone(), None));
        let new = cell
            .stored
            .iter()
            .filter(|(key, value)| seen.get(key) != Some(value));
        let new = new.map(|(key, value)| (key.clone(), Some(value.clone())));
        let changes: Vec<_> = gone.chain(new).collect();
        standby.follow_changes(&changes, cell.now).unwrap();
        seen.clone_from(&cell.stored);
        assert!(standby.leases().eq(cell.state.leases()));
        assert_eq!(standby.head(), cell.state.head());
    };
    cell.account("acme", leasehold_common::class::Side::Tenant, None);
    catch_up(&cell);
    cell.import(&crate::fixture::inventory(2)).unwrap();
    (0..2).for_each(|n| cell.agent_appears(n));
    catch_up(&cell);
    cell.lease(wish(nodes(2)));
    catch_up(&cell);
    cell.agents_answer([0, 1]);
    cell.pass(minutes(120));
    catch_up(&cell);
    cell.agents_answer([0]);
    catch_up(&cell);
    cell.agents_answer([1]);
    catch_up(&cell);
    cell.pass(minutes(24 * 60 * 8));
    catch_up(&cell);
}
