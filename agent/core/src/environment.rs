//! The environment file of a lease: how its holder learns what it has.
//!
//! These variables are hints for well-behaved programs, not the wall around a lease. Every value is
//! of a checked type without blanks or quotes, so that systemd's `EnvironmentFile=`, a shell and
//! `docker --env-file` read the same.

use leasehold_common::grant::Grant;
use leasehold_common::ids::GpuUuid;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The file's text. `indexes` are NVML's for the GPUs that are there: CUDA numbers them in that
/// order.
pub fn text(grant: &Grant, indexes: &BTreeMap<GpuUuid, u32>) -> String {
    let mut gpus: Vec<&GpuUuid> = grant.gpus.iter().collect();
    // Stable: those NVML does not show keep their slot order, behind the others.
    gpus.sort_by_key(|gpu| indexes.get(*gpu).copied().unwrap_or(u32::MAX));
    let numbers: Vec<String> = gpus
        .iter()
        .filter_map(|gpu| indexes.get(*gpu).map(u32::to_string))
        .collect();
    let uuids = gpus
        .iter()
        .map(|gpu| gpu.as_str())
        .collect::<Vec<_>>()
        .join(",");
    let slices: Vec<String> = grant
        .slices
        .iter()
        .map(|slice| format!("{}/{}@{}", slice.gpu, slice.profile, slice.start))
        .collect();
    let slices = Some(slices.join(",")).filter(|slices| !slices.is_empty());
    // The instances have no UUID before they are made, and the GPUs are not the lease's alone: a program
    // is shown none.
    let (cuda, nvidia) = match slices {
        Some(_) => (String::new(), "void".to_owned()),
        None => (uuids.clone(), uuids.clone()),
    };
    let end = grant.access_end.map(|end| end.to_string());
    let cap = grant.gpu_cap_mw.map(|cap| cap.watts().to_string());

    let variables = [
        ("LEASEHOLD_LEASE_ID", Some(grant.lease.to_string())),
        ("LEASEHOLD_ACCOUNT", Some(grant.account.to_string())),
        ("LEASEHOLD_SIDE", Some(grant.side.to_string())),
        ("LEASEHOLD_CLASS", Some(grant.class.to_string())),
        ("LEASEHOLD_NODE", Some(grant.node.to_string())),
        ("LEASEHOLD_NODE_RANK", Some(grant.rank.to_string())),
        ("LEASEHOLD_GPUS", Some(numbers.join(","))),
        ("LEASEHOLD_GPU_UUIDS", Some(uuids)),
        ("LEASEHOLD_MIG_SLICES", slices),
        ("LEASEHOLD_START", Some(grant.starts_at.to_string())),
        ("LEASEHOLD_END", end),
        ("LEASEHOLD_POWER_CAP_W", cap),
        ("CUDA_DEVICE_ORDER", Some("PCI_BUS_ID".to_owned())),
        ("CUDA_VISIBLE_DEVICES", Some(cuda)),
        ("NVIDIA_VISIBLE_DEVICES", Some(nvidia)),
    ];
    let mut text = String::new();
    for (name, value) in variables {
        if let Some(value) = value {
            writeln!(text, "{name}={value}").expect("a String takes what is written to it");
        }
    }
    text
}
