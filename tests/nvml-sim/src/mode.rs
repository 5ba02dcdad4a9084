//! Modes of a GPU: who may use it, how it is divided, whether the driver stays.

use crate::abi::{Code, Out, export};
use crate::simulator::{self, Device, gpu};
use leasehold_gpu_sim::{Change, ComputeMode, Gpu};
use nvml_wrapper_sys::bindings::{
    nvmlComputeMode_enum_NVML_COMPUTEMODE_DEFAULT as DEFAULT,
    nvmlComputeMode_enum_NVML_COMPUTEMODE_EXCLUSIVE_PROCESS as EXCLUSIVE_PROCESS,
    nvmlComputeMode_enum_NVML_COMPUTEMODE_PROHIBITED as PROHIBITED, nvmlComputeMode_t,
    nvmlEnableState_t,
};
use std::ffi::c_uint;

export! {
    /// Who may open a compute context.
    fn nvmlDeviceGetComputeMode(device: Device, mode: Out<nvmlComputeMode_t>) {
        mode.put(match gpu(device, Gpu::compute_mode)? {
            ComputeMode::Default => DEFAULT,
            ComputeMode::Prohibited => PROHIBITED,
            ComputeMode::ExclusiveProcess => EXCLUSIVE_PROCESS,
        })
    }

    /// Sets who may open a compute context.
    fn nvmlDeviceSetComputeMode(device: Device, mode: nvmlComputeMode_t) {
        let mode = match mode {
            DEFAULT => ComputeMode::Default,
            PROHIBITED => ComputeMode::Prohibited,
            EXCLUSIVE_PROCESS => ComputeMode::ExclusiveProcess,
            _ => return Err(Code::INVALID_ARGUMENT),
        };
        simulator::change(device, |gpu| Change::SetComputeMode { gpu, mode })
    }

    /// Whether the driver stays loaded between clients.
    fn nvmlDeviceGetPersistenceMode(device: Device, mode: Out<nvmlEnableState_t>) {
        mode.put(gpu(device, Gpu::persistence_mode)?.into())
    }

    /// Switches persistence mode.
    fn nvmlDeviceSetPersistenceMode(device: Device, mode: nvmlEnableState_t) {
        simulator::change(device, |gpu| Change::SetPersistenceMode { gpu, enabled: mode != 0 })
    }

    /// Whether the GPU is divided, now and after the next reset.
    fn nvmlDeviceGetMigMode(device: Device, current: Out<c_uint>, pending: Out<c_uint>) {
        let mode = gpu(device, Gpu::mig_mode)?;
        current.put(mode.current.into())?;
        pending.put(mode.pending.into())
    }

    /// Whether the handle is one of a MIG device: never here.
    fn nvmlDeviceIsMigDeviceHandle(device: Device, is_mig: Out<c_uint>) {
        gpu(device, Gpu::mig_mode)?;
        is_mig.put(0)
    }
}
