//! While another leads: a state for reads, and the log on this host's disk.

use super::feed::{Changes, Fed, Feed};
use super::{BEAT, DutyError, Message, Office};
use crate::log_file::LogFileError;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::keys::{Folder, Key};
use leasehold_common::record;
use leasehold_core::{LoadError, State, Surroundings};
use leasehold_store::StoreError;
use leasehold_store::election::{self, Leadership};
use std::future::Future;
use std::pin::Pin;
use tracing::{info, warn};

impl Office {
    /// Follows until the campaign is won; `None` on shutdown, and where it is to be given up because
    /// the clock cannot be trusted any more.
    pub(super) async fn follow<F>(
        &mut self,
        campaign: &mut Pin<Box<F>>,
    ) -> Result<Option<Leadership>, DutyError>
    where
        F: Future<Output = Result<Leadership, StoreError>> + Send,
    {
        // The log first: read afterwards, a ledger that is still older than it was restored.
        self.catch_up_log().await?;
        let read = self.read_cell().await?;
        let now = self.clock.now();
        let mut state = self.state_of(read.loaded, now)?;
        let mut watch = self
            .store
            .watch(&self.keys.folder(Folder::All), read.revision)
            .await?;
        let mut feed = Feed::new(self.keys.clone());
        let mut beat = tokio::time::interval(BEAT);
        let (mut stood, mut said) = (false, false);
        loop {
            // Who cannot tell the time does not stand for election. It is looked at every beat.
            let distrust = self.clock.distrust();
            if let Some(why) = &distrust {
                if stood {
                    // The campaign may hold the leader's key already: it is dropped with this turn.
                    return Ok(None);
                }
                if !said {
                    warn!(why, "no candidate: the clock cannot be trusted");
                    said = true;
                }
            }
            let stands = distrust.is_none();
            stood |= stands;
            tokio::select! {
                elected = &mut *campaign, if stands => return Ok(Some(elected?)),
                () = self.shutdown.cancelled() => return Ok(None),
                _ = beat.tick() => leasehold_daemon::notify::watchdog(),
                message = self.messages.recv() => match message {
                    Some(message) => self.answer_following(&state, message).await,
                    None => return Ok(None),
                },
                message = watch.recv() => {
                    let Some(message) = message else {
                        let detail = "the watch ended".to_owned();
                        return Err(StoreError::Unavailable { detail }.into());
                    };
                    if let Fed::Changes(changes) | Fed::Anew { changes, .. } = feed.read(message) {
                        self.take_changes(&mut state, changes).await?;
                    }
                }
            }
        }
    }

    async fn take_changes(&self, state: &mut State, changes: Changes) -> Result<(), DutyError> {
        let now = self.clock.now();
        for (key, value) in &changes {
            if let (Key::Log(_), Some(value)) = (key, value) {
                let commit = record::decode(value).map_err(|source| LoadError::Record {
                    key: key.clone(),
                    source,
                })?;
                self.follow_log(self.journal.append(commit, now).await)?;
            }
        }
        if state.frozen().is_some() && changes.iter().any(|(key, _)| *key == Key::Head) {
            // Whoever leads has recovered the ledger, or goes on with it.
            let detail = "the ledger was recovered and is read anew".to_owned();
            return Err(StoreError::Unavailable { detail }.into());
        }
        state.follow_changes(&changes, now)?;
        Ok(())
    }

    /// Brings this host's log up to the commits that are in the store. Where the two contradict each
    /// other the store was restored from the past: whoever leads will say so, and the file stays as
    /// it is, for it may be the only witness.
    pub(super) async fn catch_up_log(&self) -> Result<(), DutyError> {
        for commit in self.read_commits().await? {
            let appended = self.journal.append(commit, self.clock.now()).await;
            if matches!(appended, Err(LogFileError::Conflict { .. })) {
                return self.follow_log(appended);
            }
            appended?;
        }
        Ok(())
    }

    fn follow_log(&self, appended: Result<(), LogFileError>) -> Result<(), DutyError> {
        match appended {
            Err(e @ LogFileError::Conflict { .. }) => {
                warn!(error = %e, "the store contradicts this host's log, which is left as it is");
                Ok(())
            }
            other => Ok(other?),
        }
    }

    async fn answer_following(&self, state: &State, message: Message) {
        let leader = election::leader(&*self.store, &self.leader_key()).await;
        let leader = leader
            .ok()
            .flatten()
            .map(|name| String::from_utf8_lossy(&name).into_owned());
        match message {
            Message::Write { answer, .. } => {
                let detail = match &leader {
                    Some(leader) => format!("{leader} leads this cell: ask there"),
                    None => "nobody leads this cell at the moment".to_owned(),
                };
                let detail = match self.clock.distrust() {
                    Some(why) => format!("{detail}; this host does not stand for election: {why}"),
                    None => detail,
                };
                info!(detail, "a write was refused");
                drop(answer.send(Err(Problem::new(ProblemCode::NotLeader, detail))));
            }
            Message::Read { query, answer } => {
                let around = Surroundings {
                    host: self.settings.core.host.clone(),
                    leader,
                    leading: false,
                    store: self.store.describe(),
                    alerts: self.alerts(),
                };
                drop(answer.send(state.look(&query, &around, self.clock.now())));
            }
        }
    }
}
