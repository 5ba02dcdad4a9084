//! Calls that `nvml-wrapper` does not have, or has wrongly: one `unsafe` block for each, and nothing else.
//!
//! Every symbol is taken from the library's fields, never through the generated methods: those panic where
//! a driver lacks the symbol. A lacking symbol is a value that this driver does not have.

#![expect(
    unsafe_code,
    reason = "NVML is a C library, and the wrapper has no safe call for these"
)]

use leasehold_agent_core::sample::{Fabric, FabricState, RemappedRows, SramErrors};
use nvml_wrapper::error::{NvmlError, nvml_try};
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{nvmlEccSramErrorStatus_v1_t, nvmlGpuFabricInfo_v3_t};
use std::ffi::{c_uint, c_ulonglong};

/// The function behind a symbol, where the driver has it.
macro_rules! symbol {
    ($nvml:expr, $name:ident) => {
        match &$nvml.lib().$name {
            Ok(function) => *function,
            Err(_) => return Err(NvmlError::FailedToLoadSymbol(stringify!($name).to_owned())),
        }
    };
}

/// Structures with a version word say their size and version in it; anything else is refused with 25.
fn versioned<T>(version: u32) -> c_uint {
    let size = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    size | version << 24
}

/// `nvmlDeviceGetCurrentClocksEventReasons`, or the name it had before driver 535.
pub(super) fn clock_events(nvml: &Nvml, gpu: &Device<'_>) -> Result<u64, NvmlError> {
    let call = match &nvml.lib().nvmlDeviceGetCurrentClocksEventReasons {
        Ok(call) => *call,
        Err(_) => symbol!(nvml, nvmlDeviceGetCurrentClocksThrottleReasons),
    };
    let mut reasons: c_ulonglong = 0;
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local.
    nvml_try(unsafe { call(gpu.handle(), &raw mut reasons) })?;
    Ok(reasons)
}

/// `nvmlDeviceGetRemappedRows`.
pub(super) fn remapped_rows(nvml: &Nvml, gpu: &Device<'_>) -> Result<RemappedRows, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetRemappedRows);
    let (mut corrected, mut uncorrected): (c_uint, c_uint) = (0, 0);
    let (mut pending, mut failed): (c_uint, c_uint) = (0, 0);
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointers are to locals.
    nvml_try(unsafe {
        call(
            gpu.handle(),
            &raw mut corrected,
            &raw mut uncorrected,
            &raw mut pending,
            &raw mut failed,
        )
    })?;
    Ok(RemappedRows {
        corrected,
        uncorrected,
        pending: pending != 0,
        failed: failed != 0,
    })
}

/// `nvmlDeviceGetSramEccErrorStatus`.
pub(super) fn sram_errors(nvml: &Nvml, gpu: &Device<'_>) -> Result<SramErrors, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetSramEccErrorStatus);
    // SAFETY: integers only, for which zero is a value.
    let mut status: nvmlEccSramErrorStatus_v1_t = unsafe { std::mem::zeroed() };
    status.version = versioned::<nvmlEccSramErrorStatus_v1_t>(1);
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local that says its size.
    nvml_try(unsafe { call(gpu.handle(), &raw mut status) })?;
    let both = |parity: u64, sec_ded: u64| parity.saturating_add(sec_ded);
    Ok(SramErrors {
        uncorrected: both(status.volatileUncParity, status.volatileUncSecDed),
        uncorrected_ever: both(status.aggregateUncParity, status.aggregateUncSecDed),
        threshold_exceeded: status.bThresholdExceeded != 0,
    })
}

/// `nvmlDeviceGetGpuFabricInfoV`, version 3: accepted by every driver that has the call with a summary.
pub(super) fn fabric(nvml: &Nvml, gpu: &Device<'_>) -> Result<Fabric, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetGpuFabricInfoV);
    // SAFETY: integers only, for which zero is a value.
    let mut info: nvmlGpuFabricInfo_v3_t = unsafe { std::mem::zeroed() };
    info.version = versioned::<nvmlGpuFabricInfo_v3_t>(3);
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local that says its size.
    nvml_try(unsafe { call(gpu.handle(), &raw mut info) })?;
    let state = match info.state {
        0 => FabricState::None,
        1 => FabricState::NotStarted,
        2 => FabricState::InProgress,
        3 => FabricState::Completed,
        // Not one that is known, and so not ready.
        _ => FabricState::InProgress,
    };
    Ok(Fabric {
        state,
        status: info.status,
        health: info.healthSummary.into(),
    })
}
