//! Proof that what the cell keeps twice agrees.

use super::beside::LOOSEST;
use super::{Cell, PoolId, Stance};
use leasehold_common::ids::{LeaseId, NodeIndex, SkuName};
use std::collections::{BTreeMap, BTreeSet};

impl Cell {
    /// Counts everything again from scratch, for tests and debug builds.
    ///
    /// # Panics
    /// Where what is kept does not agree with what is counted, or a GPU is in two bookings at one time,
    /// or a node in hands that no policy could have allowed.
    pub fn check(&self) {
        self.check_order();
        self.check_holds();
        self.index.check();
        self.check_stances();
        self.check_carved();
        self.check_idle();
        self.check_passes();
        let mut skus: BTreeMap<SkuName, BTreeMap<u8, u32>> = BTreeMap::new();
        for (_, node) in self.in_order() {
            let counts = skus.entry(node.spec.sku.clone()).or_default();
            *counts.entry(node.spec.gpus).or_default() += 1;
        }
        assert_eq!(self.skus, skus, "nodes are counted by sku");
    }

    fn check_idle(&self) {
        let mut idle: BTreeMap<_, u32> = BTreeMap::new();
        for (index, _) in self.in_order() {
            let Some(kind) = self.index.stance(index).and_then(Stance::idle) else {
                continue;
            };
            for unit in self.grid.above(self.grid.unit_of(index)) {
                *idle.entry((unit, kind)).or_default() += 1;
            }
        }
        let kept = self.grid.counted().filter(|(_, nodes)| *nodes > 0);
        assert_eq!(
            kept.collect::<BTreeMap<_, _>>(),
            idle,
            "idle nodes are counted by unit"
        );
    }

    fn check_stances(&self) {
        let mut whole: BTreeMap<PoolId, u32> = BTreeMap::new();
        for (index, node) in self.in_order() {
            let stance = self.index.stance(index).expect("every node stands");
            assert_eq!(*stance, Stance::of(node, self.now), "node {index} stands");
            let (pool, _) = self.index.pools.of(index);
            *whole.entry(pool).or_default() += u32::from(stance.is_whole());
        }
        for (pool, whole) in whole {
            assert_eq!(self.index.pools.get(pool).whole, whole);
        }
    }

    fn check_order(&self) {
        let in_order: Vec<_> = self
            .in_order()
            .map(|(index, node)| (&node.spec.path, index))
            .collect();
        assert!(in_order.is_sorted(), "nodes stand in topology order");
        for (place, (index, _)) in self.in_order().enumerate() {
            let shared = self.shared_at(place);
            assert_eq!(
                self.shared[place], shared,
                "node {index} and the one before it"
            );
        }
        let known = self.nodes.iter().flatten().count();
        let distinct: BTreeSet<_> = self.order.iter().collect();
        assert_eq!((known, distinct.len()), (self.len(), self.len()));
    }

    fn check_holds(&self) {
        let mut held: BTreeSet<(LeaseId, NodeIndex)> = BTreeSet::new();
        for (index, node) in self.in_order() {
            let starts: Vec<_> = node.holds.iter().map(|h| (h.from, h.lease)).collect();
            assert!(starts.is_sorted(), "holds of node {index} stand by start");
            for (at, hold) in node.holds.iter().enumerate() {
                assert!(held.insert((hold.lease, index)), "one hold a lease a node");
                let booked = &self.bookings[&hold.lease];
                let booking = &booked.booking;
                assert_eq!(
                    (hold.from, hold.to, hold.slots, hold.awaiting_return),
                    (
                        booking.from,
                        booking.to,
                        booking.slots(index),
                        booked.awaiting_return
                    ),
                    "lease {} on node {index} is as booked",
                    hold.lease
                );
                assert_eq!(Ok(&hold.pieces), self.pieces(index, booking).as_ref());
                assert_eq!(hold.holder.account, booking.account);
                assert_eq!(hold.holder.class, booking.class);
                for other in &node.holds[at + 1..] {
                    let apart = !hold.meets(other.from, other.to);
                    let same_side = hold.side == other.side;
                    let shared = hold.party().may_share_node(other.party(), LOOSEST)
                        && hold
                            .wants_of(other.slots, &other.pieces, same_side)
                            .is_empty();
                    assert!(
                        apart || shared,
                        "node {index} is in leases {} and {} at one time",
                        hold.lease,
                        other.lease
                    );
                }
            }
        }
        let booked: BTreeSet<_> = self
            .bookings
            .values()
            .flat_map(|b| b.booking.nodes.iter().map(|n| (b.booking.lease, n)))
            .collect();
        assert_eq!(held, booked, "holds and bookings name the same nodes");
    }
}
