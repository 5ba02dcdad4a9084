//! Why a grant is refused.

use super::book::{Entry, GrantBook};
use super::decide::Facts;
use super::slices;
use leasehold_common::grant::{Grant, Order, REQUIRES_MIG, RefusalReason};
use leasehold_common::ids::{GpuUuid, LeaseId};
use leasehold_common::time::Timestamp;
use std::collections::BTreeSet;

/// The words of `requires` that this agent can do. Slices are kept, handed over and metered as they are
/// granted; it makes no instances, as it enforces nothing yet.
const CAN_DO: [&str; 1] = [REQUIRES_MIG];

/// Why, and the same in words.
pub type Refused = (RefusalReason, String);

/// Whether newer terms, or those of a lease that is new here, are taken.
///
/// The order of the checks is part of the rule: whose it is comes before what it says, and an order
/// to end is not held up by the state of the hardware.
pub fn check(
    book: &GrantBook,
    lease: LeaseId,
    grant: &Grant,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Result<(), Refused> {
    is_ours(lease, grant, facts)?;
    let held = book.entry(lease);
    is_new(held, grant)?;
    can_be_done(grant)?;
    match grant.order {
        Order::End => Ok(()),
        // Nothing is served any more, and the answer is that it is over.
        Order::Serve if grant.access_end.is_some_and(|end| end <= now) => Ok(()),
        Order::Serve => {
            gpus_are_here(held, grant, facts)?;
            gpus_are_promised_to_nobody_else(book, lease, grant, now)?;
            gpus_are_not_occupied(held, grant, facts)
        }
    }
}

/// Whether the grant is for this node and this lease.
pub fn is_ours(lease: LeaseId, grant: &Grant, facts: &Facts<'_>) -> Result<(), Refused> {
    if grant.lease != lease {
        let detail = format!("filed under lease {lease}, speaks of lease {}", grant.lease);
        return Err((RefusalReason::Unreadable, detail));
    }
    if grant.cell != *facts.cell {
        let detail = format!("for cell {}, this is cell {}", grant.cell, facts.cell);
        return Err((RefusalReason::ForeignCell, detail));
    }
    if grant.node != *facts.node {
        let detail = format!("for node {}, this is node {}", grant.node, facts.node);
        return Err((RefusalReason::ForeignNode, detail));
    }
    Ok(())
}

fn is_new(held: Option<&Entry>, grant: &Grant) -> Result<(), Refused> {
    match held {
        Some(held) if grant.term < held.grant().term => {
            let detail = format!(
                "term {} is older than {}, which stands",
                grant.term,
                held.grant().term
            );
            Err((RefusalReason::OldTerm, detail))
        }
        Some(_) | None => Ok(()),
    }
}

fn can_be_done(grant: &Grant) -> Result<(), Refused> {
    let unknown = grant
        .requires
        .iter()
        .find(|word| !CAN_DO.contains(&word.as_str()));
    match unknown {
        Some(word) => {
            let detail = format!("asks for {word:?}, which this agent does not know");
            Err((RefusalReason::UnknownRequirement, detail))
        }
        None => Ok(()),
    }
}

fn gpus_are_here(held: Option<&Entry>, grant: &Grant, facts: &Facts<'_>) -> Result<(), Refused> {
    // A lease is not refused its extension because one of its GPUs has been lost meanwhile.
    let unknown = grant
        .gpus
        .iter()
        .find(|gpu| !facts.gpus.contains(*gpu) && !has(held, gpu));
    match unknown {
        Some(gpu) => Err((
            RefusalReason::UnknownGpu,
            format!("{gpu} is not on this node"),
        )),
        None => Ok(()),
    }
}

fn gpus_are_promised_to_nobody_else(
    book: &GrantBook,
    lease: LeaseId,
    grant: &Grant,
    now: Timestamp,
) -> Result<(), Refused> {
    let serving = book.entry(lease).is_some_and(Entry::is_serving);
    let wanted = Access::of(grant, serving, now);
    let clash = book
        .live()
        .filter(|(other, _)| *other != lease)
        .filter(|(_, entry)| wanted.meets(&Access::of(entry.grant(), entry.is_serving(), now)))
        .find_map(|(other, entry)| {
            let shared = grant.gpus.iter().find(|gpu| {
                entry.grant().gpus.contains(gpu) && slices::clash(grant, entry.grant(), gpu)
            });
            shared.map(|gpu| (other, gpu))
        });
    match clash {
        Some((other, gpu)) => Err((
            RefusalReason::Overlap,
            format!("lease {other} has {gpu} at that time"),
        )),
        None => Ok(()),
    }
}

fn gpus_are_not_occupied(
    held: Option<&Entry>,
    grant: &Grant,
    facts: &Facts<'_>,
) -> Result<(), Refused> {
    // A lease that was accepted and waits keeps its promise; it only does not begin yet.
    if held.is_some_and(|held| !held.is_serving()) {
        return Ok(());
    }
    let occupied = grant
        .gpus
        .iter()
        .find(|gpu| facts.occupied.contains(*gpu) && !has(held, gpu));
    match occupied {
        Some(gpu) => Err(occupied_by_a_process(gpu)),
        None => Ok(()),
    }
}

/// Why an accepted lease whose time has come does not begin.
pub fn cannot_begin(grant: &Grant, occupied: &BTreeSet<GpuUuid>) -> Option<Refused> {
    grant
        .gpus
        .iter()
        .find(|gpu| occupied.contains(*gpu))
        .map(occupied_by_a_process)
}

fn occupied_by_a_process(gpu: &GpuUuid) -> Refused {
    (
        RefusalReason::Occupied,
        format!("a process that no lease explains is on {gpu}"),
    )
}

fn has(held: Option<&Entry>, gpu: &GpuUuid) -> bool {
    held.is_some_and(|held| held.grant().gpus.contains(gpu))
}

/// When a lease has access. One that is being served, or whose time has come, has it without a
/// beginning: a clock that was set back must not let another lease in.
struct Access {
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Access {
    fn of(grant: &Grant, serving: bool, now: Timestamp) -> Self {
        let has_begun = serving || grant.starts_at <= now;
        Self {
            from: if has_begun {
                Timestamp::EPOCH
            } else {
                grant.starts_at
            },
            to: grant.access_end,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        let before = |end: Option<Timestamp>, start: Timestamp| end.is_some_and(|end| end <= start);
        !before(self.to, other.from) && !before(other.to, self.from)
    }
}
