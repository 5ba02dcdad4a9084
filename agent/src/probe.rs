//! `leasehold-agent probe`: one complete reading, for people and scripts. Nothing is written.

use crate::gpu::reader::Reader;
use crate::gpu::{DriverError, GpuDriver, Inventory};
use crate::host::{Host, HostFacts, HostLook};
use leasehold_agent_core::node_health::{self, DriverContact, NodeFacts};
use leasehold_agent_core::sample::{GpuSample, RemappedRows};
use leasehold_agent_core::verdict::{Rules, judge};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::{CpuInfo, Finding, GpuInfo, HealthReason, Reading, Verdict};
use leasehold_common::time::Timestamp;
use leasehold_common::units::{Bytes, MilliWatts};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A probe that finds nothing to speak of.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The driver's library is not there.
    #[error("{0} --nvml names another library")]
    NoLibrary(DriverError),
    /// The driver does not answer.
    #[error(transparent)]
    Driver(DriverError),
    /// A driver without GPUs.
    #[error("the driver {driver} finds no GPU on this host")]
    NoGpu {
        /// Its version, or what it is.
        driver: String,
    },
    /// The host.
    #[error("host facts: {0}")]
    Host(#[from] crate::host::HostError),
}

impl From<DriverError> for ProbeError {
    fn from(e: DriverError) -> Self {
        match e {
            DriverError::NoLibrary { .. } => Self::NoLibrary(e),
            DriverError::Mismatch { .. }
            | DriverError::NoDriver { .. }
            | DriverError::Failed { .. }
            | DriverError::Overdue { .. } => Self::Driver(e),
        }
    }
}

/// One complete reading.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    api_version: &'static str,
    kind: &'static str,
    host: ProbedHost,
    driver: ProbedDriver,
    /// What was found on the node itself, worst first.
    node: Vec<FoundOnNode>,
    gpus: Vec<ProbedGpu>,
    /// GPUs that the driver counts and nobody can identify.
    unidentified: Vec<Unidentified>,
}

#[derive(Debug, Serialize)]
struct ProbedHost {
    kernel: String,
    boot_id: String,
    cpu: CpuInfo,
    memory: Bytes,
}

#[derive(Debug, Serialize)]
struct ProbedDriver {
    version: Option<String>,
    nvml: Option<String>,
    count: u32,
}

#[derive(Debug, Serialize)]
struct FoundOnNode {
    verdict: Verdict,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Debug, Serialize)]
struct ProbedGpu {
    info: GpuInfo,
    verdict: Verdict,
    reasons: Vec<HealthReason>,
    reading: GpuSample,
}

#[derive(Debug, Serialize)]
struct Unidentified {
    index: u32,
    error: String,
}

/// The folders whose filesystems are looked at: the agent's, as installed, and the system's logs.
const FOLDERS: [&str; 3] = ["/var/lib/leasehold", "/run/leasehold", "/var/log"];

/// Takes the reading, giving each call `deadline`.
///
/// # Errors
/// No driver, or one that finds no GPU.
pub async fn probe(
    driver: Arc<dyn GpuDriver>,
    host: &dyn Host,
    deadline: Duration,
    now: Timestamp,
) -> Result<Probe, ProbeError> {
    let mut reader = Reader::new(driver, deadline);
    let overdue = DriverError::Overdue {
        deadline_ms: deadline.as_millis(),
    };
    let Inventory {
        facts,
        gpus,
        unidentified,
    } = reader.inventory(deadline).await.ok_or(overdue)??;
    if facts.count == 0 {
        let driver = facts.driver.unwrap_or_else(|| "of unknown version".into());
        return Err(ProbeError::NoGpu { driver });
    }
    let mut samples = reader
        .samples(gpus.iter().map(|gpu| &gpu.uuid), deadline)
        .await;
    let HostLook {
        pci_gpus,
        switches,
        fabric_manager,
        clock,
        disks,
    } = host.look(&FOLDERS.map(PathBuf::from));
    let node = NodeFacts {
        driver: DriverContact::Answers,
        pci_gpus,
        nvml_gpus: Some(facts.count),
        seen_gpus: 0,
        switches,
        fabric_manager,
        clock,
        disks,
        switch_faults: None,
    };
    let node = node_health::judge(&node, Rules::built_in().node(), now)
        .into_iter()
        .map(|(verdict, finding)| FoundOnNode { verdict, finding })
        .collect();
    let HostFacts {
        cpu,
        memory,
        kernel,
        boot_id,
    } = host.facts()?;
    let gpus = gpus
        .into_iter()
        .filter_map(|info| {
            let mut reading = samples.remove(&info.uuid)?;
            if let Reading::Value(processes) = &mut reading.processes {
                for process in processes {
                    process.name = host.process_name(process.pid);
                }
            }
            let (verdict, reasons) = judge(&reading, Rules::built_in());
            Some(ProbedGpu {
                info,
                verdict,
                reasons,
                reading,
            })
        })
        .collect();
    Ok(Probe {
        api_version: "v1",
        kind: "Probe",
        host: ProbedHost {
            kernel,
            boot_id,
            cpu,
            memory,
        },
        driver: ProbedDriver {
            version: facts.driver,
            nvml: facts.nvml,
            count: facts.count,
        },
        node,
        gpus,
        unidentified: unidentified
            .into_iter()
            .map(|(index, e)| Unidentified {
                index,
                error: e.to_string(),
            })
            .collect(),
    })
}

impl Probe {
    /// How many GPUs the driver finds.
    pub const fn count(&self) -> u32 {
        self.driver.count
    }

    /// The driver's version, where it tells.
    pub fn driver(&self) -> Option<&str> {
        self.driver.version.as_deref()
    }

    /// GPUs that nobody can identify, by index, with why.
    pub fn unidentified(&self) -> impl Iterator<Item = (u32, &str)> {
        let all = self.unidentified.iter();
        all.map(|gpu| (gpu.index, gpu.error.as_str()))
    }

    /// What was made of each GPU: its index, which it is, the verdict and why.
    pub fn verdicts(&self) -> impl Iterator<Item = (u32, &GpuUuid, Verdict, &[HealthReason])> {
        let all = self.gpus.iter();
        all.map(|gpu| {
            (
                gpu.info.index,
                &gpu.info.uuid,
                gpu.verdict,
                &gpu.reasons[..],
            )
        })
    }

    /// What was found on the node itself, worst first.
    pub fn node(&self) -> impl Iterator<Item = (Verdict, &Finding)> {
        let all = self.node.iter();
        all.map(|found| (found.verdict, &found.finding))
    }

    /// As columns, for people; below them what was found on the node itself.
    pub fn table(&self) -> String {
        let header = [
            "IDX",
            "UUID",
            "MODEL",
            "VERDICT",
            "POWER/LIMIT",
            "TEMP",
            "MEM",
            "ECC",
            "ROWS",
            "PCIE",
            "NVLINK",
            "PROCS",
            "REASON",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(self.gpus.iter().map(ProbedGpu::row));
        let mut text = format!(
            "driver {}, NVML {}, {} GPUs; kernel {}, {} CPUs, {}\n",
            self.driver.version.as_deref().unwrap_or("?"),
            self.driver.nvml.as_deref().unwrap_or("?"),
            self.driver.count,
            self.host.kernel,
            self.host.cpu.threads,
            self.host.memory
        );
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in &rows {
            let line = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect::<Vec<_>>()
                .join("  ");
            writeln!(text, "{}", line.trim_end()).expect("a String takes what is written to it");
        }
        for gpu in &self.unidentified {
            writeln!(text, "gpu at index {}: {}", gpu.index, gpu.error)
                .expect("a String takes what is written to it");
        }
        for FoundOnNode { verdict, finding } in &self.node {
            let (reason, evidence) = (&finding.reason, &finding.evidence);
            writeln!(text, "node {verdict}: {reason}: {evidence}")
                .expect("a String takes what is written to it");
        }
        text
    }
}

impl ProbedGpu {
    fn row(&self) -> [String; 13] {
        let power = |reading: &Reading<MilliWatts>| shown(reading, ToString::to_string);
        let reasons: Vec<&str> = self.reasons.iter().map(HealthReason::as_str).collect();
        [
            self.info.index.to_string(),
            self.info.uuid.to_string(),
            self.info.name.clone(),
            self.verdict.to_string(),
            format!(
                "{}/{}",
                power(&self.reading.power_mw),
                power(&self.reading.limit_mw)
            ),
            shown(&self.reading.temperature, |t| format!("{} C", t.0)),
            shown(&self.reading.memory_used, ToString::to_string),
            shown(&self.reading.ecc_uncorrected, ToString::to_string),
            shown(&self.reading.remapped, rows),
            shown(&self.reading.pcie, |link| {
                format!("{}x{}", link.max_generation, link.width)
            }),
            shown(&self.reading.nvlinks, |links| {
                format!("{}/{}", links.active, links.active + links.inactive)
            }),
            shown(&self.reading.processes, |list| list.len().to_string()),
            reasons.join(","),
        ]
    }
}

/// How many rows were replaced, and what is the matter with that.
fn rows(rows: &RemappedRows) -> String {
    let what = match (rows.failed, rows.pending) {
        (true, _) => " failed",
        (false, true) => " pending",
        (false, false) => "",
    };
    format!("{}{what}", rows.corrected + rows.uncorrected)
}

/// A value, `-` where there is none to have, `!` where the call failed.
fn shown<T>(reading: &Reading<T>, value: impl Fn(&T) -> String) -> String {
    match reading {
        Reading::Value(v) => value(v),
        Reading::Unsupported => "-".to_owned(),
        Reading::Failed(_) => "!".to_owned(),
    }
}
