//! `ledger recover`, carried out.

use super::{DutyError, Office};
use crate::duty::commit::{CommitError, commit};
use crate::log_file::records_after;
use leasehold_common::api::{Problem, ProblemCode, Recover};
use leasehold_common::ids::{Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::log::{Actor, LogRecord};
use leasehold_core::command::{View, Written};
use leasehold_core::recover::{self, Known};
use leasehold_store::{Guard, Txn};
use std::sync::Arc;
use tracing::info;

/// Ledger records per transaction while they are brought back.
const PER_TXN: usize = 100;

/// The most bytes of them per transaction.
const BYTES_PER_TXN: usize = 1_000_000;

type Answer = Result<Written, Problem>;

impl Office {
    /// Brings the store up to what this host's log and the agents know. Gives the answer, and
    /// whether the ledger has changed.
    ///
    /// The records come first, in guarded transactions that may be repeated; the new head comes
    /// last. Cut off in between, the store is still older than the log, and recovery begins again.
    pub(super) async fn recover(
        &mut self,
        leader: &Guard,
        wish: &Recover,
        actor: &Actor,
        dry_run: bool,
    ) -> Result<(Answer, bool), DutyError> {
        let read = self.read_cell().await?;
        let store_seq = read.loaded.head.as_ref().map_or(Seq(0), |head| head.seq);
        let nothing = (Epoch(0), Seq(0), Digest::ZERO);
        let (_, log_seq, log_hash) = self.journal.head().unwrap_or(nothing);
        let path = self.journal.path().to_owned();
        let records = tokio::task::spawn_blocking(move || log_records(&path, store_seq))
            .await
            .expect("reading the log does not panic")?;
        let known = Known {
            records: &records,
            log_head: (log_seq, log_hash),
        };
        let now = self.clock.now();
        let cell = &self.settings.core.cell;
        let mut plan = recover::plan(cell, &read.loaded, &known, wish, actor, now);
        if dry_run {
            plan.report.dry_run = true;
            return Ok((Ok(written(plan.report)), false));
        }
        let mut txn = Txn {
            guards: vec![leader.clone()],
            ..Txn::default()
        };
        let mut bytes = 0;
        for (key, value) in plan.writes {
            let full = self.keys.key(&key);
            match value {
                Some(value) => {
                    let value = serde_json::to_vec(&value).expect("a JSON value is writable");
                    bytes += value.len();
                    txn.puts.push((full, value));
                }
                None => txn.deletes.push(full),
            }
            if txn.puts.len() + txn.deletes.len() >= PER_TXN || bytes >= BYTES_PER_TXN {
                self.store.commit(txn).await?;
                txn = Txn {
                    guards: vec![leader.clone()],
                    ..Txn::default()
                };
                bytes = 0;
            }
        }
        if !txn.puts.is_empty() || !txn.deletes.is_empty() {
            self.store.commit(txn).await?;
        }
        let (store, keys) = (Arc::clone(&self.store), self.keys.clone());
        let batch = Arc::new(plan.batch);
        let head = read.head_modified;
        match commit(store, keys, leader.clone(), head, Arc::clone(&batch)).await {
            Ok(_) => {}
            Err(
                e @ (CommitError::Deposed | CommitError::Unsettled(_) | CommitError::Refused(_)),
            ) => {
                let detail = format!("the recovery could not be closed, begin it again: {e}");
                return Ok((
                    Err(Problem::new(ProblemCode::StoreUnavailable, detail)),
                    true,
                ));
            }
        }
        self.journal.append(batch.commit.clone(), now).await?;
        info!(epoch = %plan.report.epoch, restored = plan.report.restored.len(), "recovered");
        Ok((Ok(written(plan.report)), true))
    }
}

fn written(report: leasehold_common::api::RecoverReport) -> Written {
    Written {
        status: 200,
        replayed: false,
        view: View::Recover(Box::new(report)),
    }
}

fn log_records(
    path: &std::path::Path,
    after: Seq,
) -> Result<Vec<LogRecord>, crate::log_file::LogFileError> {
    let mut records = Vec::new();
    for entry in records_after(path, after)? {
        // A line that is no record of this version was verified when the log was opened.
        if let Ok(record) = entry?.record() {
            records.push(record);
        }
    }
    Ok(records)
}
