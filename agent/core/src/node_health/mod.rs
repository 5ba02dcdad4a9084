//! How the node itself is, apart from its GPUs.
//!
//! ```text
//!   driver, PCI bus, NVML, processes ─┐
//!   clock, disks, kernel log ─────────┴─► NodeFacts ─► findings(before, …) ─► HealthReport.findings
//! ```
//!
//! A look at the host is a [`NodeFacts`]; what follows from it is data ([`NodeRules`], the `[node]`
//! part of `agent/core/rules/health.toml`). Each rule has two lengths of time: what holds for `hold` is
//! found, and what was found is forgotten when it has been gone for `clear`. What could not be read
//! changes nothing either way.

mod facts;
mod rules;
mod state;

pub use facts::{ClockFacts, DiskFill, DriverContact, NodeFacts, SwitchFault};
pub(crate) use rules::NodeRule;
pub use rules::{NodeRules, NodeSignal, Threshold};
pub use state::NodeState;

use leasehold_common::node::{Finding, Verdict};
use leasehold_common::time::Timestamp;

/// What is known of a node after one more look at it.
#[must_use]
pub fn findings(
    before: &NodeState,
    facts: &NodeFacts,
    rules: &NodeRules,
    now: Timestamp,
) -> NodeState {
    let mut state = before.clone();
    state.observe(facts, rules, now);
    state
}

/// What a single look comes to if everything stays as it is, worst first.
pub fn judge(facts: &NodeFacts, rules: &NodeRules, now: Timestamp) -> Vec<(Verdict, Finding)> {
    findings(&NodeState::default(), facts, &rules.at_once(), now).graded()
}

#[cfg(test)]
mod tests;
