//! One life: everything there is, and what happens to it next.
//!
//! [`chance`] is the long part, in which anything may happen; [`rest`] the end, in which nothing
//! goes wrong any more and everything must come right.

mod chance;
mod rest;
mod trail;

use crate::agent::{Agent, Budget};
use crate::checker::{Broken, Ledger, not_ended_early};
use crate::client::Clients;
use crate::inventory::{ACCOUNTS, BIRTH, account, import};
use crate::rng::Rng;
use crate::scheduler::{Answer, Outside, Scheduler};
use crate::store::{Snapshot, Store, Txn};
use leasehold_common::time::{Span, Timestamp};
use leasehold_core::command::Command;
pub use trail::Trail;

/// How often in a thousand an answer is lost on its way.
const ANSWER_LOST: u64 = 100;

/// Everything of one life.
#[derive(Debug)]
pub struct World {
    rng: Rng,
    now: Timestamp,
    store: Store,
    schedulers: Vec<Scheduler>,
    agents: Vec<Agent>,
    clients: Clients,
    ledger: Ledger,
    wire: Vec<Txn>,
    answers: Vec<Answer>,
    snapshot: Option<Snapshot>,
    /// Schedulers that are kept down until the ledger is recovered, because their log is not whole.
    held: Vec<bool>,
    /// Whether a node may honestly serve what the ledger has given to somebody else: the store was
    /// restored, or an operator took hardware back by force.
    is_forced: bool,
    faults: bool,
    /// What happened last.
    pub trail: Trail,
}

/// What happened in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Wishes of clients.
    pub asked: u64,
    /// Leases that got hardware.
    pub placed: u64,
    /// Log records committed.
    pub records: u64,
    /// Recoveries.
    pub epochs: u64,
}

impl World {
    /// Before anything has happened.
    pub fn new(seed: u64, trail: Trail) -> Self {
        let mut rng = Rng::new(seed);
        let nodes = 4 + rng.index(5);
        let schedulers: Vec<Scheduler> = ["ctl1", "ctl2"]
            .iter()
            .take(1 + rng.index(2))
            .map(|host| Scheduler::new(host, &mut rng))
            .collect();
        let agents = (0..nodes).map(|n| Agent::new(n, &mut rng)).collect();
        Self {
            now: BIRTH,
            store: Store::new(),
            held: vec![false; schedulers.len()],
            schedulers,
            agents,
            clients: Clients::default(),
            ledger: Ledger::default(),
            wire: Vec::new(),
            answers: Vec::new(),
            snapshot: None,
            is_forced: false,
            faults: true,
            trail,
            rng,
        }
    }

    /// Lives: `steps` things happen by chance, then everything comes to rest.
    ///
    /// # Errors
    /// An invariant is broken.
    pub fn live(&mut self, steps: u32) -> Result<Tally, Broken> {
        for scheduler in &mut self.schedulers {
            scheduler.start();
        }
        for agent in &mut self.agents {
            agent.start();
        }
        let mut first = vec![Command::ImportNodes(import(self.agents.len()))];
        first.extend((0..ACCOUNTS.len()).map(|at| Command::CreateAccount(account(at))));
        for wish in first {
            self.clients.wish(wish);
        }
        // Half of all lives begin in order, so that the faults find leases to break.
        if self.rng.chance(500) {
            self.faults = false;
            self.settle()?;
            self.faults = true;
        }
        for _ in 0..steps {
            self.something()?;
            self.look()?;
        }
        self.rest()?;
        Ok(Tally {
            asked: self.clients.len() as u64,
            placed: self.ledger.placed,
            records: self.ledger.head().map_or(0, |head| head.seq.0),
            epochs: self.ledger.head().map_or(0, |head| head.epoch.0 - 1),
        })
    }

    /// Checks what happened.
    fn look(&mut self) -> Result<(), Broken> {
        self.ledger.observe(&self.store)?;
        let answers = std::mem::take(&mut self.answers);
        for answer in answers {
            // An answer that was sent and lost was given all the same.
            if self.faults && self.rng.chance(ANSWER_LOST) {
                continue;
            }
            self.clients.hear(answer, &mut self.ledger)?;
        }
        let frozen = self.schedulers.iter().any(|s| s.is_frozen(&self.store));
        if frozen && !self.ledger.is_suspended() && !self.is_recovering() {
            return Err(Broken::new(
                "decisions freeze only where the store was restored",
                "a scheduler is frozen".into(),
            ));
        }
        Ok(())
    }

    fn is_recovering(&self) -> bool {
        self.held.iter().any(|held| *held)
    }

    fn run_scheduler(&mut self, at: usize, budget: u32) -> Result<bool, Broken> {
        let mut out = Outside {
            store: &mut self.store,
            rng: &mut self.rng,
            now: self.now,
            faults: self.faults,
            wire: &mut self.wire,
            answers: &mut self.answers,
        };
        self.schedulers[at].run(&mut out, budget)
    }

    fn run_agent(&mut self, at: usize, budget: Budget) -> Result<(), Broken> {
        let agent = &mut self.agents[at];
        agent.run(&mut self.store, self.now, budget)?;
        let ended = std::mem::take(&mut agent.ended);
        // A store from the past does not know of ends that agents have been told.
        // And who was not reached in time does not know of an extension: it ends what it was told of.
        let early = ended.into_iter().filter(|(_, clock, told)| {
            let is_due = told.is_some_and(|end| end <= *clock);
            !self.ledger.is_suspended() && !is_due
        });
        for (lease, clock, _) in early {
            not_ended_early(&self.store, &agent.name, lease, clock)?;
        }
        match &agent.overlap {
            Some(facts) if !self.is_forced => Err(Broken::new(
                "no node is given what another lease still has",
                facts.clone(),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Time goes on; whoever is there renews its keys.
    fn pass(&mut self, span: Span) {
        self.now = self.now + span;
        for scheduler in &self.schedulers {
            scheduler.keep_alive(&mut self.store, self.now);
        }
        for agent in &self.agents {
            agent.keep_alive(&mut self.store, self.now);
        }
        self.store.expire(self.now);
    }

    /// Sends a wish to whoever takes itself for the leader.
    fn send(&mut self, ask: usize) {
        let leads = |s: &Scheduler| s.leads();
        let Some(leader) = self.schedulers.iter().position(leads) else {
            return;
        };
        let (id, write) = self.clients.send(ask);
        self.schedulers[leader].accept(id, write, &mut self.answers);
    }

    /// The number of the last record that any host has in its file.
    fn log_seq(&self) -> leasehold_common::ids::Seq {
        let seqs = self.schedulers.iter().map(Scheduler::log_seq);
        seqs.max().unwrap_or_default()
    }
}
