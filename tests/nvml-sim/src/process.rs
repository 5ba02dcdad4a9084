//! The processes that have a GPU open, one list for each kind of use.

use crate::abi::{Answer, Out, export, put_list};
use crate::simulator::{Device, gpu};
use leasehold_gpu_sim::ProcessKind;
use nvml_wrapper_sys::bindings::nvmlProcessInfo_t;
use std::ffi::c_uint;

/// Stands for the instance ids of a process on a GPU that is not divided.
const NO_INSTANCE: c_uint = c_uint::MAX;

fn put_processes(
    device: Device,
    kind: ProcessKind,
    count: Out<c_uint>,
    infos: Out<nvmlProcessInfo_t>,
) -> Answer {
    let found: Vec<nvmlProcessInfo_t> = gpu(device, |gpu| {
        let running = gpu
            .processes()?
            .iter()
            .filter(|process| process.kind == kind);
        let infos = running.map(|process| nvmlProcessInfo_t {
            pid: process.pid,
            usedGpuMemory: process.memory.0,
            gpuInstanceId: NO_INSTANCE,
            computeInstanceId: NO_INSTANCE,
        });
        Ok(infos.collect())
    })?;
    put_list(count, infos, &found)
}

export! {
    /// Processes with a compute context.
    fn nvmlDeviceGetComputeRunningProcesses_v3(
        device: Device,
        count: Out<c_uint>,
        infos: Out<nvmlProcessInfo_t>,
    ) {
        put_processes(device, ProcessKind::Compute, count, infos)
    }

    /// Processes with a graphics context.
    fn nvmlDeviceGetGraphicsRunningProcesses_v3(
        device: Device,
        count: Out<c_uint>,
        infos: Out<nvmlProcessInfo_t>,
    ) {
        put_processes(device, ProcessKind::Graphics, count, infos)
    }

    /// Processes that compute through the multi-process service.
    fn nvmlDeviceGetMPSComputeRunningProcesses_v3(
        device: Device,
        count: Out<c_uint>,
        infos: Out<nvmlProcessInfo_t>,
    ) {
        put_processes(device, ProcessKind::Mps, count, infos)
    }
}
