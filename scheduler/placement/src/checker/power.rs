//! Watts, minute by minute where anything changes.

use super::{Fleet, Violation, slots_of, slots_of_booking};
use crate::decision::Plan;
use crate::request::Request;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Slice;
use leasehold_common::mig::MigFamilies;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Prefix;

const MINUTE: u64 = 60_000;

/// What somebody draws, in minutes since the epoch.
struct Draw {
    from: u64,
    to: Option<u64>,
    milliwatts: u64,
}

impl Draw {
    const fn has(&self, minute: u64) -> bool {
        self.from <= minute
            && match self.to {
                Some(to) => minute < to,
                None => true,
            }
    }
}

pub(super) fn check(fleet: &Fleet, request: &Request, plan: &Plan, found: &mut Vec<Violation>) {
    for (unit, steps) in &fleet.budgets {
        let of_plan: u64 = plan
            .nodes
            .iter()
            .filter(|node| is_below(fleet, unit, *node))
            .map(|node| {
                let cap = request.gpu_cap_watts;
                match plan.slices.get(&node) {
                    Some(slices) => watts_of_slices(fleet, node, slices, cap),
                    None => {
                        let gpus = slots_of(plan, node, fleet.nodes[&node].0.gpus).len();
                        watts(fleet, node, gpus, cap)
                    }
                }
            })
            .sum();
        if of_plan == 0 {
            continue;
        }
        let mine = draw(plan.start, plan.end, of_plan);
        let mut all: Vec<Draw> = Vec::new();
        for booked in &fleet.bookings {
            let booking = &booked.booking;
            let milliwatts = booking
                .nodes
                .iter()
                .filter(|node| is_below(fleet, unit, *node))
                .map(|node| {
                    let cap = booking.gpu_cap_watts;
                    match booking.slices.get(&node) {
                        Some(slices) => watts_of_slices(fleet, node, slices, cap),
                        None => {
                            let gpus = slots_of_booking(booking, node, fleet.nodes[&node].0.gpus);
                            watts(fleet, node, gpus, cap)
                        }
                    }
                })
                .sum();
            all.push(draw(booking.from, booking.to, milliwatts));
        }
        let changes = all.iter().map(|draw| draw.from);
        let steps_at = steps.iter().map(|(from, _)| millis(*from).div_ceil(MINUTE));
        let mut minutes: Vec<u64> = changes.chain(steps_at).chain([mine.from]).collect();
        // A step inside a minute counts for all of it.
        minutes.extend(steps.iter().map(|(from, _)| millis(*from) / MINUTE));
        for minute in minutes.into_iter().filter(|minute| mine.has(*minute)) {
            let drawn: u64 = all
                .iter()
                .filter(|draw| draw.has(minute))
                .map(|draw| draw.milliwatts)
                .sum();
            let at = Timestamp::EPOCH + Span::from_millis(minute * MINUTE);
            let budget = steps
                .iter()
                .rev()
                .find(|(from, _)| *from <= at)
                .and_then(|(_, limit)| *limit);
            if let Some(budget_mw) = budget
                && drawn + of_plan > budget_mw
            {
                found.push(Violation::OverBudget {
                    unit: unit.clone(),
                    at,
                    drawn_mw: drawn + of_plan,
                    budget_mw,
                });
                break;
            }
        }
    }
}

fn millis(at: Timestamp) -> u64 {
    at.since(Timestamp::EPOCH).millis()
}

fn draw(from: Timestamp, to: Option<Timestamp>, milliwatts: u64) -> Draw {
    Draw {
        from: millis(from) / MINUTE,
        to: to.map(|to| millis(to).div_ceil(MINUTE)),
        milliwatts,
    }
}

fn is_below(fleet: &Fleet, unit: &Prefix, node: NodeIndex) -> bool {
    let known = fleet.nodes.get(&node);
    known.is_some_and(|(spec, _)| {
        let mut path = spec.path.as_str().split('/');
        unit.as_str()
            .split('/')
            .filter(|part| !part.is_empty())
            .all(|part| path.next() == Some(part))
    })
}

/// GPUs at their cap, and their share of the node's overhead, rounded up to milliwatts.
fn watts(fleet: &Fleet, node: NodeIndex, gpus: usize, cap: Option<u32>) -> u64 {
    let Some(sku) = fleet.skus.get(&fleet.nodes[&node].0.sku) else {
        return 0;
    };
    let gpus = gpus as u64;
    let overhead = u64::from(sku.overhead_watts) * 1000 * gpus;
    u64::from(cap.unwrap_or(sku.gpu_watts)) * 1000 * gpus + overhead.div_ceil(u64::from(sku.gpus))
}

/// Of what one GPU draws, what goes with the compute or the memory of each slice, whichever is more, in
/// parts of 7 x 8, rounded up to milliwatts.
fn watts_of_slices(fleet: &Fleet, node: NodeIndex, slices: &[Slice], cap: Option<u32>) -> u64 {
    let Some(sku) = fleet.skus.get(&fleet.nodes[&node].0.sku) else {
        return 0;
    };
    let family = sku
        .mig
        .as_deref()
        .map(|name| MigFamilies::built_in().get(name));
    let kinds = family
        .and_then(Result::ok)
        .map_or(&[][..], |family| &family.kinds);
    let parts = slices.iter().map(|slice| {
        let kind = kinds.iter().find(|kind| kind.name == slice.profile);
        let memory = kind.map_or(0, |kind| u64::from(kind.memory));
        (u64::from(slice.profile.sevenths()) * 8).max(memory * 7)
    });
    (watts(fleet, node, 1, cap) * parts.sum::<u64>()).div_ceil(56)
}
