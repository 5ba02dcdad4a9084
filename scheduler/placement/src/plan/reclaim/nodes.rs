//! Which leases to take back where nodes are all that is short, and none has to wait for its hour of
//! cleaning.
//!
//! A node can be had when every lease in the way on it is gone, whatever happens on others. So a unit
//! is a list of such sets, and what is looked for are leases that make enough of them empty. Few
//! leases are tried in every combination. Of many, those that may go first and give most are taken
//! until there is enough, and then given back, those that should stay first, as far as it stays
//! enough.

use super::harm::{Harm, Least, Taking};
use super::subsets::{FEW, picked, smallest};
use crate::cell::Hold;
use crate::plan::ask::{Ask, Need};
use crate::plan::rules::judge;
use crate::plan::survey::{Seat, Survey};
use leasehold_common::ids::LeaseId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// How many sets of few leases are tried at most, the most promising units first.
const TRIES: usize = 1 << 18;

/// Leases that may be taken back, by number.
pub(super) type Takings<'t> = BTreeMap<LeaseId, &'t Taking>;

/// The sets that make room for a request for one node. `ask` is without all that may be taken back.
pub(super) fn for_one(ask: &Ask<'_>, takings: &Takings<'_>) -> Least {
    let mut least = Least::default();
    for (index, stance) in ask.nodes() {
        let (node, _) = ask.look(index);
        if !ask.is_large_enough(stance.gpus) || !judge(node, stance, ask).faults.fits() {
            continue;
        }
        let met = node.holds.iter().filter(|hold| ask.window.clashes(hold));
        let gone = met.filter(|hold| takings.contains_key(&hold.lease));
        // Leases of others keep the whole node away; own ones, and those of others that policy lets be
        // beside them, only what they have of it.
        let must_go = |hold: &&Hold| {
            ask.need == Need::Whole || !ask.party().may_share_node(hold.party(), ask.apart)
        };
        let (must, may): (Vec<&Hold>, Vec<&Hold>) = gone.partition(must_go);
        let must: BTreeSet<LeaseId> = must.into_iter().map(|hold| hold.lease).collect();
        let may: Vec<LeaseId> = may.into_iter().map(|hold| hold.lease).collect();
        let fits = |more: &[LeaseId]| {
            let gone = must.iter().chain(more).copied().collect();
            let without = Ask {
                without: Some(&gone),
                ..*ask
            };
            judge(node, stance, &without).faults.fits()
        };
        let mut enter = |more: &[LeaseId]| {
            let all: BTreeSet<LeaseId> = must.iter().chain(more).copied().collect();
            least.enter(Harm::of(all.iter().map(|lease| takings[lease])));
        };
        if may.len() <= FEW {
            let pick = |set| picked(&may, set).copied().collect::<Vec<_>>();
            for set in smallest(may.len(), |set| fits(&pick(set))) {
                enter(&pick(set));
            }
        } else {
            let mut more = may;
            more.sort_by_key(|lease| Reverse(takings[lease].weight()));
            for lease in more.clone() {
                let fewer: Vec<_> = more.iter().copied().filter(|l| *l != lease).collect();
                if fits(&fewer) {
                    more = fewer;
                }
            }
            enter(&more);
        }
    }
    least
}

/// The sets that make room for so many nodes in one unit. The survey is without all that may be
/// taken back.
pub(super) fn for_gang(survey: &Survey<'_>, takings: &Takings<'_>, wanted: u32) -> Least {
    let wanted = wanted as usize;
    let units = survey.units(survey.ask.within());
    let mut units: Vec<(Harm, Unit)> = units
        .map(|unit| Unit::of(&survey.ask, unit, takings))
        .filter(|unit| unit.nodes.len() >= wanted)
        .map(|unit| (unit.harm(takings, unit.greedy(takings, wanted)), unit))
        .collect();
    units.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (mut least, mut tries) = (Least::default(), 0);
    for (greedy, unit) in units {
        least.enter(greedy);
        let few = unit.leases.len() <= FEW;
        tries += if few { 1_usize << unit.leases.len() } else { 0 };
        if few && tries <= TRIES {
            for set in unit.smallest(wanted) {
                let leases = picked(&unit.numbers(), set).copied().collect();
                least.enter(unit.harm(takings, leases));
            }
        }
    }
    least
}

/// A unit as far as leases can be taken back in it.
struct Unit {
    /// The leases, by number.
    leases: Vec<LeaseId>,
    /// Of each node that can be had without them, which of them are on it.
    nodes: Vec<Vec<usize>>,
}

impl Unit {
    fn of(ask: &Ask<'_>, unit: &[Seat], takings: &Takings<'_>) -> Self {
        let fit = unit.iter().filter(|seat| seat.faults.fits());
        let in_the_way: Vec<Vec<LeaseId>> = fit
            .map(|seat| {
                let (node, _) = ask.look(seat.index);
                let met = node.holds.iter().filter(|hold| ask.window.clashes(hold));
                let met = met.map(|hold| hold.lease);
                met.filter(|lease| takings.contains_key(lease)).collect()
            })
            .collect();
        let leases: BTreeSet<LeaseId> = in_the_way.iter().flatten().copied().collect();
        let leases: Vec<LeaseId> = leases.into_iter().collect();
        let number = |lease: &LeaseId| leases.partition_point(|other| other < lease);
        let nodes = in_the_way
            .iter()
            .map(|on| on.iter().map(number).collect())
            .collect();
        Self { leases, nodes }
    }

    fn numbers(&self) -> Vec<usize> {
        (0..self.leases.len()).collect()
    }

    /// Of leases of it, by their places here.
    fn harm(&self, takings: &Takings<'_>, leases: BTreeSet<usize>) -> Harm {
        let leases = leases.into_iter();
        Harm::of(leases.map(|at| takings[&self.leases[at]]))
    }

    /// Every set of its few leases that is enough and has none in it that is.
    fn smallest(&self, wanted: usize) -> Vec<u16> {
        // Nodes with the same leases on them are counted together.
        let mut alike: BTreeMap<u16, usize> = BTreeMap::new();
        for node in &self.nodes {
            let on = node.iter().fold(0, |set, at| set | 1 << at);
            *alike.entry(on).or_default() += 1;
        }
        let enough = |set: u16| {
            let free = alike.iter().filter(|(on, _)| **on & !set == 0);
            free.map(|(_, nodes)| nodes).sum::<usize>() >= wanted
        };
        smallest(self.leases.len(), enough)
    }

    /// Enough of many leases, and none of them needless.
    fn greedy(&self, takings: &Takings<'_>, wanted: usize) -> BTreeSet<usize> {
        let mut on: Vec<Vec<usize>> = vec![Vec::new(); self.leases.len()];
        for (node, leases) in self.nodes.iter().enumerate() {
            for lease in leases {
                on[*lease].push(node);
            }
        }
        let mut in_the_way: Vec<usize> = self.nodes.iter().map(Vec::len).collect();
        let mut free = in_the_way.iter().filter(|n| **n == 0).count();
        let mut order: Vec<usize> = (0..self.leases.len()).collect();
        order.sort_by_key(|at| {
            let (class, lost, lease) = takings[&self.leases[*at]].weight();
            (class, Reverse(on[*at].len()), lost, lease)
        });
        let mut chosen = Vec::new();
        for lease in order {
            if free >= wanted {
                break;
            }
            chosen.push(lease);
            for node in &on[lease] {
                in_the_way[*node] -= 1;
                free += usize::from(in_the_way[*node] == 0);
            }
        }
        let mut kept: BTreeSet<usize> = chosen.iter().copied().collect();
        for lease in chosen.into_iter().rev() {
            let nodes = on[lease].iter();
            let lost = nodes.filter(|node| in_the_way[**node] == 0).count();
            if free - lost >= wanted {
                free -= lost;
                kept.remove(&lease);
                for node in &on[lease] {
                    in_the_way[*node] += 1;
                }
            }
        }
        kept
    }
}
