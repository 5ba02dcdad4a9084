//! A child process: started, killed, frozen, and never left behind.

use crate::wait::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

/// Lines of a process's own log that a failing test prints.
const LINES_SHOWN: usize = 40;

/// One child process, ended when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command with an empty environment, both its outputs appended to `log`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file can be opened in the temporary directory");
        let copy = file.try_clone().expect("an open file has a second handle");
        let child = bare(command)
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        }
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// Stops it without closing a connection, as a paused machine does.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        self.await_standstill();
    }

    /// Waits until every one of its threads stands still: each takes the signal in its own time, and
    /// what is sent to it before then is still answered.
    fn await_standstill(&self) {
        let tasks = format!("/proc/{}/task", self.child.id());
        let still = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The state follows the name, which stands in brackets.
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('T'))
        };
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        while !std::fs::read_dir(&tasks).is_ok_and(|all| all.flatten().all(still)) {
            assert!(Instant::now() < deadline, "a stopped process goes on");
            std::thread::yield_now();
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    pub fn end(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("{name} to end"), || {
            self.ended().ok_or("it still runs")
        })
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked after")
    }

    /// Its number on this host.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, and what its predecessors with the same log have.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("pids are small");
        kill(Pid::from_raw(pid), signal).expect("a child that was not waited for has its pid");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let written = self.written();
            let lines: Vec<&str> = written.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("--- {}, end of its log:\n{}", self.name, shown.join("\n"));
        }
    }
}

/// The command without what the caller's shell has set: a variable of another cell, a proxy.
pub(crate) fn bare(command: &mut Command) -> &mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path)
}
