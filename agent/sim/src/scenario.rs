//! A node and what happens to it, as data: the same scenario and the same instant give the same
//! node in every process.

use crate::board::UnknownSku;
use crate::change::{Change, ChangeError};
use crate::node::{Node, NodeSpec};
use leasehold_common::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a state file holds. The changes are a history: what stands in it has happened or will
/// happen, and new ones are appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the node is made from.
    pub node: NodeSpec,
    /// When its driver was loaded, from which it counts energy. Absent: when it is first read, so
    /// that each process begins to count for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<Timestamp>,
    /// What happens to it, in this order.
    #[serde(default)]
    pub changes: Vec<Step>,
}

/// One entry of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it happens; an instant to come is waited for, and holds up what stands behind it.
    /// Absent: as soon as it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What happens.
    pub change: Change,
}

impl Scenario {
    /// A node to which nothing has happened.
    pub fn new(node: NodeSpec) -> Self {
        Self {
            node,
            loaded_at: None,
            changes: Vec::new(),
        }
    }

    /// The same with one more change, which happens as soon as it is read.
    #[must_use]
    pub fn then(mut self, change: Change) -> Self {
        self.changes.push(Step { at: None, change });
        self
    }

    /// The same with one more change, which happens at an instant.
    #[must_use]
    pub fn then_at(mut self, at: Timestamp, change: Change) -> Self {
        self.changes.push(Step {
            at: Some(at),
            change,
        });
        self
    }
}

/// A scenario in progress: the node as it is at the instant it was last advanced to.
#[derive(Debug, Clone)]
pub struct Replay {
    scenario: Scenario,
    node: Node,
    now: Timestamp,
    applied: usize,
    refused: Vec<Refused>,
}

/// What became of the node when its scenario was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// It lives on.
    Continued,
    /// It is another one, whose events are counted from 1 again.
    Anew,
}

/// A change of the scenario that could not be applied. The scenario goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("change {position} cannot be applied")]
pub struct Refused {
    /// Its position in the scenario, counted from 0.
    pub position: usize,
    /// Why not.
    #[source]
    pub why: ChangeError,
}

impl Replay {
    /// The scenario as it is at `now`.
    pub fn new(scenario: Scenario, now: Timestamp) -> Result<Self, UnknownSku> {
        let node = Node::new(&scenario.node)?;
        let start = scenario.loaded_at.unwrap_or(now).min(now);
        let mut replay = Self {
            scenario,
            node,
            now: start,
            applied: 0,
            refused: Vec::new(),
        };
        replay.advance_to(now);
        Ok(replay)
    }

    /// Goes over to what the file now says. Where that continues the scenario in progress, the node
    /// lives on and only what is new happens to it; otherwise it is another node, made anew.
    pub fn follow(&mut self, scenario: Scenario, now: Timestamp) -> Result<Followed, UnknownSku> {
        let past = &self.scenario.changes[..self.applied];
        let continues = scenario.node == self.scenario.node
            && scenario.loaded_at == self.scenario.loaded_at
            && scenario.changes.starts_with(past);
        if !continues {
            *self = Self::new(scenario, now)?;
            return Ok(Followed::Anew);
        }
        // What is appended without an instant happens now and not at the last advance.
        self.advance_to(now);
        self.scenario = scenario;
        self.advance_to(now);
        Ok(Followed::Continued)
    }

    /// Lets time pass until `now`, and happen what is due by then. An earlier `now` than the last
    /// one is no time at all: wall clocks are set back.
    pub fn advance_to(&mut self, now: Timestamp) {
        while let Some(step) = self.scenario.changes.get(self.applied) {
            let due = step.at.unwrap_or(self.now);
            if due > now {
                break;
            }
            self.node.advance(due.since(self.now));
            self.now = self.now.max(due);
            if let Err(why) = self.node.apply(&step.change) {
                self.refused.push(Refused {
                    position: self.applied,
                    why,
                });
            }
            self.applied += 1;
        }
        self.node.advance(now.since(self.now));
        self.now = self.now.max(now);
    }

    /// The node as it is.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The node, for a change that does not come from the scenario: a call through a face. It lives
    /// as long as this replay.
    pub const fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Takes the changes that could not be applied since this was last asked.
    pub fn take_refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}
