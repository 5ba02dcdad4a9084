//! A whole cell: etcd, schedulers, agents.

use crate::agent::Agent;
use crate::ctl::Ctl;
use crate::etcd::Etcd;
use crate::scheduler::Scheduler;
use crate::wait::wait_for;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A cell of its own. Dropped, its clients end before etcd and its folder last.
#[derive(Debug)]
pub struct Cell {
    /// The schedulers, in the order of their start: the first one leads.
    pub schedulers: Vec<Scheduler>,
    /// The nodes' agents.
    pub agents: Vec<Agent>,
    /// The store.
    pub etcd: Etcd,
    dir: TempDir,
}

impl Cell {
    /// A cell with one scheduler and no node.
    pub fn empty() -> Self {
        Self::with(1, 0)
    }

    /// A cell whose nodes report themselves and are not admitted yet.
    ///
    /// # Panics
    /// When a part of it does not start.
    pub fn with(schedulers: usize, nodes: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let etcd = Etcd::start(&dir.path().join("etcd"));
        let mut cell = Self {
            schedulers: Vec::new(),
            agents: Vec::new(),
            etcd,
            dir,
        };
        for number in 1..=nodes {
            let node = format!("h{number:03}");
            let (path, topology) = (cell.dir.path().join(&node), topology(&node));
            let agent = Agent::start(&node, &topology, &path, &cell.etcd.settings());
            cell.agents.push(agent);
        }
        for number in 1..=schedulers {
            let host = format!("ctl{number}");
            let path = cell.dir.path().join(&host);
            let scheduler = Scheduler::start(&host, &path, &cell.etcd.settings());
            // One after the other, so that the first one leads.
            scheduler.ctl().wait_for_a_leader();
            cell.schedulers.push(scheduler);
        }
        cell
    }

    /// A cell whose nodes are admitted and can be let, with the tenant `acme`.
    ///
    /// # Panics
    /// When a part of it does not start.
    pub fn in_use(schedulers: usize, nodes: usize) -> Self {
        let cell = Self::with(schedulers, nodes);
        let inventory = cell.inventory();
        let ctl = cell.ctl();
        ctl.ok(&["nodes", "import", inventory.to_str().expect("a plain path")]);
        ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
        let gpus = 8 * nodes as u64;
        wait_for("every GPU to be free", || {
            let status = ctl.status();
            (status.gpus_free == gpus)
                .then_some(())
                .ok_or_else(|| format!("{} of {gpus}, nodes {:?}", status.gpus_free, status.nodes))
        });
        cell
    }

    /// leasectl, asking the first scheduler.
    pub fn ctl(&self) -> Ctl {
        self.schedulers[0].ctl()
    }

    /// Where the cell's files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the inventory of its nodes.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn inventory(&self) -> PathBuf {
        let mut text = "node,hall,row,rack,domain,sku\n".to_owned();
        for agent in &self.agents {
            let columns = topology(agent.node()).replace('/', ",");
            writeln!(text, "{},{columns},h200", agent.node()).expect("a String takes it");
        }
        let path = self.dir.path().join("inventory.csv");
        fs::write(&path, text).expect("the inventory can be written");
        path
    }
}

fn topology(node: &str) -> String {
    format!("hall-1/row-1/rack-1/{node}")
}
