//! What placements are compared by.

use leasehold_common::explain::ScoreField;
use leasehold_common::ids::NodeIndex;

/// How good a placement is: lower is better, and the order of the fields is the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// Nodes that would change sides. First, because each costs a pass of cleaning and splits the
    /// house further.
    pub side_changes: u32,
    /// Domains that are whole before and not after: a domain lease can only be sold from a whole
    /// one, and waits for the last small lease to leave.
    pub domains_broken: u32,
    /// For slices, which GPUs they go on; absent for every other shape.
    pub slices: Option<SliceScore>,
    /// GPUs left free on the nodes it uses, which only smaller leases of the same account can have.
    pub gpus_stranded: u32,
    /// Free nodes left over in the unit it goes to, so that the fullest unit that holds it is
    /// filled and the emptiest kept; none where it breaks into no whole node.
    pub unit_left: u32,
    /// Minutes wasted before the next booking, summed over nodes; nothing where there is none.
    pub idle_before: u64,
    /// The first node's number, so that a decision is always the same.
    pub node_index: NodeIndex,
}

impl Score {
    /// Every field with its word, in the order in which they decide.
    pub fn fields(&self) -> Vec<(ScoreField, i64)> {
        let idle = i64::try_from(self.idle_before).unwrap_or(i64::MAX);
        let slices = self.slices.map(|slices| {
            [
                (ScoreField::GpusCarved, i64::from(slices.gpus_carved)),
                (ScoreField::SlicesLeft, i64::from(slices.slices_left)),
            ]
        });
        let first = [
            (ScoreField::SideChanges, i64::from(self.side_changes)),
            (ScoreField::DomainsBroken, i64::from(self.domains_broken)),
        ];
        let last = [
            (ScoreField::GpusStranded, i64::from(self.gpus_stranded)),
            (ScoreField::UnitLeft, i64::from(self.unit_left)),
            (ScoreField::IdleBefore, idle),
            (ScoreField::NodeIndex, i64::from(self.node_index.0)),
        ];
        let slices = slices.into_iter().flatten();
        first.into_iter().chain(slices).chain(last).collect()
    }

    /// The first field on which it differs from the winner's.
    pub fn lost_by(&self, winner: &Self) -> Option<ScoreField> {
        self.fields()
            .into_iter()
            .zip(winner.fields())
            .find(|(mine, theirs)| mine != theirs)
            .map(|((field, _), _)| field)
    }
}

/// How good a placement of slices is, as far as that is about the GPUs that they go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SliceScore {
    /// GPUs that would be partitioned for it: each is lost to whole leases until its last slice is back.
    pub gpus_carved: u32,
    /// Memory slices left free on the GPUs it uses, so that the fullest are filled first.
    pub slices_left: u32,
}

/// How many placements that lost are told of.
pub(super) const RUNNERS_UP: usize = 3;

/// The best few of many placements, best first.
#[derive(Debug)]
pub(super) struct Podium<T> {
    pub(super) best: Vec<(Score, T)>,
}

impl<T> Podium<T> {
    pub(super) const fn new() -> Self {
        Self { best: Vec::new() }
    }

    /// Whether nothing with so good a score or a worse one would be entered.
    pub(super) fn is_beyond(&self, score: &Score) -> bool {
        let worst = self.best.get(RUNNERS_UP);
        worst.is_some_and(|(worst, _)| worst <= score)
    }

    /// Enters a placement; it is only made where it is among the best so far.
    pub(super) fn enter(&mut self, score: Score, make: impl FnOnce() -> T) {
        let at = self.best.partition_point(|(other, _)| *other <= score);
        if at > RUNNERS_UP {
            return;
        }
        self.best.insert(at, (score, make()));
        self.best.truncate(RUNNERS_UP + 1);
    }
}
