//! Leases that only the log still has.
//!
//! A lease leaves the ledger a week after its end. The log has every record the ledger ever had, so
//! a question about such a lease is answered from this host's files: the last record of it is found
//! there, and the task that owns the state makes the same view of it as of any other.
//!
//! Only questions go this way. A lease that has left can be neither ended nor changed.

use super::Journal;
use crate::log_file::{LogFileError, last_write};
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::LeaseId;
use leasehold_common::keys::Key;
use leasehold_common::lease::LeaseRecord;
use leasehold_core::command::Query;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The log as an archive, searched by one caller at a time: a search reads whole files, and a script
/// that asks for a thousand old leases must not take the disk from the scheduler.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    journal: Journal,
    turn: Arc<Semaphore>,
}

impl Archive {
    pub(super) fn new(journal: Journal) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { journal, turn }
    }

    /// The question to ask instead of one that was answered with `problem`; the answer stands, with
    /// where else to look, where the log does not help.
    pub(super) async fn instead(&self, query: &Query, problem: Problem) -> Result<Query, Problem> {
        let (id, explained) = match query {
            Query::Lease(id) => (*id, false),
            Query::Explain(id) => (*id, true),
            Query::Status
            | Query::Nodes { .. }
            | Query::Node(_)
            | Query::Gpus { .. }
            | Query::Gpu(..)
            | Query::Accounts
            | Query::Account(_)
            | Query::Leases { .. }
            | Query::Plan(_)
            | Query::Policies
            | Query::Policy(_)
            | Query::Power { .. }
            | Query::Surplus { .. }
            | Query::Maintenances { .. }
            | Query::Maintenance(_)
            | Query::Past { .. } => return Err(problem),
        };
        if problem.code != ProblemCode::LeaseLeftLedger {
            return Err(problem);
        }
        match self.find(id).await {
            Ok(Some(lease)) => {
                let lease = Box::new(lease);
                Ok(Query::Past { lease, explained })
            }
            Ok(None) => Err(self.elsewhere(id, problem, "does not have it")),
            Err(e) => {
                let why = format!("cannot be read: {:#}", anyhow::Error::from(e));
                Err(self.elsewhere(id, problem, &why))
            }
        }
    }

    async fn find(&self, id: LeaseId) -> Result<Option<LeaseRecord>, LogFileError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let path = self.journal.path().to_owned();
        let search = move || {
            // Held until the search is over, even where the caller has gone away meanwhile.
            let _turn = turn;
            last_write(&path, &Key::Lease(id))
        };
        let found = tokio::task::spawn_blocking(search)
            .await
            .expect("searching does not panic")?;
        // A record of a form that this scheduler cannot read is as good as none.
        Ok(found.and_then(|value| serde_json::from_value(value).ok()))
    }

    fn elsewhere(&self, id: LeaseId, problem: Problem, why: &str) -> Problem {
        let path = self.journal.path().display();
        let detail = format!(
            "{}, and the log of this host {why}; where another host has it: grep '\"{}\"' {path}*",
            problem.detail,
            Key::Lease(id)
        );
        Problem { detail, ..problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Service as _;
    use crate::duty::{Desk, Message};
    use crate::log_file::{LogSettings, PlacementLog};
    use leasehold_common::time::Timestamp;
    use leasehold_core::command::View;
    use serde_json::json;
    use std::path::Path;

    fn archive(folder: &Path, line: &str) -> Journal {
        let path = folder.join("placements.jsonl");
        let cell = "c1".parse().unwrap();
        let log = LogSettings {
            path: path.clone(),
            cell,
            host: "ctl1".into(),
            rotate_bytes: u64::MAX,
        };
        let (log, _) = PlacementLog::open(log, Timestamp::EPOCH).unwrap();
        std::fs::write(path, line).unwrap();
        Journal::new(log)
    }

    fn closed() -> serde_json::Value {
        json!({
            "version": {"written": 1, "min_reader": 1}, "id": 5, "uid": 0, "side": "tenant",
            "spec": {"account": "acme", "class": "on-demand", "length": "30m", "sku": "h200",
                     "shape": {"kind": "gpus", "count": 1}, "within": "cell"},
            "state": "closed", "since": "2026-11-22T08:12:00Z", "created": "2026-11-22T07:41:57Z",
            "closed": "2026-11-22T08:12:00Z", "term": {"epoch": 1, "generation": 1},
            "term_seq": 184,
        })
    }

    /// A task that has the lease no longer, and shows whatever record it is given.
    fn without_the_lease(mut messages: tokio::sync::mpsc::Receiver<Message>) {
        tokio::spawn(async move {
            while let Some(Message::Read { query, answer }) = messages.recv().await {
                let seen = match query {
                    Query::Past { lease, explained } => {
                        assert_eq!((lease.id, explained), (LeaseId(5), true));
                        Err(Problem::new(ProblemCode::Internal, "shown"))
                    }
                    _ => Err(Problem::new(
                        ProblemCode::LeaseLeftLedger,
                        "lease 5 is over",
                    )),
                };
                answer.send(seen).unwrap();
            }
        });
    }

    async fn explain(line: &str) -> Result<View, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let (desk, messages) = Desk::new(archive(folder.path(), line));
        without_the_lease(messages);
        desk.read(Query::Explain(LeaseId(5))).await
    }

    #[tokio::test]
    async fn a_lease_that_left_the_ledger_is_shown_from_the_log() {
        let line = json!({"writes": {Key::Lease(LeaseId(5)).to_string(): closed()}});
        let shown = explain(&format!("{line}\n")).await.unwrap_err();
        assert_eq!(shown.detail, "shown");
    }

    #[tokio::test]
    async fn where_the_log_lacks_it_the_answer_says_where_else_to_look() {
        let told = explain("").await.unwrap_err();
        assert_eq!(told.code, ProblemCode::LeaseLeftLedger);
        assert!(
            told.detail
                .contains("grep '\"leases/00000000000000000005\"' /"),
            "{}",
            told.detail
        );
    }
}
