//! When the nodes of a survey fit, looked up once for everything that is asked about it.

use super::earliest::starts;
use super::survey::{Seat, Survey};
use super::whole;
use leasehold_common::time::Timestamp;
use std::ops::Range;

/// Of every seat in a unit that is large enough, from which starts on it fits and from which it no longer
/// does.
#[derive(Debug)]
pub(super) struct Openings {
    changes: Vec<(Timestamp, i64)>,
    /// Where those of each seat end.
    ends: Vec<usize>,
}

impl Openings {
    /// Those that matter to a gang of so many nodes of one unit.
    pub(super) fn of(survey: &Survey<'_>, wanted: u32) -> Self {
        let mut found = Self {
            changes: Vec::with_capacity(survey.seats.len()),
            ends: Vec::with_capacity(survey.seats.len()),
        };
        let mut instants = Vec::new();
        for (_, seats) in units(survey) {
            let is_large = seats.len() >= wanted as usize;
            let mut alone = |seat: &Seat, changes: &mut Vec<(Timestamp, i64)>| {
                if is_large && seat.faults.may_fit_later() {
                    starts(&survey.ask, seat, &mut instants, changes);
                }
            };
            let Some(level) = survey.ask.whole() else {
                for seat in seats {
                    alone(seat, &mut found.changes);
                    found.ends.push(found.changes.len());
                }
                continue;
            };
            for unit in seats.chunk_by(|a, b| a.shares(b, level)) {
                let mut changes = Vec::new();
                for seat in unit {
                    let mut by_itself = *seat;
                    by_itself.faults = seat.faults.by_itself();
                    alone(&by_itself, &mut changes);
                }
                let together: Vec<_> = whole::when_all(&changes, unit.len()).collect();
                for _ in unit {
                    found.changes.extend_from_slice(&together);
                    found.ends.push(found.changes.len());
                }
            }
        }
        found
    }

    /// All of some seats, one after another.
    pub(super) fn of_seats(&self, seats: Range<usize>) -> &[(Timestamp, i64)] {
        let before = |at: usize| at.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.changes[before(seats.start)..before(seats.end)]
    }

    /// Those of one seat.
    pub(super) fn of_seat(&self, seat: usize) -> &[(Timestamp, i64)] {
        self.of_seats(seat..seat + 1)
    }

    /// Whether a seat fits at a start.
    pub(super) fn fits(&self, seat: usize, at: Timestamp) -> bool {
        let so_far = self.of_seat(seat).iter().filter(|(from, _)| *from <= at);
        so_far.map(|(_, change)| change).sum::<i64>() > 0
    }
}

/// The units that the request may be in, each with where its seats are.
pub(super) fn units<'s>(
    survey: &'s Survey<'_>,
) -> impl Iterator<Item = (Range<usize>, &'s [Seat])> {
    let within = survey.ask.within();
    let mut begun = 0;
    survey.units(within).map(move |seats| {
        let first = begun;
        begun += seats.len();
        (first..begun, seats)
    })
}
