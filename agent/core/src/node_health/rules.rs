//! The rules of a node's health, as they are once they have been checked.

use leasehold_common::node::{Action, HealthReason, Verdict};
use leasehold_common::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is looked at on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeSignal {
    /// Library and kernel module differ.
    DriverMismatch,
    /// The driver is not loaded.
    DriverNotLoaded,
    /// NVML counts fewer GPUs than there are.
    GpuCount,
    /// There are NVSwitches, and nobody manages them.
    FabricManagerDown,
    /// An NVSwitch reported a fatal error.
    SwitchFault,
    /// The clock is not disciplined, or may be off by too much.
    ClockUnsynchronised,
    /// A filesystem is full or nearly so.
    DiskFull,
}

/// What kind of threshold a signal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// None: it is or is not.
    Flag,
    /// A number of this unit, from the least to the most that makes sense.
    AtLeast {
        /// The unit, as the file gives it.
        unit: &'static str,
        /// The lowest threshold.
        least: u64,
        /// The highest threshold.
        most: u64,
    },
}

impl NodeSignal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DriverMismatch,
        Self::DriverNotLoaded,
        Self::GpuCount,
        Self::FabricManagerDown,
        Self::SwitchFault,
        Self::ClockUnsynchronised,
        Self::DiskFull,
    ];

    /// Its name in the file of rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DriverMismatch => "driver-mismatch",
            Self::DriverNotLoaded => "driver-not-loaded",
            Self::GpuCount => "gpu-count",
            Self::FabricManagerDown => "fabric-manager-down",
            Self::SwitchFault => "switch-fault",
            Self::ClockUnsynchronised => "clock-unsynchronised",
            Self::DiskFull => "disk-full",
        }
    }

    /// The token that people and records see.
    pub const fn reason(self) -> HealthReason {
        match self {
            Self::DriverMismatch => HealthReason::DriverMismatch,
            Self::DriverNotLoaded => HealthReason::DriverNotLoaded,
            Self::GpuCount => HealthReason::GpuCount,
            Self::FabricManagerDown => HealthReason::FabricManagerDown,
            Self::SwitchFault => HealthReason::SwitchFault,
            Self::ClockUnsynchronised => HealthReason::ClockUnsynchronised,
            Self::DiskFull => HealthReason::DiskFull,
        }
    }

    /// Its threshold.
    pub const fn threshold(self) -> Threshold {
        match self {
            Self::DriverMismatch
            | Self::DriverNotLoaded
            | Self::GpuCount
            | Self::FabricManagerDown
            | Self::SwitchFault => Threshold::Flag,
            // The kernel itself gives up at 16 s (NTP_PHASE_LIMIT).
            Self::ClockUnsynchronised => Threshold::AtLeast {
                unit: "ms",
                least: 1,
                most: 16_000,
            },
            Self::DiskFull => Threshold::AtLeast {
                unit: "percent",
                least: 1,
                most: 100,
            },
        }
    }
}

/// What is made of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeRule {
    /// From which number on it counts; 0 for a flag.
    pub at_least: u64,
    /// How long it must hold.
    pub hold: Span,
    /// How long it must be gone.
    pub clear: Span,
    pub verdict: Verdict,
    pub action: Action,
}

/// A rule for every signal of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRules(BTreeMap<NodeSignal, NodeRule>);

impl NodeRules {
    /// From one rule for each signal; nothing where one is missing.
    pub(crate) fn complete(rules: BTreeMap<NodeSignal, NodeRule>) -> Option<Self> {
        (rules.len() == NodeSignal::ALL.len()).then_some(Self(rules))
    }

    /// The rule of each signal.
    pub(crate) fn each(&self) -> impl Iterator<Item = (NodeSignal, &NodeRule)> {
        self.0.iter().map(|(signal, rule)| (*signal, rule))
    }

    /// The same without waiting.
    #[must_use]
    pub(crate) fn at_once(&self) -> Self {
        let mut rules = self.clone();
        for rule in rules.0.values_mut() {
            rule.hold = Span::ZERO;
        }
        rules
    }
}
