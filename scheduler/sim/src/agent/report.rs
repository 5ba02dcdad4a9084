//! What an agent says of its node.

use super::{Agent, Lie};
use leasehold_common::ids::{Epoch, GpuUuid};
use leasehold_common::node::{
    Action, CpuInfo, Finding, GpuHealth, GpuInfo, GpuProcess, HealthReason, HealthReport,
    LiveRecord, NodeReport, Reading, Verdict, Versions,
};
use leasehold_common::record::{self, Unknown, Version};
use leasehold_common::time::Timestamp;
use leasehold_common::units::Bytes;
use std::collections::BTreeMap;

/// That it is there.
pub(super) fn live(boot_id: &str, epoch: Epoch) -> Vec<u8> {
    record::encode(&LiveRecord {
        version: Version::CURRENT,
        boot_id: boot_id.into(),
        epoch,
        unknown: Unknown::default(),
    })
}

impl Agent {
    pub(super) fn boot_id(&self) -> String {
        format!("boot-{}", self.boots)
    }

    pub(super) fn report(&self) -> Vec<u8> {
        if self.lie == Some(Lie::Garbage) {
            return b"{\"version\":17".to_vec();
        }
        let info = |(index, uuid): (u32, &GpuUuid)| GpuInfo {
            uuid: uuid.clone(),
            name: "NVIDIA H200".into(),
            index,
            minor: None,
            pci: None,
            serial: None,
            memory: None,
            default_limit_mw: None,
            vbios: None,
            numa: None,
        };
        let present = self.gpus.difference(&self.lost);
        let mut gpus: Vec<GpuInfo> = (0..).zip(present).map(info).collect();
        if self.lie == Some(Lie::Gpu)
            && let Some(gpu) = gpus.first_mut()
        {
            gpu.uuid = "GPU-1-0".parse().expect("a valid UUID");
        }
        let node = match self.lie {
            Some(Lie::Name) => "someone-else".parse().expect("a valid node name"),
            Some(Lie::Place | Lie::Gpu | Lie::Garbage) | None => self.name.clone(),
        };
        record::encode(&NodeReport {
            version: Version::CURRENT,
            node,
            boot_id: self.boot_id(),
            started: Timestamp::EPOCH,
            sku: None,
            path: (self.lie == Some(Lie::Place))
                .then(|| "h9/r9/k9/d9".parse().expect("a valid path")),
            gpus,
            cpu: CpuInfo {
                model: "model".into(),
                threads: 64,
                cores: None,
            },
            memory: Bytes::from_mib(1 << 20),
            versions: Versions {
                agent: "0.1.0".into(),
                kernel: "6.8".into(),
                driver: None,
                nvml: None,
            },
            unknown: Unknown::default(),
        })
    }

    pub(super) fn health(&self, clock: Timestamp) -> HealthReport {
        let explained: Vec<&GpuUuid> = self.access.values().flatten().map(|(gpu, _)| gpu).collect();
        let health = |uuid: &GpuUuid| {
            let lost = self.lost.contains(uuid);
            let foreign = self.occupied.contains(uuid) && !explained.contains(&uuid);
            let process = GpuProcess {
                pid: 4711,
                name: None,
                memory: None,
            };
            let (verdict, action, reason) = match (lost, self.sick.get(uuid)) {
                (true, _) => (Verdict::Lost, Action::RebootNode, HealthReason::GpuLost),
                (false, Some((verdict, action))) => (*verdict, *action, HealthReason::MemoryFault),
                (false, None) => (Verdict::Healthy, Action::None, HealthReason::AppFault),
            };
            let has_reason = verdict != Verdict::Healthy;
            let health = GpuHealth {
                verdict,
                reasons: has_reason.then_some(reason).into_iter().collect(),
                action,
                findings: Vec::new(),
                since: Timestamp::EPOCH,
                power_mw: Reading::Unsupported,
                limit_mw: Reading::Unsupported,
                temperature: Reading::Unsupported,
                energy_mj: Reading::Unsupported,
                memory_used: Reading::Unsupported,
                ecc_uncorrected: Reading::Unsupported,
                unexplained: foreign.then_some(process).into_iter().collect(),
            };
            (uuid.clone(), health)
        };
        HealthReport {
            version: Version::CURRENT,
            node: self.name.clone(),
            boot_id: self.boot_id(),
            at: clock,
            gpus: self.gpus.iter().map(health).collect::<BTreeMap<_, _>>(),
            trouble: None,
            findings: self.ails.map(finding).into_iter().collect(),
            unknown: Unknown::default(),
        }
    }
}

fn finding(action: Action) -> Finding {
    Finding {
        reason: HealthReason::DriverMismatch,
        since: Timestamp::EPOCH,
        evidence: String::new(),
        action,
    }
}
