//! A few hundred lives in every test run; the binary lives thousands.

use leasehold_sim::{REGRESSIONS, run};

/// Seeds of each test.
const LIVES: u64 = 75;

/// Things that happen in each life.
const STEPS: u32 = 60;

fn live(seeds: impl IntoIterator<Item = u64>) {
    for seed in seeds {
        if let Err(failure) = run(seed, STEPS) {
            panic!("{failure}");
        }
    }
}

#[test]
fn seeds_that_failed_once_live() {
    live(REGRESSIONS.iter().copied());
}

#[test]
fn the_first_lives_end_well() {
    live(0..LIVES);
}

#[test]
fn the_second_lives_end_well() {
    live(LIVES..2 * LIVES);
}

#[test]
fn the_third_lives_end_well() {
    live(2 * LIVES..3 * LIVES);
}

#[test]
fn the_fourth_lives_end_well() {
    live(3 * LIVES..4 * LIVES);
}

#[test]
fn one_seed_is_one_life_however_often_it_is_lived() {
    for seed in 0..10 {
        assert_eq!(run(seed, STEPS).ok(), run(seed, STEPS).ok());
    }
}
