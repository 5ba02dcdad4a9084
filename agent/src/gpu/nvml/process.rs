//! Who has a GPU open.

use leasehold_common::node::GpuProcess;
use leasehold_common::units::Bytes;
use nvml_wrapper::Device;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use std::collections::BTreeMap;

/// Everybody who has the GPU open. A process may be in several of NVML's lists.
pub(super) fn processes(gpu: &Device<'_>) -> Result<Vec<GpuProcess>, NvmlError> {
    let mut by_pid: BTreeMap<u32, Option<Bytes>> = BTreeMap::new();
    let mut add = |list: Vec<ProcessInfo>| {
        for process in list {
            let memory = match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(Bytes(bytes)),
                UsedGpuMemory::Unavailable => None,
            };
            let known = by_pid.entry(process.pid).or_default();
            *known = (*known).max(memory);
        }
    };
    add(gpu.running_compute_processes()?);
    add(unless_unsupported(gpu.running_graphics_processes())?);
    add(unless_unsupported(gpu.mps_running_compute_processes())?);
    Ok(by_pid
        .into_iter()
        .map(|(pid, memory)| GpuProcess {
            pid,
            name: None,
            memory,
        })
        .collect())
}

fn unless_unsupported(
    list: Result<Vec<ProcessInfo>, NvmlError>,
) -> Result<Vec<ProcessInfo>, NvmlError> {
    match list {
        Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => Ok(Vec::new()),
        other => other,
    }
}
