//! What a node can fail, what keeps it away, and small sets of both.

use leasehold_common::explain::Filter;

/// A hard rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    State,
    Flagged,
    Silent,
    Sku,
    Place,
    Owner,
    Side,
    Account,
    Taken,
    Unhealthy,
    Returning,
    Host,
    Power,
    Reserved,
    Unit,
}

impl Rule {
    pub(super) const ALL: [Self; 15] = [
        Self::State,
        Self::Flagged,
        Self::Silent,
        Self::Sku,
        Self::Place,
        Self::Owner,
        Self::Side,
        Self::Account,
        Self::Taken,
        Self::Unhealthy,
        Self::Returning,
        Self::Host,
        Self::Power,
        Self::Reserved,
        Self::Unit,
    ];

    /// The word it is counted under.
    pub(super) const fn filter(self) -> Filter {
        match self {
            Self::State => Filter::NodeState,
            Self::Flagged => Filter::Flagged,
            Self::Silent => Filter::Silent,
            Self::Sku => Filter::OtherSku,
            Self::Place => Filter::OtherPlace,
            Self::Owner => Filter::Owner,
            Self::Side => Filter::OtherSide,
            Self::Account => Filter::OtherAccount,
            Self::Taken => Filter::GpusTaken,
            Self::Unhealthy => Filter::GpusUnhealthy,
            Self::Returning => Filter::AwaitingReturn,
            Self::Host => Filter::HostTaken,
            Self::Power => Filter::PowerBudget,
            Self::Reserved => Filter::Reserved,
            Self::Unit => Filter::UnitBroken,
        }
    }
}

/// What kind of thing keeps a node away, and so what would have to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Leases have it, or will.
    Held,
    /// Its GPUs would do, and leases have the CPU that it takes besides.
    Cpu,
    /// The same of memory.
    Memory,
    /// It is flagged.
    Draining,
    /// It is being taken back or cleaned.
    Cleanup,
    /// It is faulty, silent or taken out.
    Unavailable,
    /// There are no watts for it.
    Power,
    /// It is kept for the other side, or this side has all it may have.
    Reserved,
}

impl Cause {
    /// In the order in which they are told where they weigh the same.
    pub(super) const ALL: [Self; 8] = [
        Self::Reserved,
        Self::Power,
        Self::Held,
        Self::Cpu,
        Self::Memory,
        Self::Draining,
        Self::Cleanup,
        Self::Unavailable,
    ];
}

/// A small set of rules or of causes, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Few(u16);

impl Few {
    pub(super) const fn of(numbers: &[u8]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < numbers.len() {
            set |= 1 << numbers[at];
            at += 1;
        }
        Self(set)
    }

    pub(super) const fn add(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    pub(super) const fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has exactly one.
    pub(super) const fn is_one(self) -> bool {
        self.0.is_power_of_two()
    }

    /// What it has.
    pub(super) fn numbers(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some(lowest as usize)
        })
    }

    /// Whether it has anything that `other` has.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What any of both has.
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has nothing that `other` has not.
    pub(super) const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// What a node fails, and what keeps it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Faults {
    /// The rules it fails.
    pub(super) failed: Few,
    /// What keeps it away, other than being the wrong node.
    pub(super) causes: Few,
}

impl Faults {
    /// What nodes of another SKU fail, and nothing else of them is looked at.
    pub(super) const OTHER_SKU: Self = Self {
        failed: Few::of(&[Rule::Sku as u8]),
        causes: Few::of(&[]),
    };

    pub(super) const fn with(mut self, rule: Rule, cause: Cause) -> Self {
        self.add(rule, cause);
        self
    }

    /// What nodes outside the place fail that everything is asked of, and nothing else is looked at.
    pub(super) const ELSEWHERE: Self = Self {
        failed: Few::of(&[Rule::Place as u8]),
        causes: Few::of(&[]),
    };

    pub(super) const fn add(&mut self, rule: Rule, cause: Cause) {
        self.failed.add(rule as u8);
        self.causes.add(cause as u8);
    }

    pub(super) const fn fits(self) -> bool {
        self.failed.is_empty()
    }

    /// Whether it is of the right kind and may serve that side, whatever keeps it away now.
    pub(super) const fn is_eligible(self) -> bool {
        const WRONG: Few = Few::of(&[Rule::Sku as u8, Rule::Place as u8, Rule::Owner as u8]);
        !self.failed.meets(WRONG)
    }

    /// Whether every rule it fails is one that time can settle, or that stands among those. Too few
    /// healthy GPUs are there because that rule is also counted where it fails only together with
    /// GPUs that are taken.
    pub(super) const fn may_fit_later(self) -> bool {
        const IN_TIME: Few = Few::of(&[
            Rule::Side as u8,
            Rule::Account as u8,
            Rule::Taken as u8,
            Rule::Unhealthy as u8,
            Rule::Returning as u8,
            Rule::Host as u8,
            Rule::Power as u8,
            Rule::Unit as u8,
        ]);
        self.failed.within(IN_TIME)
    }

    /// What it fails whatever is the matter with the others of its unit.
    pub(super) fn by_itself(self) -> Self {
        let only_others = self.failed == Few::of(&[Rule::Unit as u8]);
        if only_others { Self::default() } else { self }
    }

    /// Whether a gang can do as little with it, for the same causes.
    pub(super) fn weighs_as(self, other: Self) -> bool {
        let all = |faults: Self| (faults.fits(), faults.is_eligible(), faults.may_fit_later());
        all(self) == all(other) && self.causes == other.causes
    }

    /// Whether it is only CPU or memory that it has too little of.
    pub(super) const fn lacks_only_host(self) -> bool {
        const HOST: Few = Few::of(&[Cause::Cpu as u8, Cause::Memory as u8]);
        !self.causes.is_empty() && self.causes.within(HOST) && self.is_eligible()
    }

    /// Whether it is only its GPUs that are too few.
    pub(super) const fn lacks_only_gpus(self) -> bool {
        const GPUS: Few = Few::of(&[
            Rule::Taken as u8,
            Rule::Unhealthy as u8,
            Rule::Returning as u8,
        ]);
        self.failed.within(GPUS)
    }
}
