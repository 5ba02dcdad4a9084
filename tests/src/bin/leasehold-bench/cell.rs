//! A cell of simulated H200 nodes to put load on: its processes, its inventory, its one account.

use crate::etcd::Etcd;
use crate::fleet;
use crate::place::{Place, program};
use crate::socket::Backing;
use anyhow::{Context as _, Result};
use leasectl::client::Client;
use leasehold_common::api::{CreateAccount, ImportLine, ImportNodes, Status};
use leasehold_common::class::Side;
use leasehold_common::ids::IdempotencyKey;
use leasehold_common::node::NodeState;
use leasehold_common::time::Span;
use leasehold_store::Store;
use leasehold_store::embedded::EmbeddedStore;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The cell's name.
pub const CELL: &str = "bench";

/// The account that holds all leases.
pub const ACCOUNT: &str = "acme";

/// What every node is sold as.
pub const SKU: &str = "h200";

/// A request that takes longer is a failure of the bench, not a slow answer.
const ANSWER_WITHIN: Span = Span::from_secs(30);

/// A cell that runs, with all its nodes to let.
#[derive(Debug)]
pub struct Cell {
    socket: PathBuf,
    client: Arc<Client>,
    /// Where the ledger is, with etcd; an embedded store belongs to its process alone.
    etcd: Option<Etcd>,
    /// What the ledger is kept in, in the scheduler's words.
    pub store: String,
    /// GPUs there are.
    pub gpus: u32,
}

impl Cell {
    /// Starts a cell and waits until every GPU can be let.
    pub async fn start(place: &Place, backing: Backing, nodes: u32) -> Result<Self> {
        let socket = place.path("control.sock");
        let etcd = match backing {
            Backing::Embedded => {
                start_embedded(place, &socket, nodes)?;
                None
            }
            Backing::Etcd => {
                let etcd = Etcd::start(place).await?;
                start_over_etcd(place, &socket, &etcd.url, nodes)?;
                Some(etcd)
            }
        };
        let client = Arc::new(Client::new(&socket, ANSWER_WITHIN));
        if etcd.is_some() {
            let import = ImportNodes {
                nodes: fleet::placed(nodes)?.iter().map(line).collect(),
            };
            write(place, &client, "/v1/nodes/import", &import).await?;
        }
        let account = CreateAccount {
            name: ACCOUNT.parse()?,
            side: Side::Tenant,
            quota_gpus: None,
        };
        write(place, &client, "/v1/accounts", &account).await?;
        let ready = async || {
            let Ok(answer) = client.get("/v1/status").await else {
                return Ok(None);
            };
            let status: Status = answer.read()?;
            let available = status.nodes.get(&NodeState::Available).copied();
            let all = available == Some(u64::from(nodes)) && status.gpus_free == status.gpus;
            Ok((all && status.gpus > 0).then_some(status))
        };
        let status = place.wait_for("every node can be let", ready).await?;
        Ok(Self {
            gpus: u32::try_from(status.gpus).context("more GPUs than a cell has")?,
            store: status.store,
            socket,
            client,
            etcd,
        })
    }

    /// How the cell is.
    pub async fn status(&self) -> Result<Status> {
        Ok(self.client.get("/v1/status").await?.read()?)
    }

    /// So many clients, whose connections are there already. The one that asks how the cell is is
    /// among them: the scheduler takes 64 connections, and a 65th would wait for an idle one to be
    /// closed.
    pub async fn clients(&self, count: u32) -> Result<Vec<Arc<Client>>> {
        let mut clients = vec![Arc::clone(&self.client)];
        for _ in 1..count {
            let client = Client::new(&self.socket, ANSWER_WITHIN);
            client.get("/v1").await.context("connect a client")?;
            clients.push(Arc::new(client));
        }
        Ok(clients)
    }

    /// The store underneath, to be put under load without the scheduler: the same etcd, or another
    /// embedded store beside the first.
    pub async fn raw_store(self, place: &Place) -> Result<Arc<dyn Store>> {
        Ok(match self.etcd {
            Some(etcd) => Arc::new(etcd.store),
            None => Arc::new(EmbeddedStore::open(&place.path("raw.redb")).await?),
        })
    }
}

fn start_embedded(place: &Place, socket: &Path, nodes: u32) -> Result<()> {
    let mut cell = program("leasehold")?;
    cell.args(["--simulate", &format!("{nodes}x{SKU}"), "--cell", CELL])
        .arg("--state")
        .arg(place.path("state"))
        .arg("--socket")
        .arg(socket);
    place.start("leasehold", cell)?;
    Ok(())
}

fn start_over_etcd(place: &Place, socket: &Path, url: &str, nodes: u32) -> Result<()> {
    let config = place.path("scheduler.toml");
    let text = format!(
        "cell = {CELL:?}\nhost = \"bench\"\nstate_dir = {:?}\nlog_dir = {:?}\n\
         [control]\nsocket = {socket:?}\n\
         [store]\nkind = \"etcd\"\nendpoints = [{url:?}]\n\
         [log]\nlevel = \"warn\"\n",
        place.path("scheduler"),
        place.path("log"),
    );
    std::fs::write(&config, text)?;
    let mut scheduler = program("leasehold-scheduler")?;
    scheduler.arg("--config").arg(config);
    place.start("scheduler", scheduler)?;
    let mut agents = Command::new(std::env::current_exe()?);
    agents
        .args(["fleet", "--etcd", url, "--nodes", &nodes.to_string()])
        .arg("--state")
        .arg(place.path("agents"));
    place.start("agents", agents)?;
    Ok(())
}

fn line(node: &leasehold::simulate::Placed) -> ImportLine {
    ImportLine {
        line: 0,
        node: node.name.to_string(),
        path: node.path.to_string(),
        sku: node.sku.to_string(),
        owner: None,
    }
}

/// Writes as soon as there is a leader to take it.
async fn write<B: Serialize>(place: &Place, client: &Client, path: &str, body: &B) -> Result<()> {
    let key: IdempotencyKey = format!("bench{}", path.replace('/', ".")).parse()?;
    let once = async || match client.post(path, body, &key).await {
        Ok(_) => Ok(Some(())),
        Err(e) if e.is_absence() => Ok(None),
        Err(e) => Err(e.into()),
    };
    let what = format!("POST {path} is taken");
    place.wait_for(&what, once).await
}
