//! One scheduler process: the real core, and around it what the daemon does, one effect at a time.
//!
//! ```text
//!   Standby ── nobody leads ──► load ──┬── store older than the log ──► Frozen ── recover ──┐
//!      ▲                               └─────────────► Leader ◄─────────────────────────────┘
//!      └── a guard did not hold, an outcome stayed unknown, the watch broke ──┘
//! ```
//!
//! The host's log file outlives the process. Whatever [`Scheduler::run`] does can be cut after any
//! effect: by the budget, so that others act in between, or by a crash that follows.

mod leader;
mod recovery;
mod standby;

use crate::checker::Broken;
use crate::inventory::{cell, settings};
use crate::log_file::LogFile;
use crate::rng::Rng;
use crate::store::{Store, Txn};
use leader::Leader;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::Seq;
use leasehold_common::log::Actor;
use leasehold_common::time::{Span, Timestamp};
use leasehold_core::command::{Write, Written};
use leasehold_core::{Event, RequestId, State};
use recovery::Frozen;
use standby::Standby;

/// An answer on its way to a client.
pub type Answer = (RequestId, Result<Written, Problem>);

/// What a process acts on.
#[derive(Debug)]
pub struct Outside<'a> {
    /// The store.
    pub store: &'a mut Store,
    /// What happens by chance.
    pub rng: &'a mut Rng,
    /// True time.
    pub now: Timestamp,
    /// Whether anything may go wrong.
    pub faults: bool,
    /// Transactions that the network still holds.
    pub wire: &'a mut Vec<Txn>,
    /// Answers that were sent.
    pub answers: &'a mut Vec<Answer>,
}

/// A host with a scheduler.
#[derive(Debug)]
pub struct Scheduler {
    /// Its name.
    pub host: String,
    /// How far its clock is ahead of true time, in milliseconds.
    pub skew_ms: i64,
    /// Stopped like by SIGSTOP: it does nothing, renews nothing, and does not know.
    pub is_paused: bool,
    file: LogFile,
    process: Option<Role>,
}

#[derive(Debug)]
enum Role {
    Standby(Box<Standby>),
    Leader(Box<Leader>),
    Frozen(Box<Frozen>),
}

/// What an effect came to.
#[derive(Debug)]
enum Next {
    /// There may be more to do.
    Go,
    /// Nothing more until something happens.
    Idle,
    /// From now on this.
    Become(Role),
}

impl Scheduler {
    /// A host on which it was never started.
    pub fn new(host: &str, rng: &mut Rng) -> Self {
        Self {
            host: host.into(),
            skew_ms: i64::try_from(rng.below(2000)).unwrap_or_default() - 1000,
            is_paused: false,
            file: LogFile::new(cell(), host.into()),
            process: None,
        }
    }

    /// Whether its process is there, paused or not.
    pub const fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it takes itself for the leader.
    pub const fn leads(&self) -> bool {
        matches!(self.process, Some(Role::Leader(_) | Role::Frozen(_)))
    }

    /// Whether it leads and decides nothing because the store is older than what is known. One that
    /// slept while another led only takes itself for that.
    pub fn is_frozen(&self, store: &Store) -> bool {
        match &self.process {
            Some(Role::Frozen(frozen)) => store.leads(frozen.token()),
            Some(Role::Leader(_) | Role::Standby(_)) | None => false,
        }
    }

    /// The last record of its log file.
    pub fn log_seq(&self) -> Seq {
        self.file.seq()
    }

    /// Its log file.
    pub const fn file(&self) -> &LogFile {
        &self.file
    }

    /// The state it decides on; absent where it does not lead.
    pub fn state(&self) -> Option<&State> {
        match &self.process {
            Some(Role::Leader(leader)) => Some(leader.state()),
            Some(Role::Standby(_) | Role::Frozen(_)) | None => None,
        }
    }

    /// What it follows; absent where it does not, or has not yet read everything.
    pub fn followed(&self, store: &Store) -> Option<&State> {
        match &self.process {
            Some(Role::Standby(standby)) => standby.up_to_date(store),
            Some(Role::Leader(_) | Role::Frozen(_)) | None => None,
        }
    }

    /// Its clock.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_unix_ms(now.unix_ms() + self.skew_ms)
    }

    /// When it has something to do although nothing happens, in true time.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let at = self.state()?.next_wake()?;
        Some(Timestamp::from_unix_ms(at.unix_ms() - self.skew_ms))
    }

    /// A process begins.
    pub fn start(&mut self) {
        self.is_paused = false;
        self.process = Some(Role::Standby(Box::default()));
    }

    /// The process is gone, with everything that is not in the store or the file.
    pub fn crash(&mut self) {
        self.process = None;
        self.is_paused = false;
    }

    /// Its connections are reset: whatever it knew from watching may have a hole.
    pub fn lose_connection(&mut self) {
        if self.process.is_some() {
            self.process = Some(Role::Standby(Box::default()));
        }
    }

    /// Renews its leader key while it runs.
    pub fn keep_alive(&self, store: &mut Store, now: Timestamp) {
        if self.is_paused {
            return;
        }
        match &self.process {
            Some(Role::Leader(leader)) => store.keep_leader(leader.token(), now),
            Some(Role::Frozen(frozen)) => store.keep_leader(frozen.token(), now),
            Some(Role::Standby(_)) | None => {}
        }
    }

    /// Takes a request from the control socket.
    pub fn accept(&mut self, id: RequestId, write: Write, answers: &mut Vec<Answer>) {
        let refuse = |code| (id, Err(Problem::new(code, "asked of a model")));
        let key = write.idempotency.as_ref().map(|(key, _)| key.clone());
        let actor = Actor {
            uid: 1000,
            role: "operator".into(),
            request_id: id.0.to_string(),
            idempotency_key: key,
        };
        let write = Box::new(write);
        match &mut self.process {
            Some(Role::Leader(leader)) => leader.push(Event::Request { id, actor, write }),
            Some(Role::Frozen(_)) => answers.push(refuse(ProblemCode::Frozen)),
            Some(Role::Standby(_)) => answers.push(refuse(ProblemCode::NotLeader)),
            None => {}
        }
    }

    /// An operator has it recover the ledger; nothing happens where it is not frozen.
    pub fn recover(&mut self, out: &Outside<'_>) -> Result<(), Broken> {
        let clock = self.clock(out.now);
        match &mut self.process {
            Some(Role::Frozen(frozen)) => frozen.recover(&self.file, out.store, clock),
            Some(Role::Standby(_) | Role::Leader(_)) | None => Ok(()),
        }
    }

    /// Does what there is to do, at most so many effects of it. Whether anything is left.
    ///
    /// # Errors
    /// What it does breaks an invariant.
    pub fn run(&mut self, out: &mut Outside<'_>, budget: u32) -> Result<bool, Broken> {
        if self.is_paused {
            return Ok(false);
        }
        let clock = self.clock(out.now);
        for _ in 0..budget {
            let (file, host) = (&mut self.file, &self.host);
            let next = match &mut self.process {
                None => return Ok(false),
                Some(Role::Standby(standby)) => standby.effect(file, host, out, clock)?,
                Some(Role::Leader(leader)) => leader.effect(file, out, clock)?,
                Some(Role::Frozen(frozen)) => frozen.effect(file, host, out, clock)?,
            };
            match next {
                Next::Go => {}
                Next::Idle => return Ok(false),
                Next::Become(role) => {
                    let stops = matches!(role, Role::Standby(_));
                    self.process = Some(role);
                    if stops {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(true)
    }

    /// How long nothing may happen before a leader looks at its clock again.
    pub const TICK: Span = Span::from_secs(1);

    /// What it is told by its configuration.
    pub fn settings(&self) -> leasehold_core::CoreSettings {
        settings(&self.host)
    }
}
