//! The step under anything that may happen.

use crate::fixture::{Cell, gpus, health, inventory, live, node, nodes, report, wish};
use leasehold_common::api::{AdmitNodes, CreateLease, EndLease};
use leasehold_common::class::Class;
use leasehold_common::grant::AckState;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::node::NodeState;
use leasehold_common::time::Span;
use leasehold_core::Event;
use leasehold_core::command::Command;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NODES: usize = 4;

#[derive(Debug, Clone)]
enum Happening {
    Wish {
        account: usize,
        whole: bool,
        count: u32,
        minutes: u64,
        ahead: u64,
    },
    End(u64, bool),
    Cancel(u64),
    Admit(usize),
    Import,
    Obey(usize),
    Say(usize, u64, usize, u64),
    Live(usize, bool),
    Health(usize, usize, usize),
    Report(usize, usize),
    Pass(u64),
    Restart,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening as H;
    let any = prop_oneof![
        6 => (0..3_usize, any::<bool>(), 0..10_u32, 0..400_u64, 0..200_u64).prop_map(
            |(account, whole, count, minutes, ahead)| H::Wish { account, whole, count, minutes, ahead },
        ),
        2 => (0..8_u64, any::<bool>()).prop_map(|(id, now)| H::End(id, now)),
        1 => (0..8_u64).prop_map(H::Cancel),
        1 => (0..NODES + 1).prop_map(H::Admit),
        1 => Just(H::Import),
        8 => (0..NODES).prop_map(H::Obey),
        2 => (0..NODES, 0..8_u64, 0..4_usize, 0..60_u64)
            .prop_map(|(n, id, state, seq)| H::Say(n, id, state, seq)),
        2 => (0..NODES, any::<bool>()).prop_map(|(n, here)| H::Live(n, here)),
        2 => (0..NODES, 0..16_usize, 0..16_usize).prop_map(|(n, lost, busy)| H::Health(n, lost, busy)),
        1 => (0..NODES, 0..NODES).prop_map(|(n, of)| H::Report(n, of)),
        5 => (0..5000_u64).prop_map(H::Pass),
        1 => Just(H::Restart),
    ];
    proptest::collection::vec(any, 1..60)
}

fn happens(cell: &mut Cell, what: Happening) {
    // Whatever is answered, somebody is answered: the fixture insists.
    match what {
        Happening::Wish {
            account,
            whole,
            count,
            minutes,
            ahead,
        } => {
            let (account, class) = [
                ("acme", Class::OnDemand),
                ("globex", Class::Spot),
                ("research", Class::InternalBatch),
            ][account];
            drop(cell.ask(Command::CreateLease(CreateLease {
                account: account.parse().unwrap(),
                class,
                start: (ahead > 100).then(|| cell.now + Span::from_mins(ahead - 100)),
                length: Some(Span::from_mins(minutes)),
                ..wish(if whole { nodes(count) } else { gpus(count) })
            })));
        }
        Happening::End(id, now) => {
            let end = EndLease {
                now,
                confirm_gpus: None,
            };
            drop(cell.ask(Command::EndLease(LeaseId(id), end)));
        }
        Happening::Cancel(id) => drop(cell.ask(Command::CancelLease(LeaseId(id)))),
        Happening::Admit(n) => drop(cell.ask(Command::AdmitNodes(AdmitNodes {
            nodes: node(n).to_string(),
            reason: None,
        }))),
        Happening::Import => drop(cell.import(&inventory(NODES))),
        Happening::Obey(n) => cell.agents_answer([n]),
        Happening::Say(n, id, state, seq) => {
            let id = LeaseId(id);
            let Some(lease) = cell.state.lease(id) else {
                return;
            };
            let state = [
                AckState::Accepted,
                AckState::Serving,
                AckState::Returned,
                AckState::Refused,
            ][state];
            let mut acks = cell.obedient(n);
            let seq = leasehold_common::ids::Seq(seq.min(cell.state.head().seq.0));
            acks.leases
                .insert(id, crate::fixture::ack(lease.term, seq, state));
            cell.tell([Event::Acks(node(n), Some(Box::new(acks)))]);
        }
        Happening::Live(n, here) => {
            cell.tell([Event::Live(node(n), here.then(live))]);
        }
        Happening::Health(n, lost, busy) => {
            let one = |slot: usize| if slot < 8 { vec![slot] } else { vec![] };
            let report = health(n, &one(lost), &one(busy));
            cell.tell([Event::Health(node(n), Some(Box::new(report)))]);
        }
        Happening::Report(n, of) => {
            cell.tell([Event::Report(node(n), Some(Box::new(report(of))))]);
        }
        Happening::Pass(seconds) => cell.pass(Span::from_secs(seconds)),
        Happening::Restart => cell.reload(0..NODES),
    }
}

/// Every GPU of every node is free, held, or kept away for a reason that is shown.
fn capacity_is_conserved(cell: &Cell) -> Result<(), TestCaseError> {
    for n in 0..NODES {
        let view = cell.node_view(n);
        prop_assert!(view.gpus_free + view.gpus_leased <= 8, "{view:?}");
        let is_well = view.live && view.state == NodeState::Available;
        let booked = view
            .leases
            .iter()
            .any(|id| !cell.record(*id).placement.is_empty());
        if is_well && !booked && view.gpus == 8 {
            let healthy = view.gpus_free;
            prop_assert!(
                healthy + 1 >= 8,
                "at most one GPU is lost at a time: {view:?}"
            );
        }
        for id in &view.leases {
            let lease = cell.record(*id);
            let gives = !lease.state.is_over() || !lease.progress.lost.is_empty();
            prop_assert!(gives, "lease {id} is {} and still on node {n}", lease.state);
        }
    }
    Ok(())
}

fn nobody_shares(cell: &Cell) -> Result<(), TestCaseError> {
    let live: Vec<&LeaseRecord> = cell
        .state
        .leases()
        .filter(|lease| lease.state.holds_hardware() || lease.state == LeaseState::Settling)
        .collect();
    for (at, a) in live.iter().enumerate() {
        for b in &live[at + 1..] {
            let (Some(x), Some(y)) = (a.segment(), b.segment()) else {
                continue;
            };
            let open = leasehold_common::time::Timestamp::from_unix_ms(i64::MAX);
            let meet = x.from.max(y.from) < x.to.unwrap_or(open).min(y.to.unwrap_or(open));
            if !meet {
                continue;
            }
            let names = |lease: &LeaseRecord| -> BTreeSet<_> {
                let gpus = cell.view(lease.id).gpus;
                gpus.into_values().flatten().collect()
            };
            let (mine, theirs) = (names(a), names(b));
            prop_assert!(mine.is_disjoint(&theirs), "leases {} and {}", a.id, b.id);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_nothing_is_given_twice_and_nothing_is_lost(life in happenings()) {
        let mut cell = Cell::of(NODES);
        for what in life {
            happens(&mut cell, what);
            if cell.state.frozen().is_some() {
                return Ok(());
            }
            nobody_shares(&cell)?;
            capacity_is_conserved(&cell)?;
        }
        // Nothing is left to do that is due now, and doing it again changes nothing.
        let (stored, batches) = (cell.stored.clone(), cell.batches);
        cell.tell([]);
        prop_assert_eq!((&cell.stored, cell.batches), (&stored, batches));
    }
}
