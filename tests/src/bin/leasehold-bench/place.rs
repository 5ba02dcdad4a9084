//! Where a bench happens: a temporary folder, and the processes that run in it.

use anyhow::{Context as _, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

/// How long anything may take that should take seconds. A debug build on a busy machine needs many
/// of them, and a bench that hangs is to say so.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often something is looked at while it is waited for: the error of every rate that ends with
/// such a wait, and little beside the shortest round.
const LOOK: Duration = Duration::from_millis(5);

/// A folder and its processes, which end with it.
#[derive(Debug)]
pub struct Place {
    processes: Mutex<Vec<Process>>,
    dir: TempDir,
}

#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
}

impl Place {
    /// Does some work in a new place below `parent`, which is gone afterwards. Where the work
    /// fails, the processes are gone and the folder with their logs stays.
    pub async fn with<T>(parent: &Path, work: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        let dir = tempfile::Builder::new()
            .prefix("leasehold-bench-")
            .tempdir_in(parent)
            .with_context(|| format!("make a folder in {}", parent.display()))?;
        let mut place = Self {
            processes: Mutex::default(),
            dir,
        };
        let outcome = work(&place).await;
        if outcome.is_err() {
            place.dir.disable_cleanup(true);
        }
        outcome.with_context(|| format!("logs are in {}", place.dir.path().display()))
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a process that writes to `NAME.log`, and says its id.
    pub fn start(&self, name: &str, mut command: Command) -> Result<u32> {
        let log = File::create(self.path(&format!("{name}.log")))?;
        // Settings of whoever runs the bench are not the bench's.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("LEASEHOLD_") {
                command.env_remove(variable);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let id = child.id();
        let name = name.to_owned();
        self.processes().push(Process { name, child });
        Ok(id)
    }

    /// Looks until there is something to see.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut turns = interval(LOOK);
        loop {
            turns.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            self.all_run()?;
            let patience = PATIENCE.as_secs();
            ensure!(
                Instant::now() < deadline,
                "{what}: not within {patience} seconds"
            );
        }
    }

    /// Lets the processes run for a while; says how long it was.
    pub async fn let_run(&self, time: Duration) -> Result<Duration> {
        let begin = Instant::now();
        let mut turns = interval(Duration::from_millis(100));
        while begin.elapsed() < time {
            turns.tick().await;
            self.all_run()?;
        }
        Ok(begin.elapsed())
    }

    fn all_run(&self) -> Result<()> {
        for process in self.processes().iter_mut() {
            if let Some(status) = process.child.try_wait()? {
                let name = &process.name;
                let log = std::fs::read_to_string(self.path(&format!("{name}.log")))?;
                let last = log.lines().next_back().unwrap_or("it said nothing");
                bail!("{name} has ended, {status}: {last}");
            }
        }
        Ok(())
    }

    fn processes(&self) -> std::sync::MutexGuard<'_, Vec<Process>> {
        self.processes
            .lock()
            .expect("nothing panics while it holds the list")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The last started leans on those before it.
        while let Some(mut process) = self.processes().pop() {
            // It may have ended by itself.
            drop(process.child.kill());
            drop(process.child.wait());
        }
    }
}

/// A program of this workspace: it lies beside this one.
pub fn program(name: &str) -> Result<Command> {
    let here = std::env::current_exe().context("this program has no file")?;
    let path = here.with_file_name(name);
    ensure!(
        path.is_file(),
        "there is no {}: build it first (cargo build -p {name}), or run cargo xtask bench",
        path.display()
    );
    Ok(Command::new(path))
}
