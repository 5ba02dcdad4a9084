//! Hours for passes of cleaning, looked for before any is counted or taken back.

use super::Cell;
use crate::power::{Hour, UnitId};
use leasehold_common::ids::NodeIndex;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// The passes of the cell with some more and some fewer, and the hours that are left from an end on.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    cell: &'a Cell,
    end: Timestamp,
    /// How many more there are than are counted.
    more: BTreeMap<(UnitId, Hour), i64>,
    /// The first hour that can have room, by the smallest place with a rate above a node: nodes of one
    /// lease come by the hundred, and those before have taken what was free until then.
    first: BTreeMap<UnitId, Hour>,
}

impl<'a> Queue<'a> {
    /// Nothing more and nothing fewer.
    pub(super) const fn new(cell: &'a Cell, end: Timestamp) -> Self {
        Self {
            cell,
            end,
            more: BTreeMap::new(),
            first: BTreeMap::new(),
        }
    }

    /// The first instant, from the end on, at which a pass on a node can begin.
    pub(super) fn first(&mut self, node: NodeIndex) -> Timestamp {
        let above: Vec<UnitId> = self.cell.rated_above(node).collect();
        let Some(smallest) = above.first() else {
            return self.end;
        };
        let begun = Hour::containing(self.end);
        let mut hour = self.first.get(smallest).copied().unwrap_or(begun);
        while above.iter().any(|unit| self.is_full(*unit, hour)) {
            hour = hour.next();
        }
        self.first.insert(*smallest, hour);
        self.end.max(hour.begins())
    }

    /// A pass on a node begins then.
    pub(super) fn take(&mut self, node: NodeIndex, pass: Timestamp) {
        self.change(node, pass, 1);
    }

    /// One that begins then is not needed.
    pub(super) fn give(&mut self, node: NodeIndex, pass: Timestamp) {
        self.change(node, pass, -1);
        let hour = Hour::containing(pass.max(self.end));
        let cell = self.cell;
        let shares = |smallest: UnitId| {
            let mut theirs = cell.rated_from(smallest);
            theirs.any(|unit| cell.rated_above(node).any(|mine| mine == unit))
        };
        for (smallest, first) in &mut self.first {
            if *first > hour && shares(*smallest) {
                *first = hour;
            }
        }
    }

    fn change(&mut self, node: NodeIndex, pass: Timestamp, by: i64) {
        for unit in self.cell.rated_above(node) {
            *self.more.entry((unit, Hour::containing(pass))).or_default() += by;
        }
    }

    fn is_full(&self, unit: UnitId, hour: Hour) -> bool {
        let passes = &self.cell.washing.places[&unit];
        let more = self.more.get(&(unit, hour)).copied().unwrap_or(0);
        i64::from(passes.booked(hour)) + more >= i64::from(passes.per_hour())
    }
}
