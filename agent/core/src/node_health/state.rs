//! What is remembered of a node between two looks.

use super::facts::{DriverContact, NodeFacts};
use super::rules::{NodeRule, NodeRules, NodeSignal};
use leasehold_common::node::{Action, Finding, Verdict};
use leasehold_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What holds, and since when. The default is a node of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeState {
    standing: BTreeMap<NodeSignal, Standing>,
}

/// One signal that is there, or was lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    since: Timestamp,
    /// Whether it has held for as long as it must.
    found: bool,
    /// Since when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Timestamp>,
    evidence: String,
    verdict: Verdict,
    action: Action,
}

/// What one look says of one signal.
enum Seen {
    /// It is there: what was seen.
    There(String),
    Gone,
    /// It could not be read.
    Unknown,
}

impl NodeState {
    /// [`findings`](super::findings) in place.
    pub fn observe(&mut self, facts: &NodeFacts, rules: &NodeRules, now: Timestamp) {
        for (signal, rule) in rules.each() {
            match see(signal, facts, rule.at_least) {
                Seen::There(evidence) => self.there(signal, rule, evidence, now),
                Seen::Gone => self.gone(signal, rule, now),
                Seen::Unknown => {}
            }
        }
    }

    fn there(&mut self, signal: NodeSignal, rule: &NodeRule, evidence: String, now: Timestamp) {
        let standing = self.standing.entry(signal).or_insert_with(|| Standing {
            since: now,
            found: false,
            gone: None,
            evidence: String::new(),
            verdict: rule.verdict,
            action: rule.action,
        });
        // A clock that was set back: it is not there since tomorrow.
        standing.since = standing.since.min(now);
        standing.gone = None;
        standing.evidence = evidence;
        (standing.verdict, standing.action) = (rule.verdict, rule.action);
        standing.found |= now.since(standing.since) >= rule.hold;
    }

    fn gone(&mut self, signal: NodeSignal, rule: &NodeRule, now: Timestamp) {
        let Some(standing) = self.standing.get_mut(&signal) else {
            return;
        };
        let gone = standing.gone.map_or(now, |gone| gone.min(now));
        standing.gone = Some(gone);
        if !standing.found || now.since(gone) >= rule.clear {
            self.standing.remove(&signal);
        }
    }

    /// What was found, worst first.
    pub fn findings(&self) -> Vec<Finding> {
        self.graded().into_iter().map(|(_, found)| found).collect()
    }

    /// The same, each with how bad it is.
    pub fn graded(&self) -> Vec<(Verdict, Finding)> {
        let found = self.standing.iter().filter(|(_, standing)| standing.found);
        let mut graded: Vec<_> = found
            .map(|(signal, standing)| {
                let finding = Finding {
                    reason: signal.reason(),
                    since: standing.since,
                    evidence: standing.evidence.clone(),
                    action: standing.action,
                };
                (standing.verdict, finding)
            })
            .collect();
        graded.sort_by_key(|(verdict, found)| Reverse((*verdict, found.action)));
        graded
    }
}

/// What is seen of a signal, with the number from which on it counts.
fn see(signal: NodeSignal, facts: &NodeFacts, at_least: u64) -> Seen {
    match signal {
        NodeSignal::DriverMismatch => driver(facts, DriverContact::Mismatch),
        NodeSignal::DriverNotLoaded => driver(facts, DriverContact::NotLoaded),
        NodeSignal::GpuCount => gpu_count(facts),
        NodeSignal::FabricManagerDown => match (facts.switches, facts.fabric_manager) {
            (Some(0), _) | (Some(_), Some(true)) => Seen::Gone,
            (Some(n), Some(false)) => {
                Seen::There(format!("{n} NVSwitches and no nv-fabricmanager"))
            }
            (None, _) | (Some(_), None) => Seen::Unknown,
        },
        NodeSignal::SwitchFault => match facts.switch_faults.as_deref() {
            None => Seen::Unknown,
            Some([]) => Seen::Gone,
            Some(faults) => {
                let each: Vec<String> = faults.iter().map(|f| f.0.to_string()).collect();
                Seen::There(each.join("; "))
            }
        },
        NodeSignal::ClockUnsynchronised => match facts.clock {
            None => Seen::Unknown,
            Some(clock) if !clock.synchronised => Seen::There("nothing disciplines it".to_owned()),
            Some(clock) if clock.max_error.millis() >= at_least => {
                Seen::There(format!("off by up to {}", clock.max_error))
            }
            Some(_) => Seen::Gone,
        },
        NodeSignal::DiskFull => disks(facts, at_least),
    }
}

fn driver(facts: &NodeFacts, fault: DriverContact) -> Seen {
    match facts.driver {
        DriverContact::Unknown => Seen::Unknown,
        DriverContact::Mismatch if fault == DriverContact::Mismatch => {
            Seen::There("library and kernel module are of different versions (NVML 18)".to_owned())
        }
        DriverContact::NotLoaded if fault == DriverContact::NotLoaded => {
            Seen::There("the kernel module is not loaded (NVML 9)".to_owned())
        }
        DriverContact::NoLibrary if fault == DriverContact::NotLoaded => match facts.pci_gpus {
            Some(0) => Seen::Gone,
            Some(n) => Seen::There(format!(
                "{n} GPUs on the PCI bus and no library of the driver"
            )),
            None => Seen::Unknown,
        },
        DriverContact::Answers
        | DriverContact::Mismatch
        | DriverContact::NotLoaded
        | DriverContact::NoLibrary => Seen::Gone,
    }
}

fn gpu_count(facts: &NodeFacts) -> Seen {
    let Some(counted) = facts.nvml_gpus else {
        return Seen::Unknown;
    };
    let on_bus = facts.pci_gpus.unwrap_or_default();
    if counted >= on_bus.max(facts.seen_gpus) {
        return Seen::Gone;
    }
    let bus = facts
        .pci_gpus
        .map_or("unknown".to_owned(), |n| n.to_string());
    let seen = facts.seen_gpus;
    Seen::There(format!(
        "NVML counts {counted}, the PCI bus has {bus}, {seen} were seen"
    ))
}

fn disks(facts: &NodeFacts, at_least: u64) -> Seen {
    if facts.disks.is_empty() {
        return Seen::Unknown;
    }
    let full = facts
        .disks
        .iter()
        .filter(|disk| u64::from(disk.percent) >= at_least);
    let full: Vec<String> = full
        .map(|disk| format!("{} {} % full", disk.of, disk.percent))
        .collect();
    if full.is_empty() {
        Seen::Gone
    } else {
        Seen::There(full.join("; "))
    }
}
