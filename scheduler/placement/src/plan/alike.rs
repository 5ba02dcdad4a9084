//! Verdicts on nodes that stand alike, found once.
//!
//! Most of a cell is nodes without bookings to come, and those are of a few dozen kinds: what one node of
//! a kind fails all do. Where every node has to be looked at, as for a gang or for a start to come, that
//! look is a stance read and a number compared. Where cleaning has to wait, each is judged, and only when it
//! would be clean is found once.

use super::ask::Ask;
use super::cleaned::Cleaned;
use super::faults::Faults;
use super::rules::{Verdict, idle_minutes, judge, judge_on, simply};
use crate::cell::{Node, Stance};
use leasehold_common::lease::{GpuSlots, HostShare};
use leasehold_common::policy::Granularity;

/// How many kinds are remembered. Two that fall together are found again in turns.
const KINDS: usize = 1024;

/// What is known of each kind, for one ask.
#[derive(Debug)]
pub(super) struct Alike {
    /// By a number made of everything that tells kinds apart: the faults, and what is loose.
    known: Vec<Option<(u64, Faults, u8)>>,
    /// Whether nodes of a kind are alike to this ask at all.
    is_apt: bool,
    /// When they would be clean after it.
    cleaned: Cleaned,
}

impl Alike {
    /// Nothing is known yet.
    pub(super) fn new(ask: &Ask<'_>) -> Self {
        // Where domains are kept apart a node's neighbours count, and where cleaning has to wait, its place.
        let is_apt = ask.apart.granularity != Granularity::Domain && !ask.cell.is_washing();
        Self {
            known: vec![None; if is_apt { KINDS } else { 0 }],
            is_apt,
            cleaned: Cleaned::default(),
        }
    }

    /// The same as [`judge`], which is asked once for all nodes that are alike. To be asked of one ask
    /// only.
    pub(super) fn judge(&mut self, node: &Node, stance: &Stance, ask: &Ask<'_>) -> Verdict {
        let is_simple = self.is_apt && (ask.wish.is_none() || !stance.is_carved);
        let Some(has_it) = is_simple.then(|| simply(stance, ask)).flatten() else {
            return judge_on(node, stance, &self.cleaned.on(ask, node.index));
        };
        let is_own = stance
            .tenant
            .is_some_and(|t| Some(t.account) == ask.account);
        let kind = stance.kind << 2 | u64::from(is_own) << 1 | u64::from(has_it);
        // Multiplied by 2^64 over the golden ratio the high bits of neighbours lie far apart (Knuth, TAOCP 6.4).
        let at = (kind.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % KINDS;
        let (faults, loose) = match self.known[at] {
            Some((known, faults, loose)) if known == kind => (faults, loose),
            Some(_) | None => {
                let Verdict { faults, loose, .. } = judge(node, stance, ask);
                self.known[at] = Some((kind, faults, loose));
                (faults, loose)
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
            loose,
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
