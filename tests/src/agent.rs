//! `leasehold-agent` as a process, over a copy of the simulated `libnvidia-ml` of its own.

use crate::process::Process;
use crate::programs::program;
use leasehold_common::ids::LeaseId;
use leasehold_gpu_sim::{Change, NodeSpec, Scenario, state};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The socket for metrics, in the node's folder.
const METRICS: &str = "metrics.sock";

/// One node: its agent and its simulated GPUs.
#[derive(Debug)]
pub struct Agent {
    node: String,
    dir: PathBuf,
    library: PathBuf,
    scenario: Scenario,
    process: Option<Process>,
}

impl Agent {
    /// Makes a node of eight H200 in `dir`, and starts its agent.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(node: &str, topology: &str, dir: &Path, store: &str) -> Self {
        fs::create_dir_all(dir).expect("a folder can be made in the temporary directory");
        let spec = NodeSpec::new(
            node.parse().expect("tests name nodes well"),
            "h200".parse().expect("a SKU's name"),
        );
        let scenario = Scenario::new(spec);
        let library = nvml_sim::install(dir, &scenario).expect("the library can be copied");
        let settings = format!(
            r#"
cell = "test"
node = "{node}"
sku = "h200"
topology = "{topology}"
state_dir = "{}"
run_dir = "{}"

[gpu]
nvml = "{}"
# The host's own log is not of these GPUs.
kernel_log = "off"
poll = "250ms"

[liveness]
ttl = "3s"

[metrics]
listen = "unix:{}"
tenants = true

{store}"#,
            dir.join("state").display(),
            dir.join("run").display(),
            library.display(),
            dir.join(METRICS).display(),
        );
        fs::write(dir.join("agent.toml"), settings).expect("the settings can be written");
        let mut agent = Self {
            node: node.to_owned(),
            dir: dir.to_owned(),
            library,
            scenario,
            process: None,
        };
        agent.begin();
        agent
    }

    /// Starts the process, again.
    ///
    /// # Panics
    /// When it does not start.
    pub fn begin(&mut self) {
        self.begin_with(&[]);
    }

    /// Starts the process with more arguments, such as `--set`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn begin_with(&mut self, arguments: &[&str]) {
        let mut command = Command::new(program("leasehold-agent"));
        command.arg("--config").arg(self.dir.join("agent.toml"));
        command.args(arguments);
        let log = self.dir.join("agent.log");
        self.process = Some(Process::start(&self.node, &mut command, &log));
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The socket on which it shows its metrics.
    pub fn metrics(&self) -> PathBuf {
        self.dir.join(METRICS)
    }

    /// Its node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Lets something happen to its GPUs.
    ///
    /// # Panics
    /// When the state file cannot be written.
    pub fn change(&mut self, change: Change) {
        self.scenario = self.scenario.clone().then(change);
        state::write(&nvml_sim::state_path(&self.library), &self.scenario)
            .expect("the state file can be written");
    }

    /// Puts the GPUs of a node of another name into this one, as a technician may.
    ///
    /// # Panics
    /// When the state file cannot be written.
    pub fn swap_hardware_for_that_of(&mut self, name: &str) {
        self.scenario = Scenario::new(NodeSpec {
            name: name.parse().expect("tests name nodes well"),
            ..self.scenario.node.clone()
        });
        state::write(&nvml_sim::state_path(&self.library), &self.scenario)
            .expect("the state file can be written");
    }

    /// The variables that the holder of a lease reads on this node; `None` while there are none.
    pub fn environment(&self, lease: LeaseId) -> Option<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.environment_file(lease)).ok()?;
        let variables = text.lines().filter_map(|line| line.split_once('='));
        Some(
            variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Where those variables are.
    pub fn environment_file(&self, lease: LeaseId) -> PathBuf {
        self.dir.join(format!("run/leases/{lease}.env"))
    }

    /// What is in memory on a real node and gone when it boots.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }
}
