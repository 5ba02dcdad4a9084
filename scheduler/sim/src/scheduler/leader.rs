//! The leader: decides, commits, appends, and only then answers and grants.

use super::{Next, Outside, Role};
use crate::checker::{Broken, Delivered, nobody_gets_them};
use crate::inventory::settings;
use crate::log_file::LogFile;
use crate::store::{Bytes, Change, Outcome, Store, Txn};
use leasehold_common::ids::{NodeName, Seq};
use leasehold_common::keys::Key;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::record;
use leasehold_common::time::Timestamp;
use leasehold_core::{Batch, Effect, Event, Freeze, Loaded, State, Step, recover, step};
use std::collections::{BTreeSet, VecDeque};

/// How often in a thousand the outcome of a write stays unknown.
const UNKNOWN: u64 = 25;

/// How often in a thousand an idle leader trims the log in the store.
const TRIM: u64 = 5;

/// A scheduler that leads, or takes itself for it.
#[derive(Debug)]
pub struct Leader {
    token: u64,
    state: State,
    head: u64,
    incarnation: u32,
    cursor: usize,
    queue: VecDeque<Event>,
    /// What it has been told of GPUs, for the checker.
    delivered: Delivered,
    phase: Phase,
    work: VecDeque<Work>,
}

/// Where its one batch is.
#[derive(Debug)]
enum Phase {
    /// None is in flight.
    Free,
    /// Decided.
    Decided(Box<Batch>, Vec<Effect>),
    /// Sent, and nothing was heard.
    Unknown(Box<Batch>, Vec<Effect>),
    /// Committed, with this revision.
    Committed(Box<Batch>, Vec<Effect>, u64),
}

/// What is released once the batch is durable.
#[derive(Debug)]
enum Work {
    Answer(Box<super::Answer>),
    Grants(NodeName, Option<Bytes>),
    Trim(Seq),
}

/// Reads everything the store has.
pub(super) fn load(store: &Store) -> Result<Loaded, Broken> {
    let mut loaded = Loaded::default();
    for (key, stored) in store.all() {
        loaded
            .take(key, &stored.value)
            .map_err(|e| Broken::new("a ledger record reads back", format!("{e}")))?;
    }
    Ok(loaded)
}

/// Appends what the store still has of the log and the file has not.
pub(super) fn catch_up(file: &mut LogFile, store: &Store, loaded: &Loaded) {
    let from = Key::Log(file.seq());
    for (key, stored) in store.all().filter(|(key, _)| **key >= from) {
        if let Key::Log(_) = key {
            let commit: CommitRecord =
                serde_json::from_slice(&stored.value).expect("leaders write their commits");
            file.append(&commit);
        }
    }
    if let Some(head) = &loaded.head {
        file.skip_to(head);
    }
}

impl Leader {
    /// Begins to lead: reads everything, and holds it against what this host's log knows.
    pub(super) fn elect(
        token: u64,
        file: &mut LogFile,
        host: &str,
        store: &Store,
        clock: Timestamp,
    ) -> Result<Role, Broken> {
        let loaded = load(store)?;
        let frozen = Role::Frozen(Box::new(super::Frozen::new(token, store.incarnation())));
        if !recover::differences(&loaded, file.last()).is_empty() {
            State::load(settings(host), loaded, clock).map_err(|e| {
                Broken::new("a half-recovered ledger can be loaded", format!("{e:?}"))
            })?;
            return Ok(frozen);
        }
        file.open(clock);
        catch_up(file, store, &loaded);
        let unreadable = loaded.unreadable.clone();
        let delivered = Delivered::loaded(loaded.health.clone());
        let state = State::load(settings(host), loaded, clock)
            .map_err(|e| Broken::new("a committed ledger can be loaded", format!("{e:?}")))?;
        let elected = Event::Elected { host: host.into() };
        let unreadable = unreadable
            .into_iter()
            .map(|(node, what)| Event::Unreadable(node, what));
        let queue = [elected]
            .into_iter()
            .chain(state.said_so_far())
            .chain(unreadable)
            .collect();
        let mut leader = Self {
            token,
            head: store.get(&Key::Head).map_or(0, |stored| stored.revision),
            incarnation: store.incarnation(),
            cursor: store.cursor(),
            queue,
            delivered,
            phase: Phase::Free,
            work: VecDeque::new(),
            state,
        };
        let nodes: Vec<_> = leader.state.node_indexes().map(Effect::Grants).collect();
        leader.release(nodes);
        leader.work.retain(|work| match work {
            Work::Grants(node, value) => {
                let stored = store.get(&Key::Grants(node.clone()));
                stored.map(|s| &s.value) != value.as_ref()
            }
            Work::Answer(_) | Work::Trim(_) => true,
        });
        Ok(Role::Leader(Box::new(leader)))
    }

    pub(super) const fn token(&self) -> u64 {
        self.token
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    pub(super) fn effect(
        &mut self,
        file: &mut LogFile,
        out: &mut Outside<'_>,
        clock: Timestamp,
    ) -> Result<Next, Broken> {
        match std::mem::replace(&mut self.phase, Phase::Free) {
            Phase::Decided(batch, effects) => Ok(self.commit(batch, effects, out)),
            Phase::Unknown(batch, effects) => Ok(self.find_out(batch, effects, out)),
            Phase::Committed(batch, effects, revision) => {
                self.head = revision;
                file.append(&batch.commit);
                self.release(effects);
                Ok(Next::Go)
            }
            Phase::Free => match self.work.pop_front() {
                Some(work) => Ok(self.carry_out(work, out)),
                None => self.decide(file, out, clock),
            },
        }
    }

    fn decide(
        &mut self,
        file: &LogFile,
        out: &mut Outside<'_>,
        clock: Timestamp,
    ) -> Result<Next, Broken> {
        // A leader knows when its key was last renewed, and decides nothing once it may be gone: what
        // the watch has by then is another leader's, and would look like the future. What it had
        // decided before it slept is still on its way, and only the fence stops that.
        if !out.store.leads(self.token) || self.incarnation != out.store.incarnation() {
            return Ok(self.step_down(out));
        }
        self.watch(out.store);
        let waiting = self.queue.clone();
        let Step {
            batch,
            effects,
            more,
        } = step(&mut self.state, &mut self.queue, clock);
        let frozen = self.state.frozen().cloned();
        if frozen.is_some() {
            let answers = effects.iter().filter_map(|effect| match effect {
                Effect::Answer { id, result } => Some((*id, result.as_ref().clone())),
                Effect::Grants(_) => None,
            });
            out.answers.extend(answers);
        }
        match frozen {
            Some(Freeze::StoreFromPast { .. }) => {
                let frozen = super::Frozen::new(self.token, self.incarnation);
                return Ok(Next::Become(Role::Frozen(Box::new(frozen))));
            }
            Some(Freeze::Clock { .. }) => return Ok(self.step_down(out)),
            None => {}
        }
        let before = self.delivered.clone();
        let heard = waiting.len() - self.queue.len();
        let heard = waiting.iter().take(heard);
        heard.for_each(|event| self.delivered.hear(event));
        match batch {
            Some(batch) => {
                nobody_gets_them(&before, &self.delivered, &batch, out.store)?;
                self.phase = Phase::Decided(Box::new(batch), effects);
            }
            None if effects.is_empty() && !more => {
                if out.faults && out.rng.chance(TRIM) {
                    self.work.push_back(Work::Trim(file.seq()));
                }
                return Ok(Next::Idle);
            }
            None => self.release(effects),
        }
        Ok(Next::Go)
    }

    fn watch(&mut self, store: &Store) {
        let events = store.since(self.cursor).iter().filter_map(event);
        self.queue.extend(events);
        self.cursor = store.cursor();
    }

    fn commit(&mut self, batch: Box<Batch>, effects: Vec<Effect>, out: &mut Outside<'_>) -> Next {
        let txn = self.txn(&batch);
        if out.faults && out.rng.chance(UNKNOWN) {
            match out.rng.below(3) {
                0 => drop(out.store.commit(&txn)),
                1 => out.wire.push(txn),
                _ => {}
            }
            self.phase = Phase::Unknown(batch, effects);
            return Next::Go;
        }
        match out.store.commit(&txn) {
            Outcome::Applied(revision) => {
                self.phase = Phase::Committed(batch, effects, revision);
                Next::Go
            }
            Outcome::Refused => self.step_down(out),
        }
    }

    /// Reads `log/<seq>`: it is there, and ours; or nobody knows what becomes of it.
    fn find_out(&mut self, batch: Box<Batch>, effects: Vec<Effect>, out: &mut Outside<'_>) -> Next {
        let stored = out.store.get(&Key::Log(batch.commit.last));
        let is_ours = |value: &[u8]| {
            serde_json::from_slice::<CommitRecord>(value)
                .is_ok_and(|c| c.batch == batch.commit.batch)
        };
        match stored.filter(|stored| is_ours(&stored.value)) {
            Some(stored) => {
                self.phase = Phase::Committed(batch, effects, stored.revision);
                Next::Go
            }
            None => self.step_down(out),
        }
    }

    fn txn(&self, batch: &Batch) -> Txn {
        let head = (Key::Head, record::encode(&batch.head).into());
        let log = (
            Key::Log(batch.commit.last),
            record::encode(&batch.commit).into(),
        );
        let records = batch
            .puts
            .iter()
            .map(|(key, value)| (key.clone(), value.as_slice().into()));
        Txn {
            leader: self.token,
            head: Some(self.head),
            puts: [head, log].into_iter().chain(records).collect(),
            deletes: batch.deletes.clone(),
        }
    }

    /// Grants are derived here, while nothing but what is committed has been decided.
    fn release(&mut self, effects: Vec<Effect>) {
        let mut nodes = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Answer { id, result } => {
                    self.work.push_back(Work::Answer(Box::new((id, *result))));
                }
                Effect::Grants(index) => drop(nodes.insert(index)),
            }
        }
        for index in nodes {
            if let Some(name) = self.state.node_name(index) {
                let grants = self.state.grants_of(index);
                let value = grants.map(|grants| record::encode(&grants).into());
                self.work.push_back(Work::Grants(name.clone(), value));
            }
        }
    }

    fn carry_out(&mut self, work: Work, out: &mut Outside<'_>) -> Next {
        let mut txn = Txn {
            leader: self.token,
            head: None,
            puts: Vec::new(),
            deletes: Vec::new(),
        };
        match &work {
            Work::Answer(answer) => {
                out.answers.push(answer.as_ref().clone());
                return Next::Go;
            }
            Work::Grants(node, Some(value)) => {
                txn.puts.push((Key::Grants(node.clone()), value.clone()));
            }
            Work::Grants(node, None) => txn.deletes.push(Key::Grants(node.clone())),
            Work::Trim(upto) => {
                let old = out.store.all().map(|(key, _)| key);
                let old = old.filter(|key| matches!(key, Key::Log(seq) if seq <= upto));
                txn.deletes.extend(old.take(100).cloned());
            }
        }
        let is_unknown = out.faults && out.rng.chance(UNKNOWN);
        if is_unknown && out.rng.chance(500) {
            self.work.push_front(work);
            return Next::Go;
        }
        match out.store.commit(&txn) {
            Outcome::Applied(_) if is_unknown => {
                self.work.push_front(work);
                Next::Go
            }
            Outcome::Applied(_) => Next::Go,
            Outcome::Refused => self.step_down(out),
        }
    }

    fn step_down(&self, out: &mut Outside<'_>) -> Next {
        out.store.resign(self.token);
        Next::Become(Role::Standby(Box::default()))
    }
}

/// What an agent's key says, for the core.
fn event(change: &Change) -> Option<Event> {
    fn read<R: record::Record>(
        node: &NodeName,
        value: Option<&Bytes>,
        make: impl FnOnce(NodeName, Option<R>) -> Event,
    ) -> Event {
        match value.map(|value| record::decode(value)).transpose() {
            Ok(record) => make(node.clone(), record),
            Err(e) => Event::Unreadable(node.clone(), e.to_string()),
        }
    }
    let value = change.value.as_ref();
    Some(match &change.key {
        Key::Node(node) => read(node, value, |n, r| Event::Report(n, r.map(Box::new))),
        Key::Health(node) => read(node, value, |n, r| Event::Health(n, r.map(Box::new))),
        Key::Acks(node) => read(node, value, |n, r| Event::Acks(n, r.map(Box::new))),
        Key::Live(node) => read(node, value, Event::Live),
        Key::Head
        | Key::Log(_)
        | Key::Lease(_)
        | Key::Account(_)
        | Key::Policy(_)
        | Key::Maintenance(_)
        | Key::Power(_)
        | Key::Fleet(_)
        | Key::Grants(_) => return None,
    })
}
