//! Why a request waits, until when, and what would let it go on.

use super::ask::{Ask, Need};
use super::bars;
use super::earliest::{First, first_node, first_of_gang};
use super::faults::Cause;
use super::gang::{self as gangs, Size};
use super::limits::{Bar, Limits};
use super::missing::{self, Missing};
use super::rules::judge;
use super::slices;
use super::small::closest;
use super::survey::Survey;
use super::tally::Tally;
use super::together::Together;
use leasehold_common::explain::{Explanation, Outcome, RankedReason, Reason, Unblock};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::GpuSlots;
use leasehold_common::policy::Policy;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::{Locality, Prefix};
use std::collections::BTreeSet;

/// How many leases are named whose ends would help. A gang can wait for hundreds, and nobody reads
/// more than a few lines of them.
const LEASES_NAMED: usize = 8;

/// How many places are named that have a rate of cleaning.
const PLACES_NAMED: usize = 3;

/// The explanation of a request for one node that does not fit now and could.
pub(super) fn small(ask: &Ask<'_>, tally: &Tally, policy: &Policy) -> Explanation {
    let mut why = tally.explanation(Outcome::Wait);
    // One node that only this keeps away would do.
    let enough = tally.alone.map(|nodes| nodes > 0);
    let told = Told::of(tally, enough);
    why.reasons = loose_gpus(ask, tally)
        .into_iter()
        .chain(told.reasons(ask, tally, &asked_of_one(ask)))
        .chain(not_before(ask))
        .collect();
    if let Some((at, node)) = first_node(ask, policy) {
        why.earliest = Some(at);
        let then = ask.at(at);
        let slots = match ask.need {
            Need::Whole => None,
            Need::Gpus(count) => {
                let (known, stance) = ask.look(node);
                let free = judge(known, stance, &then).free;
                Some(closest(free, count, stance.gpus))
            }
            Need::Slices(_) => slices::Spot::on(&then, node).map(|spot| spot.gpus()),
        };
        let mut ends = BTreeSet::new();
        leases_that_end(ask, &then, node, slots, &mut ends);
        why.unblocked_by = named(ends);
    }
    let mut limits = Limits::new(*ask, policy);
    let mut missing = Missing::default();
    for bar in [Bar::Power, Bar::Reserved] {
        let Some(node) = bars::first_barred(ask, &mut limits, tally, bar) else {
            continue;
        };
        let lacks = Missing::of(&limits, &[node].into_iter().collect());
        match bar {
            Bar::Power => {
                why.unblocked_by.extend(lacks.more_watts(ask));
                why.unblocked_by.extend(lower_cap(ask, |cap| {
                    let stance = ask.look(node).1;
                    limits.capped(cap).bar(node, stance).is_none()
                }));
            }
            Bar::Reserved => why.unblocked_by.extend(lacks.more_shares(ask)),
        }
        missing = missing.or(lacks);
    }
    why.exhausted = missing::of_one(ask, tally, &told.causes, missing);
    others(tally, &mut why.unblocked_by);
    why
}

/// The explanation of a gang that does not fit now and could.
pub(super) fn gang(
    survey: &Survey<'_>,
    size: Size,
    limits: &Limits<'_>,
    policy: &Policy,
) -> Explanation {
    let wanted = size.nodes;
    let ask = &survey.ask;
    let tally = &survey.tally;
    let stand = Standing::of(survey, wanted, limits);
    let mut why = tally.explanation(Outcome::Wait);
    // Where each node could be had and all of them together cannot, something runs out on the way.
    let runs_out = tally.fit >= wanted && stand.most_fit >= wanted;
    let together = runs_out.then(|| Together::of(survey, size, limits));
    let told = Told::of(tally, stand.enough);
    let shape = &ask.request.shape;
    let asked = if tally.fit < wanted {
        format!("{} of the {wanted} nodes asked are free", tally.fit)
    } else {
        format!("no {} has {shape} free", ask.within())
    };
    why.reasons = together
        .into_iter()
        .flat_map(Together::reasons)
        .chain(scattered(survey, &stand, wanted))
        .chain(told.reasons(ask, tally, &asked))
        .chain(not_before(ask))
        .collect();
    if let Some(First { at, nodes }) = first_of_gang(survey, size, policy) {
        why.earliest = Some(at);
        let mut ends = BTreeSet::new();
        let then = ask.at(at);
        for node in nodes {
            let (known, stance) = ask.look(node);
            // Where every lease on it ends after those that will be named, it says nothing more.
            let is_late = ends.len() >= LEASES_NAMED
                && ends
                    .last()
                    .is_some_and(|(last, _): &(Timestamp, LeaseId)| stance.ends.0 > *last);
            if !is_late && judge(known, stance, &then).faults.fits() {
                leases_that_end(ask, &then, node, None, &mut ends);
            }
        }
        why.unblocked_by = named(ends);
    }
    let binds = |cause: Cause| {
        told.causes.contains(&cause) || together.is_some_and(|together| together.binds(cause))
    };
    let mut missing = Missing::default();
    if binds(Cause::Power) || binds(Cause::Reserved) {
        missing = Missing::of(limits, &gangs::would_have(survey, size));
    }
    if binds(Cause::Power) {
        let fits = |cap| {
            !gangs::candidates(survey, size, &limits.capped(cap))
                .best
                .is_empty()
        };
        why.unblocked_by.extend(lower_cap(ask, fits));
        why.unblocked_by.extend(missing.more_watts(ask));
    }
    if binds(Cause::Reserved) {
        why.unblocked_by.extend(missing.more_shares(ask));
    }
    let counted = (tally, size, stand.most_fit);
    why.exhausted = missing::of_gang(counted, together.as_ref(), &told.causes, missing);
    others(tally, &mut why.unblocked_by);
    why
}

/// How the units that could serve a gang stand.
struct Standing {
    /// Whether it would fit somewhere if this kept nobody away.
    enough: [bool; Cause::ALL.len()],
    /// The most nodes that fit in one unit of the locality.
    most_fit: u32,
}

impl Standing {
    fn of(survey: &Survey<'_>, wanted: u32, limits: &Limits<'_>) -> Self {
        let tally = &survey.tally;
        if survey.ask.within() == Locality::Cell {
            let enough = tally
                .alone
                .map(|alone| alone > 0 && tally.fit + alone >= wanted);
            return Self {
                enough,
                most_fit: tally.fit,
            };
        }
        let barred = [Cause::Power, Cause::Reserved].map(|cause| tally.alone[cause as usize] > 0);
        let mut limits = barred.contains(&true).then(|| limits.clone());
        let mut standing = Self {
            enough: [false; Cause::ALL.len()],
            most_fit: 0,
        };
        for unit in survey.units(survey.ask.within()) {
            let mut fit = 0;
            let mut alone = [0; Cause::ALL.len()];
            for seat in unit.iter().filter(|s| s.faults.is_eligible()) {
                let bar = limits
                    .as_mut()
                    .filter(|_| seat.faults.fits())
                    .and_then(|limits| limits.bar(seat.index, survey.ask.stance(seat.index)));
                let faults = bar.map_or(seat.faults, |bar| bar.fault(seat.faults));
                fit += u32::from(faults.fits());
                if faults.causes.is_one() {
                    for cause in faults.causes.numbers() {
                        alone[cause] += 1;
                    }
                }
            }
            standing.most_fit = standing.most_fit.max(fit);
            for (at, alone) in alone.into_iter().enumerate() {
                standing.enough[at] |= alone > 0 && fit + alone >= wanted;
            }
        }
        // The seats know nothing of what limits keep of the nodes that fit.
        for bar in [Cause::Power, Cause::Reserved] {
            standing.enough[bar as usize] = standing.most_fit >= wanted;
        }
        for (enough, alone) in standing.enough.iter_mut().zip(survey.tally.alone) {
            *enough &= alone > 0 && survey.tally.fit + alone >= wanted;
        }
        standing
    }
}

/// What a request is told that keeps nodes away.
struct Told {
    /// First what would be enough by itself if it went away.
    causes: Vec<Cause>,
    /// Whether every node that could serve is kept away by several things at once.
    at_once: bool,
}

impl Told {
    fn of(tally: &Tally, enough: [bool; Cause::ALL.len()]) -> Self {
        let all = |counted: &[u32]| -> Vec<Cause> {
            let causes = Cause::ALL.into_iter();
            causes
                .filter(|cause| counted[*cause as usize] > 0)
                .collect()
        };
        let mut causes = all(&tally.alone);
        let at_once = causes.is_empty();
        if at_once {
            causes = all(&tally.any);
        }
        causes.sort_by_key(|&cause| !enough[cause as usize]);
        Self { causes, at_once }
    }

    fn reasons(&self, ask: &Ask<'_>, tally: &Tally, asked: &str) -> Vec<RankedReason> {
        debug_assert!(ask.sku.is_some(), "what cannot be does not wait");
        let reasons = self.causes.iter().map(|&cause| {
            let (reason, what) = in_words(cause);
            let (nodes, mut detail) = if self.at_once {
                let nodes = tally.any[cause as usize];
                let detail = format!("{asked}; {nodes} are {what}, and not only that");
                (nodes, detail)
            } else {
                let nodes = tally.alone[cause as usize];
                (nodes, format!("{asked}; {nodes} that would do are {what}"))
            };
            if cause == Cause::Cleanup && ask.cell.is_washing() {
                detail.push_str(" or wait to be cleaned, ");
                detail.push_str(&rates(ask));
            }
            RankedReason {
                reason,
                nodes,
                detail,
            }
        });
        reasons.collect()
    }
}

/// How many nodes an hour are cleaned where; nobody reads more than a few places.
fn rates(ask: &Ask<'_>) -> String {
    let rates = ask.cell.rates().map(|(place, rate)| {
        let place = if *place == Prefix::cell() {
            "all of the cell"
        } else {
            place.as_str()
        };
        format!("{rate} an hour in {place}")
    });
    let mut told: Vec<String> = rates.take(PLACES_NAMED + 1).collect();
    if told.len() > PLACES_NAMED {
        told[PLACES_NAMED] = "more elsewhere".to_owned();
    }
    told.join(", ")
}

const fn in_words(cause: Cause) -> (Reason, &'static str) {
    match cause {
        Cause::Held => (Reason::Capacity, "held or booked"),
        Cause::Cpu => (Reason::Capacity, "short of free CPU"),
        Cause::Memory => (Reason::Capacity, "short of free memory"),
        Cause::Draining => (Reason::Draining, "flagged"),
        Cause::Cleanup => (Reason::AwaitingCleanup, "giving hardware back"),
        Cause::Unavailable => (
            Reason::NodesUnavailable,
            "not heard of, faulty or taken out",
        ),
        Cause::Power => (Reason::PowerBudget, "below a power budget that is used up"),
        Cause::Reserved => (
            Reason::ReservationOnly,
            "kept for the other side, or more than this side may have",
        ),
    }
}

fn asked_of_one(ask: &Ask<'_>) -> String {
    match ask.need {
        Need::Whole => format!("no node of sku {} is free", ask.request.sku),
        Need::Gpus(_) | Need::Slices(_) => format!("no node can give {}", ask.request.shape),
    }
}

/// Enough GPUs are free, or slices of them, but not together on one node.
fn loose_gpus(ask: &Ask<'_>, tally: &Tally) -> Option<RankedReason> {
    let loose = tally.loose;
    let (wanted, what) = match ask.need {
        Need::Whole => return None,
        Need::Gpus(wanted) => (u32::from(wanted), "gpus"),
        Need::Slices(_) => (ask.wish?.eighths, "memory slices"),
    };
    if loose.gpus < u64::from(wanted) {
        return None;
    }
    if ask.wish.is_some() && u32::from(loose.most) >= wanted {
        // One node has enough, in pieces that do not hold what is asked.
        return Some(RankedReason {
            reason: Reason::Fragmented,
            nodes: loose.nodes,
            detail: format!(
                "{} memory slices are free, up to {} on one node, but not where {} could be",
                loose.gpus, loose.most, ask.request.shape
            ),
        });
    }
    Some(RankedReason {
        reason: Reason::Fragmented,
        nodes: loose.nodes,
        detail: format!(
            "{} {what} are free, but no node has more than {} of the {wanted} asked",
            loose.gpus, loose.most
        ),
    })
}

/// Enough nodes are free, but not together.
fn scattered(survey: &Survey<'_>, stand: &Standing, wanted: u32) -> Option<RankedReason> {
    let fit = survey.tally.fit;
    let within = survey.ask.within();
    (fit >= wanted && stand.most_fit < wanted).then(|| RankedReason {
        reason: Reason::Fragmented,
        nodes: fit,
        detail: format!(
            "{fit} nodes are free, but no {within} has more than {} of the {wanted} asked",
            stand.most_fit
        ),
    })
}

fn not_before(ask: &Ask<'_>) -> Option<RankedReason> {
    let start = ask.request.start.filter(|start| *start > ask.window.now)?;
    Some(RankedReason {
        reason: Reason::NotBefore,
        nodes: 0,
        detail: format!("it is not to start before {start}"),
    })
}

/// The highest cap below the one asked for with which the request would fit.
fn lower_cap(ask: &Ask<'_>, fits: impl Fn(u32) -> bool) -> Option<Unblock> {
    let (sku, _) = ask.sku?;
    let sku = ask.cell.described(sku)?;
    // Fitting is monotonic in the cap: less is never worse.
    let (mut low, mut high) = (sku.gpu_watts_min, ask.cap.unwrap_or(sku.gpu_watts));
    if low >= high || !fits(low) {
        return None;
    }
    while low + 1 < high {
        let middle = u32::midpoint(low, high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(Unblock::LowerCap { gpu_cap_watts: low })
}

/// What would help besides time.
fn others(tally: &Tally, unblocked_by: &mut Vec<Unblock>) {
    let returning = tally.alone[Cause::Cleanup as usize];
    if returning > 0 {
        unblocked_by.push(Unblock::NodesReturn { nodes: returning });
    }
    let recovering = tally.alone[Cause::Unavailable as usize];
    if recovering > 0 {
        unblocked_by.push(Unblock::NodesRecover { nodes: recovering });
    }
}

/// Adds the leases that are in the way on a node, now or after those that are, and over when the request
/// could start there.
fn leases_that_end(
    now: &Ask<'_>,
    then: &Ask<'_>,
    node: NodeIndex,
    slots: Option<GpuSlots>,
    ends: &mut BTreeSet<(Timestamp, LeaseId)>,
) {
    let (known, _) = now.look(node);
    let on_it = known.holds.iter().filter(|hold| {
        !now.party().may_share_node(hold.party(), now.apart)
            || slots.is_none_or(|slots| !slots.common(hold.slots).is_empty())
    });
    for hold in on_it.chain(now.barring_mates(known)) {
        let is_over = then
            .window
            .free_after(hold)
            .is_some_and(|free| free <= then.window.start);
        // Only the first few are named, and a gang can wait for thousands.
        let is_named = |to| {
            let last = ends.last().filter(|_| ends.len() >= LEASES_NAMED);
            last.is_none_or(|last| (to, hold.lease) < *last)
        };
        if let Some(to) = hold.to
            && is_over
            && is_named(to)
            && (hold.from > now.window.start || now.on(node).window.clashes(hold))
        {
            ends.insert((to, hold.lease));
            if ends.len() > LEASES_NAMED {
                ends.pop_last();
            }
        }
    }
}

fn named(ends: BTreeSet<(Timestamp, LeaseId)>) -> Vec<Unblock> {
    ends.into_iter()
        .take(LEASES_NAMED)
        .map(|(at, lease)| Unblock::LeaseEnds { lease, at })
        .collect()
}
