//! The grant rules under anything that may arrive.

use crate::node::{Node, end, gpu, grant};
use leasehold_agent_core::grants::{GrantBook, Phase, Step};
use leasehold_common::grant::{AckState, Grant};
use leasehold_common::ids::{GpuUuid, LeaseId, Term};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to the node between two looks at it.
#[derive(Debug, Clone)]
enum Happening {
    Grants(Vec<Grant>),
    Clock(u32),
    Occupied(BTreeSet<GpuUuid>),
    Restart,
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let slots = prop::collection::btree_set(0..9_usize, 1..4);
    (
        1..5_u64,
        1..5_u64,
        slots,
        0..60_u32,
        prop::option::of(1..60_u32),
        any::<bool>(),
    )
        .prop_map(|(lease, generation, slots, starts, length, ends_it)| {
            let slots: Vec<usize> = slots.into_iter().collect();
            let ends = length.map(|length| starts + length);
            let grant = grant(lease, generation, &slots, starts, ends);
            if ends_it && generation > 1 {
                end(&grant, generation)
            } else {
                grant
            }
        })
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => prop::collection::vec(any_grant(), 0..5).prop_map(Happening::Grants),
        3 => (0..100_u32).prop_map(Happening::Clock),
        1 => prop::collection::btree_set((0..8_usize).prop_map(gpu), 0..2).prop_map(Happening::Occupied),
        1 => Just(Happening::Restart),
    ]
}

/// What must hold between one look at the node and the next.
#[derive(Default)]
struct Watcher {
    over: BTreeSet<LeaseId>,
    terms: BTreeMap<LeaseId, Term>,
}

impl Watcher {
    fn look(&mut self, book: &GrantBook) -> Result<(), TestCaseError> {
        let mut taken = BTreeSet::new();
        for (lease, entry) in book.serving() {
            prop_assert!(!self.over.contains(&lease), "lease {lease} serves again");
            for gpu in &entry.grant().gpus {
                prop_assert!(taken.insert(gpu.clone()), "{gpu} serves two leases");
            }
        }
        for (lease, ack) in book.acks() {
            if ack.state != AckState::Refused {
                let before = self.terms.insert(lease, ack.term).unwrap_or_default();
                prop_assert!(ack.term >= before, "terms of lease {lease} went backwards");
            }
        }
        self.over.extend(book.ended().keys());
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_gpu_serves_two_no_ended_lease_serves_and_terms_only_rise(
        happenings in prop::collection::vec(any_happening(), 1..40),
    ) {
        let mut node = Node::new();
        let mut watcher = Watcher::default();
        let mut now = 0;
        for happening in happenings {
            let steps = match happening {
                Happening::Grants(grants) => node.receive(&grants, now),
                // Also backwards.
                Happening::Clock(seconds) => {
                    now = seconds;
                    node.decide(now)
                }
                Happening::Occupied(gpus) => {
                    node.occupied = gpus;
                    node.decide(now)
                }
                Happening::Restart => {
                    let live = node.book.live().map(|(l, e)| (l, e.clone())).collect();
                    node.book = GrantBook::restored(live, node.book.ended().clone());
                    node.decide(now)
                }
            };
            watcher.look(&node.book)?;
            for step in &steps {
                if let Step::WriteEnv(lease) = step {
                    let phase = node.book.entry(*lease).map(|entry| entry.phase());
                    prop_assert_eq!(phase, Some(Phase::Serving));
                }
            }

            let before = node.book.clone();
            prop_assert_eq!(node.decide(now), [], "deciding twice is deciding once");
            prop_assert_eq!(&node.book, &before);
        }
    }

    #[test]
    fn every_lease_being_served_is_told_where_its_environment_goes(
        grants in prop::collection::vec(prop::collection::vec(any_grant(), 0..5), 1..10),
    ) {
        let mut node = Node::new();
        let mut files = BTreeSet::new();
        for (grants, now) in grants.into_iter().zip(0..) {
            for step in node.receive(&grants, now * 7) {
                match step {
                    Step::WriteEnv(lease) => { files.insert(lease); }
                    Step::RemoveEnv(lease) => { files.remove(&lease); }
                    Step::Keep(_) | Step::Retire(_) => {}
                }
            }
            let serving: BTreeSet<LeaseId> = node.book.serving().map(|(lease, _)| lease).collect();
            prop_assert_eq!(&files, &serving);
        }
    }
}
