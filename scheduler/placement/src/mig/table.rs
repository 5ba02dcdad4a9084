//! Every answer about one kind of instance, for each of the 512 states a GPU can be in.

use super::layout::{Kind, Starts};
use leasehold_common::mig::MigFamily;

/// Eight slices taken or free, and the single instance there or not.
pub(super) const STATES: usize = 512;

/// Instances of one kind on a GPU at the most, and none of them: a row of the table.
const COUNTS: usize = 9;

/// What matters of a kind.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Each place it may have: where it begins, and the slices it then takes.
    pub(super) places: Vec<(u8, u8)>,
    /// Memory slices of one instance.
    pub(super) size: u8,
    /// Whether a GPU has a single one.
    pub(super) single: bool,
}

impl Shape {
    /// The slices of an instance that begins at `start`; absent where none may.
    pub(super) fn slices(&self, start: u8) -> Option<u8> {
        let place = self.places.iter().find(|(at, _)| *at == start)?;
        Some(place.1)
    }

    /// Every set of instances of this kind that fits the state, the empty one too: where they begin,
    /// and the state with them.
    pub(super) fn each_set(&self, state: usize, visit: &mut impl FnMut(Starts, usize)) {
        visit(Starts(0), state);
        if !(self.single && state >> 8 == 1) {
            self.extend(&self.places, Starts(0), state, visit);
        }
    }

    fn extend(
        &self,
        places: &[(u8, u8)],
        chosen: Starts,
        state: usize,
        visit: &mut impl FnMut(Starts, usize),
    ) {
        for (at, (start, slices)) in places.iter().enumerate() {
            let slices = usize::from(*slices);
            if state & slices != 0 {
                continue;
            }
            let chosen = Starts(chosen.0 | 1 << start);
            let after = state | slices | usize::from(self.single) << 8;
            visit(chosen, after);
            if !self.single {
                self.extend(&places[at + 1..], chosen, after, visit);
            }
        }
    }
}

/// The table of one family: some 30 KiB.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) shapes: Vec<Shape>,
    /// For each kind, where its count stands in an outlook; the largest kind stands highest.
    ranks: Vec<u32>,
    /// By state: four bits for each kind, how many of it alone still fit.
    outlooks: Vec<u32>,
    /// By state, kind and count: where so many go; empty where they do not fit.
    best: Vec<Starts>,
}

impl Table {
    pub(super) fn new(family: &MigFamily) -> Self {
        let shapes: Vec<Shape> = family
            .kinds
            .iter()
            .map(|kind| Shape {
                places: kind
                    .starts
                    .iter()
                    .map(|start| (*start, (0xff >> (8 - kind.memory)) << start))
                    .collect(),
                size: kind.memory,
                single: kind.is_single(),
            })
            .collect();
        let kinds = &family.kinds;
        let size = |at: usize| (kinds[at].memory, kinds[at].compute, at);
        let ranks = (0..kinds.len())
            .map(|kind| {
                let smaller = (0..kinds.len()).filter(|other| size(*other) < size(kind));
                smaller.map(|_| 1).sum()
            })
            .collect();
        let mut table = Self {
            outlooks: vec![0; STATES],
            best: vec![Starts(0); STATES * shapes.len() * COUNTS],
            shapes,
            ranks,
        };
        table.fill();
        table
    }

    /// First the outlooks of all states, which placements are judged by, then the placements.
    fn fill(&mut self) {
        for state in 0..STATES {
            for (kind, shape) in self.shapes.iter().enumerate() {
                let mut most = 0;
                shape.each_set(state, &mut |starts, _| most = most.max(starts.len()));
                self.outlooks[state] |= u32::from(most) << (4 * self.ranks[kind]);
            }
        }
        for state in 0..STATES {
            for (kind, shape) in self.shapes.iter().enumerate() {
                let row = (state * self.shapes.len() + kind) * COUNTS;
                let mut outlooks = [0; COUNTS];
                shape.each_set(state, &mut |starts, after| {
                    let count = usize::from(starts.len());
                    // Of placements that leave the same, the higher.
                    let better =
                        (self.outlooks[after], starts) > (outlooks[count], self.best[row + count]);
                    if count > 0 && better {
                        outlooks[count] = self.outlooks[after];
                        self.best[row + count] = starts;
                    }
                });
            }
        }
    }

    /// Four bits for each kind, the largest highest.
    pub(super) fn outlook(&self, state: usize) -> u32 {
        self.outlooks[state]
    }

    /// How many of the kind still fit.
    pub(super) fn room(&self, state: usize, kind: Kind) -> u8 {
        // Four bits.
        (self.outlooks[state] >> (4 * self.ranks[kind.as_usize()]) & 0xf).to_le_bytes()[0]
    }

    /// Where so many of the kind go; absent where they do not fit.
    pub(super) fn best(&self, state: usize, kind: Kind, count: u8) -> Option<Starts> {
        if count > self.room(state, kind) {
            return None;
        }
        let row = (state * self.shapes.len() + kind.as_usize()) * COUNTS;
        Some(self.best[row + usize::from(count)])
    }

    /// The kinds, largest first.
    pub(super) fn largest_first(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = (0..).map(Kind).take(self.shapes.len()).collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(self.ranks[kind.as_usize()]));
        kinds
    }
}
