//! Calls that `nvml-wrapper` does not have, or has wrongly: one `unsafe` block for each, and nothing else.
//!
//! Every symbol is taken from the library's fields, never through the generated methods: those panic where
//! a driver lacks the symbol. A lacking symbol is a value that this driver does not have.

#![expect(
    unsafe_code,
    reason = "NVML is a C library, and the wrapper has no safe call for these"
)]

use leasehold_agent_core::sample::{
    Fabric, FabricFaults, FabricState, RemappedRows, Repairs, SpareRows, SramErrors,
};
use leasehold_common::ids::GpuUuid;
use nvml_wrapper::error::{NvmlError, nvml_try};
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{
    nvmlEccSramErrorStatus_v1_t, nvmlEventData_t, nvmlEventSet_t, nvmlFieldValue_t,
    nvmlGpuFabricInfo_v2_t, nvmlGpuFabricInfo_v3_t, nvmlGpuFabricInfoV_t, nvmlRepairStatus_t,
    nvmlRowRemapperHistogramValues_t,
};
use std::ffi::{c_int, c_uint, c_ulonglong};

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

/// `nvmlDeviceGetRowRemapperHistogram`.
pub(super) fn spare_rows(nvml: &Nvml, gpu: &Device<'_>) -> Result<SpareRows, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetRowRemapperHistogram);
    // SAFETY: integers only, for which zero is a value.
    let mut banks: nvmlRowRemapperHistogramValues_t = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local.
    nvml_try(unsafe { call(gpu.handle(), &raw mut banks) })?;
    Ok(SpareRows {
        all: banks.max,
        some: banks.high.saturating_add(banks.partial),
        few: banks.low,
        none: banks.none,
    })
}

/// `nvmlDeviceGetRepairStatus`.
pub(super) fn repairs(nvml: &Nvml, gpu: &Device<'_>) -> Result<Repairs, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetRepairStatus);
    // SAFETY: integers only, for which zero is a value.
    let mut status: nvmlRepairStatus_t = unsafe { std::mem::zeroed() };
    status.version = versioned::<nvmlRepairStatus_t>(1);
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local that says its size.
    nvml_try(unsafe { call(gpu.handle(), &raw mut status) })?;
    Ok(Repairs {
        channel: status.bChannelRepairPending != 0,
        tpc: status.bTpcRepairPending != 0,
    })
}

/// `nvmlDeviceGetGpuFabricInfoV`: version 3, and where the driver does not know that, version 2, which has no
/// summary.
pub(super) fn fabric(nvml: &Nvml, gpu: &Device<'_>) -> Result<Fabric, NvmlError> {
    /// `NVML_ERROR_ARGUMENT_VERSION_MISMATCH`.
    const OTHER_VERSION: u32 = 25;
    let call = symbol!(nvml, nvmlDeviceGetGpuFabricInfoV);
    // SAFETY: integers only, for which zero is a value.
    let mut info: nvmlGpuFabricInfo_v3_t = unsafe { std::mem::zeroed() };
    info.version = versioned::<nvmlGpuFabricInfo_v3_t>(3);
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local that says its size.
    let answer = nvml_try(unsafe { call(gpu.handle(), &raw mut info) });
    if matches!(answer, Err(NvmlError::UnexpectedVariant(OTHER_VERSION))) {
        // SAFETY: integers only, for which zero is a value.
        let mut older: nvmlGpuFabricInfo_v2_t = unsafe { std::mem::zeroed() };
        older.version = versioned::<nvmlGpuFabricInfo_v2_t>(2);
        let pointer: *mut nvmlGpuFabricInfo_v2_t = &raw mut older;
        // SAFETY: as above; the library writes as far as the size in the structure, which is that of the local.
        nvml_try(unsafe { call(gpu.handle(), pointer.cast::<nvmlGpuFabricInfoV_t>()) })?;
        return Ok(in_fabric(older.state, older.status, 0, older.healthMask));
    }
    answer?;
    let health = info.healthSummary.into();
    Ok(in_fabric(info.state, info.status, health, info.healthMask))
}

fn in_fabric(state: u8, status: u32, health: u32, mask: u32) -> Fabric {
    let state = match state {
        0 => FabricState::None,
        1 => FabricState::NotStarted,
        2 => FabricState::InProgress,
        3 => FabricState::Completed,
        // Not one that is known, and so not ready.
        _ => FabricState::InProgress,
    };
    Fabric {
        state,
        status,
        health,
        faults: FabricFaults::of_mask(mask),
    }
}

/// `nvmlDeviceGetFieldValues` of fields with their scopes, such as the link that is meant: the wrapper's call
/// knows no scope. Each has its own answer, in the order of what was asked for.
pub(super) fn fields(
    nvml: &Nvml,
    gpu: &Device<'_>,
    asked: &[(u32, u32)],
) -> Result<Vec<Result<u64, NvmlError>>, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetFieldValues);
    let mut values: Vec<nvmlFieldValue_t> = asked
        .iter()
        .map(|(field, scope)| {
            // SAFETY: integers, a float and a union of both, for which zero is a value.
            let mut value: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
            value.fieldId = *field;
            value.scopeId = *scope;
            value
        })
        .collect();
    let count = c_int::try_from(values.len()).map_err(|_| NvmlError::InvalidArg)?;
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to so many values.
    nvml_try(unsafe { call(gpu.handle(), count, values.as_mut_ptr()) })?;
    Ok(values.iter().map(field_value).collect())
}

/// A field as a number.
fn field_value(field: &nvmlFieldValue_t) -> Result<u64, NvmlError> {
    nvml_try(field.nvmlReturn)?;
    // SAFETY: the driver said which of the union's numbers it wrote; all bits are numbers for each of them.
    unsafe {
        match field.valueType {
            // unsigned int, unsigned long, unsigned long long, unsigned short
            1 => Ok(field.value.uiVal.into()),
            2 => Ok(field.value.ulVal),
            3 => Ok(field.value.ullVal),
            6 => Ok(field.value.usVal.into()),
            other => Err(NvmlError::UnexpectedVariant(other)),
        }
    }
}

/// `nvmlDeviceGetSupportedEventTypes`, bits that the wrapper does not know among them.
pub(super) fn supported_events(nvml: &Nvml, gpu: &Device<'_>) -> Result<u64, NvmlError> {
    let call = symbol!(nvml, nvmlDeviceGetSupportedEventTypes);
    let mut types: c_ulonglong = 0;
    // SAFETY: the handle is of `nvml`, which outlives the call; the pointer is to a local.
    nvml_try(unsafe { call(gpu.handle(), &raw mut types) })?;
    Ok(types)
}

/// An event as NVML tells it.
#[derive(Debug)]
pub(super) struct RawEvent {
    /// Its bit.
    pub(super) kind: u64,
    /// The number that comes with it.
    pub(super) data: u64,
    /// Of which GPU; absent where that has no UUID any more.
    pub(super) gpu: Option<GpuUuid>,
    pub(super) gpu_instance: Option<u32>,
    pub(super) compute_instance: Option<u32>,
}

/// A set of events (`nvmlEventSet_t`): the wrapper's drops the instance ids, and is lost with any GPU that
/// cannot be registered.
pub(super) struct EventSet<'n> {
    nvml: &'n Nvml,
    set: nvmlEventSet_t,
}

impl<'n> EventSet<'n> {
    /// `nvmlEventSetCreate`.
    pub(super) fn new(nvml: &'n Nvml) -> Result<Self, NvmlError> {
        let call = symbol!(nvml, nvmlEventSetCreate);
        let mut set: nvmlEventSet_t = std::ptr::null_mut();
        // SAFETY: the pointer is to a local.
        nvml_try(unsafe { call(&raw mut set) })?;
        Ok(Self { nvml, set })
    }

    /// `nvmlDeviceRegisterEvents`.
    pub(super) fn register(&self, gpu: &Device<'_>, types: u64) -> Result<(), NvmlError> {
        let call = symbol!(self.nvml, nvmlDeviceRegisterEvents);
        // SAFETY: handle and set are of `nvml`, which outlives the call.
        nvml_try(unsafe { call(gpu.handle(), types, self.set) })
    }

    /// `nvmlEventSetWait_v2`.
    pub(super) fn wait(&self, timeout_ms: u32) -> Result<RawEvent, NvmlError> {
        /// What NVML says where there is no instance.
        const NONE: c_uint = c_uint::MAX;
        let call = symbol!(self.nvml, nvmlEventSetWait_v2);
        // SAFETY: integers and a pointer, for which zero is a value.
        let mut data: nvmlEventData_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is of `nvml`, which outlives the call; the pointer is to a local.
        nvml_try(unsafe { call(self.set, &raw mut data, timeout_ms) })?;
        // SAFETY: NVML gave the handle, and `nvml` outlives it.
        let gpu = unsafe { Device::new(data.device, self.nvml) };
        let uuid = gpu.uuid().ok().and_then(|uuid| uuid.parse().ok());
        Ok(RawEvent {
            kind: data.eventType,
            data: data.eventData,
            gpu: uuid,
            gpu_instance: (data.gpuInstanceId != NONE).then_some(data.gpuInstanceId),
            compute_instance: (data.computeInstanceId != NONE).then_some(data.computeInstanceId),
        })
    }
}

impl Drop for EventSet<'_> {
    fn drop(&mut self) {
        if let Ok(call) = &self.nvml.lib().nvmlEventSetFree {
            // SAFETY: the set was made by the same library and is not used any more.
            let freed = nvml_try(unsafe { call(self.set) });
            if let Err(e) = freed {
                tracing::debug!(error = %e, "a set of events was not freed");
            }
        }
    }
}
