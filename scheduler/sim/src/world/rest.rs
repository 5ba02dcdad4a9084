//! The end of a life: nothing goes wrong any more, and everything must come right.

use super::World;
use crate::agent::Budget;
use crate::checker::Broken;
use crate::inventory::settings;
use crate::scheduler::Scheduler;
use leasehold_common::api::{AdmitNodes, EndLease, ResumeNodes};
use leasehold_common::ids::LeaseId;
use leasehold_common::keys::Key;
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::log::Verifier;
use leasehold_common::node::NodeState;
use leasehold_common::record;
use leasehold_common::time::Span;
use leasehold_core::command::{Command, Query, View};
use leasehold_core::{Loaded, State, Surroundings};

/// Rounds of everybody after which nothing must be left to do.
const ROUNDS: u32 = 200;

/// After so long no word of an operator holds any more.
const WORDS_END: Span = Span::from_hours(4);

/// Waits for the clock after which every lease must be over.
const WAITS: u32 = 400;

impl World {
    pub(super) fn rest(&mut self) -> Result<(), Broken> {
        self.trail.note(self.now, || "faults stop".into());
        self.faults = false;
        self.wire.clear();
        for scheduler in &mut self.schedulers {
            scheduler.is_paused = false;
            scheduler.skew_ms = 0;
        }
        for agent in &mut self.agents {
            (agent.lie, agent.skew_ms) = (None, 0);
            agent.lost.clear();
            agent.sick.clear();
            agent.ails = None;
            agent.occupied.clear();
            if !agent.is_running() {
                agent.start();
            }
        }
        // Whoever's clock was set back or is ahead has caught up.
        self.pass(Span::from_mins(3));
        self.settle()?;
        self.agrees()?;
        self.end_everything()?;
        self.let_nodes_again()?;
        self.take_nodes_back()?;
        // What operators said is over by then, and what came and went too often is back.
        self.pass(WORDS_END);
        self.settle()?;
        self.is_empty_and_clean()?;
        self.log_verifies()?;
        self.ledger.is_replayed()?;
        self.trims()
    }

    /// Everybody runs until nothing is left to do.
    pub(super) fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..ROUNDS {
            let before = self.store.cursor();
            let mut busy = false;
            for at in 0..self.schedulers.len() {
                if !self.schedulers[at].is_up() || self.schedulers[at].is_frozen(&self.store) {
                    self.start_or_recover(at)?;
                }
                busy |= self.run_scheduler(at, 10_000)?;
                self.look()?;
            }
            for at in 0..self.agents.len() {
                self.run_agent(at, Budget(1000))?;
            }
            self.look()?;
            for ask in self.clients.open() {
                self.send(ask);
                busy = true;
            }
            let waiting = self.ledger.is_suspended() || self.is_recovering();
            if !busy && !waiting && self.store.cursor() == before {
                return Ok(());
            }
            // A leader that is gone without a word is replaced when its key has expired.
            let nobody_leads = !self.schedulers.iter().any(Scheduler::leads);
            self.pass(Span::from_secs(if nobody_leads { 11 } else { 0 }));
        }
        Err(Broken::new(
            "what is left to do comes to an end",
            format!("{:?}", self.clients.open()),
        ))
    }

    fn ask_all(&mut self, wishes: Vec<Command>) -> Result<(), Broken> {
        for wish in wishes {
            let ask = self.clients.wish(wish);
            self.send(ask);
        }
        self.settle()
    }

    fn end_everything(&mut self) -> Result<(), Broken> {
        for _ in 0..WAITS {
            let live: Vec<&LeaseRecord> = self
                .ledger
                .leases()
                .values()
                .filter(|lease| !lease.state.is_over())
                .collect();
            if live.is_empty() {
                return Ok(());
            }
            let wishes = live
                .into_iter()
                .filter_map(|lease| end(lease.id, lease.state));
            let wishes: Vec<Command> = wishes.collect();
            self.ask_all(wishes)?;
            self.wait();
        }
        let live = self.ledger.leases().values();
        let live: Vec<_> = live
            .filter(|lease| !lease.state.is_over())
            .map(|lease| (lease.id, lease.state, lease.progress.clone()))
            .collect();
        Err(Broken::new(
            "every lease comes to an end",
            format!("{live:?}"),
        ))
    }

    /// Until the clock gives somebody something to do.
    fn wait(&mut self) {
        let wake = self.next_wake();
        let span = wake.map_or(Span::from_hours(1), |at| at.since(self.now));
        self.trail.note(self.now, || format!("{span} pass"));
        self.pass(Span::from_millis(span.millis() + 1));
    }

    /// An operator admits whatever was quarantined, once its agent has been heard.
    fn take_nodes_back(&mut self) -> Result<(), Broken> {
        self.is_forced = true;
        // Twice: a node that claimed the GPU of another has to let go of it first.
        for _ in 0..2 {
            let wrong: Vec<Command> = self
                .nodes()?
                .into_iter()
                .filter(|(_, state)| *state != NodeState::Available)
                .map(|(name, _)| {
                    Command::AdmitNodes(AdmitNodes {
                        nodes: name,
                        reason: Some("looked at".into()),
                    })
                })
                .collect();
            if wrong.is_empty() {
                return Ok(());
            }
            self.ask_all(wrong)?;
            // The brake takes its time.
            self.wait();
            self.settle()?;
        }
        Ok(())
    }

    /// Whoever drained nodes lets them again.
    fn let_nodes_again(&mut self) -> Result<(), Broken> {
        let Ok(View::Nodes(list)) =
            self.leader()?
                .look(&Query::Nodes { state: None }, &around(), self.now)
        else {
            return Ok(());
        };
        let drained = list.items.iter().filter(|node| !node.flags.is_empty());
        let wishes = drained.map(|node| {
            Command::ResumeNodes(ResumeNodes {
                nodes: node.name.to_string(),
                reason: None,
            })
        });
        self.ask_all(wishes.collect())
    }

    fn leader(&self) -> Result<&State, Broken> {
        let leader = self.schedulers.iter().find_map(Scheduler::state);
        leader.ok_or_else(|| Broken::new("somebody leads in the end", String::new()))
    }

    fn nodes(&self) -> Result<Vec<(String, NodeState)>, Broken> {
        match self
            .leader()?
            .look(&Query::Nodes { state: None }, &around(), self.now)
        {
            Ok(View::Nodes(list)) => Ok(list
                .items
                .iter()
                .map(|node| (node.name.to_string(), node.state))
                .collect()),
            other => Err(Broken::new("nodes can be listed", format!("{other:?}"))),
        }
    }

    fn is_empty_and_clean(&self) -> Result<(), Broken> {
        let broken = |facts| Err(Broken::new("in the end everything is free again", facts));
        let View::Nodes(list) = self
            .leader()?
            .look(&Query::Nodes { state: None }, &around(), self.now)
            .expect("nodes can be listed")
        else {
            return broken("no list of nodes".into());
        };
        if list.items.len() != self.agents.len() {
            return broken(format!("{} nodes are known", list.items.len()));
        }
        for node in &list.items {
            // A maintenance that is not over keeps its nodes, as it should.
            let is_free = node.gpus_free == 2 || !node.maintenance.is_empty();
            if node.state != NodeState::Available || !is_free || !node.leases.is_empty() {
                return broken(format!("{node:?}"));
            }
        }
        for agent in &self.agents {
            if !agent.access.is_empty() {
                return broken(format!("{} still serves {:?}", agent.name, agent.access));
            }
            if self.store.get(&Key::Grants(agent.name.clone())).is_some() {
                return broken(format!("{} still has grants", agent.name));
            }
        }
        Ok(())
    }

    /// What the leader has in memory, what the standby follows and what the store says are the same.
    fn agrees(&self) -> Result<(), Broken> {
        let mut loaded = Loaded::default();
        for (key, stored) in self.store.all() {
            let taken = loaded.take(key, &stored.value);
            taken.map_err(|e| Broken::new("a ledger record reads back", format!("{e:?}")))?;
        }
        let loaded = State::load(settings("checker"), loaded, self.now)
            .map_err(|e| Broken::new("a committed ledger can be loaded", format!("{e:?}")))?;
        let leader = self.leader()?;
        let standby = self.schedulers.iter().find_map(|s| s.followed(&self.store));
        for (who, state) in [("the leader", Some(leader)), ("the standby", standby)] {
            let Some(state) = state else { continue };
            same(who, state, &loaded, self)?;
        }
        for index in loaded.node_indexes() {
            let name = loaded.node_name(index).expect("it was just listed");
            let derived = loaded
                .grants_of(index)
                .map(|grants| record::encode(&grants));
            let stored = self.store.get(&Key::Grants(name.clone()));
            let stored = stored.map(|stored| stored.value.to_vec());
            if derived != stored {
                let text = |bytes: Option<Vec<u8>>| {
                    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                };
                return Err(Broken::new(
                    "grants in the store are those that follow from the records",
                    format!(
                        "{name}: {:?} stored, {:?} derived",
                        text(stored),
                        text(derived)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// One host's log a life: they are of the same bytes wherever both have them, and reading one is
    /// the longest part of many lives.
    fn log_verifies(&mut self) -> Result<(), Broken> {
        let at = self.rng.index(self.schedulers.len());
        let scheduler = &self.schedulers[at];
        let mut verifier = Verifier::new();
        verifier
            .file(&scheduler.host, &scheduler.file().text())
            .map_err(|e| Broken::new("every log verifies", e.to_string()))?;
        // The file may end with a gap: what the store had trimmed before it was read.
        let last = scheduler.file().last().map(|(_, seq, hash)| (seq, hash));
        let head = self.ledger.head().map(|head| (head.seq, head.log_hash));
        if last == head {
            return Ok(());
        }
        Err(Broken::new(
            "every log ends where the ledger ends",
            format!("{last:?} and {head:?}"),
        ))
    }

    /// Long afterwards only the log has the leases.
    fn trims(&mut self) -> Result<(), Broken> {
        for _ in 0..2 {
            self.pass(Span::from_hours(24 * 8));
            self.settle()?;
        }
        match self.ledger.leases().keys().next() {
            None => Ok(()),
            Some(id) => Err(Broken::new(
                "leases that are over leave the store",
                format!("lease {id} is still there"),
            )),
        }
    }
}

/// How a lease in that state is ended by its holder; absent where it is ending already.
fn end(id: LeaseId, state: LeaseState) -> Option<Command> {
    match state {
        LeaseState::Requested | LeaseState::Held | LeaseState::Scheduled => {
            Some(Command::CancelLease(id))
        }
        LeaseState::Preparing | LeaseState::Active | LeaseState::Draining => {
            let wish = EndLease {
                now: true,
                confirm_gpus: None,
            };
            Some(Command::EndLease(id, wish))
        }
        LeaseState::Releasing
        | LeaseState::Settling
        | LeaseState::Closed
        | LeaseState::Rejected
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => None,
    }
}

fn around() -> Surroundings {
    Surroundings {
        host: "checker".into(),
        leader: None,
        leading: false,
        store: "model".into(),
        alerts: Vec::new(),
    }
}

fn same(who: &str, state: &State, loaded: &State, world: &World) -> Result<(), Broken> {
    const AGREES: &str = "what is in memory is what is stored";
    // Why a lease waits is stored when it changes in kind; in memory the numbers are of today.
    let known = |state: &State| -> Vec<LeaseRecord> {
        let mut leases: Vec<LeaseRecord> = state.leases().cloned().collect();
        let waiting = |lease: &&mut LeaseRecord| lease.state == LeaseState::Requested;
        leases
            .iter_mut()
            .filter(waiting)
            .for_each(|lease| lease.explanation = None);
        leases
    };
    let (mine, theirs) = (known(state), known(loaded));
    if mine != theirs {
        let differs = mine.iter().zip(&theirs).find(|(a, b)| a != b);
        return Err(Broken::new(AGREES, format!("{who} differs: {differs:?}")));
    }
    for query in [
        Query::Nodes { state: None },
        Query::Gpus {
            node: None,
            unhealthy: false,
        },
        Query::Accounts,
    ] {
        let mine = state.look(&query, &around(), world.now);
        let theirs = loaded.look(&query, &around(), world.now);
        if mine != theirs {
            return Err(Broken::new(
                AGREES,
                format!("{who} and the store {}", difference(&mine, &theirs)),
            ));
        }
    }
    Ok(())
}

/// The first line on which two things differ, with those before it.
fn difference(a: &impl std::fmt::Debug, b: &impl std::fmt::Debug) -> String {
    let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
    let at = a
        .lines()
        .zip(b.lines())
        .position(|(a, b)| a != b)
        .unwrap_or(0);
    let before: Vec<&str> = a.lines().take(at).map(str::trim).collect();
    let lately = before[before.len().saturating_sub(20)..].join(" ");
    let line = |text: &str| text.lines().nth(at).map(|line| line.trim().to_owned());
    format!("say {:?} and {:?} after {lately}", line(&a), line(&b))
}
