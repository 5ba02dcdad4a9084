//! What an operator would see.

use super::oracle::{minutes, mw};
use crate::power::{
    Budget, BudgetError, BudgetStep, Lasting, Load, Minute, PowerBook, Shortage, UnitId,
};
use leasehold_common::units::MilliWatts;

const fn kw(n: u64) -> MilliWatts {
    MilliWatts::from_watts(n * 1000)
}

/// A hall of two racks; the hall may draw 100 kW, and 60 kW from minute 600 to minute 700, when a
/// feed is repaired. The first rack may draw 70 kW at any time.
fn hall_with_a_repair() -> (PowerBook, UnitId, [UnitId; 2]) {
    let mut book = PowerBook::new();
    let hall = book.add_unit(None);
    let racks = [book.add_unit(Some(hall)), book.add_unit(Some(hall))];
    let repair = [(0, 100), (600, 60), (700, 100)].map(|(from, limit)| BudgetStep {
        from: Minute(from),
        limit: Some(kw(limit)),
    });
    book.set_budget(hall, Budget::new(repair.to_vec()).unwrap(), []);
    book.set_budget(racks[0], Budget::constant(kw(70)), []);
    (book, hall, racks)
}

fn load(unit: UnitId, power: MilliWatts) -> Load {
    Load { unit, power }
}

#[test]
fn a_lease_across_a_repair_is_told_what_is_missing_where_and_when() {
    let (mut book, hall, [first, second]) = hall_with_a_repair();
    book.book(&[load(first, kw(40))], minutes(0, None));
    let asked = [load(second, kw(50))];
    assert_eq!(book.fits(&asked, minutes(500, Some(600))), Ok(()));
    assert_eq!(
        book.fits(&asked, minutes(500, Some(601))),
        Err(Shortage {
            unit: hall,
            missing: kw(30),
            at: Minute(600)
        })
    );
    // A lower cap would fit, and this one fits after the repair.
    assert_eq!(book.headroom(second, minutes(500, Some(601))), Some(kw(20)));
    assert_eq!(
        book.first_start(&asked, Minute(500), Lasting::For(120)),
        Some(Minute(700))
    );
    assert_eq!(
        book.first_start(&asked, Minute(480), Lasting::For(120)),
        Some(Minute(480))
    );
}

#[test]
fn the_unit_that_lacks_most_is_named_and_the_highest_of_equals() {
    let (mut book, hall, [first, second]) = hall_with_a_repair();
    let whole = minutes(0, Some(60));
    let refused = book.fits(&[load(first, kw(110))], whole).unwrap_err();
    assert_eq!((refused.unit, refused.missing), (first, kw(40)));
    book.book(&[load(second, kw(30))], whole);
    let refused = book.fits(&[load(first, kw(110))], whole).unwrap_err();
    assert_eq!((refused.unit, refused.missing), (hall, kw(40)));
}

#[test]
fn a_gang_is_counted_as_a_whole() {
    let (book, hall, [first, second]) = hall_with_a_repair();
    let gang = [load(first, kw(60)), load(second, kw(60))];
    for one in gang {
        assert_eq!(book.fits(&[one], minutes(0, Some(60))), Ok(()));
    }
    let refused = book.fits(&gang, minutes(0, Some(60))).unwrap_err();
    assert_eq!((refused.unit, refused.missing), (hall, kw(20)));
    assert_eq!(book.first_start(&gang, Minute(0), Lasting::Open), None);
}

#[test]
fn a_budget_set_below_what_is_promised_takes_nothing_back() {
    let (mut book, hall, [first, second]) = hall_with_a_repair();
    let promised = (load(first, kw(50)), minutes(10, Some(90)));
    let elsewhere = (load(second, kw(20)), minutes(10, Some(90)));
    book.book(&[promised.0], promised.1);
    book.book(&[elsewhere.0], elsewhere.1);
    book.set_budget(hall, Budget::constant(kw(60)), []);
    let exceeded: Vec<_> = book.exceeded(minutes(0, None)).collect();
    let expected = Shortage {
        unit: hall,
        missing: kw(10),
        at: Minute(10),
    };
    assert_eq!(exceeded, [expected]);
    // The second rack had no budget; the one it gets now knows what is booked below it.
    book.set_budget(second, Budget::constant(kw(25)), [promised, elsewhere]);
    book.clear_budget(hall);
    assert_eq!(book.headroom(second, minutes(0, Some(60))), Some(kw(5)));
    assert_eq!(book.bounded().collect::<Vec<_>>(), [first, second]);
}

#[test]
fn budget_steps_out_of_order_are_refused() {
    let step = |from| BudgetStep {
        from: Minute(from),
        limit: Some(mw(1)),
    };
    assert_eq!(Budget::new(Vec::new()), Err(BudgetError::Empty));
    let refused = Budget::new(vec![step(0), step(60), step(60)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "budget step 2 is from 1970-01-01T01:00:00.000Z, and must be later than the one before, \
         1970-01-01T01:00:00.000Z"
    );
}

#[test]
#[should_panic(expected = "were taken back")]
fn taking_back_what_was_never_booked_is_a_defect() {
    let (mut book, _, [first, _]) = hall_with_a_repair();
    book.book(&[load(first, kw(10))], minutes(10, Some(20)));
    book.unbook(&[load(first, kw(10))], minutes(10, Some(21)));
}
