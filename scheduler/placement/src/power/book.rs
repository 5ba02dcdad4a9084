//! The units of a cell, the budgets of some of them, and what is booked under each.

use super::budget::{Budget, Peak, first_start, fits, headroom, shortage};
use super::minutes::{Lasting, Minute, Minutes};
use super::profile::Profile;
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;

/// A unit's number in its [`PowerBook`], counted from 0 in the order the units were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u32);

impl UnitId {
    const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// What a lease draws in one unit, and so in every unit above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The unit: the smallest that has all of the load, such as a node.
    pub unit: UnitId,
    /// The most it may draw at any instant.
    pub power: MilliWatts,
}

/// Why something does not fit: the unit that lacks most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// The unit whose budget would be exceeded by the most; of several, the one added first, and so
    /// the highest.
    pub unit: UnitId,
    /// By how much.
    pub missing: MilliWatts,
    /// The first minute in which it would be by so much.
    pub at: Minute,
}

/// Budgets and bookings by unit.
///
/// # Panics
/// Every method that takes a unit panics where the book has none of that number: units are never
/// removed, so that such a number is not one this book gave.
#[derive(Debug, Clone, Default)]
pub struct PowerBook {
    units: Vec<Unit>,
    /// The present, as far as it was told.
    now: Minute,
    /// What is much for one node: units that may not have as much left are watched.
    much: MilliWatts,
    /// Those units in order, each with what a look at it found: most questions about it are answered by
    /// that, without going to the unit.
    tight: Vec<Tight>,
    /// Those that became so, or are so no longer, since somebody asked.
    turned: Vec<UnitId>,
}

/// Books are equal where budgets and bookings are: what is surely left follows from those, and from when
/// it was last looked at.
impl PartialEq for PowerBook {
    fn eq(&self, other: &Self) -> bool {
        self.units == other.units
    }
}

impl Eq for PowerBook {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    /// Added before this one; absent for the top of a tree.
    parent: Option<UnitId>,
    /// Absent without a budget, as most are.
    bound: Option<Box<Bound>>,
}

/// A unit that may have less left than one node draws.
#[derive(Debug, Clone, Copy)]
struct Tight {
    unit: UnitId,
    /// As in [`Bound`].
    least: MilliWatts,
    most: (MilliWatts, Minute),
}

#[derive(Debug, Clone)]
struct Bound {
    budget: Budget,
    profile: Profile,
    /// What is left in every minute from the present on: that, or more.
    least: MilliWatts,
    /// What is left in the minute in which that was found, and the minute: no more is left over any time
    /// that has it.
    most: (MilliWatts, Minute),
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.budget == other.budget && self.profile == other.profile
    }
}

impl Eq for Bound {}

impl Bound {
    const fn new(budget: Budget, profile: Profile) -> Self {
        Self {
            budget,
            profile,
            least: MilliWatts::ZERO,
            most: (MilliWatts(u64::MAX), Minute::EPOCH),
        }
    }

    /// Whether so much is left in the minute that was looked at, if that is among `minutes`.
    fn may_have(&self, power: MilliWatts, minutes: Minutes) -> bool {
        let (most, at) = self.most;
        power <= most || at < minutes.from || minutes.to <= at
    }

    /// Looks again at what is surely left: the least that is allowed from now on and the most that is
    /// booked need not meet in one minute, so that it can be more, and two looks are enough.
    fn look(&mut self, now: Minute) {
        let to_come = Minutes {
            from: now,
            to: Minute::FOREVER,
        };
        let left = |limit: Option<MilliWatts>, booked| {
            limit.map_or(MilliWatts(u64::MAX), |limit| limit.saturating_sub(booked))
        };
        let allowed = self.budget.min_from(now);
        self.least = left(allowed, self.profile.max_in(to_come));
        self.most = (left(self.budget.at(now), self.profile.at(now)), now);
    }
}

impl PowerBook {
    /// No units.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a unit without a budget below `parent`, which is absent for the cell itself. As a parent
    /// is there before its children, units cannot stand in a circle.
    pub fn add_unit(&mut self, parent: Option<UnitId>) -> UnitId {
        let id = u32::try_from(self.units.len()).expect("a cell has fewer units than 2^32");
        if let Some(parent) = parent {
            assert!(parent.0 < id, "unit {} is not in the book", parent.0);
        }
        self.units.push(Unit {
            parent,
            bound: None,
        });
        UnitId(id)
    }

    /// Sets the budget of a unit. `bookings` is all that is booked in the book, and is read only
    /// where the unit had no budget and so kept no profile; what is not at or below the unit is
    /// passed over. Bookings made before stay, whether the new budget allows them or not:
    /// [`PowerBook::exceeded`] says which units lack what.
    pub fn set_budget(
        &mut self,
        unit: UnitId,
        budget: Budget,
        bookings: impl IntoIterator<Item = (Load, Minutes)>,
    ) {
        if let Some(bound) = &mut self.units[unit.as_usize()].bound {
            bound.budget = budget;
            self.look(unit);
            return;
        }
        let mut profile = Profile::new();
        for (load, minutes) in bookings {
            if self.upward(load.unit).any(|above| above == unit) {
                profile.add(minutes, load.power);
            }
        }
        let bound = Bound::new(budget, profile);
        self.units[unit.as_usize()].bound = Some(Box::new(bound));
        self.look(unit);
    }

    /// Takes a unit's budget away, and the profile kept for it.
    pub fn clear_budget(&mut self, unit: UnitId) {
        self.units[unit.as_usize()].bound = None;
        if let Ok(at) = self.tight_at(unit) {
            self.tight.remove(at);
            self.turned.push(unit);
        }
    }

    /// Lets time go on. What was surely left stays so.
    pub fn advance(&mut self, now: Minute) {
        self.now = self.now.max(now);
    }

    /// The present, as far as it was told.
    pub const fn now(&self) -> Minute {
        self.now
    }

    /// What is much for one node.
    pub const fn much(&self) -> MilliWatts {
        self.much
    }

    /// From now on units are watched that may have less left than this, if not less already: the most
    /// that one node draws.
    pub fn heed(&mut self, much: MilliWatts) {
        if much <= self.much {
            return;
        }
        self.much = much;
        for unit in self.bounded().collect::<Vec<_>>() {
            self.look(unit);
        }
    }

    /// The units that may have less left than one node draws, in order.
    pub fn tight(&self) -> impl Iterator<Item = UnitId> {
        self.tight.iter().map(|tight| tight.unit)
    }

    /// Those of the tight units that do not allow so much more in all of `minutes`, in order.
    pub fn short(&self, power: MilliWatts, minutes: Minutes) -> impl Iterator<Item = UnitId> {
        let is_to_come = minutes.from >= self.now;
        let short = self.tight.iter().filter(move |tight| {
            let (most, at) = tight.most;
            if power <= tight.least && is_to_come {
                return false;
            }
            let is_asked = minutes.from <= at && at < minutes.to;
            (is_asked && power > most) || !self.allows(tight.unit, power, minutes)
        });
        short.map(|tight| tight.unit)
    }

    /// Whether a unit may have less left than one node draws.
    pub fn is_tight(&self, unit: UnitId) -> bool {
        self.tight_at(unit).is_ok()
    }

    /// Where a unit stands among the tight ones, or would.
    fn tight_at(&self, unit: UnitId) -> Result<usize, usize> {
        self.tight.binary_search_by_key(&unit, |tight| tight.unit)
    }

    /// The units that became tight, or are so no longer, since this was last asked.
    pub fn turned(&mut self) -> Vec<UnitId> {
        std::mem::take(&mut self.turned)
    }

    /// What is surely left in a unit by its own budget, in all of whatever minutes from the present on;
    /// everything where it has none.
    pub fn surely_left(&self, unit: UnitId) -> MilliWatts {
        self.bound_of(unit)
            .map_or(MilliWatts(u64::MAX), |bound| bound.least)
    }

    /// Whether so much more is within a unit's own budget in all of `minutes`.
    pub fn allows(&self, unit: UnitId, power: MilliWatts, minutes: Minutes) -> bool {
        let Some(bound) = self.bound_of(unit) else {
            return true;
        };
        if power <= bound.least && minutes.from >= self.now {
            return true;
        }
        bound.may_have(power, minutes) && fits(&bound.profile, &bound.budget, minutes, power)
    }

    /// Whether so much more may be within a unit's own budget in all of `minutes`, from one look: where it
    /// is not, it is certain.
    pub fn may_allow(&self, unit: UnitId, power: MilliWatts, minutes: Minutes) -> bool {
        self.bound_of(unit)
            .is_none_or(|bound| bound.may_have(power, minutes))
    }

    fn look(&mut self, unit: UnitId) {
        if let Some(bound) = &mut self.units[unit.as_usize()].bound {
            bound.look(self.now);
            let found = Tight {
                unit,
                least: bound.least,
                most: bound.most,
            };
            let is_tight = bound.least < self.much;
            match (self.tight_at(unit), is_tight) {
                (Ok(at), true) => self.tight[at] = found,
                (Err(at), true) => {
                    self.tight.insert(at, found);
                    self.turned.push(unit);
                }
                (Ok(at), false) => {
                    self.tight.remove(at);
                    self.turned.push(unit);
                }
                (Err(_), false) => {}
            }
        }
    }

    /// A unit's budget and what is booked under it; absent where it has none.
    pub fn bound(&self, unit: UnitId) -> Option<(&Budget, &Profile)> {
        let bound = self.units[unit.as_usize()].bound.as_deref()?;
        Some((&bound.budget, &bound.profile))
    }

    /// Every unit that has a budget, in order.
    pub fn bounded(&self) -> impl Iterator<Item = UnitId> {
        (0_u32..)
            .zip(&self.units)
            .filter(|(_, unit)| unit.bound.is_some())
            .map(|(id, _)| UnitId(id))
    }

    /// Books loads in their units and all above. It does not ask whether they fit: what was promised
    /// is booked even where a budget has since become smaller.
    pub fn book(&mut self, loads: &[Load], minutes: Minutes) {
        self.each_bound(loads, |bound, power| bound.profile.add(minutes, power));
    }

    /// Takes back what was booked with the same loads and minutes.
    ///
    /// # Panics
    /// Where it was not booked, as far as that shows (see [`Profile::remove`]).
    pub fn unbook(&mut self, loads: &[Load], minutes: Minutes) {
        self.each_bound(loads, |bound, power| bound.profile.remove(minutes, power));
    }

    /// Whether the loads, all together, are within every budget in all of `minutes`.
    ///
    /// # Errors
    /// The worst shortage. Where a budget is exceeded already, even loads of nothing do not fit.
    pub fn fits(&self, loads: &[Load], minutes: Minutes) -> Result<(), Shortage> {
        let worst = self.needs(loads).filter_map(|need| {
            let bound = self.bound_of(need.unit)?;
            let Peak { missing, at } =
                shortage(&bound.profile, &bound.budget, minutes, need.power)?;
            Some(Shortage {
                unit: need.unit,
                missing,
                at,
            })
        });
        // The first of the worst: `max_by_key` would take the last.
        match worst.reduce(|a, b| if a.missing >= b.missing { a } else { b }) {
            None => Ok(()),
            Some(shortage) => Err(shortage),
        }
    }

    /// What could be booked in `unit`, besides what is, in all of `minutes`; absent where no budget
    /// of it or above it sets a limit then.
    pub fn headroom(&self, unit: UnitId, minutes: Minutes) -> Option<MilliWatts> {
        self.upward(unit)
            .filter_map(|unit| self.bound_of(unit))
            .filter_map(|bound| headroom(&bound.profile, &bound.budget, minutes))
            .min()
    }

    /// The first minute, `not_before` or later, from which the loads, all together, fit for as long
    /// as they last; absent where there is none. See [`first_start`] for starts inside a minute.
    pub fn first_start(
        &self,
        loads: &[Load],
        not_before: Minute,
        lasting: Lasting,
    ) -> Option<Minute> {
        let needs: Vec<(&Bound, MilliWatts)> = self
            .needs(loads)
            .filter_map(|need| Some((self.bound_of(need.unit)?, need.power)))
            .collect();
        // Each bound moves the start to the first that suits it; none can be missed on the way, and
        // a round that moves nothing has found one that suits all.
        let mut start = match lasting {
            Lasting::Until(end) if not_before >= end => return None,
            Lasting::Open | Lasting::For(_) | Lasting::Until(_) => not_before,
        };
        loop {
            let before = start;
            for (bound, power) in &needs {
                start = first_start(&bound.profile, &bound.budget, start, lasting, *power)?;
            }
            if start == before {
                return Some(start);
            }
        }
    }

    /// Every unit whose budget is exceeded in some of `minutes`, and where it is exceeded most.
    pub fn exceeded(&self, minutes: Minutes) -> impl Iterator<Item = Shortage> {
        self.bounded().filter_map(move |unit| {
            let bound = self.bound_of(unit)?;
            let Peak { missing, at } =
                shortage(&bound.profile, &bound.budget, minutes, MilliWatts::ZERO)?;
            Some(Shortage { unit, missing, at })
        })
    }

    fn bound_of(&self, unit: UnitId) -> Option<&Bound> {
        self.units[unit.as_usize()].bound.as_deref()
    }

    /// A unit and all above it.
    fn upward(&self, unit: UnitId) -> impl Iterator<Item = UnitId> {
        std::iter::successors(Some(unit), |unit| self.units[unit.as_usize()].parent)
    }

    /// What the loads come to in each unit that has a budget, in order of the units.
    fn needs(&self, loads: &[Load]) -> impl Iterator<Item = Load> + use<> {
        let mut needs: BTreeMap<UnitId, MilliWatts> = BTreeMap::new();
        let mut level = loads.to_vec();
        while !level.is_empty() {
            // Neighbours mostly stand below one parent, so that a level up is a much shorter list.
            let mut above: Vec<Load> = Vec::new();
            for Load { unit, power } in level {
                let Unit { parent, bound } = &self.units[unit.as_usize()];
                if bound.is_some() {
                    *needs.entry(unit).or_default() += power;
                }
                match (*parent, above.last_mut()) {
                    (Some(parent), Some(last)) if last.unit == parent => last.power += power,
                    (Some(parent), _) => above.push(Load {
                        unit: parent,
                        power,
                    }),
                    (None, _) => {}
                }
            }
            level = above;
        }
        needs.into_iter().map(|(unit, power)| Load { unit, power })
    }

    fn each_bound(&mut self, loads: &[Load], mut change: impl FnMut(&mut Bound, MilliWatts)) {
        for need in self.needs(loads) {
            if let Some(bound) = &mut self.units[need.unit.as_usize()].bound {
                change(bound, need.power);
            }
            self.look(need.unit);
        }
    }
}
