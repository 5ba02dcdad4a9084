//! What is told of a run.

use super::audit::Found;
use super::clock::Measured;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What every run is told of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Requests decided.
    pub decisions: usize,
    /// Those that were placed.
    pub placed: u64,
    /// Those that were not, in percent.
    pub refused_pct: f64,
    /// The share of all GPUs that leases had at the end, in percent.
    pub used_pct: f64,
    /// Decisions per second of deciding and of everything else that changed the cell; checking is
    /// not counted.
    pub decisions_per_second: u64,
    /// The median decision, planned and booked, in microseconds.
    pub p50_us: f64,
    /// Of a hundred decisions the slowest but one, in microseconds.
    pub p99_us: f64,
    /// The slowest, in microseconds.
    pub max_us: f64,
    /// All decisions and everything else that changed the cell, in milliseconds.
    pub total_ms: f64,
    /// The most memory the process had, in MiB.
    pub rss_mib: u64,
    /// Placements that the engine's checker looked at.
    pub checker_checked: u64,
    /// Hard rules they broke.
    pub checker_violations: u64,
    /// What stands for all decisions in their order: the same options give the same, on any machine.
    pub digest: String,
}

/// What was counted besides time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) placed: u64,
    pub(super) used: u64,
    pub(super) gpus: u64,
    pub(super) digest: u64,
}

impl Figures {
    pub(super) fn new(measured: &Measured, counted: Counted, found: &Found) -> Self {
        let decisions = measured.decisions();
        let refused = decisions as u64 - counted.placed;
        let seconds = measured.total.as_secs_f64().max(1e-9);
        Self {
            decisions,
            placed: counted.placed,
            refused_pct: percent(refused, decisions as u64),
            used_pct: percent(counted.used, counted.gpus),
            decisions_per_second: whole(decisions as f64 / seconds),
            p50_us: micros(measured.quantile(500)),
            p99_us: micros(measured.quantile(990)),
            max_us: micros(measured.quantile(1000)),
            total_ms: rounded(seconds * 1e3, 1000.0),
            rss_mib: resident_mib(),
            checker_checked: found.checked,
            checker_violations: found.violations,
            digest: format!("{:016x}", counted.digest),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "decisions                 {}", self.decisions)?;
        writeln!(f, "placed                    {}", self.placed)?;
        writeln!(f, "refused %                 {:.1}", self.refused_pct)?;
        writeln!(f, "GPUs used %               {:.1}", self.used_pct)?;
        writeln!(f, "decisions per second      {}", self.decisions_per_second)?;
        writeln!(
            f,
            "p50, p99, max in µs       {:.2}, {:.2}, {:.2}",
            self.p50_us, self.p99_us, self.max_us
        )?;
        writeln!(f, "in all, in ms             {:.1}", self.total_ms)?;
        writeln!(f, "memory in MiB             {}", self.rss_mib)?;
        writeln!(
            f,
            "checked, violations       {}, {}",
            self.checker_checked, self.checker_violations
        )?;
        write!(f, "digest                    {}", self.digest)
    }
}

/// The most memory this process has had, in MiB; 0 where the system does not say.
pub fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).div_ceil(1024)
}

/// In microseconds, to the hundredth.
pub(super) fn micros(took: Duration) -> f64 {
    rounded(took.as_secs_f64() * 1e6, 100.0)
}

/// A part of a whole in percent, to the hundredth; nothing of nothing is 0.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    rounded(part as f64 * 100.0 / whole.max(1) as f64, 100.0)
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure to be read, never negative and far below 2^64"
)]
const fn whole(value: f64) -> u64 {
    value as u64
}
