//! Nodes counted by what they fail. A decision about the present counts all nodes of a kind at once,
//! and those with bookings to come by their outlook, so that it does not look at each of them.

use super::alike::Alike;
use super::ask::Ask;
use super::classes::{carved_by_kind, judged_classes};
use super::faults::{Cause, Faults, Rule};
use super::limits::{Bar, Limits};
use super::rules::{Verdict, host_asked, judge, judge_kind, judge_outlook};
use crate::cell::Stance;
use leasehold_common::explain::{Explanation, Outcome};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::HostShare;
use std::collections::BTreeMap;

/// GPUs that are free on nodes that do not fit because they lack only more of them; memory slices, where slices are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Loose {
    pub(super) gpus: u64,
    /// The most on one node.
    pub(super) most: u8,
    /// Nodes that have any.
    pub(super) nodes: u32,
}

/// The least CPU and memory that is missing on any node on which nothing else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scarce {
    pub(super) cpu_milli: Option<u64>,
    pub(super) memory_mib: Option<u64>,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Nodes of the cell.
    pub(super) evaluated: u32,
    /// Nodes that fail nothing.
    pub(super) fit: u32,
    failed: [u32; Rule::ALL.len()],
    /// Nodes that only this keeps away.
    pub(super) alone: [u32; Cause::ALL.len()],
    /// Nodes that this keeps away, be it with others.
    pub(super) any: [u32; Cause::ALL.len()],
    pub(super) loose: Loose,
    pub(super) scarce: Scarce,
    /// Nodes that may serve the request's side and are large enough.
    pub(super) eligible: u32,
    /// Nodes that fit and are not found in the index by their room: for a start to come, all that fit.
    pub(super) fitting: Vec<(NodeIndex, Verdict)>,
}

impl Tally {
    /// Counts every node of the cell.
    pub(super) fn take(ask: &Ask<'_>) -> Self {
        let mut tally = Self::of_others(ask);
        let Some((_, index)) = ask.sku else {
            return tally;
        };
        if ask.is_present() {
            let own = ask.account.and_then(|account| index.beside.get(&account));
            let carved = carved_by_kind(ask);
            for (kind, nodes) in &index.census {
                let own = own
                    .and_then(|own| own.census.get(kind))
                    .copied()
                    .unwrap_or(0);
                for (is_own, nodes) in [(false, nodes - own), (true, own)] {
                    // Nodes with slices stand to slices by more than their kind.
                    let nodes = nodes - carved.get(&(*kind, is_own)).copied().unwrap_or(0);
                    if nodes > 0 {
                        let faults = judge_kind(kind, ask, is_own);
                        tally.enter(faults, kind.gpus, ask.loose(kind.free), nodes, ask);
                    }
                }
            }
            for (verdict, stance, nodes) in judged_classes(ask) {
                tally.enter_judged(&verdict, stance, nodes, ask);
            }
            let fitting = tally.enter_involved(ask);
            debug_assert_eq!(
                tally,
                Self {
                    fitting: Vec::new(),
                    ..Self::of_all(ask)
                },
                "every node is counted by its kind"
            );
            tally.fitting = fitting;
            tally
        } else {
            Self::of_all(ask)
        }
    }

    /// Counts nodes with bookings to come or in several hands, and says which fit that the index does
    /// not have by when they are booked.
    fn enter_involved(&mut self, ask: &Ask<'_>) -> Vec<(NodeIndex, Verdict)> {
        let Some((_, index)) = ask.sku else {
            return Vec::new();
        };
        let mut one_by_one: Vec<NodeIndex> = Vec::new();
        if ask.stands_alone() {
            let until = ask.window.until();
            let own = ask
                .account
                .and_then(|account| index.ahead.own.get(&account));
            for (outlook, nodes) in index.ahead.census.at(until) {
                let mine = own.map_or(0, |own| own.census.count(outlook, until));
                if nodes > mine {
                    let faults = judge_outlook(outlook, ask);
                    let loose = ask.loose(outlook.free);
                    self.enter(faults, outlook.gpus, loose, nodes - mine, ask);
                }
            }
            one_by_one.extend(&index.mixed);
            one_by_one.extend(own.into_iter().flat_map(|own| &own.nodes));
        } else {
            one_by_one.extend(&index.involved);
        }
        let mut fit = Vec::new();
        let mut known = Alike::new(ask);
        for node in one_by_one {
            let verdict = self.enter_node(node, ask, &mut known);
            if verdict.faults.fits() && !ask.is_by_next(ask.look(node).1) {
                fit.push((node, verdict));
            }
        }
        fit
    }

    /// Only so many nodes that fit, and none of the others.
    pub(super) fn of_fitting(fit: u32) -> Self {
        Self {
            fit,
            ..Self::default()
        }
    }

    /// Counts every node of the cell one by one.
    fn of_all(ask: &Ask<'_>) -> Self {
        let mut tally = Self::of_others(ask);
        let mut known = Alike::new(ask);
        for (index, stance) in ask.nodes() {
            let (node, _) = ask.look(index);
            let verdict = known.judge(node, stance, ask);
            tally.enter_judged(&verdict, stance, 1, ask);
            if verdict.faults.fits() {
                tally.fitting.push((index, verdict));
            }
        }
        tally
    }

    /// Nodes of other SKUs are counted, and nothing else of them is looked at.
    pub(super) fn of_others(ask: &Ask<'_>) -> Self {
        let evaluated = u32::try_from(ask.cell.len()).unwrap_or(u32::MAX);
        let mut tally = Self {
            evaluated,
            ..Self::default()
        };
        let others = evaluated - ask.sku.map_or(0, |(_, index)| index.nodes);
        tally.count(Faults::OTHER_SKU, others);
        tally
    }

    /// Of the nodes that fit, so many do not, because only that is in the way.
    pub(super) fn bar(&mut self, bar: Bar, nodes: u32) {
        if nodes > 0 {
            self.fit -= nodes;
            self.enter_all(bar.fault(Faults::default()), nodes);
        }
    }

    /// Counts every node of the cell one by one, and by what is in the way of those that fit.
    pub(super) fn barred(ask: &Ask<'_>, limits: &mut Limits<'_>) -> Self {
        let mut tally = Self::of_others(ask);
        for (node, stance) in ask.nodes() {
            let (known, _) = ask.look(node);
            if !ask.reaches(known) {
                tally.count(Faults::ELSEWHERE, 1);
                continue;
            }
            let verdict = judge(known, stance, ask);
            let faults = match verdict.faults {
                faults if faults.fits() => limits
                    .bar(node, stance)
                    .map_or(faults, |bar| bar.fault(faults)),
                faults => faults,
            };
            tally.enter_judged(&Verdict { faults, ..verdict }, stance, 1, ask);
        }
        tally
    }

    fn enter_node(&mut self, index: NodeIndex, ask: &Ask<'_>, known: &mut Alike) -> Verdict {
        let (node, stance) = ask.look(index);
        let verdict = known.judge(node, stance, ask);
        self.enter_judged(&verdict, stance, 1, ask);
        verdict
    }

    fn enter_judged(&mut self, verdict: &Verdict, stance: &Stance, nodes: u32, ask: &Ask<'_>) {
        let faults = verdict.faults;
        self.enter(faults, stance.gpus, verdict.loose, nodes, ask);
        if faults.lacks_only_host() {
            self.enter_scarce(verdict.host, stance, ask);
        }
    }

    fn enter_scarce(&mut self, taken: HostShare, stance: &Stance, ask: &Ask<'_>) {
        let Some(sku) = ask.cell.described(stance.sku) else {
            return;
        };
        let (all, mine) = (sku.host_share(stance.gpus), host_asked(ask, sku));
        let least = |before: Option<u64>, all: u64, taken: u64, mine: u64| {
            let missing = (taken + mine).saturating_sub(all);
            let missing = (all > 0 && missing > 0).then_some(missing);
            before.into_iter().chain(missing).min()
        };
        let Scarce {
            cpu_milli,
            memory_mib,
        } = self.scarce;
        self.scarce = Scarce {
            cpu_milli: least(cpu_milli, all.cpu_milli, taken.cpu_milli, mine.cpu_milli),
            memory_mib: least(
                memory_mib,
                all.memory_mib,
                taken.memory_mib,
                mine.memory_mib,
            ),
        };
    }

    /// Counts nodes of the right SKU that stand alike.
    pub(super) fn enter(&mut self, faults: Faults, gpus: u8, loose: u8, nodes: u32, ask: &Ask<'_>) {
        self.count(faults, nodes);
        if !faults.is_eligible() {
            return;
        }
        if ask.is_large_enough(gpus) {
            self.eligible += nodes;
        }
        self.enter_causes(faults, nodes);
        if !faults.fits() && faults.lacks_only_gpus() && loose > 0 {
            self.loose.gpus += u64::from(loose) * u64::from(nodes);
            self.loose.most = self.loose.most.max(loose);
            self.loose.nodes += nodes;
        }
    }

    fn enter_all(&mut self, faults: Faults, nodes: u32) {
        self.count(faults, nodes);
        self.enter_causes(faults, nodes);
    }

    fn enter_causes(&mut self, faults: Faults, nodes: u32) {
        let is_alone = faults.causes.is_one();
        for cause in faults.causes.numbers() {
            if is_alone {
                self.alone[cause] += nodes;
            }
            self.any[cause] += nodes;
        }
    }

    /// Counts nodes of which nothing else is looked at.
    pub(super) fn count(&mut self, faults: Faults, nodes: u32) {
        if faults.fits() {
            self.fit += nodes;
            return;
        }
        for rule in faults.failed.numbers() {
            self.failed[rule] += nodes;
        }
    }

    /// What was counted, without which nodes those are.
    pub(super) fn counts(&self) -> Self {
        Self {
            fitting: Vec::new(),
            ..self.clone()
        }
    }

    /// What was counted, with nothing decided.
    pub(super) fn explanation(&self, outcome: Outcome) -> Explanation {
        let filtered = Rule::ALL
            .into_iter()
            .map(|rule| (rule.filter(), self.failed[rule as usize]))
            .filter(|(_, nodes)| *nodes > 0)
            .collect();
        Explanation {
            evaluated: self.evaluated,
            fit: self.fit,
            filtered,
            ..uncounted(outcome)
        }
    }
}

/// An explanation in which no node was looked at.
pub(super) const fn uncounted(outcome: Outcome) -> Explanation {
    Explanation {
        outcome,
        evaluated: 0,
        fit: 0,
        filtered: BTreeMap::new(),
        exhausted: BTreeMap::new(),
        winner: None,
        runners_up: Vec::new(),
        reasons: Vec::new(),
        earliest: None,
        unblocked_by: Vec::new(),
        reclaim: None,
        policy: None,
    }
}
