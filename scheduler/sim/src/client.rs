//! Clients: they ask, lose the answer, and ask again under the same key.

use crate::checker::{Broken, Ledger};
use crate::inventory::{ACCOUNTS, DUO, node_name, sku};
use crate::rng::Rng;
use crate::scheduler::Answer;
use leasehold_common::api::{
    AcknowledgeGpus, AdmitNodes, CreateLease, CreateMaintenance, DrainNodes, EndLease, ExtendLease,
    OverrideGpus, ProblemCode, ReplaceNode, ResumeNodes, RollbackPolicy, SetPolicy, SetPowerBudget,
    ShrinkLease, UndrainNodes, WantedStep, WithdrawGpus,
};
use leasehold_common::class::Side;
use leasehold_common::ids::{IdempotencyKey, LeaseId, MaintenanceId};
use leasehold_common::lease::{Digest, LeaseState, Shape};
use leasehold_common::node::{FlagKind, Verdict};
use leasehold_common::policy::{Granularity, Isolation, Policy, Share};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix};
use leasehold_core::RequestId;
use leasehold_core::command::{Command, Says, View, Write};
use std::collections::BTreeMap;

/// One wish, however often it is sent.
#[derive(Debug)]
pub struct Ask {
    key: IdempotencyKey,
    command: Command,
    /// Whether an answer that settles it has arrived.
    pub is_answered: bool,
}

/// All clients together.
#[derive(Debug, Default)]
pub struct Clients {
    asks: Vec<Ask>,
    sent: BTreeMap<RequestId, usize>,
}

impl Clients {
    /// Wishes for something new.
    pub fn wish(&mut self, command: Command) -> usize {
        let key = format!("k{}", self.asks.len()).parse();
        self.asks.push(Ask {
            key: key.expect("a valid key"),
            command,
            is_answered: false,
        });
        self.asks.len() - 1
    }

    /// Wishes that are not settled.
    pub fn open(&self) -> Vec<usize> {
        let asks = self.asks.iter().enumerate();
        asks.filter(|(_, ask)| !ask.is_answered)
            .map(|(at, _)| at)
            .collect()
    }

    /// How many wishes there were.
    pub const fn len(&self) -> usize {
        self.asks.len()
    }

    /// Sends a wish, for the first time or again.
    pub fn send(&mut self, at: usize) -> (RequestId, Write) {
        let id = RequestId(self.sent.len() as u64);
        self.sent.insert(id, at);
        let ask = &self.asks[at];
        let body = Digest::of(format!("{:?}", ask.command).as_bytes());
        let write = Write {
            command: ask.command.clone(),
            idempotency: Some((ask.key.clone(), body)),
            dry_run: false,
            if_match: None,
        };
        (id, write)
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// It contradicts an answer that was given before, or the store.
    pub fn hear(&mut self, answer: Answer, ledger: &mut Ledger) -> Result<(), Broken> {
        let (id, result) = answer;
        let Some(at) = self.sent.get(&id) else {
            return Err(Broken::new(
                "nobody is answered who did not ask",
                format!("request {id:?}"),
            ));
        };
        let ask = &mut self.asks[*at];
        match result {
            Ok(written) => {
                ask.is_answered = true;
                if let (Command::CreateLease(_), View::Lease(lease)) = (&ask.command, written.view)
                {
                    ledger.acknowledge(&ask.key, lease.id)?;
                }
            }
            Err(problem) => match problem.code {
                ProblemCode::NotLeader | ProblemCode::Frozen | ProblemCode::TooManyPending => {}
                ProblemCode::IdempotencyMismatch => {
                    return Err(Broken::new(
                        "a retry is known by its key",
                        format!("{}: {problem}", ask.key),
                    ));
                }
                _ => ask.is_answered = true,
            },
        }
        Ok(())
    }

    /// What it is about, for the trail.
    pub fn describe(&self, at: usize) -> String {
        format!("{} {:?}", self.asks[at].key, self.asks[at].command)
    }
}

/// Something that somebody may want.
pub fn anything(rng: &mut Rng, ledger: &Ledger, nodes: usize, now: Timestamp) -> Command {
    let ids: Vec<LeaseId> = ledger
        .leases()
        .values()
        .filter(|lease| !lease.state.is_over())
        .map(|lease| lease.id)
        .collect();
    let some = |rng: &mut Rng| match ids.is_empty() {
        true => LeaseId(rng.below(9)),
        false => *rng.pick(&ids),
    };
    match rng.below(100) {
        0..46 => Command::CreateLease(lease(rng, now)),
        46..51 => {
            let id = match parts(ledger) {
                ids if !ids.is_empty() && rng.chance(700) => *rng.pick(&ids),
                _ => some(rng),
            };
            let shape = ledger.leases().get(&id).map(|lease| &lease.spec.shape);
            Command::ShrinkLease(id, less(rng, shape))
        }
        51..56 => Command::ReplaceNode(
            some(rng),
            ReplaceNode {
                node: node_name(rng.index(nodes)),
                reason: None,
            },
        ),
        56..60 => Command::CommitLease(some(rng)),
        60..65 => Command::ExtendLease(
            some(rng),
            ExtendLease {
                length: Some(Span::from_mins(*rng.pick(&[1, 20, 300]))),
                until: None,
            },
        ),
        65..75 => Command::EndLease(
            some(rng),
            EndLease {
                now: rng.chance(500),
                confirm_gpus: None,
            },
        ),
        75..83 => Command::CancelLease(some(rng)),
        83..88 => Command::ImportNodes(crate::inventory::import(nodes)),
        88..93 => Command::ImportNodes(moved(rng, nodes)),
        93..95 => house(rng, nodes, now),
        95..97 => Command::AdmitNodes(AdmitNodes {
            nodes: format!("n{}", rng.below(nodes as u64)),
            reason: None,
        }),
        97 => flags(rng, nodes, now),
        98 => words(rng, nodes),
        _ => Command::CreateLease(CreateLease {
            shape: Shape::nodes(0),
            ..lease(rng, now)
        }),
    }
}

/// Leases that have some of a node, and of which it knows.
fn parts(ledger: &Ledger) -> Vec<LeaseId> {
    let leases = ledger.leases().values();
    let parts = leases.filter(|lease| {
        let ends = matches!(lease.state, LeaseState::Releasing | LeaseState::Settling);
        lease.state.has_grants() && !ends && !lease.spec.shape.is_whole_nodes()
    });
    parts.map(|lease| lease.id).collect()
}

/// Somebody can do with less, mostly in the words that fit what they have.
fn less(rng: &mut Rng, shape: Option<&Shape>) -> ShrinkLease {
    let count = *rng.pick(&[1, 1, 1, 2, 0]);
    let none = ShrinkLease::default();
    match shape {
        Some(Shape::Gpus { .. }) => ShrinkLease {
            gpus: Some(count),
            ..none
        },
        Some(Shape::Slices { profiles }) => ShrinkLease {
            slices: Some(profiles.keys().map(|name| (name.clone(), count)).collect()),
            ..none
        },
        Some(Shape::Nodes { .. } | Shape::Unit { .. }) | None => ShrinkLease {
            nodes: Some(count),
            ..none
        },
    }
}

/// An operator says something of a GPU or two.
fn words(rng: &mut Rng, nodes: usize) -> Command {
    let (node, slots) = (rng.below(nodes as u64), *rng.pick(&["0", "1", "0-1"]));
    let gpus = vec![format!("n{node}:{slots}")];
    let reason = "somebody has looked at it".to_owned();
    let length = Some(Span::from_mins(*rng.pick(&[1, 20, 200])));
    Command::SayOfGpus(match rng.below(4) {
        0 => Says::Withdraw(WithdrawGpus { gpus, reason }),
        1 => Says::Acknowledge(AcknowledgeGpus {
            gpus,
            reason,
            of: None,
            length,
            until: None,
        }),
        _ => Says::Override(OverrideGpus {
            gpus,
            verdict: *rng.pick(&[Verdict::Healthy, Verdict::Degraded, Verdict::Unhealthy]),
            reason,
            length,
            until: None,
        }),
    })
}

/// A node or two are drained, for good or for a while, or let again.
fn flags(rng: &mut Rng, nodes: usize, now: Timestamp) -> Command {
    let (one, other) = (rng.below(nodes as u64), rng.below(nodes as u64));
    let nodes = format!("n{one},n{other}");
    match rng.below(5) {
        0 => Command::UndrainNodes(UndrainNodes {
            nodes,
            flag: None,
            reason: None,
        }),
        1 => Command::ResumeNodes(ResumeNodes {
            nodes,
            reason: None,
        }),
        _ => Command::DrainNodes(DrainNodes {
            nodes,
            reason: "somebody is about to open it".into(),
            flag: rng.chance(300).then_some(FlagKind::Maintenance),
            until: rng
                .chance(700)
                .then(|| now + Span::from_mins(*rng.pick(&[1, 20]))),
        }),
    }
}

/// A rule of the house is changed.
fn house(rng: &mut Rng, nodes: usize, now: Timestamp) -> Command {
    match rng.below(5) {
        0 => Command::SetPolicy(SetPolicy {
            policy: policy(rng),
            why: None,
        }),
        1 => Command::RollbackPolicy(RollbackPolicy {
            to: rng.below(3),
            why: None,
        }),
        2 => Command::SetPowerBudget(SetPowerBudget {
            prefix: (*rng.pick(&["", "h1", "h1/r1/k0"]))
                .parse()
                .expect("a valid place"),
            steps: vec![WantedStep {
                from: None,
                watts: rng.chance(700).then(|| rng.below(9_000)),
            }],
            why: None,
        }),
        3 => {
            let from = now + Span::from_mins(*rng.pick(&[0, 5, 60]));
            Command::CreateMaintenance(CreateMaintenance {
                nodes: format!("n{}", rng.below(nodes as u64)),
                from: Some(from),
                to: from + Span::from_mins(*rng.pick(&[1, 20])),
                reason: Some("somebody looks after it".into()),
            })
        }
        _ => Command::EndMaintenance(MaintenanceId(rng.below(6))),
    }
}

/// A policy of few rules, some of them about cleaning and sides. None lets accounts be together on a node:
/// then every two that are is a fault.
fn policy(rng: &mut Rng) -> Policy {
    let apart = Isolation {
        granularity: *rng.pick(&[Granularity::Node, Granularity::Domain]),
        mig_colocation: false,
    };
    let rate = u32::try_from(1 + rng.below(4)).unwrap_or(1);
    let washes = rng.chance(300);
    let floor = rng.chance(300).then(|| Share {
        side: *rng.pick(&[Side::Internal, Side::Tenant]),
        sku: sku(DUO),
        domains: None,
        nodes: Some(u32::try_from(rng.below(3)).unwrap_or(0)),
    });
    Policy {
        turnaround: Span::from_mins(*rng.pick(&[0, 5, 10, 20])),
        isolation: [(sku(DUO), apart)].into(),
        sanitising_per_hour: washes.then(|| (Prefix::cell(), rate)).into_iter().collect(),
        floors: floor.into_iter().collect(),
        ..Policy::default()
    }
}

/// The inventory with one node elsewhere.
fn moved(rng: &mut Rng, nodes: usize) -> leasehold_common::api::ImportNodes {
    let mut import = crate::inventory::import(nodes);
    let line = rng.index(nodes);
    import.nodes[line].path = format!("h1/r1/k{}/d{}", rng.below(3), rng.below(4));
    import
}

fn lease(rng: &mut Rng, now: Timestamp) -> CreateLease {
    let (name, _, classes, _) = rng.pick(&ACCOUNTS);
    let class = *rng.pick(classes);
    let count = u32::try_from(rng.below(3) + 1).unwrap_or(1);
    let mut within = *rng.pick(&Locality::ALL);
    let shape = match rng.below(10) {
        0..3 => Shape::nodes(count),
        3 => Shape::Nodes {
            count: count + 1,
            at_least: Some(count),
            spares: 0,
            whole: None,
        },
        4 => {
            within = within.max(Locality::Rack);
            Shape::Nodes {
                count,
                at_least: None,
                spares: 0,
                whole: Some(Locality::Rack),
            }
        }
        5 => Shape::Unit {
            prefix: (*rng.pick(&["h1/r1/k0", "h1/r1"]))
                .parse()
                .expect("a valid place"),
        },
        6..8 => {
            let name = *rng.pick(&["1g.18gb", "2g.35gb", "3g.71gb"]);
            Shape::slices([(name.parse().expect("a valid profile"), count)])
        }
        _ => Shape::Gpus {
            count: count.min(2),
        },
    };
    let minutes = *rng.pick(&[1, 7, 30, 200]);
    let is_open = *name == "research" && rng.chance(300);
    let ahead = Span::from_mins(*rng.pick(&[2, 20, 90]));
    let start = rng.chance(350).then(|| now + ahead);
    CreateLease {
        account: name.parse().expect("a valid account name"),
        class,
        shape,
        sku: sku(DUO),
        within,
        start,
        length: (!is_open).then(|| Span::from_mins(minutes)),
        until: None,
        host: None,
        gpu_cap_watts: rng.chance(100).then_some(300),
        hold: rng.chance(80).then(|| Span::from_mins(*rng.pick(&[1, 10]))),
        name: None,
    }
}
