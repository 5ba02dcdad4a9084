//! What must hold for every sequence of bookings.

use super::oracle::{self, HORIZON, Naive, budget, minutes, mw};
use crate::power::{
    BudgetStep, Lasting, Load, Minute, Minutes, PowerBook, Profile, UnitId, first_start, headroom,
    shortage,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Changes stop at half the horizon, so that the last minute kept stands for all later ones.
const BUSY: u32 = HORIZON / 2;

fn stretch() -> impl Strategy<Value = Minutes> {
    (0..BUSY, proptest::option::weighted(0.8, 0..=BUSY)).prop_map(|(from, to)| minutes(from, to))
}

fn bookings() -> impl Strategy<Value = Vec<(Minutes, u64)>> {
    vec((stretch(), 0..6_u64), 0..24)
}

fn steps() -> impl Strategy<Value = Vec<BudgetStep>> {
    proptest::collection::btree_map(0..BUSY, proptest::option::weighted(0.8, 0..20_u64), 1..5)
        .prop_map(|steps| {
            let step = |(from, limit): (u32, Option<u64>)| BudgetStep {
                from: Minute(from),
                limit: limit.map(mw),
            };
            steps.into_iter().map(step).collect()
        })
}

fn lasting() -> impl Strategy<Value = Lasting> {
    prop_oneof![
        1 => Just(Lasting::Open),
        4 => (0..BUSY / 2).prop_map(Lasting::For),
        1 => (0..BUSY).prop_map(|end| Lasting::Until(Minute(end))),
    ]
}

fn booked(bookings: &[(Minutes, u64)]) -> (Profile, Naive) {
    let (mut profile, mut naive) = (Profile::new(), Naive::new());
    for (minutes, power) in bookings {
        profile.add(*minutes, mw(*power));
        naive.add(*minutes, *power);
    }
    (profile, naive)
}

/// A cell with two halls of two racks: 0, 1 and 4, 2 3 and 5 6.
fn tree() -> PowerBook {
    let mut book = PowerBook::new();
    let cell = book.add_unit(None);
    for _ in 0..2 {
        let hall = book.add_unit(Some(cell));
        book.add_unit(Some(hall));
        book.add_unit(Some(hall));
    }
    book
}

const PARENT: [Option<u32>; 7] = [None, Some(0), Some(1), Some(1), Some(0), Some(4), Some(4)];

fn is_below(unit: u32, above: u32) -> bool {
    unit == above || PARENT[unit as usize].is_some_and(|parent| is_below(parent, above))
}

fn loads() -> impl Strategy<Value = Vec<Load>> {
    vec((0..7_u32, 0..5_u64), 0..4).prop_map(|loads| {
        let load = |(unit, power)| Load {
            unit: UnitId(unit),
            power: mw(power),
        };
        loads.into_iter().map(load).collect()
    })
}

fn load_of(loads: &[Load], unit: u32) -> u64 {
    let below = loads.iter().filter(|load| is_below(load.unit.0, unit));
    below.map(|load| load.power.0).sum()
}

fn touches(loads: &[Load], unit: u32) -> bool {
    loads.iter().any(|load| is_below(load.unit.0, unit))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_profile_is_the_array_of_its_minutes(bookings in bookings(), window in stretch()) {
        let (profile, naive) = booked(&bookings);
        prop_assert_eq!(profile.max_in(window).0, naive.max_in(window));
        for minute in 0..HORIZON {
            prop_assert_eq!(profile.at(Minute(minute)).0, naive.at(minute));
        }
        // One form: no change is listed that is none.
        let mut before = mw(0);
        for (minute, now) in profile.changes() {
            prop_assert!(now != before);
            prop_assert_eq!(now.0, naive.at(minute.0));
            before = now;
        }
    }

    #[test]
    fn what_is_taken_back_leaves_the_profile_as_it_was(
        kept in bookings(),
        passing in bookings(),
    ) {
        let (before, _) = booked(&kept);
        let mut profile = before.clone();
        for (minutes, power) in &passing {
            profile.add(*minutes, mw(*power));
        }
        for (minutes, power) in passing.iter().rev() {
            profile.remove(*minutes, mw(*power));
        }
        prop_assert_eq!(&profile, &before);
        for (minutes, power) in &kept {
            profile.remove(*minutes, mw(*power));
        }
        prop_assert!(profile.is_empty());
    }

    #[test]
    fn headroom_and_shortage_are_those_of_the_worst_minute(
        bookings in bookings(), steps in steps(), window in stretch(), need in 0..12_u64,
    ) {
        let (profile, naive) = booked(&bookings);
        let budget = budget(&steps);
        let left = headroom(&profile, &budget, window);
        prop_assert_eq!(left.map(|mw| mw.0), oracle::headroom(&naive, &steps, window));
        let peak = shortage(&profile, &budget, window, mw(need));
        let worst = oracle::worst(&naive, &steps, window, need);
        prop_assert_eq!(peak.map(|peak| (peak.at.0, peak.missing.0)), worst);
        let least = (window.from.0..window.to.0.min(HORIZON))
            .filter_map(|minute| oracle::limit(&steps, minute))
            .min();
        prop_assert_eq!(budget.min_in(window).map(|mw| mw.0), least);
    }

    #[test]
    fn the_first_start_is_the_first_that_trying_every_minute_finds(
        bookings in bookings(), steps in steps(), not_before in 0..BUSY, lasting in lasting(),
        need in 0..12_u64,
    ) {
        let (profile, naive) = booked(&bookings);
        let found = first_start(&profile, &budget(&steps), Minute(not_before), lasting, mw(need));
        let tried = oracle::first_start(&[(&naive, &steps, need)], not_before, lasting);
        prop_assert_eq!(found.map(|minute| minute.0), tried);
    }

    #[test]
    fn a_book_keeps_every_budget_above_a_load(
        budgets in vec(proptest::option::of(steps()), 7),
        late in 0..7_u32,
        made in vec((loads(), stretch()), 0..10),
        asked in loads(), window in stretch(), not_before in 0..BUSY, lasting in lasting(),
    ) {
        // One budget is set after the bookings were made, all others before.
        let mut book = tree();
        let set = |book: &mut PowerBook, unit: u32, bookings: &[(Load, Minutes)]| {
            if let Some(steps) = &budgets[unit as usize] {
                book.set_budget(UnitId(unit), budget(steps), bookings.iter().copied());
            }
        };
        for unit in (0..7).filter(|unit| *unit != late) {
            set(&mut book, unit, &[]);
        }
        let mut list = Vec::new();
        for (loads, minutes) in &made {
            book.book(loads, *minutes);
            list.extend(loads.iter().map(|load| (*load, *minutes)));
        }
        set(&mut book, late, &list);

        let naive: Vec<Naive> = (0..7).map(|unit| {
            let mut naive = Naive::new();
            for (loads, minutes) in &made {
                naive.add(*minutes, load_of(loads, unit));
            }
            naive
        }).collect();
        let under = |unit: u32| budgets[unit as usize].as_deref();
        let worst = |unit: u32, need: u64, window: Minutes| {
            oracle::worst(&naive[unit as usize], under(unit)?, window, need)
        };

        let expected = (0..7)
            .filter(|unit| touches(&asked, *unit))
            .filter_map(|unit| Some((unit, worst(unit, load_of(&asked, unit), window)?)))
            .reduce(|a, b| if b.1.1 > a.1.1 { b } else { a });
        let answer = book.fits(&asked, window).err();
        prop_assert_eq!(
            answer.map(|short| (short.unit.0, (short.at.0, short.missing.0))),
            expected
        );

        let exceeded: Vec<_> = book.exceeded(window).map(|short| short.unit.0).collect();
        let really: Vec<_> = (0..7).filter(|unit| worst(*unit, 0, window).is_some()).collect();
        prop_assert_eq!(exceeded, really);

        for unit in 0..7 {
            let least = (0..7)
                .filter(|above| is_below(unit, *above))
                .filter_map(|above| {
                    oracle::headroom(&naive[above as usize], under(above)?, window)
                })
                .min();
            prop_assert_eq!(book.headroom(UnitId(unit), window).map(|mw| mw.0), least);
        }

        let books: Vec<_> = (0..7)
            .filter(|unit| touches(&asked, *unit))
            .filter_map(|unit| {
                Some((&naive[unit as usize], under(unit)?, load_of(&asked, unit)))
            })
            .collect();
        prop_assert_eq!(
            book.first_start(&asked, Minute(not_before), lasting).map(|minute| minute.0),
            oracle::first_start(&books, not_before, lasting)
        );

        for (loads, minutes) in made.iter().rev() {
            book.unbook(loads, *minutes);
        }
        for unit in book.bounded() {
            prop_assert!(book.bound(unit).unwrap().1.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Thousands of steps, so that blocks split and join and groups fill: a profile that is long is
    /// the same function as one that is looked at minute by minute.
    #[test]
    fn a_long_profile_is_no_other(
        seed in vec((0..20_000_u32, 1..4_000_u32, 1..1000_u64), 6000),
        windows in vec((0..20_000_u32, 0..9_000_u32), 60),
    ) {
        let mut values = vec![0_u64; 24_000];
        let mut profile = Profile::new();
        for (from, length, power) in &seed {
            profile.add(minutes(*from, Some(from + length)), mw(*power));
            for mw in &mut values[*from as usize..(from + length) as usize] {
                *mw += power;
            }
        }
        check(&profile, &values, &windows)?;
        // Two in three are taken back, in an order of their own.
        let gone = seed.iter().step_by(3).chain(seed.iter().skip(1).step_by(3));
        for (from, length, power) in gone {
            profile.remove(minutes(*from, Some(from + length)), mw(*power));
            for mw in &mut values[*from as usize..(from + length) as usize] {
                *mw -= power;
            }
        }
        check(&profile, &values, &windows)?;
        for (from, length, power) in seed.iter().skip(2).step_by(3) {
            profile.remove(minutes(*from, Some(from + length)), mw(*power));
        }
        prop_assert!(profile.is_empty());
    }
}

fn check(profile: &Profile, values: &[u64], windows: &[(u32, u32)]) -> Result<(), TestCaseError> {
    for &(from, length) in windows {
        let to = (from + length).min(24_000);
        let window = &values[from as usize..to as usize];
        let most = window.iter().copied().max().unwrap_or(0);
        prop_assert_eq!(profile.max_in(minutes(from, Some(to))).0, most);
        prop_assert_eq!(profile.at(Minute(from)).0, values[from as usize]);
        let mut walk = profile.walk(Minute(from));
        let above = values[from as usize..].iter().position(|mw| *mw > most);
        let above = above.map(|offset| offset + from as usize);
        prop_assert_eq!(walk.above(mw(most)).map(|minute| minute.0 as usize), above);
        if let Some(above) = above {
            let under = values[above..].iter().position(|mw| *mw <= most);
            let under = under.map(|offset| offset + above);
            prop_assert_eq!(
                walk.at_most(mw(most)).map(|minute| minute.0 as usize),
                under
            );
        }
    }
    Ok(())
}
