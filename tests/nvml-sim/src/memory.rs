//! Memory of a GPU.

use crate::abi::{Code, Out, export, version_of};
use crate::simulator::{Device, gpu};
use leasehold_gpu_sim::Gpu;
use nvml_wrapper_sys::bindings::{nvmlMemory_t, nvmlMemory_v2_t};

export! {
    /// Memory as the first version counts it: what the driver reserves is used.
    fn nvmlDeviceGetMemoryInfo(device: Device, memory: Out<nvmlMemory_t>) {
        let found = gpu(device, Gpu::memory)?;
        memory.put(nvmlMemory_t {
            total: found.total.0,
            free: found.free.0,
            used: (found.used + found.reserved).0,
        })
    }

    /// Memory as the second version counts it: what the driver reserves is reserved.
    fn nvmlDeviceGetMemoryInfo_v2(device: Device, memory: Out<nvmlMemory_v2_t>) {
        let version = version_of::<nvmlMemory_v2_t>(2);
        if memory.get()?.version != version {
            return Err(Code::ARGUMENT_VERSION_MISMATCH);
        }
        let found = gpu(device, Gpu::memory)?;
        memory.put(nvmlMemory_v2_t {
            version,
            total: found.total.0,
            reserved: found.reserved.0,
            free: found.free.0,
            used: found.used.0,
        })
    }
}
