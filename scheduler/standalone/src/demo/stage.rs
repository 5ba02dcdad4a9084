//! The cell that the demo plays on, and the hands that type.

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// What the demo's cell simulates.
const FLEET: &str = "16xh200,36xgb200";

/// How long anything may take that should take a second or two.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often something is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// A temporary folder, this program, and the cell while it runs.
#[derive(Debug)]
pub(super) struct Stage {
    folder: TempDir,
    program: PathBuf,
    cell: Option<Child>,
}

/// A command that was run.
#[derive(Debug)]
pub(super) struct Ran {
    line: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Insists on an exit code.
    pub fn expect(self, code: i32) -> Result<Self> {
        let Self {
            line,
            code: is,
            out,
            err,
        } = &self;
        ensure!(
            *is == code,
            "{line}: exit {is} instead of {code}\n{out}{err}"
        );
        Ok(self)
    }
}

impl Stage {
    pub fn set() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("leasehold-demo-")
            .tempdir()?;
        let program = std::env::current_exe().context("this program has no file")?;
        Ok(Self {
            folder,
            program,
            cell: None,
        })
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// What comes next, for people.
    pub fn headline(&self, text: &str) {
        println!("\n── {text}");
    }

    /// Starts the cell and prints its first lines.
    pub async fn start_cell(&mut self) -> Result<()> {
        println!("$ leasehold --simulate {FLEET} --state state --socket control.sock &");
        let mut cell = Command::new(&self.program)
            .args(["--simulate", FLEET, "--log", "off", "--state"])
            .arg(self.state())
            .arg("--socket")
            .arg(self.socket())
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("the cell does not start")?;
        let out = cell.stdout.take().expect("it was piped above");
        self.cell = Some(cell);
        let mut lines = BufReader::new(out).lines();
        let read = async {
            while let Some(line) = lines.next_line().await? {
                println!("  {line}");
                // The last of the lines that say where things are.
                if line.starts_with("socket") {
                    return Ok(());
                }
            }
            bail!("the cell ended before it was there")
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .context("the cell is not there in time")?
    }

    /// Kills the cell the hard way and waits until it is gone.
    pub async fn kill_cell(&mut self) -> Result<()> {
        self.end_cell(Signal::SIGKILL).await
    }

    /// Asks the cell to stop and waits until it has.
    pub async fn stop_cell(&mut self) -> Result<()> {
        self.end_cell(Signal::SIGTERM).await
    }

    async fn end_cell(&mut self, signal: Signal) -> Result<()> {
        let mut cell = self.cell.take().context("no cell runs")?;
        let pid = cell.id().context("the cell has ended by itself")?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        tokio::time::timeout(PATIENCE, cell.wait())
            .await
            .context("the cell does not end")??;
        Ok(())
    }

    /// Types a leasectl command and shows what it says.
    pub async fn ctl(&self, args: &[&str]) -> Result<Ran> {
        println!("$ leasectl {}", typed(args));
        let ran = self.quietly(args).await?;
        for line in ran.out.lines().chain(ran.err.lines()) {
            println!("  {line}");
        }
        Ok(ran)
    }

    /// The same without showing it.
    pub async fn quietly(&self, args: &[&str]) -> Result<Ran> {
        let output = Command::new(&self.program)
            .args(["ctl", "--socket"])
            .arg(self.socket())
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let late = || format!("leasectl {} takes too long", typed(args));
        let output = tokio::time::timeout(PATIENCE, output)
            .await
            .with_context(late)??;
        Ok(Ran {
            line: format!("leasectl {}", typed(args)),
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Asks for JSON, quietly.
    pub async fn ask(&self, args: &[&str]) -> Result<Value> {
        let mut args = args.to_vec();
        args.extend(["-o", "json"]);
        let ran = self.quietly(&args).await?.expect(0)?;
        serde_json::from_str(&ran.out).with_context(|| format!("{} says no JSON", ran.line))
    }

    /// Makes something happen to a simulated GPU.
    pub async fn inject(&self, node: &str, change: &str) -> Result<()> {
        println!("$ leasehold inject --state state {node} '{change}'");
        let status = Command::new(&self.program)
            .args(["inject", "--state"])
            .arg(self.state())
            .args([node, change])
            .status()
            .await?;
        ensure!(status.success(), "nothing could be injected");
        Ok(())
    }

    /// Waits until a lease is as `is_so` says; gives it as it is then.
    pub async fn lease_becomes(
        &self,
        id: u64,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        let id = id.to_string();
        loop {
            let lease = self.ask(&["leases", "show", &id]).await?;
            if is_so(&lease) {
                return Ok(lease);
            }
            ensure!(
                Instant::now() < deadline,
                "lease {id} does not become {what}: {lease}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn typed(args: &[&str]) -> String {
    let quote = |arg: &&str| match arg.contains([' ', '"', '[']) {
        true => format!("'{arg}'"),
        false => (*arg).to_owned(),
    };
    args.iter().map(quote).collect::<Vec<_>>().join(" ")
}
