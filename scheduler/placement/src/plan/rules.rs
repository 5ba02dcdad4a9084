//! The hard rules: what a node fails for a request, all of it.

use super::ask::{Ask, Need};
use super::faults::{Cause, Faults, Rule};
use super::slices::judge_slices;
use crate::cell::{Fitness, Hold, Kind, NEVER, Node, Outlook, Party, SkuId, Stance, number};
use leasehold_common::class::Side;
use leasehold_common::lease::{GpuSlots, HostShare};
use leasehold_common::node::Owner;
use leasehold_common::policy::Granularity;
use leasehold_common::sku::Sku;
use leasehold_common::time::Timestamp;

/// How a node of the right SKU stands to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What is the matter.
    pub(super) faults: Faults,
    /// Its GPUs that are healthy and free all the time.
    pub(super) free: GpuSlots,
    /// What is free of it, where that is too little: GPUs, or memory slices where slices are asked for.
    pub(super) loose: u8,
    /// Whether it served the other side before.
    pub(super) changes_side: bool,
    /// CPU and memory that leases have of it, where more than GPUs let now say it.
    pub(super) host: HostShare,
    /// Whole minutes from the end of the window to the next booking; nothing where there is none.
    pub(super) idle_minutes: u32,
}

/// Numbers of GPUs of one node.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    all: u8,
    held: u8,
    returning: u8,
    sick: u8,
    free: u8,
}

/// Judges all nodes of one kind at once; `is_own`: the leases on them are the asking account's.
pub(super) fn judge_kind(kind: &Kind, ask: &Ask<'_>, is_own: bool) -> Faults {
    let mut faults = judge_fitness(kind.fitness, ask);
    if let Some(side) = kind.side {
        let party = Party {
            account: ask.account.filter(|_| is_own),
            side,
            slices_only: false,
        };
        let (held, returning) = (kind.held > 0, kind.returning > 0);
        judge_neighbours(&mut faults, ask, party, held, returning);
    }
    let numbers = Numbers {
        all: kind.gpus,
        held: kind.held,
        returning: kind.returning,
        sick: kind.sick,
        free: kind.free,
    };
    judge_gpus(&mut faults, ask, numbers);
    faults
}

/// Judges all nodes of one outlook at once, for somebody who has nothing of them.
pub(super) fn judge_outlook(outlook: &Outlook, ask: &Ask<'_>) -> Faults {
    let mut faults = judge_fitness(outlook.fitness, ask);
    for side in [Side::Internal, Side::Tenant] {
        let party = Party {
            account: None,
            side,
            slices_only: false,
        };
        let at = number(side);
        let (held, returning) = (outlook.holds[at], outlook.returns[at]);
        judge_neighbours(&mut faults, ask, party, held, returning);
    }
    let numbers = Numbers {
        all: outlook.gpus,
        held: outlook.held,
        returning: outlook.returning,
        sick: outlook.sick,
        free: outlook.free,
    };
    judge_gpus(&mut faults, ask, numbers);
    faults
}

/// Judges one node of the right SKU.
pub(super) fn judge(node: &Node, stance: &Stance, ask: &Ask<'_>) -> Verdict {
    judge_on(node, stance, &ask.on(node.index))
}

/// The same, where it is known when the node would be cleaned after the lease.
pub(super) fn judge_on(node: &Node, stance: &Stance, ask: &Ask<'_>) -> Verdict {
    if let Some(wish) = &ask.wish {
        return judge_slices(wish, node, stance, ask);
    }
    let mut faults = judge_fitness(stance.condition, ask);
    let claim = match simply(stance, ask) {
        Some(has_it) => {
            if let (Some(tenant), true) = (stance.tenant, has_it) {
                let party = Party {
                    account: Some(tenant.account),
                    side: tenant.side,
                    slices_only: false,
                };
                let (held, returning) = (!stance.held.is_empty(), !stance.returning.is_empty());
                judge_neighbours(&mut faults, ask, party, held, returning);
            }
            let of = |slots| if has_it { slots } else { GpuSlots::NONE };
            Claim {
                held: of(stance.held),
                returning: of(stance.returning),
                last_side: stance.last_side,
                next: stance.next,
                host: HostShare::default(),
            }
        }
        None => claim(node, stance, ask, &mut faults),
    };
    if ask.apart.granularity == Granularity::Domain {
        judge_mates(node, ask, &mut faults);
    }
    let all = stance.all();
    let free = all
        .minus(claim.held)
        .minus(claim.returning)
        .minus(stance.sick);
    let numbers = Numbers {
        all: all.len(),
        held: claim.held.common(all).len(),
        returning: claim.returning.common(all).len(),
        sick: stance.sick.len(),
        free: free.len(),
    };
    judge_gpus(&mut faults, ask, numbers);
    judge_host(&mut faults, ask, (stance.sku, stance.gpus), claim.host);
    Verdict {
        faults,
        free,
        loose: free.len(),
        changes_side: claim.last_side.is_some_and(|last| last != ask.side),
        host: claim.host,
        idle_minutes: idle_minutes(ask, claim.next),
    }
}

/// Leases on other nodes of its domain can keep a node from the side across.
pub(super) fn judge_mates(node: &Node, ask: &Ask<'_>, faults: &mut Faults) {
    for hold in ask.barring_mates(node).filter(|hold| ask.clashes(hold)) {
        let cause = if hold.awaiting_return || ask.window.clashes_by_queue(hold) {
            Cause::Cleanup
        } else {
            Cause::Held
        };
        faults.add(Rule::Side, cause);
    }
}

/// Whole minutes from the end of the window to the next booking.
pub(super) fn idle_minutes(ask: &Ask<'_>, next: Option<Timestamp>) -> u32 {
    match (ask.window.until(), next) {
        (Some(until), Some(next)) => {
            u32::try_from(next.since(until).millis() / 60_000).unwrap_or(u32::MAX)
        }
        _ => 0,
    }
}

/// Whether the leases that have a node now are in the way: all of them, or none. Absent where only the
/// holds on it can tell: some of them are, or bookings to come.
pub(super) fn simply(stance: &Stance, ask: &Ask<'_>) -> Option<bool> {
    let window = &ask.window;
    let takes_its_share = ask.need == Need::Whole || ask.request.host.is_none();
    let begins_after = |next| window.until().is_some_and(|until| next >= until);
    // A stance knows nothing of leases one by one.
    let names_leases = ask.without.is_some();
    // Nor of when their ends are apart from when their hardware is cleaned.
    let is_queued = ask.cell.is_washing() && window.start > window.now;
    let is_all_there_is = !names_leases && !stance.is_mixed && !is_queued;
    if !is_all_there_is || !takes_its_share || !stance.next.is_none_or(begins_after) {
        return None;
    }
    let (first, last) = stance.ends;
    // An end that is past already says nothing: the hardware should be back and is not.
    let is_free_at = |end, at| end != NEVER && window.after(Some(end)).is_some_and(|f| f <= at);
    let has_it = if stance.tenant.is_none() || window.start <= window.now {
        true
    } else if is_free_at(first, window.start) && is_free_at(last, window.start) {
        false
    } else if window
        .after(Some(first))
        .is_some_and(|free| free > window.start)
    {
        true
    } else {
        return None;
    };
    Some(has_it)
}

pub(super) fn judge_fitness(fitness: Fitness, ask: &Ask<'_>) -> Faults {
    let mut faults = Faults::default();
    let may_serve = match fitness.owner {
        Owner::Sellable => true,
        Owner::Internal => ask.side == Side::Internal,
        Owner::Spare | Owner::Repair => false,
    };
    if !may_serve {
        faults.failed.add(Rule::Owner as u8);
    }
    if fitness.barred {
        let cause = if fitness.cleaning {
            Cause::Cleanup
        } else {
            Cause::Unavailable
        };
        faults.add(Rule::State, cause);
    }
    if fitness.flagged {
        faults.add(Rule::Flagged, Cause::Draining);
    }
    if fitness.silent {
        faults.add(Rule::Silent, Cause::Unavailable);
    }
    faults
}

/// Leases of somebody else on a node keep all of it away, unless policy lets both be there.
fn judge_neighbours(faults: &mut Faults, ask: &Ask<'_>, party: Party, held: bool, returning: bool) {
    if ask.party().may_share_node(party, ask.apart) {
        return;
    }
    let is_own = party.account.is_some() && party.account == ask.account;
    for (there, cause) in [(held, Cause::Held), (returning, Cause::Cleanup)] {
        if !there {
            continue;
        }
        if party.side != ask.side {
            faults.add(Rule::Side, cause);
        }
        if !is_own {
            faults.add(Rule::Account, cause);
            if cause == Cause::Cleanup {
                // Even one GPU that is not back keeps the whole node from everybody else.
                faults.add(Rule::Returning, cause);
            }
        }
    }
}

/// Too few GPUs. Rules that fail by themselves are counted; where each would leave enough and only
/// all together do not, each that takes something away is.
fn judge_gpus(faults: &mut Faults, ask: &Ask<'_>, numbers: Numbers) {
    let need = match ask.need {
        Need::Whole => numbers.all.max(1),
        Need::Gpus(count) | Need::Slices(count) => count,
    };
    if numbers.all < need {
        faults.add(Rule::Unhealthy, Cause::Unavailable);
        return;
    }
    if numbers.free >= need {
        return;
    }
    let away = [
        (numbers.held, Rule::Taken, Cause::Held),
        (numbers.returning, Rule::Returning, Cause::Cleanup),
        (numbers.sick, Rule::Unhealthy, Cause::Unavailable),
    ];
    let fails = |gpus: u8| numbers.all - gpus < need;
    let any = away.iter().any(|(gpus, _, _)| fails(*gpus));
    for (gpus, rule, cause) in away {
        if fails(gpus) || (!any && gpus > 0) {
            faults.add(rule, cause);
        }
    }
}

/// Too little CPU or memory. A whole node comes with all of its own.
fn judge_host(faults: &mut Faults, ask: &Ask<'_>, (sku, gpus): (SkuId, u8), taken: HostShare) {
    let (Need::Gpus(_), Some(sku)) = (ask.need, ask.cell.described(sku)) else {
        return;
    };
    if taken == HostShare::default() && ask.request.host.is_none() {
        // What goes with GPUs of a node is never more than goes with all of them.
        return;
    }
    judge_shares(faults, sku.host_share(gpus), taken, host_asked(ask, sku));
}

/// The CPU and memory that are asked of one node.
pub(super) fn host_asked(ask: &Ask<'_>, sku: &Sku) -> HostShare {
    let with_gpus = || match (ask.need, ask.wish) {
        (Need::Gpus(count), _) => sku.host_share(count),
        (Need::Slices(_), Some(wish)) => sku.host_sevenths(wish.sevenths),
        // A whole node comes with all of its own.
        (Need::Slices(_), None) | (Need::Whole, _) => HostShare::default(),
    };
    ask.request.host.unwrap_or_else(with_gpus)
}

/// Whether a node that has `all` has not enough left. Where leases have its GPUs anyway, CPU and memory
/// come free with those.
pub(super) const fn judge_shares(
    faults: &mut Faults,
    all: HostShare,
    taken: HostShare,
    mine: HostShare,
) {
    const fn lacks(all: u64, taken: u64, mine: u64) -> bool {
        all > 0 && taken + mine > all
    }
    let is_held = faults.causes.has(Cause::Held as u8);
    if lacks(all.cpu_milli, taken.cpu_milli, mine.cpu_milli) {
        faults.add(Rule::Host, if is_held { Cause::Held } else { Cause::Cpu });
    }
    if lacks(all.memory_mib, taken.memory_mib, mine.memory_mib) {
        let cause = if is_held { Cause::Held } else { Cause::Memory };
        faults.add(Rule::Host, cause);
    }
}

/// What leases take of a node in the window.
struct Claim {
    /// CPU and memory.
    host: HostShare,
    held: GpuSlots,
    returning: GpuSlots,
    last_side: Option<Side>,
    /// When the first booking after the window begins.
    next: Option<Timestamp>,
}

fn claim(node: &Node, stance: &Stance, ask: &Ask<'_>, faults: &mut Faults) -> Claim {
    let (mut held, mut returning) = (GpuSlots::NONE, GpuSlots::NONE);
    let beside = walk(node, stance, ask, faults, |hold, is_returning| {
        let slots = if is_returning {
            &mut returning
        } else {
            &mut held
        };
        *slots = slots.union(hold.slots);
    });
    Claim {
        host: host_taken(node, stance, ask),
        held,
        returning,
        last_side: beside.last_side,
        next: beside.next,
    }
}

/// What is before the window on a node, and after it.
pub(super) struct Beside {
    /// The side that it serves before.
    pub(super) last_side: Option<Side>,
    /// When the first booking after it begins.
    pub(super) next: Option<Timestamp>,
}

/// Goes through what is in the way on a node in the window, each with whether it is on its way back, or as
/// good as that: it only waits for its hour to be cleaned. Where the stance decides, it says what is held.
pub(super) fn walk(
    node: &Node,
    stance: &Stance,
    ask: &Ask<'_>,
    faults: &mut Faults,
    mut take: impl FnMut(&Hold, bool),
) -> Beside {
    let window = &ask.window;
    let (mut last_side, mut next) = (node.condition.last_side, None);
    let may_queue = ask.cell.is_washing() && simply(stance, ask).is_none();
    let mut is_shared = false;
    for hold in &node.holds {
        if hold.from <= window.start {
            last_side = Some(hold.side);
        }
        if !ask.clashes(hold) {
            if hold.from > window.start {
                next = next.or(Some(hold.from));
            }
            continue;
        }
        let is_returning = hold.awaiting_return || (may_queue && window.clashes_by_queue(hold));
        is_shared |= hold.side == ask.side && hold.from <= window.start;
        judge_neighbours(faults, ask, hold.party(), !is_returning, is_returning);
        take(hold, is_returning);
    }
    if is_shared && ask.apart.granularity == Granularity::Gpu {
        // A node that both sides have something of changes no side, whoever came last.
        last_side = Some(ask.side);
    }
    Beside { last_side, next }
}

/// The most CPU and memory that leases have of a node at any instant of the window, where any of them or
/// the request has other than what goes with its GPUs: such shares never come to more than the node has.
pub(super) fn host_taken(node: &Node, stance: &Stance, ask: &Ask<'_>) -> HostShare {
    let there = || node.holds.iter().filter(|hold| ask.clashes(hold));
    // A node that is not mixed has none of those.
    let is_odd =
        ask.request.host.is_some() || (stance.is_mixed && there().any(|hold| hold.host.is_some()));
    let Some(sku) = ask.cell.described(node.sku).filter(|_| is_odd) else {
        return HostShare::default();
    };
    let mut most = HostShare::default();
    for begins in there().map(|hold| hold.from.max(ask.window.start)) {
        let lasts = |hold: &&Hold| {
            let free = ask.window.free_after(hold);
            hold.from <= begins && free.is_none_or(|free| begins < free)
        };
        let (mut cpu_milli, mut memory_mib) = (0, 0);
        for hold in there().filter(lasts) {
            let host = hold.host_of(sku, node.spec.gpus);
            cpu_milli += host.cpu_milli;
            memory_mib += host.memory_mib;
        }
        most.cpu_milli = most.cpu_milli.max(cpu_milli);
        most.memory_mib = most.memory_mib.max(memory_mib);
    }
    most
}
