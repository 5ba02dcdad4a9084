//! Over every layout, or over random nodes with brute force beside them.

use super::oracle::{
    List, base_kinds, extensions, family, fits, geometry, kind_of, layout, list, multiset, outlook,
    reachable,
};
use crate::mig::{Assignment, Geometry, Instance, Layout, Wanted, choose};
use leasehold_common::mig::{MigFamilies, MigFamily, MigProfile};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn all_kinds(family: &MigFamily) -> Vec<usize> {
    (0..family.kinds.len()).collect()
}

/// The engine's own layouts, by putting and nothing else.
fn put_everywhere(geometry: &Geometry, kinds: &[usize]) -> (usize, usize) {
    let mut seen = BTreeSet::from([Layout::EMPTY]);
    let mut todo = vec![Layout::EMPTY];
    let mut maximal = 0;
    while let Some(layout) = todo.pop() {
        let next: Vec<Layout> = kinds
            .iter()
            .flat_map(|kind| (0..9).map(|start| (kind_of(geometry, *kind), start)))
            .filter_map(|(kind, start)| geometry.put(layout, Instance { start, kind }).ok())
            .collect();
        maximal += usize::from(next.is_empty());
        todo.extend(next.into_iter().filter(|next| seen.insert(*next)));
    }
    (seen.len(), maximal)
}

#[test]
fn there_are_as_many_layouts_as_have_been_counted() {
    for family in MigFamilies::built_in().iter() {
        let geometry = Geometry::new(family);
        assert_eq!(put_everywhere(&geometry, &base_kinds(family)), (298, 19));
        assert_eq!(put_everywhere(&geometry, &all_kinds(family)), (2319, 239));
    }
    let lists = reachable(family(), &all_kinds(family()), List::new());
    let maximal = |list: &&List| extensions(family(), &all_kinds(family()), list).is_empty();
    let multisets: BTreeSet<_> = lists.iter().filter(maximal).map(multiset).collect();
    assert_eq!((lists.len(), multisets.len()), (2319, 64));
}

#[test]
fn putting_and_taking_follow_the_rules_in_every_layout() {
    let geometry = geometry();
    for before in reachable(family(), &all_kinds(family()), List::new()) {
        let held = layout(&geometry, &before);
        assert_eq!(list(&geometry, held), before);
        for kind in all_kinds(family()) {
            for start in 0..8 {
                let instance = Instance {
                    start,
                    kind: kind_of(&geometry, kind),
                };
                let put = geometry.put(held, instance);
                assert_eq!(put.is_ok(), fits(family(), &before, kind, start));
                if let Ok(more) = put {
                    assert_eq!(geometry.take(more, start), Ok(held));
                }
            }
        }
    }
}

/// One list for each set of slices taken, with and without the media engines: nothing else matters
/// to what can be added.
fn one_for_each_state() -> Vec<List> {
    let geometry = geometry();
    let states: BTreeMap<usize, List> = reachable(family(), &all_kinds(family()), List::new())
        .into_iter()
        .map(|list| (layout(&geometry, &list).state(), list))
        .collect();
    states.into_values().collect()
}

#[test]
fn every_placement_leaves_the_best_outlook_there_is() {
    let geometry = geometry();
    for before in one_for_each_state() {
        let held = layout(&geometry, &before);
        for number in all_kinds(family()) {
            let kind = kind_of(&geometry, number);
            let mut best: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for after in reachable(family(), &[number], before.clone()) {
                let outlook = outlook(family(), &after);
                let here = best.entry(after.len() - before.len()).or_default();
                if outlook > *here {
                    *here = outlook;
                }
            }
            assert_eq!(usize::from(geometry.room(held, kind)), best.len() - 1);
            for count in 0..9 {
                let placed = geometry.place(held, kind, count);
                let after = placed.map(|starts| geometry.put_all(held, kind, starts));
                assert_eq!(
                    after.map(|after| outlook(family(), &list(&geometry, after))),
                    best.get(&usize::from(count)).cloned()
                );
            }
        }
    }
}

fn wanted(geometry: &Geometry, counts: &BTreeMap<usize, u32>) -> Wanted {
    let named: BTreeMap<MigProfile, u32> = counts
        .iter()
        .map(|(kind, count)| (geometry.family().kinds[*kind].name.clone(), *count))
        .collect();
    Wanted::new(geometry, &named).unwrap()
}

/// On one GPU, in every state, every multiset that a whole GPU can hold and every one with one more.
#[test]
fn one_gpu_takes_a_mixture_exactly_when_some_layout_has_it() {
    let geometry = geometry();
    let kinds = all_kinds(family());
    let whole: BTreeSet<_> = reachable(family(), &kinds, List::new())
        .iter()
        .map(multiset)
        .collect();
    let mut asked = whole.clone();
    for multiset in &whole {
        for kind in &kinds {
            let mut more = multiset.clone();
            *more.entry(*kind).or_default() += 1;
            asked.insert(more);
        }
    }
    for before in one_for_each_state() {
        let held = layout(&geometry, &before);
        let had = multiset(&before);
        let possible: BTreeSet<BTreeMap<usize, u32>> = reachable(family(), &kinds, before.clone())
            .iter()
            .map(|after| {
                let mut added = multiset(after);
                for (kind, count) in &had {
                    *added.get_mut(kind).unwrap() -= count;
                }
                added.retain(|_, count| *count > 0);
                added
            })
            .collect();
        for counts in &asked {
            let found = choose(&geometry, &[(3, Some(held))], &wanted(&geometry, counts));
            assert_eq!(
                found.is_some(),
                possible.contains(counts),
                "{before:?} {counts:?}"
            );
        }
    }
}

/// What an assignment must be, whatever else there was.
fn check(
    geometry: &Geometry,
    gpus: &[(u8, Option<List>)],
    counts: &BTreeMap<usize, u32>,
    found: &Assignment,
) {
    let mut placed: BTreeMap<usize, u32> = BTreeMap::new();
    for gpu in &found.gpus {
        let (_, before) = gpus.iter().find(|(slot, _)| *slot == gpu.slot).unwrap();
        assert_eq!(gpu.switched, before.is_none());
        assert!(!gpu.instances.is_empty());
        let mut held = before.clone().unwrap_or_default();
        for one in &gpu.instances {
            let kind = (0..8)
                .find(|number| kind_of(geometry, *number) == one.kind)
                .unwrap();
            assert!(fits(geometry.family(), &held, kind, one.start));
            held.push((kind, one.start));
            *placed.entry(kind).or_default() += 1;
        }
        held.sort_unstable();
        assert_eq!(list(geometry, gpu.layout), held);
    }
    assert_eq!(placed, *counts);
    assert!(found.gpus.is_sorted_by_key(|gpu| gpu.slot));
}

/// Whether all that is wanted has a place, by trying each of its instances everywhere.
fn possible(
    family: &MigFamily,
    gpus: &mut Vec<List>,
    counts: &mut BTreeMap<usize, u32>,
    dead: &mut BTreeSet<(Vec<List>, BTreeMap<usize, u32>)>,
) -> bool {
    let Some(kind) = counts.keys().next_back().copied() else {
        return true;
    };
    if dead.contains(&(gpus.clone(), counts.clone())) {
        return false;
    }
    let all = counts.clone();
    let left = counts.get_mut(&kind).unwrap();
    *left -= 1;
    if *left == 0 {
        counts.remove(&kind);
    }
    for at in 0..gpus.len() {
        let before = gpus[at].clone();
        for after in extensions(family, &[kind], &before) {
            gpus[at] = after;
            if possible(family, gpus, counts, dead) {
                return true;
            }
        }
        gpus[at] = before;
    }
    counts.clone_from(&all);
    dead.insert((gpus.clone(), all));
    false
}

fn any_layout() -> impl Strategy<Value = List> {
    proptest::collection::vec((0..7_usize, 0..8_u8), 0..5).prop_map(|tries| {
        let mut list = List::new();
        for (kind, start) in tries {
            if fits(family(), &list, kind, start) {
                list.push((kind, start));
                list.sort_unstable();
            }
        }
        list
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_node_takes_a_mixture_exactly_when_trying_everything_finds_a_way(
        gpus in proptest::collection::vec(proptest::option::weighted(0.7, any_layout()), 1..4),
        counts in proptest::collection::btree_map(0..7_usize, 1..4_u32, 0..4),
    ) {
        let geometry = geometry();
        let gpus: Vec<(u8, Option<List>)> = (0..).zip(gpus).collect();
        let given: Vec<(u8, Option<Layout>)> = gpus
            .iter()
            .map(|(slot, list)| (*slot, list.as_ref().map(|list| layout(&geometry, list))))
            .collect();
        let found = choose(&geometry, &given, &wanted(&geometry, &counts));

        // Brute force, with as few GPUs switched as can be.
        let (sliced, idle): (Vec<_>, Vec<_>) = gpus.iter().partition(|(_, list)| list.is_some());
        let switched = (0..=idle.len()).find(|switched| {
            let mut lists: Vec<List> = sliced.iter().map(|(_, list)| list.clone().unwrap()).collect();
            lists.extend(vec![List::new(); *switched]);
            possible(family(), &mut lists, &mut counts.clone(), &mut BTreeSet::new())
        });
        let by_engine = found.as_ref().map(|found| {
            found.gpus.iter().filter(|gpu| gpu.switched).count()
        });
        prop_assert_eq!(by_engine, switched);
        if let Some(found) = &found {
            check(&geometry, &gpus, &counts, found);
            let again = choose(&geometry, &given, &wanted(&geometry, &counts));
            prop_assert_eq!(Some(found), again.as_ref());
        }
    }
}
