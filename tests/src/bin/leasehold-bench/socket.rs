//! Leases a second through the control socket.

use crate::cell::{ACCOUNT, Cell, SKU};
use crate::latency::Latencies;
use crate::load::{AsyncWork, share_out};
use crate::place::Place;
use crate::raw;
use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use leasectl::client::Client;
use leasehold_common::api::{CreateLease, EndLease, LeaseView};
use leasehold_common::class::Class;
use leasehold_common::ids::{IdempotencyKey, LeaseId};
use leasehold_common::lease::{LeaseState, Shape};
use leasehold_common::time::Span;
use leasehold_common::topology::Locality;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the ledger is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backing {
    /// An etcd of one member, with the scheduler and the agents as processes of their own.
    Etcd,
    /// The embedded store of the all-in-one program.
    Embedded,
}

/// One row to measure.
#[derive(Debug, Clone)]
pub struct SocketSettings {
    /// What the ledger is kept in.
    pub backing: Backing,
    /// Clients at once.
    pub clients: u32,
    /// Leases in all.
    pub leases: u32,
    /// Simulated nodes.
    pub nodes: u32,
}

/// One row, measured.
#[derive(Debug, Clone)]
pub struct SocketRow {
    /// As it was asked for.
    pub settings: SocketSettings,
    /// The store, in the scheduler's words.
    pub store: String,
    /// Leases a second, created and answered 201.
    pub created: f64,
    /// Half of the answers came within this.
    pub p50: Duration,
    /// Of a hundred answers, ninety-nine came within this.
    pub p99: Duration,
    /// Leases a second from the first request until the last is active.
    pub active: f64,
    /// Leases a second, ended and answered.
    pub ended: f64,
    /// Transactions a second of the store alone.
    pub raw: f64,
}

/// Measures one row in a place of its own.
pub async fn measure(parent: &Path, settings: &SocketSettings) -> Result<SocketRow> {
    Place::with(parent, async |place| in_place(place, settings).await)
        .await
        .with_context(|| format!("{settings:?}"))
}

async fn in_place(place: &Place, settings: &SocketSettings) -> Result<SocketRow> {
    let SocketSettings {
        backing,
        clients: count,
        leases,
        nodes,
    } = *settings;
    eprintln!("{backing:?}, {count} clients: {leases} leases on {nodes} nodes");
    let cell = Cell::start(place, backing, nodes).await?;
    let clients = cell.clients(count).await?;
    // What is slow only once, such as the first growth of a file, is not what is asked.
    let warm_up = cell.gpus.min(leases).min(64);
    let mut tally = Tally::default();
    tally
        .round(place, &cell, &clients, "warm-up", warm_up)
        .await?;
    tally = Tally::default();
    let mut left = leases;
    while left > 0 {
        let size = left.min(cell.gpus);
        let name = format!("r{left}");
        tally.round(place, &cell, &clients, &name, size).await?;
        left -= size;
    }
    let store = cell.store.clone();
    let raw = raw::measure(cell.raw_store(place).await?, count, leases).await?;
    let rate = |time: Duration| f64::from(leases) / time.as_secs_f64();
    Ok(SocketRow {
        settings: settings.clone(),
        store,
        created: rate(tally.creating),
        p50: tally.answers.percentile(50),
        p99: tally.answers.percentile(99),
        active: rate(tally.until_active),
        ended: rate(tally.ending),
        raw,
    })
}

/// Times of all rounds together.
#[derive(Debug, Default)]
struct Tally {
    creating: Duration,
    until_active: Duration,
    ending: Duration,
    answers: Latencies,
}

impl Tally {
    /// Creates leases, waits until all are active, ends them, and waits until every GPU is back.
    async fn round(
        &mut self,
        place: &Place,
        cell: &Cell,
        clients: &[Arc<Client>],
        name: &str,
        size: u32,
    ) -> Result<()> {
        let begin = Instant::now();
        let create = Create {
            body: one_gpu()?,
            round: name.to_owned(),
        };
        let created = share_out(clients, size, create).await?;
        let all_active = async || {
            let status = cell.status().await?;
            let active = status.leases.get(&LeaseState::Active).copied();
            ensure!(status.frozen.is_none(), "frozen: {:?}", status.frozen);
            Ok((active == Some(u64::from(size))).then_some(()))
        };
        place.wait_for("every lease is active", all_active).await?;
        self.until_active += begin.elapsed();
        self.creating += created.took;
        self.answers.extend(created.latencies);

        let end = End {
            leases: created.results.into(),
        };
        self.ending += share_out(clients, size, end).await?.took;
        let all_free = async || {
            let status = cell.status().await?;
            Ok((status.gpus_free == status.gpus).then_some(()))
        };
        place.wait_for("every GPU is given back", all_free).await
    }
}

fn one_gpu() -> Result<CreateLease> {
    Ok(CreateLease {
        account: ACCOUNT.parse()?,
        class: Class::OnDemand,
        shape: Shape::Gpus { count: 1 },
        sku: SKU.parse()?,
        within: Locality::default(),
        start: None,
        length: Some(Span::from_hours(1)),
        until: None,
        host: None,
        gpu_cap_watts: None,
        hold: None,
        name: None,
    })
}

#[derive(Clone)]
struct Create {
    body: CreateLease,
    round: String,
}

impl AsyncWork<Client, LeaseId> for Create {
    async fn run(&self, client: &Client, piece: u32) -> Result<LeaseId> {
        let key: IdempotencyKey = format!("create.{}.{piece}", self.round).parse()?;
        let answer = client.post("/v1/leases", &self.body, &key).await?;
        Ok(answer.read::<LeaseView>()?.id)
    }
}

#[derive(Clone)]
struct End {
    leases: Arc<[LeaseId]>,
}

impl AsyncWork<Client, ()> for End {
    async fn run(&self, client: &Client, piece: u32) -> Result<()> {
        let id = self.leases[usize::try_from(piece)?];
        let key: IdempotencyKey = format!("end.{id}").parse()?;
        let now = EndLease {
            now: true,
            confirm_gpus: None,
        };
        let path = format!("/v1/leases/{id}/end");
        client.post(&path, &now, &key).await?;
        Ok(())
    }
}
