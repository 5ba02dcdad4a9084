//! What is told of a run.

use super::Policy;
use super::replay::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Where the published results are compared.
const ARRIVED_PCT: [u64; 4] = [90, 100, 110, 130];

/// A run's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whose decisions they were.
    pub policy: Policy,
    /// The share of all GPUs allocated, in percent, when so many percent had arrived; null where
    /// no event came near.
    pub allocated_pct_at: BTreeMap<u64, Option<f64>>,
    /// GPUs nobody has when as many have been asked for as there are.
    pub unallocated_gpus_at_100: Option<u64>,
    /// Requests decided.
    pub decisions: usize,
    /// Requests decided per second of deciding and its bookkeeping, checking not counted.
    pub decisions_per_second: u64,
    /// The median decision, in microseconds.
    pub p50_us: f64,
    /// Of a hundred decisions the slowest but one, in microseconds.
    pub p99_us: f64,
    /// Hard rules broken.
    pub checker_violations: usize,
}

impl Report {
    /// Of a run over a fleet with so many thousandths of GPUs.
    pub fn new(policy: Policy, outcome: &Outcome, capacity_milli: u64) -> Self {
        let mut took = outcome.took.clone();
        took.sort_unstable();
        let total: Duration = took.iter().sum();
        let quantile = |permille: usize| {
            let at = took.len().saturating_sub(1) * permille / 1000;
            let nanos = took.get(at).map_or(0, Duration::as_nanos);
            rounded(nanos as f64 / 1000.0, 100.0)
        };
        let at = |pct| outcome.curve.used_pct_at(pct);
        let unallocated = |pct: f64| {
            let gpus = (100.0 - pct) / 100.0 * capacity_milli as f64 / 1000.0;
            whole(gpus.round())
        };
        Self {
            policy,
            allocated_pct_at: ARRIVED_PCT
                .map(|pct| (pct, at(pct).map(|used| rounded(used, 1000.0))))
                .into(),
            unallocated_gpus_at_100: at(100).map(unallocated),
            decisions: took.len(),
            decisions_per_second: whole(took.len() as f64 / total.as_secs_f64().max(1e-9)),
            p50_us: quantile(500),
            p99_us: quantile(990),
            checker_violations: outcome.violations.len(),
        }
    }
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy                    {}", self.policy)?;
        for (arrived, used) in &self.allocated_pct_at {
            let used = used.map_or_else(|| "-".to_owned(), |used| format!("{used:.2}"));
            writeln!(f, "allocated % at {arrived:>3} %      {used}")?;
        }
        let unallocated = self.unallocated_gpus_at_100.map(|gpus| gpus.to_string());
        let unallocated = unallocated.unwrap_or_else(|| "-".to_owned());
        writeln!(f, "unallocated GPUs at 100 % {unallocated}")?;
        writeln!(f, "decisions                 {}", self.decisions)?;
        writeln!(f, "decisions per second      {}", self.decisions_per_second)?;
        writeln!(
            f,
            "p50, p99 in µs            {:.2}, {:.2}",
            self.p50_us, self.p99_us
        )?;
        write!(f, "checker violations        {}", self.checker_violations)
    }
}
