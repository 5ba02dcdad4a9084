//! Slices of GPUs: whether they are what was asked, where GPUs have such, and nobody else's.
//!
//! It is told from the family's list of profiles alone: where each may begin, how many memory slices
//! it takes, and how many of it a GPU has.

use super::{Fleet, Violation};
use crate::cell::Booking;
use crate::decision::Plan;
use crate::request::Request;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{Shape, Slice};
use leasehold_common::mig::{MigFamilies, MigFamily, MigKind, MigProfile};
use leasehold_common::sku::Sku;
use std::collections::{BTreeMap, BTreeSet};

/// Whether the plan has as many slices of each profile as the shape says, all on one node.
pub(super) fn is_right(request: &Request, plan: &Plan) -> bool {
    let Shape::Slices { profiles } = &request.shape else {
        return plan.slices.is_empty();
    };
    let mut on = plan.slices.iter();
    let (Some((node, slices)), None) = (on.next(), on.next()) else {
        return false;
    };
    let mut counted: BTreeMap<&MigProfile, u32> = BTreeMap::new();
    for slice in slices {
        *counted.entry(&slice.profile).or_default() += 1;
    }
    let wanted = profiles.iter().filter(|(_, count)| **count > 0);
    let gpus: BTreeSet<u8> = slices.iter().map(|slice| slice.gpu).collect();
    let named = plan.gpus.get(node);
    counted
        .iter()
        .map(|(profile, count)| (*profile, count))
        .eq(wanted)
        && !slices.is_empty()
        && plan.nodes.iter().eq([*node])
        && plan.gpus.len() == 1
        && named.is_some_and(|slots| slots.iter().eq(gpus))
        && plan.spares.is_empty()
}

/// Whether a plan and a booking both have nothing but slices of a node.
pub(super) fn are_both(plan: &Plan, other: &Booking, node: NodeIndex) -> bool {
    plan.slices.contains_key(&node) && other.slices.contains_key(&node)
}

/// Whether each slice can be where it is, with all that is there at the same time. Of the neighbours
/// only those of the plan's side are asked: the others' GPUs are taken whole.
pub(super) fn check<'a>(
    fleet: &Fleet,
    request: &Request,
    plan: &Plan,
    node: NodeIndex,
    neighbours: impl Iterator<Item = &'a Booking>,
    found: &mut Vec<Violation>,
) {
    let Some(mine) = plan.slices.get(&node) else {
        return;
    };
    let sku = fleet.skus.get(&request.sku);
    let Some(family) = sku.and_then(family_of) else {
        found.extend(mine.iter().map(|slice| illegal(node, slice)));
        return;
    };
    let side = request.class.side();
    let theirs: Vec<&Booking> = neighbours
        .filter(|other| other.class.side() == side)
        .filter(|other| other.slices.contains_key(&node))
        .collect();
    for slice in mine {
        let others = theirs.iter().flat_map(|other| &other.slices[&node]);
        let gpu: Vec<&Slice> = others.chain(mine).filter(|s| s.gpu == slice.gpu).collect();
        if !stands(family, slice, &gpu) {
            found.push(illegal(node, slice));
        }
    }
}

/// Whether a slice may begin where it does, and shares nothing with all there is of its GPU at any time
/// that it is there; it is among them itself.
fn stands(family: &MigFamily, slice: &Slice, gpu: &[&Slice]) -> bool {
    let Some(kind) = kind_of(family, slice) else {
        return false;
    };
    let mut overlapping = 0;
    for other in gpu {
        let Some(theirs) = kind_of(family, other) else {
            return false;
        };
        let is_before = other.start + theirs.memory <= slice.start;
        let is_behind = slice.start + kind.memory <= other.start;
        overlapping += u32::from(!is_before && !is_behind);
    }
    let alike = gpu.iter().filter(|other| other.profile == slice.profile);
    let too_many = kind.most == 1 && alike.count() > 1;
    kind.starts.contains(&slice.start) && overlapping == 1 && !too_many
}

fn illegal(node: NodeIndex, slice: &Slice) -> Violation {
    Violation::BadSlice {
        node,
        slice: slice.clone(),
    }
}

fn family_of(sku: &Sku) -> Option<&'static MigFamily> {
    MigFamilies::built_in().get(sku.mig.as_deref()?).ok()
}

fn kind_of<'a>(family: &'a MigFamily, slice: &Slice) -> Option<&'a MigKind> {
    family.kinds.iter().find(|kind| kind.name == slice.profile)
}
