//! Passes of cleaning, counted again.
//!
//! A new leader, and whoever changes the rates, counts them in an order that follows from what is booked:
//! hour after hour, of those that can begin in it, the ones that somebody waits for soonest; those that
//! nobody waits for take what is left. What is back of what this leader has seen keeps its hours.

use super::node::Hold;
use super::passes::Used;
use super::{Cell, Node};
use crate::power::{Hour, Passes, UnitId};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The end of a lease on a node.
type End = (Timestamp, LeaseId, NodeIndex);

impl Cell {
    /// Counts the passes of everything booked again, in an order that follows from what is booked and not
    /// from how it came to be. Nothing happens where there is no rate.
    pub fn recount_passes(&mut self) {
        if self.is_washing() {
            self.count_passes_again();
        }
    }

    pub(super) fn count_passes_again(&mut self) {
        for passes in self.washing.places.values_mut() {
            *passes = Passes::new(passes.per_hour());
        }
        self.count_back();
        let (mut waited_for, mut others) = (Vec::new(), Vec::new());
        for (index, node) in self.in_order() {
            for hold in &node.holds {
                let Some(to) = hold.to else {
                    continue;
                };
                let end = (to, hold.lease, index);
                match self.deadline(node, hold) {
                    Some(by) if hold.holder.is_let => waited_for.push((by.max(to), end)),
                    Some(_) | None => others.push((end, hold.holder.is_let)),
                }
            }
        }
        self.index.begin_many();
        self.count_in_time(waited_for);
        others.sort_unstable();
        for ((to, lease, index), is_let) in others {
            let pass = if is_let {
                let pass = self.last_pass(index, to, 1);
                self.count_pass(index, pass);
                pass
            } else {
                to
            };
            self.set_pass(lease, index, pass);
        }
        self.index.end_many();
    }

    /// Counts the passes that somebody waits for, each by when it must begin: hour after hour those that
    /// can begin, the most urgent first, and what can wait no longer whether there is room or not.
    fn count_in_time(&mut self, mut passes: Vec<(Timestamp, End)>) {
        passes.sort_unstable_by_key(|(_, (to, _, _))| Hour::containing(*to));
        let mut passes = passes.into_iter().peekable();
        let mut waiting: BTreeSet<(Timestamp, End)> = BTreeSet::new();
        let mut hour = Hour(0);
        while let Some(next) = passes.peek().map(|(_, (to, _, _))| Hour::containing(*to)) {
            hour = if waiting.is_empty() { next } else { hour };
            while let Some(one) = passes.next_if(|(_, (to, _, _))| Hour::containing(*to) <= hour) {
                waiting.insert(one);
            }
            self.count_in_hour(hour, &mut waiting);
            hour = hour.next();
        }
        while !waiting.is_empty() {
            self.count_in_hour(hour, &mut waiting);
            hour = hour.next();
        }
    }

    fn count_in_hour(&mut self, hour: Hour, waiting: &mut BTreeSet<(Timestamp, End)>) {
        let all = std::mem::take(waiting);
        for (by, (to, lease, index)) in all {
            let has_room = self.places_above(index).all(|place| place.room(hour) > 0);
            if has_room || Hour::containing(by) <= hour {
                let pass = to.max(hour.begins());
                self.count_pass(index, pass);
                self.set_pass(lease, index, pass);
            } else {
                waiting.insert((by, (to, lease, index)));
            }
        }
    }

    fn set_pass(&mut self, lease: LeaseId, index: NodeIndex, pass: Timestamp) {
        let node = self.node_mut(index).expect("its holds were just seen");
        let mut holds = node.holds.iter_mut();
        let hold = holds.find(|hold| hold.lease == lease && hold.pass != Some(pass));
        if let Some(hold) = hold {
            hold.pass = Some(pass);
            self.restance(index);
        }
    }

    /// Counts every pass from scratch.
    ///
    /// # Panics
    /// Where what is kept does not agree.
    pub(super) fn check_passes(&self) {
        let mut counted: BTreeMap<(UnitId, Hour), u32> = BTreeMap::new();
        let mut count = |unit: UnitId, hour, passes| {
            for above in self.rated_from(unit) {
                *counted.entry((above, hour)).or_default() += passes;
            }
        };
        for ((_, node), pass) in self.passes() {
            count(self.grid.unit_of(node), Hour::containing(pass), 1);
        }
        for ((hour, unit), passes) in &self.washing.back {
            count(*unit, *hour, *passes);
        }
        let kept = self.washing.places.iter().flat_map(|(unit, passes)| {
            let hours = passes.hours();
            hours.map(|(hour, count)| ((*unit, hour), count))
        });
        assert_eq!(
            kept.collect::<BTreeMap<_, _>>(),
            counted,
            "passes are counted by place and hour"
        );
    }

    /// By when a pass must begin for what is booked next on the hardware. Of what is on its way back nobody
    /// can say when that is.
    fn deadline(&self, node: &Node, hold: &Hold) -> Option<Timestamp> {
        let to = hold.to.filter(|_| !hold.awaiting_return)?;
        let used = Used {
            lease: hold.lease,
            party: hold.party(),
            slots: hold.slots,
            pieces: &hold.pieces,
        };
        let next = self.next_there(node, &used, to)?;
        Some(next.from - self.washing.turnaround)
    }
}
