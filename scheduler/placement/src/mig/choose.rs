//! A mixed wish over the GPUs of one node.

use super::geometry::{Geometry, Outlook};
use super::layout::{Instance, Kind, Layout};
use leasehold_common::mig::{MigProfile, UnknownProfile};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// How many instances of each kind, by the kind's number.
type Counts = [u8; 8];

/// What is to be placed on one node, checked against its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted([u32; 8]);

impl Wanted {
    /// By name and count; a count of nothing is left out.
    ///
    /// # Errors
    /// A profile the family does not have.
    pub fn new(
        geometry: &Geometry,
        wanted: &BTreeMap<MigProfile, u32>,
    ) -> Result<Self, UnknownProfile> {
        let mut counts = [0; 8];
        for (profile, count) in wanted {
            counts[geometry.kind(profile)?.as_usize()] = *count;
        }
        Ok(Self(counts))
    }

    /// As an array; absent where it is more than `gpus` GPUs hold of even the smallest kind.
    fn counts(&self, gpus: usize) -> Option<Counts> {
        let mut counts = Counts::default();
        for (count, wanted) in counts.iter_mut().zip(self.0) {
            *count = u8::try_from(wanted).ok()?;
            if usize::from(*count) > 8 * gpus {
                return None;
            }
        }
        Some(counts)
    }
}

/// Where a wish goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Assignment {
    /// The GPUs that get instances, by slot.
    pub gpus: Vec<Sliced>,
}

/// What one GPU gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sliced {
    /// Its slot on the node.
    pub slot: u8,
    /// Whether it was idle and is switched to MIG mode for this.
    pub switched: bool,
    /// The new instances, by where they begin.
    pub instances: Vec<Instance>,
    /// What it holds with them.
    pub layout: Layout,
}

/// Finds places for all that is wanted on the GPUs of one node, which are given by slot: with the
/// layout of one in MIG mode, without for one that is idle and may be switched. Other GPUs are not
/// given at all. Absent where there is no way to place it all, and only then.
///
/// It takes time with the mixture: one kind is a look-up for each GPU, some two microseconds in all,
/// and four kinds are under ten. Six kinds that fill eight empty GPUs to the last slice, or miss it by
/// one, are a search of milliseconds.
pub fn choose(
    geometry: &Geometry,
    gpus: &[(u8, Option<Layout>)],
    wanted: &Wanted,
) -> Option<Assignment> {
    let counts = wanted.counts(gpus.len())?;
    let mut order: Vec<Candidate> = gpus
        .iter()
        .map(|(slot, layout)| Candidate {
            idle: layout.is_none(),
            free: Reverse(layout.map_or(0, |layout| layout.taken().count_ones())),
            slot: *slot,
            layout: layout.unwrap_or(Layout::EMPTY),
        })
        .collect();
    order.sort_unstable();
    let sliced = order.partition_point(|gpu| !gpu.idle);
    // One more GPU is switched only where fewer are known not to do.
    (sliced..=order.len()).find_map(|used| Search::new(geometry, &order[..used]).run(counts))
}

/// A GPU to be filled; the order of the fields is the order in which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// GPUs in MIG mode come first.
    idle: bool,
    /// Of those, the ones with the most taken: what is left of them is of least use to others.
    free: Reverse<u32>,
    slot: u8,
    layout: Layout,
}

/// Some of what is wanted, on one GPU: no more of what is wanted fits besides.
#[derive(Debug, Clone, Copy)]
struct Fill {
    counts: Counts,
    layout: Layout,
    outlook: Outlook,
}

/// Goes through the GPUs in order and tries every fill of each. Only fills to which nothing can be
/// added are tried: an instance that goes on a later GPU in some solution could as well go here, as
/// taking it away there breaks nothing. So this finds a solution if there is one.
struct Search<'a> {
    geometry: &'a Geometry,
    gpus: &'a [Candidate],
    /// For each GPU, how many of each kind it and all after it have room for, each kind alone.
    rooms: Vec<[u16; 8]>,
    /// For each GPU, how many slices it and all after it have free.
    free: Vec<u16>,
    /// What is known to have no place on the GPUs from one on.
    dead: BTreeSet<(usize, Counts)>,
    chosen: Vec<Fill>,
}

impl<'a> Search<'a> {
    fn new(geometry: &'a Geometry, gpus: &'a [Candidate]) -> Self {
        let mut rooms = vec![[0; 8]; gpus.len() + 1];
        let mut free = vec![0; gpus.len() + 1];
        for (at, gpu) in gpus.iter().enumerate().rev() {
            rooms[at] = rooms[at + 1];
            for kind in geometry.kinds() {
                rooms[at][kind.as_usize()] += u16::from(geometry.room(gpu.layout, kind));
            }
            let here = u16::from(gpu.layout.taken().count_zeros().to_le_bytes()[0]);
            free[at] = free[at + 1] + here;
        }
        Self {
            geometry,
            gpus,
            rooms,
            free,
            dead: BTreeSet::new(),
            chosen: Vec::new(),
        }
    }

    fn run(mut self, wanted: Counts) -> Option<Assignment> {
        if !self.place(0, wanted) {
            return None;
        }
        let mut gpus: Vec<Sliced> = self
            .gpus
            .iter()
            .zip(&self.chosen)
            .filter(|(_, fill)| fill.counts != Counts::default())
            .map(|(gpu, fill)| Sliced {
                slot: gpu.slot,
                switched: gpu.idle,
                instances: fill
                    .layout
                    .instances()
                    .filter(|one| gpu.layout.kind_at(one.start).is_none())
                    .collect(),
                layout: fill.layout,
            })
            .collect();
        gpus.sort_unstable_by_key(|gpu| gpu.slot);
        Some(Assignment { gpus })
    }

    fn place(&mut self, at: usize, left: Counts) -> bool {
        if left == Counts::default() {
            return true;
        }
        if !self.could_fit(at, left) || self.dead.contains(&(at, left)) {
            return false;
        }
        for fill in fills(self.geometry, self.gpus[at].layout, left) {
            self.chosen.push(fill);
            let mut rest = left;
            for (left, placed) in rest.iter_mut().zip(fill.counts) {
                *left -= placed;
            }
            if self.place(at + 1, rest) {
                return true;
            }
            self.chosen.pop();
        }
        self.dead.insert((at, left));
        false
    }

    /// Whether there is room for each kind, were the others not, and slices enough for all.
    fn could_fit(&self, at: usize, left: Counts) -> bool {
        let slices = self
            .geometry
            .kinds()
            .map(|kind| u16::from(left[kind.as_usize()]) * u16::from(self.geometry.size(kind)));
        let each = left.iter().zip(self.rooms[at]);
        slices.sum::<u16>() <= self.free[at]
            && each
                .into_iter()
                .all(|(left, room)| u16::from(*left) <= room)
    }
}

/// Every way to fill one GPU with some of what is left, by what is placed: each once, where it
/// leaves the best outlook, and none to which more could be added. Those that place the most slices
/// come first.
fn fills(geometry: &Geometry, layout: Layout, left: Counts) -> Vec<Fill> {
    let kinds: Vec<Kind> = geometry
        .kinds()
        .filter(|kind| left[kind.as_usize()] > 0)
        .collect();
    let mut found = BTreeMap::new();
    extend(
        geometry,
        &kinds,
        left,
        layout,
        Counts::default(),
        &mut found,
    );
    let mut fills: Vec<Fill> = found
        .values()
        .filter(|fill| !found.keys().any(|other| is_more(other, &fill.counts)))
        .copied()
        .collect();
    let key = |fill: &Fill| Reverse((fill.layout.taken().count_ones(), fill.outlook, fill.counts));
    fills.sort_unstable_by_key(key);
    fills
}

fn is_more(counts: &Counts, than: &Counts) -> bool {
    counts != than && counts.iter().zip(than).all(|(a, b)| a >= b)
}

fn extend(
    geometry: &Geometry,
    kinds: &[Kind],
    left: Counts,
    layout: Layout,
    counts: Counts,
    found: &mut BTreeMap<Counts, Fill>,
) {
    let Some((kind, smaller)) = kinds.split_first() else {
        let fill = Fill {
            counts,
            layout,
            outlook: geometry.outlook(layout),
        };
        let best = found.entry(counts).or_insert(fill);
        if best.outlook < fill.outlook {
            *best = fill;
        }
        return;
    };
    let at = kind.as_usize();
    if smaller.is_empty() {
        // Of the last kind as many as fit, where the table says.
        let count = left[at].min(geometry.room(layout, *kind));
        let starts = geometry
            .place(layout, *kind, count)
            .expect("no more than there is room for");
        let layout = geometry.put_all(layout, *kind, starts);
        let mut counts = counts;
        counts[at] = count;
        extend(geometry, smaller, left, layout, counts, found);
        return;
    }
    geometry.each_set(layout, *kind, &mut |count, layout| {
        if count <= left[at] {
            let mut counts = counts;
            counts[at] = count;
            extend(geometry, smaller, left, layout, counts, found);
        }
    });
}
