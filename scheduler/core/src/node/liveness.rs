//! When silence means loss.
//!
//! A vanished liveness key is a suspicion and nothing more: overload, a pause or a change of etcd's
//! leader deletes the keys of healthy nodes. So a node that falls silent gets no new leases at once;
//! after the grace it becomes `Unreachable`; its leases go on in either case. Where many fall silent
//! together, or the store itself was away, the fault is ours: a brake holds every further
//! consequence back until nearly all have been heard of again.

use crate::draft::Entry;
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex, NodeName};
use leasehold_common::lease::{Condition, ConditionKind};
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::node::{NodeState, StateReason};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};
use std::collections::BTreeSet;

/// How long nearly all nodes must have been there before the brake is let go.
const THAW_AFTER: Span = Span::from_mins(2);

/// With the brake on, at most this share of nodes, in thousandths, may be missing for it to be let
/// go.
const THAW_MISSING_PERMILLE: usize = 5;

/// Whether an agent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Presence {
    /// It has never been heard of by this process.
    #[default]
    Unknown,
    /// Its liveness key is there.
    Here,
    /// Its liveness key is gone.
    Silent {
        /// Since when.
        since: Timestamp,
    },
}

/// What is known about silence in the cell as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brake {
    /// Nodes that are silent and not yet unreachable, by when they fell silent.
    pub silent: BTreeSet<(Timestamp, NodeIndex)>,
    /// Whether consequences are held back.
    pub on: bool,
    /// Since when so few are missing that it may be let go.
    pub calm_since: Option<Timestamp>,
    /// Before this instant nothing counts as lost: the store was away, or this leader is new.
    pub hold_until: Timestamp,
    /// Nodes whose presence changed since the last batch, and whether they are there.
    pub changed: (NodeSet, NodeSet),
}

impl State {
    /// Whether automatic consequences of lost nodes are held back.
    pub fn brake_is_on(&self) -> bool {
        self.brake.on
    }

    /// Notes that a node's liveness key came or went.
    pub(crate) fn presence(&mut self, index: NodeIndex, here: bool, now: Timestamp) {
        let node = self
            .nodes
            .get_mut(&index)
            .expect("the caller looked the node up");
        let before = node.presence;
        node.presence = match (here, before) {
            (true, _) => Presence::Here,
            (false, Presence::Silent { since }) => Presence::Silent { since },
            (false, Presence::Unknown | Presence::Here) => Presence::Silent { since: now },
        };
        if node.presence == before {
            return;
        }
        if let Presence::Silent { since } = before {
            self.brake.silent.remove(&(since, index));
        }
        if let Presence::Silent { since } = node.presence {
            self.brake.silent.insert((since, index));
        }
        let (gone, back) = &mut self.brake.changed;
        let (into, out_of) = if here { (back, gone) } else { (gone, back) };
        into.insert(index);
        out_of.remove(index);
        self.refresh_condition(index);
        if here {
            self.verify_node(index, now);
        }
    }

    /// Notes that the liveness key of a node that was never admitted came or went.
    pub(crate) fn stranger_presence(&mut self, name: &NodeName, here: bool, now: Timestamp) {
        let stranger = self.strangers.entry(name.clone()).or_default();
        stranger.presence = if here {
            Presence::Here
        } else {
            Presence::Silent { since: now }
        };
        self.forget_empty_stranger(name);
    }

    /// Gives every node a full TTL and grace from `now` on.
    pub(crate) fn hold_liveness(&mut self, now: Timestamp) {
        self.brake.hold_until = now + self.settings.liveness.ttl + self.settings.liveness.grace;
    }

    /// Logs who fell silent or came back, in one record however many.
    pub(crate) fn log_presence(&mut self) {
        let (gone, back) = std::mem::take(&mut self.brake.changed);
        for (nodes, to) in [(gone, "silent"), (back, "here")] {
            if nodes.is_empty() {
                continue;
            }
            let subject = Subject {
                nodes: Some(nodes),
                ..Subject::default()
            };
            let attributes = Attributes {
                to: Some(to.into()),
                ..Attributes::default()
            };
            let entry = Entry {
                subject,
                attributes,
                ..Entry::default()
            };
            self.draft.log(EventName::NodeLiveness, entry);
        }
    }

    /// Trips the brake or lets it go.
    pub(crate) fn turn_brake(&mut self, now: Timestamp) {
        if now < self.brake.hold_until {
            return;
        }
        let liveness = self.settings.liveness;
        let window = now - liveness.brake_window;
        // When a hold has just ended, all that are silent then count as lost together, however long
        // they have been: nobody was able to tell.
        let held = self.brake.hold_until > window;
        let from = if held { Timestamp::EPOCH } else { window };
        let lately = self.brake.silent.range((from, NodeIndex(0))..).count();
        let tolerated = liveness.tolerated(self.nodes.len());
        if !self.brake.on {
            if lately > tolerated {
                self.brake.on = true;
                self.brake.calm_since = None;
                let why = format!(
                    "{lately} nodes fell silent within {}",
                    liveness.brake_window
                );
                self.log_brake("on", why);
            }
            return;
        }
        let missing = self.brake.silent.len();
        if missing * 1000 > self.nodes.len() * THAW_MISSING_PERMILLE {
            self.brake.calm_since = None;
            return;
        }
        let since = *self.brake.calm_since.get_or_insert(now);
        if now.since(since) >= THAW_AFTER {
            self.brake.on = false;
            self.brake.calm_since = None;
            self.log_brake("off", format!("{missing} nodes missing for {THAW_AFTER}"));
        }
    }

    fn log_brake(&mut self, to: &str, reason: String) {
        let attributes = Attributes {
            to: Some(to.into()),
            reason: Some(reason),
            ..Attributes::default()
        };
        self.draft.log(
            EventName::BrakeChanged,
            Entry {
                attributes,
                ..Entry::default()
            },
        );
    }

    /// Makes nodes unreachable whose grace is over, as many as the batch has room for.
    pub(crate) fn end_graces(&mut self, now: Timestamp) {
        if self.brake.on || now < self.brake.hold_until {
            return;
        }
        let lost_if_before = now - self.settings.liveness.grace;
        while !self.draft.is_full() {
            let Some((since, index)) = self.brake.silent.first().copied() else {
                return;
            };
            if since > lost_if_before {
                return;
            }
            self.brake.silent.remove(&(since, index));
            self.lose_node(index, since, now);
        }
    }

    fn lose_node(&mut self, index: NodeIndex, since: Timestamp, now: Timestamp) {
        if self.nodes[&index].can_be_lost() {
            let detail = format!("not heard of since {since}");
            self.set_node_state(
                index,
                NodeState::Unreachable,
                StateReason::NotHeardOf,
                detail,
                now,
            );
        }
        for id in self.nodes[&index].leases.clone() {
            self.refresh_unreachable(id, now);
        }
    }

    /// Keeps the condition `NodesUnreachable` of a lease true to the state of its nodes.
    pub(crate) fn refresh_unreachable(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        if lease.state.is_over() {
            return;
        }
        let unreachable: NodeSet = lease
            .outstanding()
            .minus(&lease.former())
            .iter()
            .filter(|n| {
                self.nodes
                    .get(n)
                    .is_some_and(|n| n.fleet.state == NodeState::Unreachable)
            })
            .collect();
        let condition = (!unreachable.is_empty()).then(|| Condition {
            since: now,
            detail: format!("{} of its nodes have not been heard of", unreachable.len()),
            nodes: Some(unreachable),
        });
        self.set_condition(id, ConditionKind::NodesUnreachable, condition);
    }

    /// When liveness has something to decide although nothing happens.
    pub(crate) fn next_node_wake(&self) -> Option<Timestamp> {
        if self.brake.on {
            return self.brake.calm_since.map(|since| since + THAW_AFTER);
        }
        let (since, _) = self.brake.silent.first()?;
        Some((*since + self.settings.liveness.grace).max(self.brake.hold_until))
    }
}
