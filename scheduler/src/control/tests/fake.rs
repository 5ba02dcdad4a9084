//! A service that notes what it is asked and answers by the name of the account.

use crate::control::Service;
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use leasehold_common::api::{AccountView, CreateAccount, LeaseView, List, Problem, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::ids::Seq;
use leasehold_common::log::Actor;
use leasehold_common::time::Timestamp;
use leasehold_core::command::{Command, Query, View, Write, Written};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Records of the log that the fake has.
const RECORDS: u64 = 5;

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) queries: Mutex<Vec<Query>>,
    pub(super) writes: Mutex<Vec<(Actor, Write)>>,
    /// Lets writes of account `slow` go on.
    pub(super) go_on: Semaphore,
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            queries: Mutex::default(),
            writes: Mutex::default(),
            go_on: Semaphore::new(0),
        })
    }

    pub(super) fn last_query(&self) -> Query {
        self.queries.lock().unwrap().last().unwrap().clone()
    }

    pub(super) fn last_write(&self) -> (Actor, Write) {
        self.writes.lock().unwrap().last().unwrap().clone()
    }

    pub(super) fn written(&self) -> usize {
        self.writes.lock().unwrap().len()
    }
}

fn account(wish: CreateAccount) -> View {
    View::Account(AccountView {
        name: wish.name,
        side: wish.side,
        quota_gpus: wish.quota_gpus,
        used_gpus: 0,
        leases: 0,
        created: Timestamp::EPOCH,
    })
}

fn lease() -> LeaseView {
    serde_json::from_value(json!({
        "id": 7, "account": "acme", "side": Side::Tenant, "class": "on-demand",
        "state": "active", "since": "2026-11-22T09:14:02Z", "conditions": [],
        "epoch": 1, "generation": 3, "shape": {"kind": "nodes", "count": 4}, "sku": "h200",
        "within": "rack", "created": "2026-11-22T09:14:02Z", "nodes": "h[001-004]",
        "node_count": 4, "nodes_ready": 4, "nodes_returned": 0, "gpus": {}, "gpu_count": 32,
        "envelope_watts": 40_800, "energy_wh": 0,
    }))
    .unwrap()
}

#[async_trait]
impl Service for Fake {
    async fn submit(&self, actor: Actor, write: Write) -> Result<Written, Problem> {
        self.writes.lock().unwrap().push((actor, write.clone()));
        let written = |view| Written {
            status: 201,
            replayed: false,
            view,
        };
        match write.command {
            Command::CreateAccount(wish) => match wish.name.as_str() {
                "slow" => {
                    self.go_on.acquire().await.unwrap().forget();
                    Ok(written(account(wish)))
                }
                "bomb" => panic!("the bomb went off, as the test wants it"),
                "taken" => Err(Problem::new(ProblemCode::AccountExists, "it is taken")),
                "again" => Ok(Written {
                    replayed: true,
                    ..written(account(wish))
                }),
                _ => Ok(written(account(wish))),
            },
            Command::CreateLease(_)
            | Command::EndLease(..)
            | Command::CancelLease(_)
            | Command::ImportNodes(_)
            | Command::AdmitNodes(_)
            | Command::DrainNodes(_)
            | Command::UndrainNodes(_)
            | Command::ResumeNodes(_)
            | Command::ExtendLease(..)
            | Command::ShrinkLease(..)
            | Command::ReplaceNode(..)
            | Command::CommitLease(_)
            | Command::SetPolicy(_)
            | Command::RollbackPolicy(_)
            | Command::SetPowerBudget(_)
            | Command::CreateMaintenance(_)
            | Command::EndMaintenance(_)
            | Command::SayOfGpus(_)
            | Command::Recover(_) => Ok(written(View::Lease(Box::new(lease())))),
        }
    }

    async fn read(&self, query: Query) -> Result<View, Problem> {
        self.queries.lock().unwrap().push(query.clone());
        match query {
            Query::Lease(id) if id.0 == 404 => Err(Problem::new(
                ProblemCode::UnknownLease,
                "there is no lease 404",
            )),
            Query::Lease(_) => Ok(View::Lease(Box::new(lease()))),
            _ => Ok(View::Accounts(List::new("AccountList", Seq(9), Vec::new()))),
        }
    }

    fn events(&self, after: Option<Seq>, follow: bool) -> BoxStream<'static, Arc<Value>> {
        let kept = if follow { RECORDS } else { 0 };
        let first = after.map_or(kept, |seq| seq.0) + 1;
        let record = |seq| Arc::new(json!({"seq": seq, "event_name": "lease.state"}));
        let past = stream::iter((first..=RECORDS).map(record));
        if follow {
            past.chain(stream::pending()).boxed()
        } else {
            past.boxed()
        }
    }
}
