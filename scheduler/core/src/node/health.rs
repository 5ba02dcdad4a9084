//! What is recorded of the health of a node, and who is told.

use super::judge::Judgement;
use crate::node::Node;
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex, NodeName};
use leasehold_common::lease::{Condition, ConditionKind, GpuSlots};
use leasehold_common::log::{Actor, Attributes, EventName};
use leasehold_common::node::{Action, HealthReport, Standing};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;

/// How many nodes the words of a condition name; the condition itself has all of them.
const NAMED: usize = 4;

/// What is to be recorded of a node: of itself, and of its GPUs by slot.
#[derive(Debug, Default)]
struct News {
    node: Option<Standing>,
    gpus: Vec<(u8, Standing)>,
    /// When something else of it may be.
    later: Option<Timestamp>,
}

impl State {
    /// A node's health is now this.
    pub(crate) fn health(
        &mut self,
        name: &NodeName,
        health: Option<Box<HealthReport>>,
        now: Timestamp,
    ) {
        if let Some(health) = &health
            && health.node != *name
        {
            return self.invalid_report(name, &format!("its health is of node {}", health.node));
        }
        let Some(&index) = self.by_name.get(name) else {
            self.strangers.entry(name.clone()).or_default().health = health;
            self.forget_empty_stranger(name);
            return;
        };
        let node = self
            .nodes
            .get_mut(&index)
            .expect("names lead to nodes that exist");
        node.health = health;
        self.verify_node(index, now);
        self.refresh_condition(index);
    }

    /// Records what has changed of a node's health, as far as that is to be recorded now.
    pub(crate) fn judge_node(&mut self, index: NodeIndex, actor: Option<&Actor>, now: Timestamp) {
        let news = self.news_of(index, now);
        if let Some(at) = news.later {
            self.judgements.insert((at, index));
        }
        if news.node.is_none() && news.gpus.is_empty() {
            return;
        }
        let before = lettable(&self.nodes[&index]);
        let mut told: Vec<String> = Vec::new();
        let node = self.nodes.get_mut(&index).expect("it was judged above");
        for (slot, standing) in news.gpus {
            told.push(gpu_told(slot, &standing));
            node.fleet.gpus[usize::from(slot)].standing = Some(standing);
        }
        if let Some(standing) = news.node {
            told.insert(0, format!("node {}", in_words(&standing)));
            node.fleet.standing = Some(standing);
        }
        let after = lettable(&self.nodes[&index]);
        let attributes = Attributes {
            from: Some(format!("gpus {before}")),
            to: Some(format!("gpus {after}")),
            reason: Some(told.join("; ")),
            actor: actor.cloned(),
        };
        self.log_node(index, EventName::NodeHealth, attributes);
        self.refresh_condition(index);
        for id in self.nodes[&index].leases.clone() {
            self.refresh_degraded(id, now);
        }
    }

    fn news_of(&self, index: NodeIndex, now: Timestamp) -> News {
        let node = &self.nodes[&index];
        let leases = node.leases.iter().copied();
        let leases = leases.filter(|id| self.leases[id].state.has_grants());
        let leased = leases.fold(GpuSlots::NONE, |slots, id| {
            slots.union(self.slots_of(id, index))
        });
        let mut news = News::default();
        if node.fleet.gpus.is_empty() {
            // It was not admitted yet, or anew: its next report says what it has.
            return news;
        }
        for (slot, gpu) in (0_u8..).zip(&node.fleet.gpus) {
            let is_leased = leased.contains(slot);
            match node.judge(gpu.standing.as_ref(), node.sees(gpu), is_leased, now) {
                Judgement::Known => {}
                Judgement::Record(standing) => news.gpus.push((slot, *standing)),
                Judgement::Later(at) => news.later(at),
            }
        }
        let recorded = node.fleet.standing.as_ref();
        match node.judge(recorded, node.sees_itself(), !leased.is_empty(), now) {
            Judgement::Known => {}
            Judgement::Record(standing) => news.node = Some(*standing),
            Judgement::Later(at) => news.later(at),
        }
        news
    }

    /// Has a node judged with the next batch, unless nothing is the matter with it: a new leader, or a
    /// lease that begins, wants to know.
    pub(crate) fn want_judgement(&mut self, index: NodeIndex) {
        if self
            .nodes
            .get(&index)
            .is_some_and(|node| !node.is_plainly_well())
        {
            self.judgements.insert((Timestamp::EPOCH, index));
        }
    }

    /// Judges the nodes whose time has come, as many as the batch has room for.
    pub(crate) fn due_judgements(&mut self, now: Timestamp) {
        while !self.draft.is_full() {
            let Some((at, index)) = self.judgements.first().copied() else {
                return;
            };
            if at > now {
                return;
            }
            self.judgements.pop_first();
            if !self.nodes.contains_key(&index) {
                continue;
            }
            self.judge_node(index, None, now);
            for id in self.nodes[&index].leases.clone() {
                self.refresh_degraded(id, now);
            }
        }
    }

    /// When the first of them is judged.
    pub(crate) fn next_judgement(&self) -> Option<Timestamp> {
        self.judgements.first().map(|(at, _)| *at)
    }

    /// Keeps the condition `Degraded` of a lease true to how its GPUs stand in the ledger.
    pub(crate) fn refresh_degraded(&mut self, id: LeaseId, now: Timestamp) {
        let lease = &self.leases[&id];
        if !lease.state.has_grants() {
            return;
        }
        let its = |index: NodeIndex| {
            let node = self.nodes.get(&index)?;
            let ailing = node.ailing();
            let held = (!ailing.is_empty()).then(|| self.slots_of(id, index))?;
            Some((node, held.common(ailing))).filter(|(_, sick)| !sick.is_empty())
        };
        let lease_nodes = lease.nodes();
        let sick: Vec<(&Node, GpuSlots)> = lease_nodes.filter_map(its).collect();
        let nodes: NodeSet = sick.iter().map(|(node, _)| node.fleet.index).collect();
        let told = sick.iter().take(NAMED).map(|(node, slots)| {
            let words = ailments(node, *slots);
            format!("{}: {words}", node.fleet.name)
        });
        let detail = told.collect::<Vec<_>>().join("; ");
        let condition = (!nodes.is_empty()).then_some(Condition {
            since: now,
            detail,
            nodes: Some(nodes),
        });
        self.set_condition(id, ConditionKind::Degraded, condition);
    }
}

impl News {
    fn later(&mut self, at: Timestamp) {
        self.later = Some(self.later.map_or(at, |known| known.min(at)));
    }
}

/// GPUs that the ledger lets be given to a new lease.
fn lettable(node: &Node) -> GpuSlots {
    let lets = |recorded: Option<&Standing>| recorded.is_none_or(Standing::can_be_let);
    let whole = lets(node.fleet.standing.as_ref());
    (0_u8..)
        .zip(&node.fleet.gpus)
        .filter(|(_, gpu)| lets(gpu.standing.as_ref()) && (whole || gpu.overridden().is_some()))
        .fold(GpuSlots::NONE, |slots, (slot, _)| slots.with(slot))
}

/// What is the matter with some GPUs of a node, and with the node itself.
fn ailments(node: &Node, slots: GpuSlots) -> String {
    let ails = |standing: &&Standing| !standing.is_well();
    let whole = node.fleet.standing.as_ref().filter(ails);
    let whole = whole.map(|standing| format!("node {}", in_words(standing)));
    let gpus = (0_u8..).zip(&node.fleet.gpus).filter_map(|(slot, gpu)| {
        let standing = gpu.standing.as_ref().filter(ails)?;
        slots.contains(slot).then(|| gpu_told(slot, standing))
    });
    let told: Vec<String> = whole.into_iter().chain(gpus).collect();
    told.join("; ")
}

fn gpu_told(slot: u8, standing: &Standing) -> String {
    format!("gpu {slot} {}", in_words(standing))
}

/// `unhealthy (MemoryFault), reset-gpu, since 2026-11-22T05:51:41.000Z: XID 95`.
fn in_words(standing: &Standing) -> String {
    let Standing {
        verdict,
        reasons,
        action,
        evidence,
        since,
        ..
    } = standing;
    let why: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    let why = match why.is_empty() {
        true => String::new(),
        false => format!(" ({})", why.join(", ")),
    };
    let to_do = match action {
        Action::None => String::new(),
        action => format!(", {action}"),
    };
    let seen = match evidence.is_empty() {
        true => String::new(),
        false => format!(": {evidence}"),
    };
    format!("{verdict}{why}{to_do}, since {since}{seen}")
}
