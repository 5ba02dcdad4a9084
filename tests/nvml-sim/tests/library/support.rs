//! A copy of the library for each test, loaded as an agent loads NVIDIA's.

use leasehold_gpu_sim::state;
use leasehold_gpu_sim::{Change, NodeSpec, Scenario};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulated node behind its own copy of the library.
pub struct Rig {
    pub nvml: Nvml,
    library: PathBuf,
    scenario: Scenario,
    /// Removes the copy when the test ends.
    _folder: TempDir,
}

impl Rig {
    /// A node of eight healthy H200.
    pub fn new() -> Self {
        Self::of(Scenario::new(h200()))
    }

    pub fn of(scenario: Scenario) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = nvml_sim::install(folder.path(), &scenario).unwrap();
        let nvml = Nvml::builder()
            .lib_path(library.as_os_str())
            .init()
            .unwrap();
        Self {
            nvml,
            library,
            scenario,
            _folder: folder,
        }
    }

    pub fn gpu(&self, index: u32) -> Device<'_> {
        self.nvml.device_by_index(index).unwrap()
    }

    /// Another client of the same simulator.
    pub fn second_client(&self) -> Nvml {
        self.try_second_client().unwrap()
    }

    pub fn try_second_client(&self) -> Result<Nvml, NvmlError> {
        Nvml::builder().lib_path(self.library.as_os_str()).init()
    }

    pub fn state(&self) -> PathBuf {
        nvml_sim::state_path(&self.library)
    }

    /// Puts another scenario in the file's place.
    pub fn replace(&self, scenario: &Scenario) {
        state::write(&self.state(), scenario).unwrap();
    }

    /// Writes the state file while something borrows the rig.
    pub fn hand(&self) -> Hand {
        Hand {
            state: self.state(),
            scenario: self.scenario.clone(),
        }
    }

    /// Appends a change to the state file.
    pub fn happen(&mut self, change: Change) {
        let mut hand = self.hand();
        hand.happen(change);
        self.scenario = hand.scenario;
    }
}

/// What steers a node from outside the process that has it.
pub struct Hand {
    state: PathBuf,
    scenario: Scenario,
}

impl Hand {
    pub fn happen(&mut self, change: Change) {
        self.scenario = self.scenario.clone().then(change);
        state::write(&self.state, &self.scenario).unwrap();
    }
}

pub fn h200() -> NodeSpec {
    NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap())
}

/// Asks until the answer is yes.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
