//! `leasehold-agent check`: whether this host can be let, as an exit code and a line for each finding.
//!
//! Made for a prolog or a cron job: it reads once, as `probe` does, and judges as the agent does.

use crate::probe::{Probe, ProbeError};
use leasehold_common::node::{Finding, HealthReason, Verdict};
use std::fmt;

/// What came out, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Every GPU can be let, and nothing is to be looked at.
    Fine,
    /// Every GPU can be let, and something is to be looked at.
    Degraded,
    /// Something cannot be let, or could not be asked.
    Unfit,
}

impl Grade {
    /// The exit code: 0, 1 or 2.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Degraded => 1,
            Self::Unfit => 2,
        }
    }

    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Healthy => Self::Fine,
            Verdict::Degraded => Self::Degraded,
            Verdict::Unhealthy | Verdict::Unresponsive | Verdict::Lost => Self::Unfit,
        }
    }
}

/// A whole check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The worst of all findings.
    pub grade: Grade,
    lines: Vec<String>,
}

impl Check {
    /// Of one reading, on a host that should have so many GPUs, where that is known. What is ignored is held
    /// against nobody.
    pub fn of(
        probed: &Result<Probe, ProbeError>,
        expected: Option<u32>,
        ignored: &[HealthReason],
    ) -> Self {
        let mut check = Self {
            grade: Grade::Fine,
            lines: Vec::new(),
        };
        match probed {
            Ok(probe) => check.judge(probe, expected, ignored),
            Err(e) => check.find(Grade::Unfit, format!("node: {e}")),
        }
        check
    }

    fn judge(&mut self, probe: &Probe, expected: Option<u32>, ignored: &[HealthReason]) {
        let found = probe.count();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let line = format!("node: the driver finds {found} GPUs, {expected} are expected");
            self.find(Grade::Unfit, line);
        }
        let counts = |finding: &Finding| !ignored.contains(&finding.reason);
        for (verdict, finding) in probe.node().filter(|(_, finding)| counts(finding)) {
            let (reason, evidence) = (&finding.reason, &finding.evidence);
            let line = format!("node: {verdict}: {reason}: {evidence}");
            self.find(Grade::of(verdict), line);
        }
        for (index, error) in probe.unidentified() {
            self.find(Grade::Unfit, format!("gpu {index}: {error}"));
        }
        for (index, uuid, verdict, reasons) in probe.verdicts() {
            let grade = Grade::of(verdict);
            let is_ignored = reasons.iter().all(|reason| ignored.contains(reason));
            if grade > Grade::Fine && !is_ignored {
                let reasons: Vec<&str> = reasons.iter().map(HealthReason::as_str).collect();
                let line = format!("gpu {index} {uuid}: {verdict}: {}", reasons.join(", "));
                self.find(grade, line);
            }
        }
        if self.lines.is_empty() {
            let driver = probe.driver().unwrap_or("of unknown version");
            self.lines
                .push(format!("ok: {found} GPUs can be let, driver {driver}"));
        }
    }

    fn find(&mut self, grade: Grade, line: String) {
        self.grade = self.grade.max(grade);
        self.lines.push(line);
    }
}

/// A line for each finding; one that says so where there is none.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
