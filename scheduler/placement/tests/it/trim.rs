//! Leases of GPUs and of slices that are to have fewer.

use crate::fleet::{Twice, asks, hour};
use crate::slices::{sliceable, slices};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Shape, Slice};
use leasehold_placement::{Part, trim_gpus, trim_slices};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NODE: NodeIndex = NodeIndex(0);

fn set(slots: &[u8]) -> GpuSlots {
    slots.iter().copied().fold(GpuSlots::NONE, GpuSlots::with)
}

/// What stays of so many GPUs of a lease on the first node.
fn stays(fleet: &Twice, lease: LeaseId, gpus: GpuSlots, count: u8) -> GpuSlots {
    let part = Part {
        lease,
        node: NODE,
        gpus,
        slices: &[],
    };
    trim_gpus(&fleet.cell, part, count).gpus
}

fn slice(gpu: u8, profile: &str, start: u8) -> Slice {
    Slice {
        gpu,
        profile: profile.parse().unwrap(),
        start,
    }
}

/// What stays of slices of a lease, of which so many of each profile are to.
fn slices_that_stay(
    fleet: &Twice,
    lease: LeaseId,
    on: &[Slice],
    wanted: &[(&str, u32)],
) -> Vec<String> {
    let wanted = wanted
        .iter()
        .map(|(name, count)| (name.parse().unwrap(), *count));
    let part = Part {
        lease,
        node: NODE,
        gpus: on
            .iter()
            .fold(GpuSlots::NONE, |on, slice| on.with(slice.gpu)),
        slices: on,
    };
    let trimmed = trim_slices(&fleet.cell, part, &wanted.collect::<BTreeMap<_, _>>());
    trimmed.slices.iter().map(ToString::to_string).collect()
}

#[test]
fn gpus_that_stay_are_close_together_and_those_that_go_are_too() {
    let mut fleet = Twice::hgx(1, 1);
    let (lease, _) = fleet.place(&asks(Shape::gpus(8)), hour(0));
    let all = GpuSlots::first(8);
    assert_eq!(stays(&fleet, lease, all, 4), set(&[0, 1, 2, 3]));
    assert_eq!(stays(&fleet, lease, all, 6), set(&[0, 1, 2, 3, 4, 5]));
    // Split over both halves, it stays in the one that has enough.
    assert_eq!(stays(&fleet, lease, set(&[3, 4, 5, 6]), 2), set(&[4, 5]));
    assert_eq!(
        stays(&fleet, lease, set(&[3, 4, 5, 6]), 4),
        set(&[3, 4, 5, 6])
    );
}

#[test]
fn gpus_stay_beside_other_leases_and_leave_a_half_free() {
    let mut fleet = Twice::hgx(1, 1);
    let (_, first) = fleet.place(&asks(Shape::gpus(2)), hour(0));
    assert_eq!(first.plan().unwrap().gpus[&NODE], set(&[0, 1]));
    let (lease, second) = fleet.place(&asks(Shape::gpus(6)), hour(0));
    let held = second.plan().unwrap().gpus[&NODE];
    assert_eq!(held, set(&[2, 3, 4, 5, 6, 7]));
    assert_eq!(stays(&fleet, lease, held, 2), set(&[2, 3]));
}

#[test]
fn a_gpu_that_is_not_sound_goes_first() {
    let mut fleet = Twice::hgx(1, 1);
    let (lease, _) = fleet.place(&asks(Shape::gpus(4)), hour(0));
    fleet.change(0, |is| is.healthy = is.healthy.minus(set(&[1])));
    let held = GpuSlots::first(4);
    assert_eq!(stays(&fleet, lease, held, 3), set(&[0, 2, 3]));
    fleet.change(0, |is| is.healthy = set(&[3]));
    assert_eq!(stays(&fleet, lease, held, 2), set(&[0, 3]));
}

#[test]
fn slices_go_that_empty_a_gpu() {
    let mut fleet = sliceable(1, 1);
    let (lease, _) = fleet.place(&asks(slices(&[("1g.18gb", 9)])), hour(0));
    let plan = &fleet.cell.booking(lease).unwrap().booking;
    let on = plan.slices[&NODE].clone();
    assert_eq!(plan.gpus[&NODE], set(&[0, 1]));
    let left = slices_that_stay(&fleet, lease, &on, &[("1g.18gb", 7)]);
    assert_eq!(left.len(), 7);
    assert!(left.iter().all(|one| one.ends_with("of gpu 0")), "{left:?}");
}

#[test]
fn where_no_gpu_is_emptied_what_others_can_have_is_the_most() {
    let mut fleet = sliceable(1, 1);
    let (lease, _) = fleet.place(&asks(slices(&[("1g.18gb", 1)])), hour(0));
    // Of the two in its middle the one goes that leaves room for a 4g.
    let on = [
        slice(0, "1g.18gb", 2),
        slice(0, "1g.18gb", 4),
        slice(0, "1g.18gb", 5),
    ];
    let left = slices_that_stay(&fleet, lease, &on, &[("1g.18gb", 2)]);
    assert_eq!(left, ["1g.18gb at 4 of gpu 0", "1g.18gb at 5 of gpu 0"]);
}

#[test]
fn a_profile_that_is_not_named_goes_altogether() {
    let mut fleet = sliceable(1, 1);
    let wish = slices(&[("3g.71gb", 1), ("1g.18gb", 3)]);
    let (lease, _) = fleet.place(&asks(wish), hour(0));
    let on = fleet.cell.booking(lease).unwrap().booking.slices[&NODE].clone();
    let left = slices_that_stay(&fleet, lease, &on, &[("3g.71gb", 1)]);
    assert_eq!(left.len(), 1);
    assert!(left[0].starts_with("3g.71gb"));
    fleet.cell.check();
}

proptest! {
    /// As many stay as are to, all of them the lease's; sound ones as long as there are some, and in one
    /// half wherever one has enough.
    #[test]
    fn what_stays_is_as_many_as_wanted_sound_and_close(
        held in 1_u16..256,
        sick in 0_u16..256,
        count in 1_u8..=8,
    ) {
        let mut fleet = Twice::hgx(1, 1);
        let (held, sick) = (GpuSlots(held), GpuSlots(sick));
        fleet.change(0, |is| is.healthy = is.healthy.minus(sick));
        let stay = stays(&fleet, LeaseId(1), held, count);
        let sound = held.minus(sick);
        prop_assert_eq!(stay.minus(held), GpuSlots::NONE);
        prop_assert_eq!(stay.len(), count.min(held.len()));
        prop_assert_eq!(stay.common(sound).len(), count.min(sound.len()));
        let halves = [GpuSlots(0x0f), GpuSlots(0xf0)];
        if count <= sound.len() && halves.iter().any(|half| half.common(sound).len() >= count) {
            prop_assert!(halves.iter().any(|half| stay.minus(*half).is_empty()));
        }
    }

    /// So many of each profile stay, and no other choice empties more GPUs where all are of one profile.
    #[test]
    fn as_many_gpus_are_emptied_as_can_be(
        on in prop::collection::btree_set((0_u8..4, 0_u8..7), 1..14),
        keep in 1_u32..14,
    ) {
        let mut fleet = sliceable(1, 1);
        let (lease, _) = fleet.place(&asks(slices(&[("1g.18gb", 1)])), hour(0));
        let on: Vec<Slice> = on.iter().map(|(gpu, start)| slice(*gpu, "1g.18gb", *start)).collect();
        let left = slices_that_stay(&fleet, lease, &on, &[("1g.18gb", keep)]);
        prop_assert_eq!(left.len(), on.len().min(keep as usize));
        let mut counts = BTreeMap::<u8, usize>::new();
        on.iter().for_each(|slice| *counts.entry(slice.gpu).or_default() += 1);
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable();
        let mut go = on.len() - left.len();
        let fits = |count: &&usize| {
            let fits = **count <= go;
            go -= if fits { **count } else { 0 };
            fits
        };
        let emptied = counts.iter().take_while(fits).count();
        let gpus = left.iter().map(|one| one.rsplit(' ').next().unwrap().to_owned());
        let gpus: std::collections::BTreeSet<String> = gpus.collect();
        prop_assert_eq!(counts.len() - gpus.len(), emptied);
    }
}
