//! Modes: what is switched on, and what will be after a reset.

use crate::gpu::{Gpu, ones, twos};
use crate::record::{fields, symbol};
use crate::room::Room;
use nvml_wrapper_sys::bindings::{
    nvmlDramEncryptionInfo_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
};
use serde_json::json;

pub fn record(gpu: &mut Gpu<'_>) {
    ones!(gpu: nvmlDeviceGetPersistenceMode, nvmlDeviceGetComputeMode, nvmlDeviceGetDisplayMode,
        nvmlDeviceGetDisplayActive, nvmlDeviceGetVirtualizationMode, nvmlDeviceGetHostVgpuMode,
        nvmlDeviceGetDefaultEccMode, nvmlDeviceGetAccountingMode,
        nvmlDeviceGetAccountingBufferSize);
    // Each with the mode that is now and the one that is pending, or is the default.
    twos!(gpu: nvmlDeviceGetEccMode, nvmlDeviceGetMigMode, nvmlDeviceGetGpuOperationMode,
        nvmlDeviceGetDriverModel_v2, nvmlDeviceGetAutoBoostedClocksEnabled);
    for api in 0..=2 {
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetAPIRestriction), api);
    }
    dram_encryption(gpu);
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetConfComputeMemSizeInfo),
        |v| fields!(v; protectedMemSizeKib, unprotectedMemSizeKib),
    );
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetConfComputeProtectedMemoryUsage),
        |v| fields!(v; total, free, used),
    );
    accounting(gpu);
}

fn dram_encryption(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let mut now = Room::<nvmlDramEncryptionInfo_t>::versioned(1);
    let mut pending = Room::<nvmlDramEncryptionInfo_t>::versioned(1);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetDramEncryptionMode);
    let rc = gpu.rec.call(symbol, "v1", |f| {
        // SAFETY: the library's own handle, and room for what it writes.
        unsafe { f(handle, now.pointer(), pending.pointer()) }
    });
    gpu.rec.answer(rc, &pending, |v| {
        json!([now.get().encryptionState, v.encryptionState])
    });
}

/// Which processes were accounted for. Their numbers are of no interest, that there are is.
fn accounting(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let mut count = Room::holding(0_u32);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetAccountingPids);
    let rc = gpu.rec.call(symbol, "room for 0", |f| {
        // SAFETY: a count of no room, as documented for asking how much is needed.
        unsafe { f(handle, count.pointer(), std::ptr::null_mut()) }
    });
    gpu.rec.answer(rc, &count, |v| json!(v));
    if rc != Some(SUCCESS) && rc.is_some() {
        gpu.rec.value(json!({"needed": count.get()}));
    }
}
