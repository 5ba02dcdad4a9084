//! What an operator would see.

use super::oracle::geometry;
use crate::mig::{Geometry, Illegal, Instance, Layout, Wanted, choose};
use std::collections::BTreeMap;

fn instance(geometry: &Geometry, profile: &str, start: u8) -> Instance {
    let kind = geometry.kind(&profile.parse().unwrap()).unwrap();
    Instance { start, kind }
}

fn layout(geometry: &Geometry, instances: &[(&str, u8)]) -> Layout {
    instances
        .iter()
        .fold(Layout::EMPTY, |layout, (profile, start)| {
            geometry
                .put(layout, instance(geometry, profile, *start))
                .unwrap()
        })
}

fn wanted(geometry: &Geometry, counts: &[(&str, u32)]) -> Wanted {
    let named: BTreeMap<_, _> = counts
        .iter()
        .map(|(profile, count)| (profile.parse().unwrap(), *count))
        .collect();
    Wanted::new(geometry, &named).unwrap()
}

/// Where it all goes, for people: slot, switched or not, and profile@start.
fn shown(geometry: &Geometry, gpus: &[(u8, Option<Layout>)], counts: &[(&str, u32)]) -> String {
    let Some(found) = choose(geometry, gpus, &wanted(geometry, counts)) else {
        return "none".to_owned();
    };
    let gpu = |gpu: &crate::mig::Sliced| {
        let one = |one: &Instance| format!(" {}@{}", geometry.profile(one.kind), one.start);
        let all: String = gpu.instances.iter().map(one).collect();
        format!("{}{}:{all}", gpu.slot, if gpu.switched { "*" } else { "" })
    };
    found.gpus.iter().map(gpu).collect::<Vec<_>>().join(", ")
}

#[test]
fn small_instances_go_where_the_large_ones_cannot_use_the_place() {
    let geometry = geometry();
    let place = |profile: &str, count: u8| {
        let kind = geometry.kind(&profile.parse().unwrap()).unwrap();
        let starts = geometry.place(Layout::EMPTY, kind, count);
        starts.map(|starts| starts.iter().collect::<Vec<_>>())
    };
    assert_eq!(place("3g.71gb", 1), Some(vec![4]));
    assert_eq!(place("2g.35gb", 1), Some(vec![4]));
    assert_eq!(place("1g.18gb", 1), Some(vec![6]));
    assert_eq!(place("1g.35gb", 1), Some(vec![6]));
    assert_eq!(place("1g.18gb", 3), Some(vec![4, 5, 6]));
    assert_eq!(place("1g.18gb", 8), None);
}

#[test]
fn what_may_not_stand_somewhere_is_refused_with_what_may() {
    let geometry = geometry();
    let held = layout(&geometry, &[("3g.71gb", 4), ("1g.18gb+me", 0)]);
    let refused = |profile: &str, start: u8| {
        let one = instance(&geometry, profile, start);
        geometry.put(held, one).unwrap_err().to_string()
    };
    assert_eq!(
        refused("2g.35gb", 1),
        "2g.35gb cannot begin at memory slice 1, only at [0, 2, 4]"
    );
    assert_eq!(
        refused("4g.71gb", 0),
        "4g.71gb at memory slice 0 would overlap an instance that is there"
    );
    assert_eq!(
        refused("1g.18gb+me", 1),
        "a gpu has one 1g.18gb+me only, and has it"
    );
    assert_eq!(geometry.take(held, 5), Err(Illegal::Absent { start: 5 }));
}

#[test]
fn the_fullest_gpu_in_mig_mode_comes_first_and_an_idle_one_last() {
    let geometry = geometry();
    let full = layout(&geometry, &[("4g.71gb", 0)]);
    let fuller = layout(&geometry, &[("4g.71gb", 0), ("2g.35gb", 4)]);
    let node = [
        (0, None),
        (1, Some(Layout::EMPTY)),
        (2, Some(full)),
        (3, Some(fuller)),
    ];
    let shown = |counts: &[(&str, u32)]| shown(&geometry, &node, counts);
    assert_eq!(shown(&[("1g.18gb", 1)]), "3: 1g.18gb@6");
    assert_eq!(shown(&[("1g.18gb", 2)]), "2: 1g.18gb@6, 3: 1g.18gb@6");
    assert_eq!(shown(&[("3g.71gb", 1)]), "2: 3g.71gb@4");
    assert_eq!(shown(&[("7g.141gb", 1)]), "1: 7g.141gb@0");
    assert_eq!(shown(&[("7g.141gb", 2)]), "0*: 7g.141gb@0, 1: 7g.141gb@0");
    assert_eq!(shown(&[("7g.141gb", 3)]), "none");
    assert_eq!(shown(&[]), "");
}

#[test]
fn a_mixture_that_largest_first_would_miss_is_found() {
    let geometry = geometry();
    // The 3g has to go on the GPU with its upper half free, or the 4g has no place.
    let low = layout(&geometry, &[("1g.18gb", 6)]);
    let high = layout(&geometry, &[("1g.18gb", 0)]);
    let node = [(0, Some(low)), (1, Some(high))];
    assert_eq!(
        shown(&geometry, &node, &[("4g.71gb", 1), ("3g.71gb", 1)]),
        "0: 4g.71gb@0, 1: 3g.71gb@4"
    );
}

#[test]
fn a_profile_of_other_gpus_is_an_error_and_not_a_refusal() {
    let geometry = geometry();
    let named = BTreeMap::from([("1g.10gb".parse().unwrap(), 1)]);
    let refused = Wanted::new(&geometry, &named).unwrap_err();
    assert_eq!(refused.family, "H200-141GB");
    assert_eq!(refused.known.len(), 7);
}

#[test]
fn a_layout_is_eight_bytes_whether_there_is_one_or_not() {
    assert_eq!(size_of::<Layout>(), 8);
    assert_eq!(size_of::<Option<Layout>>(), 8);
}
