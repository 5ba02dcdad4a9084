//! `leasehold-scheduler` as a process.

use crate::ctl::Ctl;
use crate::process::Process;
use crate::programs::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One scheduler: its settings, its files, and the process while there is one.
#[derive(Debug)]
pub struct Scheduler {
    host: String,
    dir: PathBuf,
    process: Option<Process>,
}

impl Scheduler {
    /// Writes the settings of a scheduler with all its files in `dir`, and starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(host: &str, dir: &Path, store: &str) -> Self {
        fs::create_dir_all(dir).expect("a folder can be made in the temporary directory");
        let mut scheduler = Self {
            host: host.to_owned(),
            dir: dir.to_owned(),
            process: None,
        };
        let (socket, log) = (scheduler.socket(), scheduler.log_dir());
        // The shortest times that the settings allow: a test waits for each of them.
        let settings = format!(
            r#"
cell = "test"
host = "{host}"
state_dir = "{}"
log_dir = "{}"

[control]
socket = "{}"

[leader]
ttl = "5s"

[liveness]
ttl = "3s"
grace = "1s"

[metrics]
listen = "unix:{}"
tenants = true

{store}"#,
            dir.join("state").display(),
            log.display(),
            socket.display(),
            scheduler.metrics().display(),
        );
        fs::write(scheduler.settings(), settings).expect("the settings can be written");
        scheduler.begin();
        scheduler
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
        let mut command = Command::new(program("leasehold-scheduler"));
        command.arg("--config").arg(self.settings());
        command.args(arguments);
        let log = self.dir.join("scheduler.log");
        self.process = Some(Process::start(&self.host, &mut command, &log));
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The process.
    ///
    /// # Panics
    /// When it was killed.
    pub const fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was killed")
    }

    /// Its name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// leasectl, asking it.
    pub fn ctl(&self) -> Ctl {
        Ctl::new(self.socket())
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The socket on which it shows its metrics.
    pub fn metrics(&self) -> PathBuf {
        self.dir.join("metrics.sock")
    }

    /// Where its placement log is.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Its placement log.
    pub fn log_file(&self) -> PathBuf {
        self.log_dir().join("placements.jsonl")
    }

    fn settings(&self) -> PathBuf {
        self.dir.join("scheduler.toml")
    }
}
