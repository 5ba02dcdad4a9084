//! One slurmctld of our own, whose nodes do not exist.
//!
//! The nodes are declared as cloud nodes that sleep. The controller allocates such a node and then waits for it to
//! wake, which it never does: the job keeps what it was given, and nothing is launched. Everything is in one
//! temporary folder and on the loopback address.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// GPUs, and cores, of every node.
pub const GPUS: u32 = 8;

/// The first of the ports that the nodes would listen on, if there were any.
const NODE_PORT: u32 = 20_001;

/// How long the controller has to answer for the first time, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `slurmctld -V` says.
pub fn version() -> Result<String> {
    let said = Command::new("slurmctld").arg("-V").output().context(
        "start slurmctld; bench slurm needs the Debian packages slurmctld, slurm-client and slurm-wlm-basic-plugins",
    )?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// A controller that runs until this value goes.
#[derive(Debug)]
pub struct Controller {
    process: Child,
    folder: PathBuf,
}

impl Controller {
    /// Starts one for so many nodes, and waits until it answers.
    pub fn start(nodes: u32) -> Result<Self> {
        let name = format!("leasehold-slurm-{}-{nodes}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("state")).context("make a temporary folder")?;
        let write = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).with_context(|| format!("write {name}"))
        };
        write("slurm.conf", configuration(&folder, nodes)?)?;
        write(
            "gres.conf",
            format!("NodeName=n[1-{nodes}] Name=gpu Count={GPUS}\n"),
        )?;
        write("job.sh", "#!/bin/sh\nsleep 1000\n".to_owned())?;
        let log = std::fs::File::create(folder.join("stdout.log")).context("make a log file")?;
        let process = Command::new("slurmctld")
            .args(["-D", "-c", "-f"])
            .arg(folder.join("slurm.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log file")?)
            .stderr(log)
            .spawn()
            .context("start slurmctld")?;
        let mut controller = Self { process, folder };
        let begun = Instant::now();
        while controller.ask("sinfo", &["-h"]).is_err() {
            let ended = controller
                .process
                .try_wait()
                .context("wait for slurmctld")?;
            if let Some(status) = ended {
                let said = std::fs::read_to_string(controller.folder.join("stdout.log"));
                bail!(
                    "slurmctld ended with {status}:\n{}",
                    said.unwrap_or_default()
                );
            }
            if begun.elapsed() > PATIENCE {
                bail!("slurmctld did not answer within {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(controller)
    }

    /// Queues so many equal jobs.
    pub fn submit(&self, shape: &[String], jobs: u32) -> Result<()> {
        let script = self.folder.join("job.sh");
        let array = format!("--array=0-{}", jobs - 1);
        let mut words: Vec<&str> = shape.iter().map(String::as_str).collect();
        let script = script
            .to_str()
            .context("a temporary folder named in UTF-8")?;
        words.extend([&array, "-t", "600", "-o", "/dev/null", script]);
        self.ask("sbatch", &words).map(drop)
    }

    /// Lets the queue go.
    pub fn open(&self) -> Result<()> {
        let words = ["update", "partitionname=all", "state=up"];
        self.ask("scontrol", &words).map(drop)
    }

    /// How many jobs it has started, by its own count.
    pub fn started(&self) -> Result<u32> {
        let said = self.ask("sdiag", &[])?;
        let line = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("Jobs started:"));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.with_context(|| format!("find \"Jobs started\" in {said}"))
    }

    /// The processor time it has used, its own and the kernel's for it.
    pub fn cpu_s(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        ticks(&stat)
            .map(|ticks| ticks as f64 / 100.0)
            .with_context(|| format!("read {stat}"))
    }

    /// What a tool of Slurm's says to this controller.
    fn ask(&self, tool: &str, words: &[&str]) -> Result<String> {
        let mut command = Command::new(tool);
        for (name, _) in std::env::vars_os() {
            let foreign = |prefix| name.to_string_lossy().starts_with(prefix);
            if ["SLURM_", "SBATCH_", "SINFO_"].into_iter().any(foreign) {
                command.env_remove(&name);
            }
        }
        command
            .args(words)
            .env("SLURM_CONF", self.folder.join("slurm.conf"));
        let said = command.output().with_context(|| format!("start {tool}"))?;
        if !said.status.success() {
            bail!("{tool}: {}", String::from_utf8_lossy(&said.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // A polite end first, by its process id, which is ours until it has been waited for.
        let id = self.process.id().to_string();
        drop(Command::new("kill").args(["-TERM", &id]).status());
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE / 6 {
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// User and system time of `/proc/PID/stat`, in hundredths of a second on Linux. The program's name, in brackets,
/// may hold anything, so fields are counted from behind it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

/// What a command says in one word.
fn word(command: &str, argument: &str) -> Result<String> {
    let said = Command::new(command).arg(argument).output();
    let said = said.with_context(|| format!("start {command}"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The main scheduler alone walks the queue, as long as it likes: backfill yields after every job and starts few.
fn configuration(folder: &Path, nodes: u32) -> Result<String> {
    let folder = folder.display();
    let (host, user) = (word("hostname", "-s")?, word("id", "-un")?);
    let settings = [
        ("ClusterName", "bench".to_owned()),
        ("SlurmctldHost", format!("{host}(127.0.0.1)")),
        ("SlurmUser", user.clone()),
        ("SlurmdUser", user),
        ("SlurmctldPort", free_port()?.to_string()),
        ("SlurmdPort", free_port()?.to_string()),
        ("CommunicationParameters", "NoCtldInAddrAny".to_owned()),
        ("AuthType", "auth/none".to_owned()),
        ("CredType", "cred/none".to_owned()),
        ("AccountingStorageType", "accounting_storage/none".to_owned()),
        ("JobAcctGatherType", "jobacct_gather/none".to_owned()),
        ("JobCompType", "jobcomp/none".to_owned()),
        ("MailProg", "/bin/true".to_owned()),
        ("MpiDefault", "none".to_owned()),
        ("SwitchType", "switch/none".to_owned()),
        ("ProctrackType", "proctrack/linuxproc".to_owned()),
        ("TaskPlugin", "task/none".to_owned()),
        ("StateSaveLocation", format!("{folder}/state")),
        ("SlurmdSpoolDir", format!("{folder}/spool")),
        ("SlurmctldPidFile", format!("{folder}/slurmctld.pid")),
        ("SlurmctldLogFile", format!("{folder}/slurmctld.log")),
        ("PrivateData", "cloud".to_owned()),
        ("SlurmctldParameters", "idle_on_node_suspend,cloud_dns".to_owned()),
        ("SuspendProgram", "/bin/true".to_owned()),
        ("ResumeProgram", "/bin/true".to_owned()),
        ("SuspendTime", "100000000".to_owned()),
        ("ResumeTimeout", "60000".to_owned()),
        ("ResumeRate", "0".to_owned()),
        ("SlurmdTimeout", "0".to_owned()),
        ("ReturnToService", "2".to_owned()),
        // A pass of the scheduler may last half as long as this, and no longer.
        ("MessageTimeout", "200".to_owned()),
        ("MaxJobCount", "400000".to_owned()),
        ("MaxArraySize", "200001".to_owned()),
        ("SelectType", "select/cons_tres".to_owned()),
        ("SelectTypeParameters", "CR_Core".to_owned()),
        ("TopologyPlugin", "topology/none".to_owned()),
        ("GresTypes", "gpu".to_owned()),
        ("SchedulerType", "sched/backfill".to_owned()),
        (
            "SchedulerParameters",
            "default_queue_depth=200000,partition_job_depth=0,max_sched_time=60,sched_min_interval=0,sched_interval=1,\
             bf_interval=1800,bf_max_job_test=2"
                .to_owned(),
        ),
    ];
    let mut text = String::new();
    for (name, value) in settings {
        writeln!(text, "{name}={value}").context("write into a string")?;
    }
    let last = NODE_PORT + nodes - 1;
    writeln!(
        text,
        "NodeName=n[1-{nodes}] NodeAddr=127.0.0.1 NodeHostname=localhost Port=[{NODE_PORT}-{last}] CPUs={GPUS} \
         Sockets=1 CoresPerSocket={GPUS} ThreadsPerCore=1 RealMemory=1000000 Gres=gpu:{GPUS} State=CLOUD\n\
         PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=DOWN OverSubscribe=NO"
    )
    .context("write into a string")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7"), None);
    }
}
