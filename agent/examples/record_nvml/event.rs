//! Events: which a GPU can tell of, what may be registered for, how waiting for nothing ends.

use crate::gpu::Gpu;
use crate::record::{Recorder, symbol};
use crate::room::Room;
use nvml_wrapper_sys::bindings::{
    NvmlLib, nvmlEventSet_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
};
use serde_json::json;

/// `nvmlEventTypeXidCriticalError`.
const XID: u64 = 0x8;

/// Bits 0 to 15: all that any published header names.
const ALL: u64 = 0xffff;

const WAIT_MS: u32 = 100;

pub fn record(gpu: &mut Gpu<'_>) {
    let supported: u64 = gpu
        .one(symbol!(gpu.lib, nvmlDeviceGetSupportedEventTypes))
        .unwrap_or(XID);
    for mask in [supported, XID, ALL] {
        with_set(gpu, mask);
    }
}

/// A set of its own for each: one unsupported bit may spoil a set.
fn with_set(gpu: &mut Gpu<'_>, mask: u64) {
    let Some(set) = create(gpu.rec, gpu.lib) else {
        return;
    };
    let handle = gpu.handle;
    let symbol = symbol!(gpu.lib, nvmlDeviceRegisterEvents);
    gpu.rec.call(symbol, &format!("0x{mask:x}"), |f| {
        // SAFETY: the library's own handle and set.
        unsafe { f(handle, mask, set) }
    });
    let mut room = Room::new();
    let rc = gpu.rec.call(
        symbol!(gpu.lib, nvmlEventSetWait_v2),
        &format!("{WAIT_MS} ms"),
        |f| {
            // SAFETY: the library's own set, and room for what it writes.
            unsafe { f(set, room.pointer(), WAIT_MS) }
        },
    );
    gpu.rec.answer(
        rc,
        &room,
        |v: &nvml_wrapper_sys::bindings::nvmlEventData_t| {
            json!([
                v.eventType,
                v.eventData,
                v.gpuInstanceId,
                v.computeInstanceId
            ])
        },
    );
    // SAFETY: made above, freed once.
    gpu.rec
        .call(symbol!(gpu.lib, nvmlEventSetFree), "", |f| unsafe {
            f(set)
        });
}

fn create(rec: &mut Recorder, lib: &NvmlLib) -> Option<nvmlEventSet_t> {
    let mut room = Room::<nvmlEventSet_t>::new();
    let rc = rec.call(symbol!(lib, nvmlEventSetCreate), "", |f| {
        // SAFETY: room for what it writes.
        unsafe { f(room.pointer()) }
    });
    (rc == Some(SUCCESS)).then(|| room.get())
}
