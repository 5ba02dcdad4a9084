//! Changes of a quantity by minute, in order, with sums over any stretch of them.
//!
//! ```text
//!   groups   [ Σ of 32 blocks ] [ Σ of 32 blocks ] …
//!   blocks   [Σ][Σ][Σ][Σ] …                             up to MOST steps each
//!   steps    (minute, change) (minute, change) …        ascending, no change is nothing
//! ```
//!
//! A sum says by how much a stretch changes the quantity and how high and how low it gets on the
//! way, both counted from its value before. Because steps hold changes and not values, putting in a
//! long stretch touches its two ends only; because sums are kept by block and by group of blocks, a
//! question about a long stretch reads a few dozen of them. A nearly empty list is one short block.

use super::minutes::Minute;

/// Steps in one block. A change recomputes the sum of a block, and a question reads parts of two,
/// so larger blocks cost both; smaller ones cost more sums to read and more memory. With 128, at
/// 80,000 steps, adding and asking take about half a microsecond each.
const MOST: usize = 128;

/// Blocks in one group; some thirty groups at 100,000 steps.
const GROUP: usize = 32;

/// From this minute on there is so much more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) minute: Minute,
    pub(super) change: i64,
}

/// What a stretch of steps does to the value before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    /// By how much it changes it.
    pub(super) change: i64,
    /// How far above it the value gets after some step (below it where negative).
    pub(super) high: i64,
    /// How far above it the value stays after every step (below it where negative).
    pub(super) low: i64,
}

impl Sum {
    /// Of no steps. The bounds are such that adding a change to them cannot overflow.
    pub(super) const NONE: Self = Self {
        change: 0,
        high: i64::MIN / 2,
        low: i64::MAX / 2,
    };

    fn then(self, next: Self) -> Self {
        Self {
            change: self.change + next.change,
            high: self.high.max(self.change + next.high),
            low: self.low.min(self.change + next.low),
        }
    }

    fn of(steps: &[Step]) -> Self {
        steps.iter().fold(Self::NONE, |sum, step| {
            let change = sum.change + step.change;
            Self {
                change,
                high: sum.high.max(change),
                low: sum.low.min(change),
            }
        })
    }
}

#[derive(Debug, Clone)]
struct Block {
    /// The minute of its first step, kept here so that a search does not visit the steps.
    first: Minute,
    sum: Sum,
    /// Never empty.
    steps: Vec<Step>,
}

impl Block {
    fn new(steps: Vec<Step>) -> Self {
        Self {
            first: steps[0].minute,
            sum: Sum::of(&steps),
            steps,
        }
    }
}

/// Where a step stands, or would stand: its block, and its number in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    block: usize,
    step: usize,
}

impl Position {
    const START: Self = Self { block: 0, step: 0 };
}

/// The list.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    blocks: Vec<Block>,
    groups: Vec<Sum>,
}

impl Steps {
    /// Every step, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Step> {
        self.blocks
            .iter()
            .flat_map(|block| block.steps.iter().copied())
    }

    /// Every step at `minute` or later, in order.
    pub(super) fn from(&self, minute: Minute) -> impl Iterator<Item = Step> {
        let first = self.position(minute);
        let blocks = self.blocks.iter().skip(first.block);
        let steps = blocks.flat_map(|block| block.steps.iter().copied());
        steps.skip(first.step)
    }

    /// The last step of all.
    pub(super) fn last(&self) -> Option<Step> {
        self.blocks.last()?.steps.last().copied()
    }

    /// Changes the quantity by `change` from `minute` on.
    pub(super) fn change(&mut self, minute: Minute, change: i64) {
        if change == 0 {
            return;
        }
        if self.blocks.is_empty() {
            self.blocks.reserve_exact(1);
            self.blocks.push(Block::new(vec![Step { minute, change }]));
            self.regroup(0);
            return;
        }
        let at = self.block_of(minute);
        let block = &mut self.blocks[at];
        match block
            .steps
            .binary_search_by_key(&minute, |step| step.minute)
        {
            Ok(here) => {
                block.steps[here].change += change;
                if block.steps[here].change == 0 {
                    block.steps.remove(here);
                    self.shrunk(at);
                } else {
                    self.resum(at);
                }
            }
            Err(here) => {
                block.steps.insert(here, Step { minute, change });
                self.grown(at);
            }
        }
    }

    /// The first step at `minute` or later.
    pub(super) fn position(&self, minute: Minute) -> Position {
        if self.blocks.is_empty() {
            return Position::START;
        }
        let block = self.block_of(minute);
        let steps = &self.blocks[block].steps;
        Position {
            block,
            step: steps.partition_point(|step| step.minute < minute),
        }
    }

    /// What the steps before `end` come to.
    pub(super) fn value_before(&self, end: Position) -> i64 {
        let Some(block) = self.blocks.get(end.block) else {
            return 0;
        };
        let grouped = end.block / GROUP;
        let groups: i64 = self.groups[..grouped].iter().map(|sum| sum.change).sum();
        let blocks: i64 = self.blocks[grouped * GROUP..end.block]
            .iter()
            .map(|block| block.sum.change)
            .sum();
        let steps: i64 = block.steps[..end.step].iter().map(|step| step.change).sum();
        groups + blocks + steps
    }

    /// The sum of the steps from `start` to `end`; of none where `end` is not later.
    pub(super) fn sum(&self, start: Position, end: Position) -> Sum {
        if end <= start {
            return Sum::NONE;
        }
        if start.block == end.block {
            return Sum::of(&self.blocks[start.block].steps[start.step..end.step]);
        }
        let mut sum = Sum::of(&self.blocks[start.block].steps[start.step..]);
        let mut at = start.block + 1;
        while at < end.block {
            if at.is_multiple_of(GROUP) && at + GROUP <= end.block {
                sum = sum.then(self.groups[at / GROUP]);
                at += GROUP;
            } else {
                sum = sum.then(self.blocks[at].sum);
                at += 1;
            }
        }
        sum.then(Sum::of(&self.blocks[end.block].steps[..end.step]))
    }

    /// The sum of all steps.
    pub(super) fn total(&self) -> Sum {
        self.groups
            .iter()
            .fold(Sum::NONE, |sum, group| sum.then(*group))
    }

    /// A walk that begins with the value in `minute`.
    pub(super) fn walk(&self, minute: Minute) -> Walk<'_> {
        let next = self.position(minute.later(1));
        Walk {
            steps: self,
            next,
            minute,
            value: self.value_before(next),
        }
    }

    /// The block that has the step of `minute`, or would have it. There is a block.
    fn block_of(&self, minute: Minute) -> usize {
        self.blocks
            .partition_point(|block| block.first <= minute)
            .saturating_sub(1)
    }

    /// One step was put into the block.
    fn grown(&mut self, at: usize) {
        if self.blocks[at].steps.len() <= MOST {
            self.resum(at);
            return;
        }
        let upper = self.blocks[at].steps.split_off(MOST / 2);
        self.blocks.insert(at + 1, Block::new(upper));
        self.regroup(at);
    }

    /// One step was taken out of the block. Two neighbours that are half a block together become
    /// one, so that there are never many small ones.
    fn shrunk(&mut self, at: usize) {
        let len = |block: usize| self.blocks.get(block).map(|block| block.steps.len());
        let mine = self.blocks[at].steps.len();
        if mine == 0 {
            self.blocks.remove(at);
            self.regroup(at.saturating_sub(1));
        } else if len(at + 1).is_some_and(|next| mine + next <= MOST / 2) {
            let next = self.blocks.remove(at + 1);
            self.blocks[at].steps.extend(next.steps);
            self.regroup(at);
        } else if at > 0 && len(at - 1).is_some_and(|last| mine + last <= MOST / 2) {
            let this = self.blocks.remove(at);
            self.blocks[at - 1].steps.extend(this.steps);
            self.regroup(at - 1);
        } else {
            self.resum(at);
        }
    }

    /// A block's steps have changed, the blocks' number has not.
    fn resum(&mut self, at: usize) {
        let block = &mut self.blocks[at];
        block.first = block.steps[0].minute;
        block.sum = Sum::of(&block.steps);
        self.groups[at / GROUP] = self.group(at / GROUP);
    }

    /// The blocks from this one on have moved, and its own steps have changed.
    fn regroup(&mut self, at: usize) {
        if let Some(block) = self.blocks.get_mut(at) {
            block.first = block.steps[0].minute;
            block.sum = Sum::of(&block.steps);
        }
        self.groups.truncate(at / GROUP);
        for group in at / GROUP..self.blocks.len().div_ceil(GROUP) {
            let sum = self.group(group);
            self.groups.push(sum);
        }
    }

    fn group(&self, group: usize) -> Sum {
        let end = self.blocks.len().min((group + 1) * GROUP);
        self.blocks[group * GROUP..end]
            .iter()
            .fold(Sum::NONE, |sum, block| sum.then(block.sum))
    }
}

/// What a walk looks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seek {
    /// A value above this.
    Above(i64),
    /// A value of this or less.
    AtMost(i64),
}

impl Seek {
    fn met(self, value: i64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::AtMost(limit) => value <= limit,
        }
    }

    /// Whether it is met somewhere in a stretch that begins from `value`.
    fn met_within(self, value: i64, sum: Sum) -> bool {
        match self {
            Self::Above(limit) => value + sum.high > limit,
            Self::AtMost(limit) => value + sum.low <= limit,
        }
    }
}

/// Goes through the values in order of time, past whole blocks and groups where it can. All the
/// seeking of one walk together visits each step once at most.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    steps: &'a Steps,
    next: Position,
    minute: Minute,
    value: i64,
}

impl Walk<'_> {
    /// The first minute, from where the walk is, whose value is such; the walk is there then.
    pub(super) fn seek(&mut self, seek: Seek) -> Option<Minute> {
        if seek.met(self.value) {
            return Some(self.minute);
        }
        while let Some(block) = self.steps.blocks.get(self.next.block) {
            if self.next.step == 0 {
                let group = self.steps.groups[self.next.block / GROUP];
                if self.next.block.is_multiple_of(GROUP) && !seek.met_within(self.value, group) {
                    self.value += group.change;
                    self.next.block += GROUP;
                    continue;
                }
                if !seek.met_within(self.value, block.sum) {
                    self.value += block.sum.change;
                    self.next.block += 1;
                    continue;
                }
            }
            for step in &block.steps[self.next.step..] {
                self.next.step += 1;
                self.value += step.change;
                if seek.met(self.value) {
                    self.minute = step.minute;
                    return Some(step.minute);
                }
            }
            self.next = Position {
                block: self.next.block + 1,
                step: 0,
            };
        }
        None
    }
}
