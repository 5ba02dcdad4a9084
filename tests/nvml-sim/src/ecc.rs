//! Memory errors of a GPU.

use crate::abi::{Code, Out, export};
use crate::simulator::{self, Device, gpu};
use leasehold_gpu_sim::{Change, EccSeverity, EccSince, Gpu};
use nvml_wrapper_sys::bindings::{
    nvmlEccCounterType_enum_NVML_AGGREGATE_ECC as AGGREGATE,
    nvmlEccCounterType_enum_NVML_VOLATILE_ECC as VOLATILE, nvmlEccCounterType_t, nvmlEnableState_t,
    nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_CORRECTED as CORRECTED,
    nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_UNCORRECTED as UNCORRECTED,
    nvmlMemoryErrorType_t, nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_COUNT as LOCATIONS,
    nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_DRAM as DRAM, nvmlMemoryLocation_t,
};
use std::ffi::{c_uint, c_ulonglong};

fn errors(
    device: Device,
    severity: nvmlMemoryErrorType_t,
    since: nvmlEccCounterType_t,
) -> Result<u64, Code> {
    let severity = match severity {
        CORRECTED => EccSeverity::Corrected,
        UNCORRECTED => EccSeverity::Uncorrected,
        _ => return Err(Code::INVALID_ARGUMENT),
    };
    let since = match since {
        VOLATILE => EccSince::Volatile,
        AGGREGATE => EccSince::Aggregate,
        _ => return Err(Code::INVALID_ARGUMENT),
    };
    Ok(gpu(device, |gpu| gpu.ecc_errors(since))?.of(severity))
}

export! {
    /// Whether ECC is on, now and after the next reset.
    fn nvmlDeviceGetEccMode(
        device: Device,
        current: Out<nvmlEnableState_t>,
        pending: Out<nvmlEnableState_t>,
    ) {
        let mode = gpu(device, Gpu::ecc_mode)?;
        current.put(mode.current.into())?;
        pending.put(mode.pending.into())
    }

    /// Switches ECC from the next reset on.
    fn nvmlDeviceSetEccMode(device: Device, ecc: nvmlEnableState_t) {
        simulator::change(device, |gpu| Change::SetEccMode { gpu, enabled: ecc != 0 })
    }

    /// All errors of one severity.
    fn nvmlDeviceGetTotalEccErrors(
        device: Device,
        severity: nvmlMemoryErrorType_t,
        since: nvmlEccCounterType_t,
        count: Out<c_ulonglong>,
    ) {
        count.put(errors(device, severity, since)?)
    }

    /// The errors in one kind of memory. All errors of the model are in the DRAM.
    fn nvmlDeviceGetMemoryErrorCounter(
        device: Device,
        severity: nvmlMemoryErrorType_t,
        since: nvmlEccCounterType_t,
        location: nvmlMemoryLocation_t,
        count: Out<c_ulonglong>,
    ) {
        let total = errors(device, severity, since)?;
        match location {
            DRAM => count.put(total),
            0..LOCATIONS => count.put(0),
            _ => Err(Code::INVALID_ARGUMENT),
        }
    }

    /// Rows replaced by spare ones.
    fn nvmlDeviceGetRemappedRows(
        device: Device,
        corrected: Out<c_uint>,
        uncorrected: Out<c_uint>,
        pending: Out<c_uint>,
        failure: Out<c_uint>,
    ) {
        let rows = gpu(device, Gpu::remapped_rows)?;
        corrected.put(rows.corrected)?;
        uncorrected.put(rows.uncorrected)?;
        pending.put(rows.pending.into())?;
        failure.put(rows.failure.into())
    }
}
