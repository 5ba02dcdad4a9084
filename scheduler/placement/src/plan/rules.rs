//! The hard rules: what a node fails for a request, all of it.

use super::window::Window;
use crate::cell::Node;
use crate::request::Request;
use leasehold_common::explain::Filter;
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::time::Timestamp;

/// A hard rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    State,
    Flagged,
    Silent,
    Sku,
    Owner,
    Side,
    Account,
    Taken,
    Unhealthy,
    Returning,
}

impl Rule {
    pub(super) const ALL: [Self; 10] = [
        Self::State,
        Self::Flagged,
        Self::Silent,
        Self::Sku,
        Self::Owner,
        Self::Side,
        Self::Account,
        Self::Taken,
        Self::Unhealthy,
        Self::Returning,
    ];

    /// The word it is counted under.
    pub(super) const fn filter(self) -> Filter {
        match self {
            Self::State => Filter::NodeState,
            Self::Flagged => Filter::Flagged,
            Self::Silent => Filter::Silent,
            Self::Sku => Filter::OtherSku,
            Self::Owner => Filter::Owner,
            Self::Side => Filter::OtherSide,
            Self::Account => Filter::OtherAccount,
            Self::Taken => Filter::GpusTaken,
            Self::Unhealthy => Filter::GpusUnhealthy,
            Self::Returning => Filter::AwaitingReturn,
        }
    }
}

/// What kind of thing keeps a node away, and so what would have to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Leases have it, or will.
    Held,
    /// It is flagged.
    Draining,
    /// It is being taken back or cleaned.
    Cleanup,
    /// It is faulty, silent or taken out.
    Unavailable,
}

impl Cause {
    pub(super) const ALL: [Self; 4] =
        [Self::Held, Self::Draining, Self::Cleanup, Self::Unavailable];
}

/// A small set of rules or of causes, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Few(u16);

impl Few {
    pub(super) const fn of(numbers: &[u8]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < numbers.len() {
            set |= 1 << numbers[at];
            at += 1;
        }
        Self(set)
    }

    pub(super) const fn add(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    pub(super) const fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has nothing that `other` has not.
    pub(super) const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// How a node stands to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The rules it fails.
    pub(super) failed: Few,
    /// What keeps it away, other than being the wrong node.
    pub(super) causes: Few,
    /// Its GPUs that are healthy and free all the time.
    pub(super) free: GpuSlots,
    /// Whether nobody has any of it in that time and nothing is the matter with it.
    pub(super) whole: bool,
    /// Whether it served the other side before.
    pub(super) changes_side: bool,
    /// Whole minutes from the end of the window to the next booking; nothing where there is none.
    pub(super) idle_minutes: u32,
}

impl Verdict {
    pub(super) const fn fits(&self) -> bool {
        self.failed.is_empty()
    }

    /// Whether it is of the right kind and may serve that side, whatever keeps it away now.
    pub(super) const fn is_eligible(&self) -> bool {
        !self.failed.has(Rule::Sku as u8) && !self.failed.has(Rule::Owner as u8)
    }

    /// Whether every rule it fails is one that time can settle, or that stands among those. Too few
    /// healthy GPUs are there because that rule is also counted where it fails only together with
    /// GPUs that are taken.
    pub(super) const fn may_fit_later(&self) -> bool {
        const IN_TIME: Few = Few::of(&[
            Rule::Side as u8,
            Rule::Account as u8,
            Rule::Taken as u8,
            Rule::Unhealthy as u8,
            Rule::Returning as u8,
        ]);
        self.failed.within(IN_TIME)
    }

    /// Whether it is only its GPUs that are too few.
    pub(super) const fn lacks_only_gpus(&self) -> bool {
        const GPUS: Few = Few::of(&[
            Rule::Taken as u8,
            Rule::Unhealthy as u8,
            Rule::Returning as u8,
        ]);
        self.failed.within(GPUS)
    }

    /// Whether this alone keeps it away.
    pub(super) const fn only(&self, cause: Cause) -> bool {
        self.causes.has(cause as u8) && self.causes.within(Few::of(&[cause as u8]))
    }
}

/// How many GPUs of this node the request needs: of a node of another SKU no more than it has, so
/// that it is not also blamed for its size, and of none more than the `largest` of the SKU has,
/// because what no sound node could give is no node's fault.
fn need(node: &Node, request: &Request, largest: u8) -> u8 {
    match request.shape {
        Shape::Nodes { .. } | Shape::Unit { .. } => node.spec.gpus.max(1),
        Shape::Gpus { count } => {
            let count = u8::try_from(count).unwrap_or(u8::MAX);
            if node.spec.sku == request.sku {
                count.min(largest)
            } else {
                count.min(node.spec.gpus)
            }
        }
    }
}

/// Judges one node by every rule.
pub(super) fn judge(node: &Node, request: &Request, largest: u8, window: &Window) -> Verdict {
    let mut failed = Few::default();
    let mut causes = Few::default();
    judge_kind(node, request, &mut failed);
    judge_condition(node, &mut failed, &mut causes);
    let tenancy = judge_tenancy(node, request, window, &mut failed, &mut causes);

    let all = node.spec.slots();
    let sick = all.minus(node.condition.healthy);
    let away = [
        (tenancy.held, Rule::Taken, Cause::Held),
        (tenancy.returning, Rule::Returning, Cause::Cleanup),
        (sick, Rule::Unhealthy, Cause::Unavailable),
    ];
    let free = away
        .iter()
        .fold(all, |left, (slots, _, _)| left.minus(*slots));
    let need = need(node, request, largest);
    if all.len() < need {
        failed.add(Rule::Unhealthy as u8);
        causes.add(Cause::Unavailable as u8);
    } else if free.len() < need {
        // Rules that fail by themselves are counted. Where each would leave enough and only all
        // together do not, each that takes something away is.
        let fails = |slots: GpuSlots| all.minus(slots).len() < need;
        let any = away.iter().any(|(slots, _, _)| fails(*slots));
        for (slots, rule, cause) in away {
            if fails(slots) || (!any && !slots.common(all).is_empty()) {
                failed.add(rule as u8);
                causes.add(cause as u8);
            }
        }
    }
    Verdict {
        failed,
        causes,
        free,
        whole: free == all && !all.is_empty() && tenancy.is_nobodys && node.condition.lets_in(),
        changes_side: tenancy.changes_side,
        idle_minutes: tenancy.idle_minutes,
    }
}

fn judge_kind(node: &Node, request: &Request, failed: &mut Few) {
    if node.spec.sku != request.sku {
        failed.add(Rule::Sku as u8);
    }
    if !node.spec.may_serve(request.side()) {
        failed.add(Rule::Owner as u8);
    }
}

fn judge_condition(node: &Node, failed: &mut Few, causes: &mut Few) {
    let condition = &node.condition;
    if !condition.state_lets_in() {
        failed.add(Rule::State as u8);
        causes.add(if condition.is_being_cleaned() {
            Cause::Cleanup as u8
        } else {
            Cause::Unavailable as u8
        });
    }
    if condition.flagged {
        failed.add(Rule::Flagged as u8);
        causes.add(Cause::Draining as u8);
    }
    if condition.silent {
        failed.add(Rule::Silent as u8);
        causes.add(Cause::Unavailable as u8);
    }
}

/// Who else wants a node in the window.
struct Tenancy {
    held: GpuSlots,
    returning: GpuSlots,
    is_nobodys: bool,
    changes_side: bool,
    idle_minutes: u32,
}

fn judge_tenancy(
    node: &Node,
    request: &Request,
    window: &Window,
    failed: &mut Few,
    causes: &mut Few,
) -> Tenancy {
    let side = request.side();
    let mut last_side = node.condition.last_side;
    let mut next: Option<Timestamp> = None;
    let mut tenancy = Tenancy {
        held: GpuSlots::NONE,
        returning: GpuSlots::NONE,
        is_nobodys: true,
        changes_side: false,
        idle_minutes: 0,
    };
    for hold in &node.holds {
        let hold_side = hold.holder.class.side();
        if hold.from <= window.start {
            last_side = Some(hold_side);
        }
        if !window.clashes(hold) {
            if hold.from > window.start {
                next = next.or(Some(hold.from));
            }
            continue;
        }
        tenancy.is_nobodys = false;
        let (slots, cause) = if hold.awaiting_return {
            (&mut tenancy.returning, Cause::Cleanup)
        } else {
            (&mut tenancy.held, Cause::Held)
        };
        *slots = slots.union(hold.slots);
        let others = [
            (hold_side != side, Rule::Side),
            (hold.holder.account != request.account, Rule::Account),
        ];
        for (_, rule) in others.into_iter().filter(|(is_other, _)| *is_other) {
            failed.add(rule as u8);
            causes.add(cause as u8);
            if hold.awaiting_return {
                // Even one GPU that is not back keeps the whole node from everybody else.
                failed.add(Rule::Returning as u8);
            }
        }
    }
    tenancy.changes_side = last_side.is_some_and(|last| last != side);
    if let (Some(until), Some(next)) = (window.until(), next) {
        let minutes = next.since(until).millis() / 60_000;
        tenancy.idle_minutes = u32::try_from(minutes).unwrap_or(u32::MAX);
    }
    tenancy
}
