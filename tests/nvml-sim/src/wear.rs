//! What wears out in a GPU besides its memory rows, and its place in a fabric.

use crate::abi::{Code, Out, export};
use crate::simulator::{Device, gpu};
use leasehold_gpu_sim::Gpu;
use nvml_wrapper_sys::bindings::{
    nvmlEccSramErrorStatus_v1_t, nvmlGpuFabricInfo_v2_t, nvmlGpuFabricInfo_v3_t,
    nvmlRepairStatus_t, nvmlRowRemapperHistogramValues_t,
};
use std::ffi::c_uint;

/// Size and version of a structure, as callers say them in its first word.
fn word<T>(version: c_uint) -> c_uint {
    c_uint::try_from(size_of::<T>()).unwrap_or(c_uint::MAX) | version << 24
}

export! {
    /// Errors of on-chip memory. All of the model's are parity errors.
    fn nvmlDeviceGetSramEccErrorStatus(device: Device, status: Out<nvmlEccSramErrorStatus_v1_t>) {
        let mut told = status.get()?;
        if told.version != word::<nvmlEccSramErrorStatus_v1_t>(1) {
            return Err(Code::ARGUMENT_VERSION_MISMATCH);
        }
        let errors = gpu(device, Gpu::sram_errors)?;
        told.volatileUncParity = errors.uncorrected;
        told.aggregateUncParity = errors.uncorrected_ever;
        told.bThresholdExceeded = errors.threshold_exceeded.into();
        status.put(told)
    }

    /// Memory banks by how many spare rows they have left.
    fn nvmlDeviceGetRowRemapperHistogram(
        device: Device,
        values: Out<nvmlRowRemapperHistogramValues_t>,
    ) {
        let banks = gpu(device, Gpu::spare_rows)?;
        values.put(nvmlRowRemapperHistogramValues_t {
            max: banks.max,
            high: banks.high,
            partial: banks.partial,
            low: banks.low,
            none: banks.none,
        })
    }

    /// Repairs that wait for a reset.
    fn nvmlDeviceGetRepairStatus(device: Device, status: Out<nvmlRepairStatus_t>) {
        let mut told = status.get()?;
        if told.version != word::<nvmlRepairStatus_t>(1) {
            return Err(Code::ARGUMENT_VERSION_MISMATCH);
        }
        let repairs = gpu(device, Gpu::repairs)?;
        told.bChannelRepairPending = repairs.channel.into();
        told.bTpcRepairPending = repairs.tpc.into();
        status.put(told)
    }

    /// The place in a fabric, in a structure of version 3 or 2: the caller's is no larger than it says.
    fn nvmlDeviceGetGpuFabricInfoV(device: Device, info: Out<nvmlGpuFabricInfo_v3_t>) {
        let version = info.cast::<c_uint>().get()?;
        let fabric = || gpu(device, Gpu::fabric);
        if version == word::<nvmlGpuFabricInfo_v3_t>(3) {
            let fabric = fabric()?;
            let mut told = info.get()?;
            (told.state, told.status) = (fabric.state, fabric.status);
            (told.healthMask, told.healthSummary) = (fabric.mask, fabric.health);
            info.put(told)
        } else if version == word::<nvmlGpuFabricInfo_v2_t>(2) {
            let fabric = fabric()?;
            let info = info.cast::<nvmlGpuFabricInfo_v2_t>();
            let mut told = info.get()?;
            (told.state, told.status) = (fabric.state, fabric.status);
            told.healthMask = fabric.mask;
            info.put(told)
        } else {
            Err(Code::ARGUMENT_VERSION_MISMATCH)
        }
    }
}
