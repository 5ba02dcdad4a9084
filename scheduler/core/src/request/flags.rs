//! Nodes that are drained, and let again.

use super::admission::{Admission, Done, Todo};
use super::{Answer, Asked, check_why};
use crate::command::{Command, View, Written};
use crate::event::RequestId;
use crate::node::{FlagChange, Flags};
use crate::state::State;
use leasehold_common::api::{
    BookingView, DrainNodes, DrainReport, FlagView, NodeFlag, OutOfService, Problem, ResumeNodes,
    UndrainNodes,
};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{Idempotency, LeaseState, Shape};
use leasehold_common::log::Actor;
use leasehold_common::node::{Flag, FlagKind, NodeState, StateReason};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::Decision;
use std::collections::BTreeMap;

/// How far ahead a flag may end: ten years.
const AHEAD_MAX: Span = Span::from_hours(24 * 3653);

/// The most bookings of each kind that are named: whoever meets more has to look at the whole plan
/// anyway.
const NAMED: usize = 256;

/// The most bookings for which a dry run looks for another node: each costs a look at the cell.
const TRIED: usize = 64;

/// Which nodes of some a lease has.
type ByLease = BTreeMap<LeaseId, NodeSet>;

/// A change of flags that is being carried out.
#[derive(Debug)]
pub(crate) struct FlagJob {
    nodes: NodeSet,
    change: FlagChange,
    changed: NodeSet,
    /// Bookings to come on the nodes when it began.
    to_come: ByLease,
    /// Kept with the last node that changes.
    known: Option<(NodeIndex, Idempotency)>,
}

/// What became, or would become, of bookings to come.
#[derive(Debug, Default)]
struct Fate {
    moved: ByLease,
    staying: ByLease,
    untried: ByLease,
}

impl State {
    pub(super) fn drain_nodes(
        &mut self,
        id: RequestId,
        wish: DrainNodes,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        match check_drain(&wish, asked.actor, asked.now) {
            Ok(change) => self.reflag(id, &wish.nodes, change, Some(wish.reason), asked),
            Err(problem) => Some(Err(problem)),
        }
    }

    pub(super) fn undrain_nodes(
        &mut self,
        id: RequestId,
        wish: UndrainNodes,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        let checked = check_why("reason", wish.reason.as_deref());
        match checked.and_then(|()| known_flag(wish.flag)) {
            Ok(kind) => {
                let change = FlagChange::Clear(Some(kind));
                self.reflag(id, &wish.nodes, change, wish.reason, asked)
            }
            Err(problem) => Some(Err(problem)),
        }
    }

    pub(super) fn resume_nodes(
        &mut self,
        id: RequestId,
        wish: ResumeNodes,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        if let Err(problem) = check_why("reason", wish.reason.as_deref()) {
            return Some(Err(problem));
        }
        let change = FlagChange::Clear(None);
        self.reflag(id, &wish.nodes, change, wish.reason, asked)
    }

    /// Changes the flags of nodes, as many a batch as fit. `None` where the answer comes with the last.
    fn reflag(
        &mut self,
        id: RequestId,
        list: &str,
        change: FlagChange,
        reason: Option<String>,
        asked: Asked<'_>,
    ) -> Option<Answer> {
        let nodes = match self.listed_nodes(list) {
            Ok(nodes) => nodes,
            Err(problem) => return Some(Err(problem)),
        };
        let flags = |index: &NodeIndex| &self.nodes[index].fleet.flags;
        let changed = nodes.iter().filter(|n| change.of(flags(n)).is_some());
        let changed: NodeSet = changed.collect();
        let to_come = self.leases_on(&nodes, is_to_come);
        let mut job = FlagJob {
            nodes,
            change,
            changed,
            to_come,
            known: None,
        };
        if asked.dry_run {
            let fate = match job.change {
                FlagChange::Set(..) => self.try_elsewhere(&job, asked.now),
                FlagChange::Clear(_) => Fate::default(),
            };
            return Some(Ok(self.reflagged(&job, &fate, true)));
        }
        if job.changed.is_empty() {
            let fate = self.fate_of(&job);
            return Some(Ok(self.reflagged(&job, &fate, false)));
        }
        job.known = job.changed.iter().last().zip(asked.remembered(200));
        let flags = job.changed.iter().map(Todo::Flag);
        let mends: &ByLease = match job.change {
            FlagChange::Set(..) => &job.to_come,
            FlagChange::Clear(_) => &ByLease::new(),
        };
        let mends = mends.keys().copied().map(Todo::Mend);
        self.admissions.push_back(Admission {
            id,
            actor: asked.actor.clone(),
            reason,
            todo: flags.chain(mends).collect(),
            done: Done::Flags(Box::new(job)),
        });
        None
    }

    /// Carries a part of a change out.
    pub(super) fn reflag_part(
        &mut self,
        nodes: &[NodeIndex],
        job: &FlagJob,
        reason: Option<&String>,
        actor: &Actor,
    ) {
        self.change_flags(nodes, &job.change, reason.cloned(), Some(actor.clone()));
        if let Some((last, known)) = &job.known
            && nodes.contains(last)
        {
            self.remember_flags(*last, known.clone());
        }
    }

    /// The answer to a change that has been carried out.
    pub(super) fn reflag_done(&self, job: &FlagJob) -> Written {
        let fate = self.fate_of(job);
        self.reflagged(job, &fate, false)
    }

    /// The answer to a write that was carried out before: how its nodes are now.
    pub(super) fn reflagged_before(&self, command: &Command, uid: u32) -> View {
        let (list, change) = match command {
            Command::DrainNodes(wish) => {
                let flag = Flag {
                    by: uid.to_string(),
                    why: wish.reason.clone(),
                    since: Timestamp::EPOCH,
                    until: wish.until,
                };
                (
                    wish.nodes.as_str(),
                    FlagChange::Set(meant(&wish.flag), flag),
                )
            }
            Command::UndrainNodes(wish) => (
                wish.nodes.as_str(),
                FlagChange::Clear(Some(meant(&wish.flag))),
            ),
            Command::ResumeNodes(wish) => (wish.nodes.as_str(), FlagChange::Clear(None)),
            // Another request under the same key: its answer is a refusal.
            Command::CreateAccount(_)
            | Command::CreateLease(_)
            | Command::EndLease(..)
            | Command::CancelLease(_)
            | Command::ExtendLease(..)
            | Command::ShrinkLease(..)
            | Command::ReplaceNode(..)
            | Command::CommitLease(_)
            | Command::SetPolicy(_)
            | Command::RollbackPolicy(_)
            | Command::SetPowerBudget(_)
            | Command::CreateMaintenance(_)
            | Command::EndMaintenance(_)
            | Command::ImportNodes(_)
            | Command::AdmitNodes(_)
            | Command::SayOfGpus(_)
            | Command::Recover(_) => ("", FlagChange::Clear(None)),
        };
        let nodes = self.listed_nodes(list).unwrap_or_default();
        let job = FlagJob {
            to_come: self.leases_on(&nodes, is_to_come),
            nodes,
            change,
            changed: NodeSet::default(),
            known: None,
        };
        self.reflagged(&job, &self.fate_of(&job), false).view
    }

    /// Leases with hardware on some nodes, in some states.
    fn leases_on(&self, nodes: &NodeSet, is_wanted: impl Fn(LeaseState) -> bool) -> ByLease {
        let mut found = ByLease::new();
        for index in nodes.iter() {
            for id in &self.nodes[&index].leases {
                if is_wanted(self.leases[id].state) {
                    found.entry(*id).or_default().insert(index);
                }
            }
        }
        found
    }

    /// What became of the bookings to come.
    fn fate_of(&self, job: &FlagJob) -> Fate {
        let staying = self.leases_on(&job.nodes, is_to_come);
        let moved = job.to_come.iter().filter_map(|(id, nodes)| {
            let left = match staying.get(id) {
                Some(still) => nodes.minus(still),
                None => nodes.clone(),
            };
            (!left.is_empty()).then_some((*id, left))
        });
        Fate {
            moved: moved.collect(),
            staying,
            untried: ByLease::new(),
        }
    }

    /// Which bookings to come could go elsewhere, each by itself. Nothing is changed.
    fn try_elsewhere(&mut self, job: &FlagJob, now: Timestamp) -> Fate {
        let mut fate = Fate::default();
        let as_is = self.bar(&job.nodes);
        let mut tried = 0;
        for (id, nodes) in &job.to_come {
            let is_unit = matches!(self.leases[id].spec.shape, Shape::Unit { .. });
            for node in nodes.iter() {
                let into = if is_unit {
                    // It has everything there is; nothing stands in for a part of a place.
                    &mut fate.staying
                } else if tried >= TRIED {
                    &mut fate.untried
                } else {
                    tried += 1;
                    match self.find_instead(*id, node, now) {
                        Decision::Placed { .. } => &mut fate.moved,
                        Decision::Wait { .. } | Decision::Never { .. } => &mut fate.staying,
                    }
                };
                into.entry(*id).or_default().insert(node);
            }
        }
        self.unbar(as_is);
        fate
    }

    fn reflagged(&self, job: &FlagJob, fate: &Fate, dry_run: bool) -> Written {
        let running = match job.change {
            FlagChange::Set(..) => self.leases_on(&job.nodes, is_running),
            FlagChange::Clear(_) => ByLease::new(),
        };
        let staying = match job.change {
            FlagChange::Set(..) => self.bookings(&fate.staying),
            FlagChange::Clear(_) => Vec::new(),
        };
        let mut kept: BTreeMap<FlagView, NodeSet> = BTreeMap::new();
        let mut out: BTreeMap<(NodeState, StateReason), NodeSet> = BTreeMap::new();
        let mut same = job.nodes.minus(&job.changed);
        for index in job.nodes.iter() {
            let fleet = &self.nodes[&index].fleet;
            for view in flag_views(&fleet.flags, |kind, flag| job.change.keeps(kind, flag)) {
                kept.entry(view).or_default().insert(index);
                if matches!(job.change, FlagChange::Set(..)) {
                    same.remove(index);
                }
            }
            let is_let = match job.change {
                FlagChange::Set(..) => true,
                FlagChange::Clear(_) => fleet.state == NodeState::Available,
            };
            if !is_let {
                let why = (fleet.state, fleet.reason.clone());
                out.entry(why).or_default().insert(index);
            }
        }
        let kept = kept.into_iter().map(|(flag, nodes)| NodeFlag {
            nodes: self.fold(&nodes),
            flag,
        });
        let out = out
            .into_iter()
            .map(|((state, reason), nodes)| OutOfService {
                nodes: self.fold(&nodes),
                state,
                reason,
            });
        let report = DrainReport {
            dry_run,
            changed: self.fold(&job.changed),
            same: self.fold(&same),
            kept: kept.collect(),
            running: self.bookings(&running),
            moved: self.bookings(&fate.moved),
            staying,
            untried: self.bookings(&fate.untried),
            out_of_service: out.collect(),
        };
        Written {
            status: 200,
            replayed: false,
            view: View::Drain(Box::new(report)),
        }
    }

    fn bookings(&self, leases: &ByLease) -> Vec<BookingView> {
        let leases = leases.iter().take(NAMED);
        leases
            .filter_map(|(id, nodes)| self.booked_lease(*id, nodes))
            .collect()
    }
}

/// Flags as people see them, those that are wanted.
pub(crate) fn flag_views(
    flags: &Flags,
    is_wanted: impl Fn(&FlagKind, &Flag) -> bool,
) -> impl Iterator<Item = FlagView> {
    let wanted = flags
        .iter()
        .filter(move |(kind, flag)| is_wanted(kind, flag));
    wanted.map(|(kind, flag)| FlagView {
        flag: kind.clone(),
        by: flag.by.clone(),
        why: flag.why.clone(),
        since: flag.since,
        until: flag.until,
    })
}

fn check_drain(wish: &DrainNodes, actor: &Actor, now: Timestamp) -> Result<FlagChange, Problem> {
    if wish.reason.trim().is_empty() {
        let allowed = "some words, for whoever meets it";
        return Err(Problem::field("reason", &wish.reason, allowed));
    }
    check_why("reason", Some(&wish.reason))?;
    let kind = known_flag(wish.flag.clone())?;
    if let Some(until) = wish.until
        && (until <= now || until > now + AHEAD_MAX)
    {
        let allowed = format!("later than {now}, up to {}", now + AHEAD_MAX);
        return Err(Problem::field("until", until, allowed));
    }
    let flag = Flag {
        by: actor.uid.to_string(),
        why: wish.reason.clone(),
        since: now,
        until: wish.until,
    };
    Ok(FlagChange::Set(kind, flag))
}

/// The flag that is meant where none is named.
fn meant(flag: &Option<FlagKind>) -> FlagKind {
    flag.clone().unwrap_or(FlagKind::NoNewLeases)
}

/// A flag of this version: what a word means that only a later one knows, nobody here can say.
fn known_flag(flag: Option<FlagKind>) -> Result<FlagKind, Problem> {
    let flag = meant(&flag);
    if FlagKind::ALL.contains(&flag) {
        return Ok(flag);
    }
    let known: Vec<&str> = FlagKind::ALL.iter().map(FlagKind::as_str).collect();
    let shown: String = flag.as_str().chars().take(80).collect();
    Err(Problem::field("flag", shown, known.join(" or ")))
}

/// Whether a lease is booked and its nodes have not been told.
const fn is_to_come(state: LeaseState) -> bool {
    matches!(state, LeaseState::Held | LeaseState::Scheduled)
}

/// Whether a lease has begun, and goes on.
const fn is_running(state: LeaseState) -> bool {
    matches!(
        state,
        LeaseState::Preparing | LeaseState::Active | LeaseState::Draining
    )
}
