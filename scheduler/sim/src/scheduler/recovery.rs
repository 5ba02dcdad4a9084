//! A leader that found the store older than what is known, and the recovery an operator orders.

use super::leader::{Leader, load};
use super::{Next, Outside, Role};
use crate::checker::Broken;
use crate::inventory::cell;
use crate::log_file::LogFile;
use crate::store::{Bytes, Outcome, Store, Txn};
use leasehold_common::api::Recover;
use leasehold_common::ids::Seq;
use leasehold_common::keys::Key;
use leasehold_common::lease::Digest;
use leasehold_common::log::Actor;
use leasehold_common::record;
use leasehold_common::time::Timestamp;
use leasehold_core::{Batch, recover};
use std::collections::VecDeque;

/// Ledger records in one transaction of a recovery.
const CHUNK: usize = 4;

/// A leader that decides nothing.
#[derive(Debug)]
pub struct Frozen {
    token: u64,
    incarnation: u32,
    work: VecDeque<Work>,
}

#[derive(Debug)]
enum Work {
    Records(Vec<(Key, Option<Bytes>)>),
    Close(Box<Batch>),
}

impl Frozen {
    pub(super) const fn new(token: u64, incarnation: u32) -> Self {
        Self {
            token,
            incarnation,
            work: VecDeque::new(),
        }
    }

    pub(super) const fn token(&self) -> u64 {
        self.token
    }

    /// Decides the whole recovery; [`Frozen::effect`] writes it.
    pub(super) fn recover(
        &mut self,
        file: &LogFile,
        store: &Store,
        clock: Timestamp,
    ) -> Result<(), Broken> {
        let loaded = load(store)?;
        let seq = loaded.head.as_ref().map_or(Seq(0), |head| head.seq);
        let records = file.records_after(seq);
        let (log_seq, log_hash) = file
            .last()
            .map_or((Seq(0), Digest::ZERO), |(_, seq, hash)| (seq, hash));
        let known = recover::Known {
            records: &records,
            log_head: (log_seq, log_hash),
        };
        let actor = Actor {
            uid: 0,
            role: "owner".into(),
            request_id: "recover".into(),
            idempotency_key: None,
        };
        let wish = Recover { reason: None };
        let plan = recover::plan(&cell(), &loaded, &known, &wish, &actor, clock);
        let records: Vec<(Key, Option<Bytes>)> = plan
            .writes
            .into_iter()
            .map(|(key, value)| {
                let text = value.map(|value| value.to_string().into_bytes().into());
                (key, text)
            })
            .collect();
        self.work = records
            .chunks(CHUNK)
            .map(|chunk| Work::Records(chunk.to_vec()))
            .collect();
        self.work.push_back(Work::Close(Box::new(plan.batch)));
        Ok(())
    }

    pub(super) fn effect(
        &mut self,
        file: &mut LogFile,
        host: &str,
        out: &mut Outside<'_>,
        clock: Timestamp,
    ) -> Result<Next, Broken> {
        if self.incarnation != out.store.incarnation() || !out.store.leads(self.token) {
            out.store.resign(self.token);
            return Ok(Next::Become(Role::Standby(Box::default())));
        }
        let Some(work) = self.work.pop_front() else {
            return Ok(Next::Idle);
        };
        let head = out.store.get(&Key::Head).map_or(0, |s| s.revision);
        let mut txn = Txn {
            leader: self.token,
            head: Some(head),
            puts: Vec::new(),
            deletes: Vec::new(),
        };
        match &work {
            Work::Records(records) => {
                for (key, value) in records {
                    match value {
                        Some(value) => txn.puts.push((key.clone(), value.clone())),
                        None => txn.deletes.push(key.clone()),
                    }
                }
            }
            Work::Close(batch) => {
                let log = Key::Log(batch.commit.last);
                txn.puts = vec![
                    (Key::Head, record::encode(&batch.head).into()),
                    (log, record::encode(&batch.commit).into()),
                ];
            }
        }
        if out.store.commit(&txn) == Outcome::Refused {
            return Ok(Next::Become(Role::Standby(Box::default())));
        }
        match work {
            Work::Records(_) => Ok(Next::Go),
            Work::Close(batch) => {
                file.append(&batch.commit);
                Leader::elect(self.token, file, host, out.store, clock).map(Next::Become)
            }
        }
    }
}
