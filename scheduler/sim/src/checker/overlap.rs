//! Hardware that is given twice.

use super::Broken;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, LeaseRecord, LeaseState, Segment, Slice};
use leasehold_common::mig::MigFamilies;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

const ALL: GpuSlots = GpuSlots(u16::MAX);

/// Whether its segment says something about hardware.
const fn holds(state: LeaseState) -> bool {
    matches!(
        state,
        LeaseState::Scheduled
            | LeaseState::Preparing
            | LeaseState::Active
            | LeaseState::Draining
            | LeaseState::Releasing
            | LeaseState::Settling
    )
}

fn gpus(segment: &Segment, node: NodeIndex) -> GpuSlots {
    segment.gpus.get(&node).copied().unwrap_or(ALL)
}

fn meet(a: &Segment, b: &Segment) -> bool {
    let last = Timestamp::from_unix_ms(i64::MAX);
    let from = a.from.max(b.from);
    let to = a.to.unwrap_or(last).min(b.to.unwrap_or(last));
    from < to
}

/// The GPUs of which both want the same: slices of one GPU may be in several leases.
fn shared(a: &Segment, b: &Segment, node: NodeIndex, same_side: bool) -> GpuSlots {
    let both = gpus(a, node).common(gpus(b, node));
    let (Some(mine), Some(theirs)) = (a.slices.get(&node), b.slices.get(&node)) else {
        return both;
    };
    if !same_side {
        return both;
    }
    let run = |slice: &Slice| {
        let families = MigFamilies::built_in();
        let kinds = families.iter().flat_map(|family| &family.kinds);
        let kind = kinds.into_iter().find(|kind| kind.name == slice.profile);
        slice.start..slice.start + kind.map_or(8, |kind| kind.memory)
    };
    let met = mine.iter().filter(|mine| {
        theirs.iter().any(|theirs| {
            let (a, b) = (run(mine), run(theirs));
            let engines = mine.profile == theirs.profile && mine.profile.as_str().ends_with("+me");
            mine.gpu == theirs.gpu && (engines || (a.start < b.end && b.start < a.end))
        })
    });
    met.fold(GpuSlots::NONE, |slots, slice| slots.with(slice.gpu))
}

/// No GPU is in two live leases at one instant, and no node serves two accounts.
pub fn alone(leases: &BTreeMap<LeaseId, LeaseRecord>, lease: &LeaseRecord) -> Result<(), Broken> {
    let Some(mine) = lease.segment().filter(|_| holds(lease.state)) else {
        return Ok(());
    };
    for other in leases
        .values()
        .filter(|o| o.id != lease.id && holds(o.state))
    {
        let Some(theirs) = other.segment().filter(|theirs| meet(mine, theirs)) else {
            continue;
        };
        for node in mine.nodes.iter().filter(|n| theirs.nodes.contains(*n)) {
            let both = shared(mine, theirs, node, lease.side == other.side);
            let facts = || {
                format!(
                    "node {node}: lease {} of {} from {} to {:?} on {}, lease {} of {} from {} to \
                     {:?} on {}",
                    lease.id,
                    lease.spec.account,
                    mine.from,
                    mine.to,
                    gpus(mine, node),
                    other.id,
                    other.spec.account,
                    theirs.from,
                    theirs.to,
                    gpus(theirs, node),
                )
            };
            if !both.is_empty() {
                return Err(Broken::new("a GPU is in one lease at a time", facts()));
            }
            if other.spec.account != lease.spec.account {
                return Err(Broken::new("a node serves one account at a time", facts()));
            }
        }
    }
    Ok(())
}

/// A lease that has just been placed is on no GPU that a lease which had ended before has not given
/// back. `before` are the leases as they were before this commit.
pub fn is_back(
    before: &BTreeMap<LeaseId, LeaseRecord>,
    now: &BTreeMap<LeaseId, LeaseRecord>,
    placed: &LeaseRecord,
) -> Result<(), Broken> {
    let Some(mine) = placed.segment() else {
        return Ok(());
    };
    // What it had already was booked for a time when it would be back.
    let had = before.get(&placed.id);
    let is_new = |node| had.is_none_or(|had| had.nodes().all(|had| had != node));
    for old in before.values().filter(|old| old.id != placed.id) {
        let had_ended = matches!(
            old.state,
            LeaseState::Releasing | LeaseState::Settling | LeaseState::Closed
        );
        // What came back in this very commit is back.
        let returned = &now.get(&old.id).unwrap_or(old).progress.returned;
        let last = old.placement.len().saturating_sub(1);
        let theirs = old.placement.iter().enumerate();
        // A lease that goes on has ended on the nodes it has no longer.
        let theirs = theirs.filter(|(at, _)| had_ended || *at < last);
        let nodes =
            theirs.flat_map(|(at, theirs)| theirs.nodes.iter().map(move |n| (n, at, theirs)));
        // Of a node that it had to the last, what it had before is another matter: `is_shed`.
        let kept = |node, at| at < last && old.nodes().any(|n| n == node);
        let is_taken = |node, at| mine.nodes.contains(node) && is_new(node) && !kept(node, at);
        for (node, _, theirs) in nodes.filter(|(n, at, _)| is_taken(*n, *at)) {
            let both = shared(mine, theirs, node, placed.side == old.side);
            if !both.is_empty() && !returned.contains(node) {
                return Err(Broken::new(
                    "hardware is given again only when it is back",
                    format!(
                        "lease {} was placed on gpus {both} of node {node}, which lease {} ({}) \
                         has not returned",
                        placed.id, old.id, old.state
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// A lease that has just been placed is on nothing that another has given up on a node it keeps, as long as
/// that node has not said that it follows.
pub fn is_shed(
    before: &BTreeMap<LeaseId, LeaseRecord>,
    now: &BTreeMap<LeaseId, LeaseRecord>,
    placed: &LeaseRecord,
) -> Result<(), Broken> {
    let Some(mine) = placed.segment() else {
        return Ok(());
    };
    let had = before.get(&placed.id);
    let is_new = |node| had.is_none_or(|had| had.nodes().all(|had| had != node));
    for old in before.values().filter(|old| old.id != placed.id) {
        // What is followed, or back, in this very commit is so.
        let progress = &now.get(&old.id).unwrap_or(old).progress;
        let still = progress.shedding;
        let (Some(since), Some(last)) = (old.progress.shedding.and(still), old.segment()) else {
            continue;
        };
        for earlier in old.placement.iter().skip(since as usize) {
            let nodes = mine.nodes.iter().filter(|node| is_new(*node));
            let nodes = nodes.filter(|n| earlier.nodes.contains(*n) && last.nodes.contains(*n));
            for node in nodes.filter(|n| !progress.returned.contains(*n)) {
                let both = shared(mine, earlier, node, placed.side == old.side);
                if !both.is_empty() {
                    return Err(Broken::new(
                        "what a lease gives up is given again only once its node follows",
                        format!(
                            "lease {} was placed on gpus {both} of node {node}, which lease {} \
                             ({}) gave up and the node may still serve",
                            placed.id, old.id, old.state
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}
