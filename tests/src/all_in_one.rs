//! `leasehold`, the all-in-one program, as a process.

use crate::ctl::Ctl;
use crate::process::{Process, bare};
use crate::programs::program;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A cell of simulated nodes in one process, with its state in a temporary directory.
#[derive(Debug)]
pub struct AllInOne {
    process: Process,
    fleet: String,
    dir: TempDir,
}

impl AllInOne {
    /// Starts it, and waits until every node can be let.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn simulating(fleet: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let cell = Self {
            process: spawn(fleet, &dir),
            fleet: fleet.to_owned(),
            dir,
        };
        cell.wait_until_let();
        cell
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same state, and waits until every node can be let.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.fleet, &self.dir);
        self.wait_until_let();
    }

    /// leasectl, asking it.
    pub fn ctl(&self) -> Ctl {
        Ctl::new(self.dir.path().join("control.sock"))
    }

    /// The socket on which its scheduler shows metrics.
    pub fn metrics(&self) -> PathBuf {
        metrics(&self.dir)
    }

    /// Its placement log.
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("state/placements.jsonl")
    }

    /// What it has printed since its first start.
    pub fn printed(&self) -> String {
        self.process.written()
    }

    /// Lets something happen to a GPU, as `leasehold inject` does.
    ///
    /// # Panics
    /// When that is refused.
    pub fn inject(&self, node: &str, change: &str) {
        let mut command = Command::new(program("leasehold"));
        command
            .args(["inject", "--state"])
            .arg(self.dir.path().join("state"))
            .args([node, change]);
        let output = bare(&mut command).output().expect("leasehold can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "inject {node} {change}: {said}");
    }

    fn wait_until_let(&self) {
        self.ctl()
            .wait_for_status("all nodes to be there", |status| {
                let here = status.node_count > 0 && status.nodes_live == status.node_count;
                here && status.leading && status.gpus_free + status.gpus_leased == status.gpus
            });
    }
}

fn metrics(dir: &TempDir) -> PathBuf {
    dir.path().join("metrics.sock")
}

fn spawn(fleet: &str, dir: &TempDir) -> Process {
    let mut command = Command::new(program("leasehold"));
    command
        .args(["--simulate", fleet, "--state"])
        .arg(dir.path().join("state"))
        .arg("--socket")
        .arg(dir.path().join("control.sock"))
        .arg("--metrics")
        .arg(format!("unix:{}", metrics(dir).display()));
    Process::start("leasehold", &mut command, &dir.path().join("leasehold.log"))
}
