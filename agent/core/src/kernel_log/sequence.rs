//! Which records were missed, and which were read before.

/// Follows the numbers of records. The kernel numbers them from 0 at boot without gaps and keeps as
/// many as fit into its buffer, so a gap is what was overwritten before it was read.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    next: u64,
    /// The log was opened again: what is below `next` was read before.
    again: bool,
}

/// What the number of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It was not read before.
    Fresh {
        /// How many before it are gone.
        lost: u64,
    },
    /// It was read before.
    Again,
}

impl Sequence {
    /// Nothing was read yet.
    pub const fn new() -> Self {
        Self {
            next: 0,
            again: false,
        }
    }

    /// The log was opened again, and begins with the oldest record that there is.
    pub const fn reopened(&mut self) {
        self.again = true;
    }

    /// Takes the number of the next record.
    pub const fn take(&mut self, seq: u64) -> Turn {
        if self.again && seq < self.next {
            return Turn::Again;
        }
        self.again = false;
        // A lower number otherwise is a log that has begun anew, as a simulated node's does.
        let lost = seq.saturating_sub(self.next);
        self.next = seq.saturating_add(1);
        Turn::Fresh { lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Turn = Turn::Fresh { lost: 0 };

    #[test]
    fn a_gap_is_what_was_lost() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(0), FRESH);
        assert_eq!(sequence.take(1), FRESH);
        assert_eq!(sequence.take(8), Turn::Fresh { lost: 6 });
        assert_eq!(sequence.take(9), FRESH);
    }

    #[test]
    fn what_was_overwritten_before_anybody_read_is_lost_too() {
        assert_eq!(Sequence::default().take(4_000), Turn::Fresh { lost: 4_000 });
    }

    #[test]
    fn what_was_read_before_the_log_was_opened_again_is_not_read_twice() {
        let mut sequence = Sequence::default();
        sequence.take(0);
        sequence.take(1);
        sequence.reopened();
        assert_eq!(sequence.take(0), Turn::Again);
        assert_eq!(sequence.take(1), Turn::Again);
        assert_eq!(sequence.take(2), FRESH);
        assert_eq!(sequence.take(0), FRESH, "a log that has begun anew");
    }

    #[test]
    fn the_last_number_there_is_does_no_harm() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(u64::MAX), Turn::Fresh { lost: u64::MAX });
        assert_eq!(sequence.take(u64::MAX), FRESH);
    }
}
