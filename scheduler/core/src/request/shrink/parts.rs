//! Which GPUs or slices stay, of a lease that has some of one node.

use super::{Left, check_fields};
use crate::lease::Having;
use crate::state::State;
use leasehold_common::api::{Problem, ShrinkLease};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{LeaseRecord, Segment, SegmentReason, Shape};
use leasehold_common::mig::MigProfile;
use leasehold_placement::{Part, Trimmed, trim_gpus, trim_slices};
use std::collections::BTreeMap;

impl State {
    /// What is left of a lease of so many GPUs once the wish is carried out.
    pub(super) fn gpus_that_stay(
        &self,
        lease: &LeaseRecord,
        has: u32,
        wish: &ShrinkLease,
    ) -> Result<Left, Problem> {
        check_fields(lease, wish, ["gpus", "gpus"])?;
        let (segment, node, part) = part_of(lease);
        let kept = wish
            .gpus
            .ok_or_else(|| Problem::field("gpus", "absent", "how many GPUs are to stay"))?;
        let count = u8::try_from(kept).ok().filter(|_| 0 < kept && kept < has);
        let Some(count) = count else {
            let allowed = match has {
                0 | 1 => "nothing: it has one GPU, end it instead".to_owned(),
                most => format!("1 to {}, it has {most}", most - 1),
            };
            return Err(Problem::field("gpus", kept, allowed).in_state(lease.state));
        };
        let trimmed = trim_gpus(&self.cell, part, count);
        Ok(left(segment, node, trimmed, Shape::gpus(kept)))
    }

    /// What is left of a lease of these slices once the wish is carried out.
    pub(super) fn slices_that_stay(
        &self,
        lease: &LeaseRecord,
        has: &BTreeMap<MigProfile, u32>,
        wish: &ShrinkLease,
    ) -> Result<Left, Problem> {
        check_fields(lease, wish, ["slices", "slices"])?;
        let (segment, node, part) = part_of(lease);
        let kept = wish.slices.as_ref().ok_or_else(|| {
            Problem::field("slices", "absent", "how many of each profile are to stay")
        })?;
        let kept: BTreeMap<MigProfile, u32> = kept
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(profile, count)| (profile.clone(), *count))
            .collect();
        let most = |profile: &MigProfile| has.get(profile).copied().unwrap_or(0);
        let too_many = kept.iter().find(|(profile, count)| **count > most(profile));
        if too_many.is_some() || kept.is_empty() || kept == *has {
            let given = if kept.is_empty() {
                "none".to_owned()
            } else {
                Shape::slices(kept).to_string()
            };
            let allowed = format!("fewer than it has, and one at least: {}", lease.spec.shape);
            return Err(Problem::field("slices", given, allowed).in_state(lease.state));
        }
        let trimmed = trim_slices(&self.cell, part, &kept);
        Ok(left(segment, node, trimmed, Shape::slices(kept)))
    }
}

/// What a lease has of its one node.
fn part_of(lease: &LeaseRecord) -> (&Segment, NodeIndex, Part<'_>) {
    let segment = lease.segment().expect("callers looked at its state");
    let node = segment.nodes.first().expect("it has hardware");
    let part = Part {
        lease: lease.id,
        node,
        gpus: segment.gpus.get(&node).copied().unwrap_or_default(),
        slices: segment.slices.get(&node).map_or(&[], Vec::as_slice),
    };
    (segment, node, part)
}

fn left(segment: &Segment, node: NodeIndex, trimmed: Trimmed, shape: Shape) -> Left {
    let Trimmed { gpus, slices, why } = trimmed;
    let slices = (!slices.is_empty()).then_some((node, slices));
    Left {
        said: shape.to_string(),
        shape,
        having: Having {
            nodes: segment.nodes.clone(),
            gpus: BTreeMap::from([(node, gpus)]),
            slices: slices.into_iter().collect(),
            spares: segment.spares.clone(),
            stands_for: None,
            reason: SegmentReason::Shrunk,
        },
        why,
    }
}
