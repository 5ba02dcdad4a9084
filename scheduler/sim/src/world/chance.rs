//! What happens by chance.

use super::World;
use crate::agent::{Agent, Budget, Lie};
use crate::checker::Broken;
use crate::client::anything;
use crate::rng::Rng;
use leasehold_common::ids::GpuUuid;
use leasehold_common::keys::Key;
use leasehold_common::ledger::LedgerHead;
use leasehold_common::node::{Action, Verdict};
use leasehold_common::record;
use leasehold_common::time::{Span, Timestamp};

/// How far a scheduler's clock is set back when it is set back.
const SET_BACK_MS: i64 = 20_000;

/// The longest that nothing at all happens.
const LONG: Span = Span::from_hours(6);

impl World {
    /// The next thing that happens.
    pub(super) fn something(&mut self) -> Result<(), Broken> {
        // Everything takes a little time.
        let moment = Span::from_millis(self.rng.below(400));
        self.pass(moment);
        match self.rng.below(100) {
            0..34 => self.a_scheduler_runs(),
            34..62 => self.an_agent_runs(),
            62..76 => {
                self.somebody_asks();
                Ok(())
            }
            76..88 => {
                self.time_jumps();
                Ok(())
            }
            _ => self.a_fault(),
        }
    }

    /// Mostly until nothing is left to do, sometimes only an effect or two.
    fn budget(&mut self) -> u32 {
        let few = self.rng.below(4);
        match self.rng.chance(300) {
            true => u32::try_from(few + 1).unwrap_or(1),
            false => 200,
        }
    }

    fn a_scheduler_runs(&mut self) -> Result<(), Broken> {
        let at = self.rng.index(self.schedulers.len());
        let budget = self.budget();
        self.trail
            .note(self.now, || format!("ctl{} runs, {budget} effects", at + 1));
        self.run_scheduler(at, budget).map(drop)
    }

    fn an_agent_runs(&mut self) -> Result<(), Broken> {
        let (at, budget) = (self.rng.index(self.agents.len()), self.budget());
        self.trail
            .note(self.now, || format!("n{at} runs, {budget} effects"));
        self.run_agent(at, Budget(budget))
    }

    fn somebody_asks(&mut self) {
        let open = self.clients.open();
        let retry = !open.is_empty() && self.rng.chance(500);
        let ask = if retry {
            *self.rng.pick(&open)
        } else if self.rng.chance(60) {
            // Somebody who has his answer asks again under the same key.
            self.rng.index(self.clients.len())
        } else {
            let nodes = self.agents.len();
            let wish = anything(&mut self.rng, &self.ledger, nodes, self.now);
            self.is_forced |= matches!(wish, leasehold_core::command::Command::AdmitNodes(_));
            self.clients.wish(wish)
        };
        let clients = &self.clients;
        self.trail.note(self.now, || {
            format!("client asks {}", clients.describe(ask))
        });
        self.send(ask);
    }

    fn time_jumps(&mut self) {
        let wake = self.next_wake();
        let span = match self.rng.below(12) {
            0..5 => wake
                .map_or(Span::from_secs(1), |at| at.since(self.now))
                .min(LONG),
            5..7 => Span::from_secs(2),
            7..9 => Span::from_secs(40),
            9..11 => Span::from_mins(6),
            _ => Span::from_mins(70),
        };
        self.trail.note(self.now, || format!("{span} pass"));
        self.pass(span);
    }

    /// When anybody has something to do although nothing happens.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let schedulers = self.schedulers.iter().filter_map(|s| s.next_wake());
        let agents = self.agents.iter().filter_map(|a| a.next_wake(self.now));
        schedulers.chain(agents).min()
    }

    fn a_fault(&mut self) -> Result<(), Broken> {
        let scheduler = self.rng.index(self.schedulers.len());
        let agent = self.rng.index(self.agents.len());
        let what = match self.rng.below(24) {
            0..3 => self.crash_or_start_scheduler(scheduler),
            3..5 => {
                let paused = &mut self.schedulers[scheduler].is_paused;
                *paused = !*paused;
                "scheduler paused or resumed"
            }
            5 => {
                self.schedulers[scheduler].lose_connection();
                "scheduler's connections reset"
            }
            6 => {
                let skew = &mut self.schedulers[scheduler].skew_ms;
                *skew = if *skew < -SET_BACK_MS / 2 {
                    *skew + SET_BACK_MS
                } else {
                    *skew - SET_BACK_MS
                };
                "scheduler's clock set back or right"
            }
            7..10 => {
                let agent = &mut self.agents[agent];
                if agent.is_running() {
                    agent.crash();
                } else {
                    agent.start();
                }
                "agent crashed or started"
            }
            10 => {
                let name = self.agents[agent].name.clone();
                self.store.lose_live(&name);
                "liveness key lost"
            }
            11..13 => self.break_gpu(agent),
            13 => self.lie(agent),
            14 => self.deliver_late(),
            15 => {
                self.agents.iter_mut().for_each(crate::agent::Agent::crash);
                "all agents crashed"
            }
            16..18 => {
                self.snapshot = (!self.ledger.is_suspended()).then(|| self.store.snapshot());
                "snapshot taken"
            }
            18..20 => self.restore(),
            _ => self.start_or_recover(scheduler)?,
        };
        self.trail.note(self.now, || {
            format!("{what} (ctl{}, n{agent})", scheduler + 1)
        });
        Ok(())
    }

    fn crash_or_start_scheduler(&mut self, at: usize) -> &'static str {
        let scheduler = &mut self.schedulers[at];
        if scheduler.is_up() {
            scheduler.crash();
            "scheduler crashed"
        } else if self.held[at] {
            "nothing: held down"
        } else {
            scheduler.start();
            "scheduler started"
        }
    }

    fn break_gpu(&mut self, agent: usize) -> &'static str {
        let slot = self.rng.index(2);
        let gpu = crate::inventory::gpus_of(agent).into_iter().nth(slot);
        let gpu = gpu.expect("every node has two");
        let agent = &mut self.agents[agent];
        let set = match self.rng.below(4) {
            0 => &mut agent.lost,
            1 => &mut agent.occupied,
            _ => return Self::judge(agent, gpu, &mut self.rng),
        };
        if !set.remove(&gpu) {
            set.insert(gpu);
        }
        "gpu lost, occupied or right again"
    }

    /// Its agent finds something on a GPU or on the node, or finds it no more.
    fn judge(agent: &mut Agent, gpu: GpuUuid, rng: &mut Rng) -> &'static str {
        const FOUND: [(Verdict, Action); 5] = [
            (Verdict::Degraded, Action::None),
            (Verdict::Degraded, Action::DrainAndReset),
            (Verdict::Unhealthy, Action::ResetGpu),
            (Verdict::Unhealthy, Action::None),
            (Verdict::Unresponsive, Action::RebootNode),
        ];
        if rng.chance(200) {
            let actions = [None, Some(Action::None), Some(Action::RebootNode)];
            agent.ails = *rng.pick(&actions);
            return "node ails or is right again";
        }
        let found = *rng.pick(&FOUND);
        if agent.sick.remove(&gpu).is_none() {
            agent.sick.insert(gpu, found);
        }
        "gpu sick or right again"
    }

    fn lie(&mut self, agent: usize) -> &'static str {
        const LIES: [Lie; 4] = [Lie::Place, Lie::Gpu, Lie::Name, Lie::Garbage];
        let lie = *self.rng.pick(&LIES);
        let agent = &mut self.agents[agent];
        agent.lie = if agent.lie.is_some() { None } else { Some(lie) };
        "agent lies or tells the truth"
    }

    /// A transaction that the network held arrives after all.
    fn deliver_late(&mut self) -> &'static str {
        for txn in std::mem::take(&mut self.wire) {
            self.store.commit(&txn);
        }
        "late transactions arrive"
    }

    /// An operator puts the snapshot back: where there is one, where something was committed since,
    /// and where a log file has all of that.
    fn restore(&mut self) -> &'static str {
        let Some(snapshot) = self.snapshot.take() else {
            return "nothing: no snapshot";
        };
        let head: Option<LedgerHead> = snapshot
            .get(&Key::Head)
            .map(|stored| record::decode(&stored.value).expect("leaders write heads"));
        let (seq, log) = (
            head.map_or_else(Default::default, |h| h.seq),
            self.log_seq(),
        );
        let whole = self
            .schedulers
            .iter()
            .any(|s| s.log_seq() == log && s.file().is_whole_after(seq));
        if self.ledger.is_suspended() || seq >= log || !whole {
            return "nothing: no need, or no whole log";
        }
        self.store.restore(&snapshot);
        self.wire.clear();
        self.ledger.restored(&self.store);
        self.is_forced = true;
        for (scheduler, held) in self.schedulers.iter_mut().zip(&mut self.held) {
            if scheduler.log_seq() < log || !scheduler.file().is_whole_after(seq) {
                scheduler.crash();
                *held = true;
            }
        }
        "store restored from the past"
    }

    /// Whoever may run runs again; a frozen leader is recovered.
    pub(super) fn start_or_recover(&mut self, at: usize) -> Result<&'static str, Broken> {
        if !self.ledger.is_suspended() {
            self.held.iter_mut().for_each(|held| *held = false);
        }
        if !self.schedulers[at].is_up() && !self.held[at] {
            self.schedulers[at].start();
            return Ok("scheduler started");
        }
        if !self.schedulers[at].is_frozen(&self.store) {
            return Ok("nothing");
        }
        if self.schedulers[at].log_seq() < self.log_seq() {
            self.schedulers[at].crash();
            self.held[at] = true;
            return Ok("scheduler held down: its log lacks records");
        }
        self.ledger.recovers(self.schedulers[at].log_seq());
        let out = crate::scheduler::Outside {
            store: &mut self.store,
            rng: &mut self.rng,
            now: self.now,
            faults: self.faults,
            wire: &mut self.wire,
            answers: &mut self.answers,
        };
        self.schedulers[at].recover(&out)?;
        Ok("recovery ordered")
    }
}
