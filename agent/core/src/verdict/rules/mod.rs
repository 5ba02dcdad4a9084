//! The rules of GPU health, as they are once they have been checked.
//!
//! They are data: `agent/core/rules/health.toml` and `xid.json` beside it, both built in. The first can be
//! replaced by another file, which is checked as this one is.

mod catalogue;
mod check;
mod file;
mod mistakes;

pub use mistakes::{RuleMistake, RulesError};

use super::signal::Signal;
use crate::node_health::NodeRules;
use leasehold_common::node::{Action, HealthReason, Verdict};
use leasehold_common::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The rules that are built in.
const BUILT_IN: &str = include_str!("../../../rules/health.toml");

/// Every rule of GPU health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
    /// How long a fault that was dealt with counts as one that came back.
    pub(super) repeat_within: Span,
    /// How long after a reset a signal may still show what was before.
    pub(super) settle: Span,
    /// XIDs of one code this close together are one fault.
    pub(super) same: Span,
    pub(super) satisfied: BTreeMap<Action, Vec<Act>>,
    pub(super) xids: BTreeMap<u32, XidRule>,
    /// For a code that the catalogue does not know.
    pub(super) unknown: XidRule,
    pub(super) nvlink5: Vec<Decode>,
    /// The effects of policies `check` and `reset-gpu` on the fabric, for what NVLink 5 decodes to.
    pub(super) decoded: (Effect, Effect),
    /// What is made of the node itself.
    pub(super) node: NodeRules,
}

/// Something that was done to a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// It was reset.
    Reset,
    /// Its counters fell, and no reload of the driver is known to explain it.
    Anew,
    /// The driver was loaded again.
    Reload,
    /// The node was started again.
    Reboot,
}

/// What ends a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    /// That its signal is gone.
    Gone,
    /// That its action was seen done as well.
    Done,
}

/// What follows from a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effect {
    pub verdict: Verdict,
    pub action: Action,
    pub reason: HealthReason,
    pub until: Until,
    pub clear: Span,
    /// The action where it comes back after its own was done.
    pub repeat: Option<Action>,
}

/// When a signal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Holds,
    Is(i64),
    Above(i64),
    AtLeast(i64),
    AtMost(i64),
    /// A counter grows by so much since it last counted.
    Grows(u64),
    /// A counter grows by so much within a length of time.
    GrowsWithin(u64, Span),
    /// More than so many minutes of a length of time show the bit.
    Minutes(u32, u32),
}

/// One rule about a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub name: String,
    pub signal: Signal,
    pub condition: Condition,
    pub hold: Span,
    pub effect: Effect,
}

/// What one XID means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct XidRule {
    pub words: String,
    /// Absent where it is recorded and counted only.
    pub effect: Option<Effect>,
    pub often: Option<Often>,
    pub tenants: Option<Tenants>,
    pub with: Option<With>,
    pub decode: Option<Decoder>,
}

/// A fault that comes often is another matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Often {
    pub times: usize,
    pub within: Span,
    pub apart: Span,
    /// Only those count that no other XID comes so close to.
    pub alone: Option<Span>,
    pub effect: Effect,
}

/// A fault that several tenants have is another matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenants {
    pub distinct: usize,
    pub within: Span,
    pub effect: Effect,
}

/// What XIDs that come with it say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct With {
    pub within: Span,
    pub calm: Vec<u32>,
    pub harsh: Vec<u32>,
    pub action: Action,
    pub alone: Option<Action>,
}

/// How the kernel's words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    NvLink5,
    RecoveryAction,
}

/// The error status of one unit of NVLink 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decode {
    pub xid: u32,
    pub unit: String,
    /// Whether each bit stands for itself, or only the whole word for something.
    pub bits: bool,
    pub fatal: Vec<u32>,
    pub ignore: Vec<u32>,
}

impl Rules {
    /// Those that are built in.
    pub fn built_in() -> &'static Arc<Self> {
        static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
        RULES.get_or_init(|| {
            Arc::new(Self::from_toml(BUILT_IN).expect("the built-in rules are tested"))
        })
    }

    /// The text of those that are built in, to begin one's own with.
    pub const fn built_in_text() -> &'static str {
        BUILT_IN
    }

    /// From the text of a file of the form of `health.toml`.
    ///
    /// # Errors
    /// Text that is no TOML, or every mistake in it: which field, what was given, what is allowed.
    pub fn from_toml(text: &str) -> Result<Self, RulesError> {
        let file: file::File = toml::from_str(text).map_err(|e| RulesError::Form {
            said: e.to_string().trim_end().to_owned(),
        })?;
        check::check(file, catalogue::entries())
    }

    /// The same without waiting: what a single reading would come to if it stayed as it is.
    #[must_use]
    pub fn at_once(&self) -> Self {
        let mut rules = self.clone();
        for rule in &mut rules.rules {
            rule.hold = Span::ZERO;
        }
        rules.node = rules.node.at_once();
        rules
    }

    /// Those about the node itself.
    pub const fn node(&self) -> &NodeRules {
        &self.node
    }

    /// What an XID means.
    pub(super) fn xid(&self, code: u32) -> &XidRule {
        self.xids.get(&code).unwrap_or(&self.unknown)
    }

    /// Whether it is in the catalogue.
    pub(super) fn knows_xid(&self, code: u32) -> bool {
        self.xids.contains_key(&code)
    }

    /// Whether an act is what an action asked for.
    pub(super) fn is_satisfied_by(&self, action: Action, act: Act) -> bool {
        action.is_harmless()
            || self
                .satisfied
                .get(&action)
                .is_some_and(|acts| acts.contains(&act))
    }
}

/// The mnemonic of an XID in NVIDIA's catalogue, and what it is in words.
pub fn xid_name(code: u32) -> Option<(&'static str, &'static str)> {
    catalogue::entries()
        .iter()
        .find(|entry| entry.xid == code)
        .map(|entry| (entry.name.as_str(), entry.words.as_str()))
}

/// What the catalogue makes of an XID, for tests that go through all of it.
#[cfg(test)]
pub(super) fn catalogued() -> impl Iterator<Item = (u32, &'static str, &'static str)> {
    catalogue::entries()
        .iter()
        .map(|entry| (entry.xid, entry.class.as_str(), entry.action.as_str()))
}
