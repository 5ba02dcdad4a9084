//! While this scheduler leads: events in, one batch at a time out.

use super::commit::{CommitError, commit};
use super::counting::Counting;
use super::fanout::{Outbox, deliver};
use super::feed::{Fed, Feed, event};
use super::trim::{Trim, remove};
use super::{BEAT, DutyError, Message, Office};
use leasehold_common::api::Problem;
use leasehold_common::keys::Folder;
use leasehold_common::record;
use leasehold_common::time::{Span, Timestamp};
use leasehold_core::command::{Command, Query, View, Written};
use leasehold_core::{Batch, Effect, Event, Freeze, RequestId, State, Surroundings, step};
use leasehold_store::election::Leadership;
use leasehold_store::{Guard, Revision, StoreError, Watch};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// A leader that has had no answer about its key for its TTL less this does nothing more.
const MARGIN: Span = Span::from_secs(3);

/// Events that may wait while a batch is in flight; further ones wait where they come from.
const QUEUE_MAX: usize = 4096;

/// How leading ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The daemon stops.
    Shutdown,
    /// Somebody else leads, or may.
    Deposed,
    /// The state must be loaded again, for this reason.
    Again(String),
    /// This host's clock cannot be trusted, for this reason.
    ClockWrong(String),
}

type Commit = Pin<Box<dyn Future<Output = Result<Revision, CommitError>> + Send>>;
type WriteAnswer = oneshot::Sender<Result<Written, Problem>>;
type ReadAnswer = oneshot::Sender<Result<View, Problem>>;

/// A term of office: everything that lives as long as this leadership.
struct Term<'a> {
    office: &'a mut Office,
    leader: Guard,
    state: State,
    head_modified: Option<Revision>,
    events: VecDeque<Event>,
    writes: BTreeMap<RequestId, WriteAnswer>,
    reads: Vec<(Query, ReadAnswer)>,
    in_flight: Option<(Commit, Arc<Batch>, Vec<Effect>)>,
    outbox: Outbox,
    trim: Trim,
    counting: Counting,
    next_request: u64,
    more: bool,
}

impl Office {
    /// Leads until that ends.
    pub(super) async fn lead(&mut self, leadership: &Leadership) -> Result<Outcome, DutyError> {
        self.catch_up_log().await?;
        let read = self.read_cell().await?;
        let now = self.clock.now();
        let unreadable = read.loaded.unreadable.clone();
        let state = self.state_of(read.loaded, now)?;
        let mut events = VecDeque::from([Event::Elected {
            host: self.settings.core.host.clone(),
        }]);
        events.extend(
            unreadable
                .into_iter()
                .map(|(node, what)| Event::Unreadable(node, what)),
        );
        events.extend(state.said_so_far());
        if let Some(why) = state.frozen() {
            error!(%why, "decisions are frozen until 'leasectl ledger recover'; leases run on");
        }
        let watch = self
            .store
            .watch(&self.keys.folder(Folder::All), read.revision)
            .await?;
        let mut trim = Trim::default();
        for commit in self.read_commits().await? {
            trim.added(now, commit.last);
        }
        let outbox = Outbox::default();
        let over = CancellationToken::new();
        let (store, keys) = (Arc::clone(&self.store), self.keys.clone());
        let postman = tokio::spawn(deliver(
            store,
            keys,
            leadership.guard(),
            outbox.clone(),
            over.clone(),
        ));
        let mut term = Term {
            leader: leadership.guard(),
            state,
            head_modified: read.head_modified,
            events,
            writes: BTreeMap::new(),
            reads: Vec::new(),
            in_flight: None,
            outbox,
            trim,
            counting: Counting::default(),
            next_request: 0,
            more: true,
            office: self,
        };
        term.derive_all_grants();
        term.office.metrics.lead();
        let outcome = term.run(watch, leadership).await;
        term.office.metrics.lay_down();
        term.dismiss();
        over.cancel();
        if let Err(e) = postman.await {
            warn!(error = %e, "writing grants failed");
        }
        outcome
    }
}

impl Term<'_> {
    async fn run(
        &mut self,
        mut watch: Watch,
        leadership: &Leadership,
    ) -> Result<Outcome, DutyError> {
        let mut feed = Feed::new(self.office.keys.clone());
        loop {
            if !leadership.is_valid(MARGIN) {
                return Ok(Outcome::Deposed);
            }
            if let Some(why) = self.office.clock.distrust() {
                return Ok(Outcome::ClockWrong(why));
            }
            if self.in_flight.is_none() {
                let (metrics, now) = (&self.office.metrics, self.office.clock.now());
                self.counting.go_on(&self.state, metrics, now);
                if let Some(outcome) = self.decide().await {
                    return Ok(outcome);
                }
            }
            leasehold_daemon::notify::watchdog();
            let idle = tokio::time::sleep(self.until_wake());
            let room = self.events.len() < QUEUE_MAX;
            tokio::select! {
                () = leadership.lost() => return Ok(Outcome::Deposed),
                () = self.office.shutdown.cancelled(), if self.in_flight.is_none() => {
                    return Ok(Outcome::Shutdown);
                }
                done = committed(&mut self.in_flight) => {
                    if let Some(outcome) = self.landed(done).await? {
                        return Ok(outcome);
                    }
                }
                message = self.office.messages.recv(), if room => match message {
                    Some(message) => {
                        if let Some(outcome) = self.take(message).await? {
                            return Ok(outcome);
                        }
                    }
                    None => return Ok(Outcome::Shutdown),
                },
                message = watch.recv(), if room => {
                    let Some(message) = message else {
                        let detail = "the watch ended".to_owned();
                        return Err(StoreError::Unavailable { detail }.into());
                    };
                    match feed.read(message) {
                        // Nobody else writes the ledger, so an older one than ours comes from a
                        // store that was restored under us. Loading it finds the differences; the
                        // next commit would too, but there may be none for hours.
                        Fed::Anew { head_modified, .. } if head_modified < self.head_modified => {
                            let why = "the store has an older ledger than it had".to_owned();
                            return Ok(Outcome::Again(why));
                        }
                        Fed::Changes(changes) | Fed::Anew { changes, .. } => {
                            let said = changes.into_iter().filter_map(|(k, v)| event(k, v));
                            self.events.extend(said);
                        }
                        Fed::ContactLost => self.events.push_back(Event::ContactLost),
                        Fed::ContactBack => self.events.push_back(Event::ContactBack),
                    }
                }
                () = idle => {}
            }
        }
    }

    /// How long nothing needs to be done unless something happens.
    fn until_wake(&self) -> Duration {
        let now = self.office.clock.now();
        let idle = self
            .state
            .next_wake()
            .map_or(BEAT, |at| at.since(now).std().min(BEAT));
        let waiting = !self.events.is_empty() || self.more || self.counting.is_under_way();
        if waiting && self.in_flight.is_none() {
            Duration::ZERO
        } else {
            idle
        }
    }

    /// Takes what has come in, lets the core decide, and sends the batch off.
    async fn decide(&mut self) -> Option<Outcome> {
        // Everything that is there already goes into one batch: the more ask at once, the fewer
        // commits each costs.
        while self.events.len() < QUEUE_MAX
            && let Ok(message) = self.office.messages.try_recv()
        {
            match self.take(message).await {
                Ok(None) => {}
                Ok(outcome) => return outcome,
                Err(e) => return Some(Outcome::Again(e.to_string())),
            }
        }
        let now = self.office.clock.now();
        let due = self.state.next_wake().is_some_and(|at| at <= now);
        if self.events.is_empty() && !self.more && !due {
            self.answer_reads();
            return None;
        }
        let was_frozen = self.state.frozen().is_some();
        let began = Instant::now();
        let step = step(&mut self.state, &mut self.events, now);
        self.office.metrics.passed(began.elapsed());
        self.more = step.more;
        match (step.batch, self.state.frozen()) {
            (_, Some(Freeze::Clock { detail })) if !was_frozen => {
                return Some(Outcome::ClockWrong(detail.clone()));
            }
            (_, Some(why)) if !was_frozen => {
                error!(%why, "decisions are frozen until 'leasectl ledger recover'");
                self.release(step.effects);
            }
            (None, _) => self.release(step.effects),
            (Some(batch), _) => {
                let batch = Arc::new(batch);
                let office = &*self.office;
                let commit = commit(
                    Arc::clone(&office.store),
                    office.keys.clone(),
                    self.leader.clone(),
                    self.head_modified,
                    Arc::clone(&batch),
                );
                self.in_flight = Some((Box::pin(commit), batch, step.effects));
                return None;
            }
        }
        self.answer_reads();
        None
    }

    /// A batch's fate is known: it goes into the log file, and then its effects are released.
    async fn landed(
        &mut self,
        done: Result<Revision, CommitError>,
    ) -> Result<Option<Outcome>, DutyError> {
        let (_, batch, effects) = self.in_flight.take().expect("it was in flight until now");
        match done {
            Ok(revision) => {
                self.head_modified = Some(revision);
                self.office.metrics.at_revision(revision);
            }
            Err(CommitError::Deposed) => return Ok(Some(Outcome::Deposed)),
            Err(e) => {
                let error = anyhow::Error::from(e);
                return Ok(Some(Outcome::Again(format!("{error:#}"))));
            }
        }
        let now = self.office.clock.now();
        let asked = |id| {
            self.state
                .lease(id)
                .map(|lease| (lease.side, lease.created))
        };
        self.office.metrics.committed(&batch.commit, asked, now);
        let last = batch.commit.last;
        let commit = Arc::try_unwrap(batch).map_or_else(|b| b.commit.clone(), |b| b.commit);
        self.office.journal.append(commit, now).await?;
        self.trim.added(now, last);
        let due = self.trim.due(now);
        if !due.is_empty() {
            remove(
                &*self.office.store,
                &self.office.keys,
                self.leader.clone(),
                due,
            )
            .await;
        }
        self.release(effects);
        self.answer_reads();
        Ok(None)
    }

    fn release(&mut self, effects: Vec<Effect>) {
        let mut nodes = std::collections::BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Answer { id, result } => {
                    if let Some(answer) = self.writes.remove(&id) {
                        // A caller that has gone away asks again with the same key.
                        drop(answer.send(*result));
                    }
                }
                Effect::Grants(node) => drop(nodes.insert(node)),
            }
        }
        nodes.into_iter().for_each(|node| self.send_grants(node));
    }

    fn send_grants(&self, node: leasehold_common::ids::NodeIndex) {
        if let Some(name) = self.state.node_name(node) {
            let grants = self
                .state
                .grants_of(node)
                .map(|grants| record::encode(&grants));
            self.outbox.put(name.clone(), grants);
        }
    }

    /// A new leader derives every node's grants again: what its predecessor did not get to is
    /// written now, and what is right is left alone.
    fn derive_all_grants(&self) {
        if self.state.frozen().is_none() {
            self.state
                .node_indexes()
                .for_each(|node| self.send_grants(node));
        }
    }

    async fn take(&mut self, message: Message) -> Result<Option<Outcome>, DutyError> {
        match message {
            Message::Read { query, answer } => {
                self.reads.push((query, answer));
                if self.in_flight.is_none() {
                    self.answer_reads();
                }
            }
            Message::Write {
                actor,
                write,
                answer,
            } => match write.command {
                Command::Recover(wish) if self.state.frozen().is_some() => {
                    let office = &mut *self.office;
                    let (result, recovered) = office
                        .recover(&self.leader, &wish, &actor, write.dry_run)
                        .await?;
                    drop(answer.send(result));
                    if recovered {
                        return Ok(Some(Outcome::Again("the ledger was recovered".into())));
                    }
                }
                _ => {
                    let id = RequestId(self.next_request);
                    self.next_request += 1;
                    self.writes.insert(id, answer);
                    self.events.push_back(Event::Request { id, actor, write });
                }
            },
        }
        Ok(None)
    }

    fn answer_reads(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        let host = &self.office.settings.core.host;
        let around = Surroundings {
            host: host.clone(),
            leader: Some(host.clone()),
            leading: true,
            store: self.office.store.describe(),
            alerts: self.office.alerts(),
        };
        let now: Timestamp = self.office.clock.now();
        for (query, answer) in self.reads.drain(..) {
            drop(answer.send(self.state.ask(&query, &around, now)));
        }
    }

    /// Sends everybody away who still waits: what they asked for may or may not have happened, and
    /// the same key will tell.
    fn dismiss(&mut self) {
        let why = "this scheduler stopped leading before the outcome was known: ask again with \
                   the same Idempotency-Key";
        for (_, answer) in std::mem::take(&mut self.writes) {
            let code = leasehold_common::api::ProblemCode::StoreUnavailable;
            drop(answer.send(Err(Problem::new(code, why))));
        }
        info!("no longer leading");
    }
}

/// Resolves when the batch in flight has landed; never where there is none.
async fn committed(
    in_flight: &mut Option<(Commit, Arc<Batch>, Vec<Effect>)>,
) -> Result<Revision, CommitError> {
    match in_flight {
        Some((commit, _, _)) => commit.await,
        None => std::future::pending().await,
    }
}
