//! How a GPU is connected.

use crate::abi::{Out, export};
use crate::simulator::{Device, gpu};
use leasehold_gpu_sim::Gpu;
use nvml_wrapper_sys::bindings::nvmlEnableState_t;
use std::ffi::c_uint;

export! {
    /// PCIe generation at present.
    fn nvmlDeviceGetCurrPcieLinkGeneration(device: Device, generation: Out<c_uint>) {
        generation.put(gpu(device, Gpu::pcie_link)?.generation)
    }

    /// PCIe lanes in use.
    fn nvmlDeviceGetCurrPcieLinkWidth(device: Device, width: Out<c_uint>) {
        width.put(gpu(device, Gpu::pcie_link)?.width)
    }

    /// The highest PCIe generation that GPU and host both know.
    fn nvmlDeviceGetMaxPcieLinkGeneration(device: Device, generation: Out<c_uint>) {
        generation.put(gpu(device, Gpu::pcie_link)?.generation_max)
    }

    /// PCIe lanes wired.
    fn nvmlDeviceGetMaxPcieLinkWidth(device: Device, width: Out<c_uint>) {
        width.put(gpu(device, Gpu::pcie_link)?.width_max)
    }

    /// PCIe packets sent again.
    fn nvmlDeviceGetPcieReplayCounter(device: Device, count: Out<c_uint>) {
        count.put(gpu(device, Gpu::pcie_replays)?)
    }

    /// Whether an `NVLink` link carries data.
    fn nvmlDeviceGetNvLinkState(device: Device, link: c_uint, active: Out<nvmlEnableState_t>) {
        active.put(gpu(device, |gpu| gpu.nvlink(link))?.active.into())
    }

    /// The generation of an `NVLink` link.
    fn nvmlDeviceGetNvLinkVersion(device: Device, link: c_uint, version: Out<c_uint>) {
        version.put(gpu(device, |gpu| gpu.nvlink(link))?.version)
    }
}
