//! The agent's memory and CPU: eight simulated H200 behind the NVML ABI, read once a second.

use crate::cell::{CELL, SKU};
use crate::etcd::Etcd;
use crate::place::{Place, program};
use anyhow::{Context as _, Result};
use leasehold_common::ids::CellName;
use leasehold_common::keys::{Key, KeySpace};
use leasehold_store::Store as _;
use nix::unistd::{SysconfVar, sysconf};
use std::path::Path;
use std::time::Duration;

/// The node's name.
const NODE: &str = "h001";

/// What an agent does once, such as loading the library and naming the GPUs, is over by then.
const SETTLE: Duration = Duration::from_secs(5);

/// What the agent took.
#[derive(Debug, Clone)]
pub struct Footprint {
    /// The store it reported to.
    pub store: String,
    /// How long it was observed.
    pub observed: Duration,
    /// Everything of it that is in memory, code and libraries too, in KiB.
    pub resident_kib: u64,
    /// What it has allocated of that, in KiB.
    pub anonymous_kib: u64,
    /// CPU time used, user and system.
    pub cpu: Duration,
}

/// Runs an agent against an etcd of its own and observes it.
pub async fn measure(parent: &Path, time: Duration) -> Result<Footprint> {
    Place::with(parent, async |place| in_place(place, time).await)
        .await
        .context("agent")
}

async fn in_place(place: &Place, time: Duration) -> Result<Footprint> {
    eprintln!("Agent: {} seconds with eight H200 at 1 Hz", time.as_secs());
    let etcd = Etcd::start(place).await?;
    let config = place.path("agent.toml");
    let text = format!(
        "cell = {CELL:?}\nnode = {NODE:?}\nsku = {SKU:?}\ntopology = \"hall-1/row-1/rack-1/{NODE}\"\n\
         state_dir = {:?}\nrun_dir = {:?}\n\
         [store]\nkind = \"etcd\"\nendpoints = [{:?}]\n\
         [gpu]\nnvml = {:?}\npoll = \"1s\"\nkernel_log = \"off\"\n\
         [log]\nlevel = \"warn\"\n",
        place.path("agent"),
        place.path("run"),
        etcd.url,
        nvml_sim::library_path(),
    );
    std::fs::write(&config, text)?;
    let mut agent = program("leasehold-agent")?;
    agent.arg("--config").arg(config);
    let pid = place.start("agent", agent)?;

    let cell: CellName = CELL.parse()?;
    let health = KeySpace::new(&cell).key(&Key::Health(NODE.parse()?));
    let reported = async || Ok(etcd.store.get(&health).await?);
    place.wait_for("the agent reports", reported).await?;
    place.let_run(SETTLE).await?;
    let before = cpu_time(pid)?;
    let observed = place.let_run(time).await?;
    let cpu = cpu_time(pid)? - before;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(Footprint {
        store: etcd.store.describe(),
        observed,
        resident_kib: kib(&status, "VmRSS")?,
        anonymous_kib: kib(&status, "RssAnon")?,
        cpu,
    })
}

fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the clock's tick is not known")?;
    let ticks = ticks(&stat).with_context(|| format!("{stat:?} has no times"))?;
    let seconds = f64::from(ticks) / f64::from(u32::try_from(per_second)?);
    Ok(Duration::from_secs_f64(seconds))
}

/// User and system time from `/proc/PID/stat`. The name in it may hold anything, spaces and
/// brackets too, so what counts begins after the last bracket.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

/// One line of `/proc/PID/status`.
fn kib(status: &str, field: &str) -> Result<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .with_context(|| format!("no {field} in /proc/PID/status"))?;
    let number = line.trim().trim_end_matches(" kB");
    Ok(number.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_whatever_the_process_is_called() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 900 0 3 0 41 1 0 0 20 0 4 0 5000 1 2";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("17 (short) S 1"), None);
    }

    #[test]
    fn memory_is_read_by_field() {
        let status = "Name:\tx\nVmRSS:\t   14848 kB\nRssAnon:\t    4000 kB\n";
        assert_eq!(kib(status, "VmRSS").unwrap(), 14_848);
        assert_eq!(kib(status, "RssAnon").unwrap(), 4_000);
        assert!(kib(status, "VmSwap").is_err());
    }
}
