//! Nodes of one unit that are alike to budgets, floors and ceilings, by when they fit.
//!
//! How many of them fit at a start, or at any of a stretch of starts, is a matter of two searches in
//! lists that are in order, so that a look at a start to come costs as much as there are budgets, and
//! not as there are nodes.

use crate::cell::{Stance, other};
use crate::plan::ask::Ask;
use crate::plan::limits::Limits;
use crate::plan::openings::Openings;
use crate::plan::survey::Seat;
use crate::power::UnitId;
use leasehold_common::time::Timestamp;
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;
use std::ops::Range;

/// Nodes alike: below the same budgets, and the same to floors and ceilings.
#[derive(Debug, Default)]
struct Lot {
    nodes: u32,
    /// From which starts on one more of them fits, in order, and from which one fewer.
    from: Vec<Timestamp>,
    until: Vec<Timestamp>,
}

impl Lot {
    /// How many fit at any start from the first to the last.
    fn fit(&self, first: Timestamp, last: Timestamp) -> u32 {
        let begun = self.from.partition_point(|from| *from <= last);
        let over = self.until.partition_point(|until| *until <= first);
        self.nodes
            .min(u32::try_from(begun - over).unwrap_or(u32::MAX))
    }
}

/// The nodes of one unit that ever fit.
pub(super) struct Lots<'s> {
    pub(super) seats: &'s [Seat],
    /// Where those are in the survey.
    pub(super) at: Range<usize>,
    /// A few for each budget: by the smallest unit above them that has one, and what they are to floors and
    /// ceilings.
    lots: Vec<((Option<UnitId>, Kind), Lot)>,
    /// The least that one of them would draw, and whether all would draw that.
    need: MilliWatts,
    is_even: bool,
}

/// What a node is to floors and ceilings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// This side has something of it already.
    Ours,
    /// Nobody else could have it.
    Fresh,
    /// The other side could have it.
    Open,
}

impl Kind {
    fn of(ask: &Ask<'_>, stance: &Stance) -> Self {
        match (stance.serves(ask.side), stance.is_open_to(other(ask.side))) {
            (true, _) => Self::Ours,
            (false, false) => Self::Fresh,
            (false, true) => Self::Open,
        }
    }
}

/// How many nodes could be had, by counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// No more than this.
    pub(super) most: u32,
    /// Whether it is that many, whichever are chosen.
    pub(super) is_exact: bool,
}

impl<'s> Lots<'s> {
    /// The seats of a unit, which are there in the survey.
    pub(super) fn of(
        ask: &Ask<'_>,
        limits: &Limits<'_>,
        openings: &Openings,
        (at, seats): (Range<usize>, &'s [Seat]),
    ) -> Self {
        let grid = ask.cell.grid();
        let mut lots: Vec<((Option<UnitId>, Kind), Lot)> = Vec::new();
        let (mut need, mut is_even) = (None, true);
        let (mut last, mut size, mut lot) = (None, None, 0);
        for (seat, place) in seats.iter().zip(at.clone()) {
            let changes = openings.of_seat(place);
            if changes.is_empty() {
                continue;
            }
            let stance = ask.stance(seat.index);
            if size != Some(stance.gpus) {
                size = Some(stance.gpus);
                let mine = limits.envelope(stance);
                is_even &= need.is_none_or(|need| need == mine);
                need = Some(need.map_or(mine, |need: MilliWatts| need.min(mine)));
            }
            // Neighbours mostly stand below one unit.
            let unit = grid.unit_of(seat.index);
            let above = match last {
                Some((known, above)) if grid.are_alike(known, unit) => above,
                Some(_) | None => grid.bounded_above(unit).next(),
            };
            last = Some((unit, above));
            // Where the last one went, or somewhere else.
            let key = (above, Kind::of(ask, stance));
            if lots.get(lot).is_none_or(|(known, _)| *known != key) {
                lot = lots
                    .iter()
                    .position(|(known, _)| *known == key)
                    .unwrap_or_else(|| {
                        lots.push((key, Lot::default()));
                        lots.len() - 1
                    });
            }
            let (_, lot) = &mut lots[lot];
            lot.nodes += 1;
            for (instant, change) in changes {
                let list = if *change > 0 {
                    &mut lot.from
                } else {
                    &mut lot.until
                };
                list.push(*instant);
            }
        }
        for (_, lot) in &mut lots {
            lot.from.sort_unstable();
            lot.until.sort_unstable();
        }
        Self {
            seats,
            at,
            lots,
            need: need.unwrap_or_default(),
            is_even,
        }
    }

    /// How many of them could be had at any start from the first to the last, of so many; only minutes that
    /// the limits are about are looked at.
    pub(super) fn room(
        &self,
        (first, last): (Timestamp, Timestamp),
        wanted: u32,
        limits: &mut Limits<'_>,
    ) -> Room {
        const NONE: Room = Room {
            most: 0,
            is_exact: true,
        };
        // So many that the whole cell has no watts for them are no good, wherever they stand.
        if !limits.may_have_of_all(self.need, wanted) {
            return NONE;
        }
        let mut by_kind = [0; 3];
        let (mut below, mut free, mut all) = (BTreeMap::new(), 0, 0);
        for ((above, kind), lot) in &self.lots {
            let fit = lot.fit(first, last);
            all += fit;
            by_kind[*kind as usize] += fit;
            match above {
                Some(unit) => *below.entry(*unit).or_default() += fit,
                None => free += fit,
            }
        }
        let shared = match limits.shares_below(wanted) {
            Some((fresh, open)) => {
                let [ours, of_nobody, of_theirs] = by_kind;
                ours + (of_nobody + of_theirs.min(open)).min(fresh)
            }
            None => all,
        };
        if shared.min(all) < wanted {
            return NONE;
        }
        let powered = free + limits.most_below(below, self.need);
        let one_binds = powered == all || !limits.may_keep(wanted);
        Room {
            most: shared.min(powered),
            is_exact: self.is_even && one_binds && !limits.may_keep_domains(wanted),
        }
    }

    /// When any of them begins to fit, in order of nothing.
    pub(super) fn begins(&self) -> impl Iterator<Item = &[Timestamp]> {
        self.lots.iter().map(|(_, lot)| lot.from.as_slice())
    }

    /// The first instant before which there cannot be so many as floors and ceilings leave, be there ever so
    /// many watts.
    pub(super) fn first_with_shares(&self, wanted: u32, limits: &Limits<'_>) -> Option<Timestamp> {
        let last = self.begins().filter_map(|from| from.last()).max()?;
        let first = self.begins().filter_map(|from| from.first()).min()?;
        let (fresh, open) = limits.shares_below(wanted).unwrap_or((u32::MAX, u32::MAX));
        // Those that no longer fit then are counted, so that there are never fewer later.
        let can = |at: i64| {
            let at = Timestamp::from_unix_ms(at);
            let of_kind = |wanted: Kind| {
                let lots = self.lots.iter().filter(|((_, kind), _)| *kind == wanted);
                lots.map(|(_, lot)| lot.fit(Timestamp::EPOCH, at))
                    .sum::<u32>()
            };
            let not_ours = of_kind(Kind::Open)
                .min(open)
                .saturating_add(of_kind(Kind::Fresh));
            of_kind(Kind::Ours).saturating_add(not_ours.min(fresh)) >= wanted
        };
        let (mut low, mut high) = (first.unix_ms(), last.unix_ms());
        if !can(high) {
            return None;
        }
        while low < high {
            let middle = low.midpoint(high);
            if can(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(Timestamp::from_unix_ms(high))
    }
}
