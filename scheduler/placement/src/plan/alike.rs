//! Verdicts on nodes that stand alike, found once.
//!
//! Most of a cell is nodes without bookings to come, and those are of a few dozen kinds: what one node of
//! a kind fails all do. Where every node has to be looked at, as for a gang or for a start to come, that
//! look is a stance read and a number compared.

use super::ask::{Ask, Need};
use super::faults::Faults;
use super::rules::{Verdict, idle_minutes, judge, simply};
use crate::cell::{Node, Stance};
use leasehold_common::class::Side;
use leasehold_common::lease::{GpuSlots, HostShare};
use leasehold_common::policy::Granularity;

/// How many kinds are remembered. Two that fall together are found again in turns.
const KINDS: usize = 512;

/// What is known of each kind, for one ask.
#[derive(Debug)]
pub(super) struct Alike {
    /// By a number made of everything that tells kinds apart.
    known: Vec<Option<(u64, Faults)>>,
    /// Whether nodes of a kind are alike to this ask at all.
    is_apt: bool,
}

impl Alike {
    /// Nothing is known yet.
    pub(super) fn new(ask: &Ask<'_>) -> Self {
        // Where domains are kept apart a node's neighbours count, and where cleaning has to wait, its place.
        let is_apt = ask.apart.granularity != Granularity::Domain && !ask.cell.is_washing();
        Self {
            known: vec![None; if is_apt { KINDS } else { 0 }],
            is_apt,
        }
    }

    /// The same as [`judge`], which is asked once for all nodes that are alike. To be asked of one ask
    /// only.
    pub(super) fn judge(&mut self, node: &Node, stance: &Stance, ask: &Ask<'_>) -> Verdict {
        let is_simple = self.is_apt && (ask.wish.is_none() || !stance.is_carved);
        let Some(has_it) = is_simple.then(|| simply(stance, ask)).flatten() else {
            return judge(node, stance, ask);
        };
        let key = number(stance, ask, has_it);
        let at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % KINDS;
        let faults = match self.known[at] {
            Some((known, faults)) if known == key => faults,
            Some(_) | None => {
                let faults = judge(node, stance, ask).faults;
                self.known[at] = Some((key, faults));
                faults
            }
        };
        let held = if has_it {
            stance.held.union(stance.returning)
        } else {
            GpuSlots::NONE
        };
        let free = stance.all().minus(stance.sick).minus(held);
        let verdict = Verdict {
            faults,
            free,
            loose: ask.loose(free.len()),
            changes_side: stance.last_side.is_some_and(|last| last != ask.side),
            host: HostShare::default(),
            idle_minutes: idle_minutes(ask, stance.next),
        };
        debug_assert_eq!(
            Verdict {
                host: HostShare::default(),
                ..judge(node, stance, ask)
            },
            verdict,
            "nodes alike are judged alike"
        );
        verdict
    }
}

/// Everything that tells kinds of nodes apart, as one number. Where all of a node is asked for it does
/// not matter how many of its GPUs are gone, and counting them would only make more kinds.
fn number(stance: &Stance, ask: &Ask<'_>, has_it: bool) -> u64 {
    let fitness = stance.condition;
    let side = match stance.tenant {
        None => 0,
        Some(tenant) => match tenant.side {
            Side::Internal => 1,
            Side::Tenant => 2,
        },
    };
    let is_own = stance
        .tenant
        .is_some_and(|tenant| Some(tenant.account) == ask.account);
    let gpus = |slots: GpuSlots| {
        let count = slots.len();
        u64::from(if ask.need == Need::Whole {
            count.min(1)
        } else {
            count
        })
    };
    let flags = [
        fitness.barred,
        fitness.cleaning,
        fitness.flagged,
        fitness.silent,
        is_own,
        has_it,
    ];
    let flags = flags
        .into_iter()
        .fold(0, |bits, flag| bits << 1 | u64::from(flag));
    let numbers = [
        fitness.owner as u64,
        side,
        u64::from(stance.gpus),
        gpus(stance.sick),
        gpus(stance.held),
        gpus(stance.returning),
        gpus(stance.free()),
    ];
    numbers
        .into_iter()
        .fold(flags, |bits, number| bits << 5 | number)
}
