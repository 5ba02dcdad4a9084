//! Layouts as lists, and everything about them by trying. It shares nothing with the tables.

use crate::mig::{Geometry, Instance, Kind, Layout};
use leasehold_common::mig::{MigFamilies, MigFamily};
use std::collections::{BTreeMap, BTreeSet};

/// Instances by kind and start, ascending.
pub(super) type List = Vec<(usize, u8)>;

pub(super) fn family() -> &'static MigFamily {
    MigFamilies::built_in().get("H200-141GB").unwrap()
}

pub(super) fn geometry() -> Geometry {
    Geometry::new(family())
}

/// Numbers of the kinds that are, or are not, among the five of the first GPUs with MIG.
pub(super) fn base_kinds(family: &MigFamily) -> Vec<usize> {
    let is_base = |at: &usize| {
        let kind = &family.kinds[*at];
        !kind.name.as_str().contains('+') && (kind.compute > 1 || kind.memory == 1)
    };
    (0..family.kinds.len()).filter(is_base).collect()
}

/// Whether the list with one more is legal.
pub(super) fn fits(family: &MigFamily, list: &List, kind: usize, start: u8) -> bool {
    let span = |kind: usize, start: u8| start..start + family.kinds[kind].memory;
    let mine = span(kind, start);
    let count = list.iter().filter(|(other, _)| *other == kind).count();
    family.kinds[kind].starts.contains(&start)
        && count < usize::from(family.kinds[kind].most)
        && list.iter().all(|(other, at)| {
            let other = span(*other, *at);
            mine.end <= other.start || other.end <= mine.start
        })
}

/// The list with one more, in every legal way.
pub(super) fn extensions(family: &MigFamily, kinds: &[usize], list: &List) -> Vec<List> {
    let mut all = Vec::new();
    for kind in kinds {
        for start in 0..8 {
            if fits(family, list, *kind, start) {
                let mut next = list.clone();
                next.push((*kind, start));
                next.sort_unstable();
                all.push(next);
            }
        }
    }
    all
}

/// All that can be reached by adding instances of these kinds, itself included.
pub(super) fn reachable(family: &MigFamily, kinds: &[usize], from: List) -> BTreeSet<List> {
    let mut seen = BTreeSet::from([from.clone()]);
    let mut todo = vec![from];
    while let Some(list) = todo.pop() {
        for next in extensions(family, kinds, &list) {
            if seen.insert(next.clone()) {
                todo.push(next);
            }
        }
    }
    seen
}

pub(super) fn multiset(list: &List) -> BTreeMap<usize, u32> {
    let mut counts = BTreeMap::new();
    for (kind, _) in list {
        *counts.entry(*kind).or_default() += 1;
    }
    counts
}

/// How many of the largest kind could be added, then of the next, and so on.
pub(super) fn outlook(family: &MigFamily, list: &List) -> Vec<usize> {
    let mut order: Vec<usize> = (0..family.kinds.len()).collect();
    order.sort_by_key(|at| {
        std::cmp::Reverse((family.kinds[*at].memory, family.kinds[*at].compute, *at))
    });
    let most = |kind: usize| {
        let all = reachable(family, &[kind], list.clone());
        all.iter().map(Vec::len).max().unwrap() - list.len()
    };
    order.into_iter().map(most).collect()
}

/// The engine's layout of a list.
pub(super) fn layout(geometry: &Geometry, list: &List) -> Layout {
    list.iter().fold(Layout::EMPTY, |layout, (kind, start)| {
        let kind = kind_of(geometry, *kind);
        geometry
            .put(
                layout,
                Instance {
                    start: *start,
                    kind,
                },
            )
            .unwrap()
    })
}

pub(super) fn list(geometry: &Geometry, layout: Layout) -> List {
    let number = |kind: Kind| {
        let name = geometry.profile(kind);
        let kinds = &geometry.family().kinds;
        kinds.iter().position(|kind| kind.name == *name).unwrap()
    };
    let mut list: List = layout
        .instances()
        .map(|one| (number(one.kind), one.start))
        .collect();
    list.sort_unstable();
    list
}

pub(super) fn kind_of(geometry: &Geometry, number: usize) -> Kind {
    geometry
        .kind(&geometry.family().kinds[number].name)
        .unwrap()
}
