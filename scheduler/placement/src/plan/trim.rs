//! Which GPUs or slices of a node stay with a lease that is to have fewer, where nobody says which.
//!
//! Both begin with what serves least: hardware that is not sound goes first. Of GPUs those that stay lie in
//! one half of the node where a half has enough, as when they were chosen. Of slices those go that empty
//! a GPU soonest, and where none is emptied those that leave the best outlook for others.

use crate::cell::{Cell, Gone, Hold};
use crate::mig::{Geometry, Instance, Layout, Outlook};
use leasehold_common::explain::{Candidate, Explanation, Outcome, ScoreField};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Slice, Slices};
use leasehold_common::mig::MigProfile;
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::{Locality, Prefix};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What a lease has of one node that it does not have whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The lease.
    pub lease: LeaseId,
    /// The node.
    pub node: NodeIndex,
    /// Its GPUs there, or those that its slices are on.
    pub gpus: GpuSlots,
    /// Its slices; none where it has the GPUs whole.
    pub slices: &'a [Slice],
}

/// What is left of that once some is given up, and why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// The GPUs that stay, or those that slices stay on.
    pub gpus: GpuSlots,
    /// The slices that stay, by GPU and start.
    pub slices: Vec<Slice>,
    /// What was weighed.
    pub why: Explanation,
}

/// Chooses which `count` GPUs stay. Nothing is changed.
///
/// Where the lease has no more, all of them do.
pub fn trim_gpus(cell: &Cell, part: Part<'_>, count: u8) -> Trimmed {
    let sound = part.gpus.common(healthy(cell, part.node));
    let from = if sound.len() < count {
        part.gpus
    } else {
        sound
    };
    let gpus = cell.spec(part.node).map_or(0, |spec| spec.gpus);
    let low = GpuSlots::first(gpus / 2);
    let room = GpuSlots::first(gpus).minus(of_others(cell, part));
    let halves = [low, GpuSlots::first(gpus).minus(low)];
    let enough = halves
        .into_iter()
        .filter(|half| half.common(from).len() >= count);
    // The half of which others can have least anyway: what is free beside the GPUs that go is the more.
    let half = enough.min_by_key(|half| room.common(*half).len());
    let half = half.unwrap_or_else(|| {
        let [low, high] = halves;
        if high.common(from).len() > low.common(from).len() {
            high
        } else {
            low
        }
    });
    let rank = |slot: &u8| (!sound.contains(*slot), !half.contains(*slot), *slot);
    let mut order: Vec<u8> = part.gpus.iter().collect();
    order.sort_unstable_by_key(rank);
    let stay = order.into_iter().take(usize::from(count));
    let stay = stay.fold(GpuSlots::NONE, GpuSlots::with);
    trimmed(cell, part, stay, Vec::new())
}

/// Chooses which slices stay: so many of each profile, and none of others. Nothing is changed.
///
/// Where the lease has no more of a profile, all of those do.
pub fn trim_slices(cell: &Cell, part: Part<'_>, wanted: &BTreeMap<MigProfile, u32>) -> Trimmed {
    let mut stay = part.slices.to_vec();
    let sku = cell
        .spec(part.node)
        .and_then(|spec| cell.index().sku(&spec.sku));
    if let Some(geometry) = sku.and_then(|(sku, _)| cell.geometry(sku)) {
        let mut surplus: BTreeMap<&MigProfile, u32> = BTreeMap::new();
        for slice in part.slices {
            *surplus.entry(&slice.profile).or_default() += 1;
        }
        for (profile, count) in &mut surplus {
            let kept = wanted.get(*profile).copied().unwrap_or(0);
            *count = count.saturating_sub(kept);
        }
        while let Some(at) = next_to_go(cell, geometry, part, &stay, &surplus) {
            let gone = stay.remove(at);
            if let Some(count) = surplus.get_mut(&gone.profile) {
                *count -= 1;
            }
        }
    }
    stay.sort_unstable_by_key(|slice| (slice.gpu, slice.start));
    let gpus = stay.iter().map(|slice| slice.gpu);
    let gpus = gpus.fold(GpuSlots::NONE, GpuSlots::with);
    trimmed(cell, part, gpus, stay)
}

/// How good it is that a slice goes; the least goes first.
type Turn = (bool, u32, Reverse<Outlook>, Reverse<u8>, Reverse<u8>);

/// Which of the slices that are left goes next, if any is to.
fn next_to_go(
    cell: &Cell,
    geometry: &Geometry,
    part: Part<'_>,
    left: &[Slice],
    surplus: &BTreeMap<&MigProfile, u32>,
) -> Option<usize> {
    let healthy = healthy(cell, part.node);
    let turn = |slice: &Slice| -> Turn {
        let others = taken_by_others(cell, part, slice.gpu);
        let mates = left.iter().filter(|other| other.gpu == slice.gpu);
        let here = layout(geometry, others, mates.clone());
        let after = layout(geometry, others, mates.filter(|other| *other != slice));
        (
            healthy.contains(slice.gpu),
            here.taken().count_ones(),
            Reverse(geometry.outlook(after)),
            Reverse(slice.gpu),
            Reverse(slice.start),
        )
    };
    let goes = |slice: &Slice| surplus.get(&slice.profile).is_some_and(|count| *count > 0);
    let may_go = left.iter().enumerate().filter(|(_, slice)| goes(slice));
    may_go
        .min_by_key(|(_, slice)| turn(slice))
        .map(|(at, _)| at)
}

/// A GPU with these slices beside what others have of it.
fn layout<'a>(
    geometry: &Geometry,
    others: Gone,
    slices: impl Iterator<Item = &'a Slice>,
) -> Layout {
    slices.fold(others.layout(), |layout, slice| {
        let kind = geometry.kind(&slice.profile);
        let start = slice.start;
        let with = kind
            .ok()
            .and_then(|kind| geometry.put(layout, Instance { start, kind }).ok());
        with.unwrap_or(layout)
    })
}

fn others<'a>(cell: &'a Cell, part: Part<'a>) -> impl Iterator<Item = &'a Hold> {
    let holds = cell.holds(part.node);
    holds.filter(move |hold| hold.lease != part.lease)
}

/// GPUs that others have now or will have.
fn of_others(cell: &Cell, part: Part<'_>) -> GpuSlots {
    let slots = others(cell, part).map(|hold| hold.slots);
    slots.fold(GpuSlots::NONE, GpuSlots::union)
}

/// What others have, or will have, of a GPU.
fn taken_by_others(cell: &Cell, part: Part<'_>, gpu: u8) -> Gone {
    let pieces = others(cell, part).flat_map(|hold| &hold.pieces);
    let here = pieces.filter(|piece| piece.gpu == gpu);
    here.fold(Gone::default(), |gone, piece| gone.with(piece.gone()))
}

fn healthy(cell: &Cell, node: NodeIndex) -> GpuSlots {
    cell.condition(node)
        .map_or(GpuSlots::NONE, |condition| condition.healthy)
}

fn trimmed(cell: &Cell, part: Part<'_>, gpus: GpuSlots, slices: Vec<Slice>) -> Trimmed {
    let node = part.node;
    let on = (!slices.is_empty()).then(|| (node, slices.clone()));
    let unit = cell.spec(node);
    let why = Explanation {
        outcome: Outcome::Placed,
        evaluated: 1,
        fit: 1,
        filtered: BTreeMap::new(),
        exhausted: BTreeMap::new(),
        winner: Some(Candidate {
            unit: unit.map_or_else(Prefix::cell, |spec| spec.path.unit(Locality::Domain)),
            nodes: [node].into_iter().collect(),
            gpus: BTreeMap::from([(node, gpus)]),
            slices: on.into_iter().collect::<Slices>(),
            spares: NodeSet::new(),
            score: vec![(ScoreField::NodeIndex, i64::from(node.0))],
            lost_by: None,
        }),
        runners_up: Vec::new(),
        reasons: Vec::new(),
        earliest: None,
        unblocked_by: Vec::new(),
        reclaim: None,
        policy: None,
    };
    Trimmed { gpus, slices, why }
}
