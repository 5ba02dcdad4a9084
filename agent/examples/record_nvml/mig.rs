//! MIG: which slices a GPU can be cut into, and which it is.

use crate::gpu::{ByOne, Gpu};
use crate::record::{Symbol, fields, symbol};
use crate::room::{self, Room};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlGpuInstancePlacement_t, nvmlGpuInstanceProfileInfo_v2_t,
    nvmlGpuInstanceProfileInfo_v3_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
};
use serde_json::json;
use std::ffi::c_uint;
use std::ptr;

/// Beyond `NVML_GPU_INSTANCE_PROFILE_COUNT`, which is 17 in the newest header known.
const PROFILES: c_uint = 20;

/// More starts than any profile has.
const MOST_PLACEMENTS: usize = 32;

pub fn record(gpu: &mut Gpu<'_>) {
    let most = gpu.one(symbol!(gpu.lib, nvmlDeviceGetMaxMigDeviceCount));
    for profile in 0..=PROFILES {
        let info = symbol!(gpu.lib, nvmlDeviceGetGpuInstanceProfileInfo);
        let info = gpu.by_of(info, profile, |v| {
            fields!(v; id, isP2pSupported, sliceCount, instanceCount, multiprocessorCount,
                copyEngineCount, decoderCount, encoderCount, jpegCount, ofaCount, memorySizeMB)
        });
        versions(gpu, profile);
        if let Some(info) = info {
            instances(gpu, info.id);
        }
    }
    for index in 0..most.unwrap_or(0).clamp(1, 8) {
        device(gpu, index);
    }
    gpu.one(symbol!(gpu.lib, nvmlDeviceGetGpuInstanceId));
    gpu.one(symbol!(gpu.lib, nvmlDeviceGetComputeInstanceId));
}

/// The same with names: version 2, and 3 through the type that has it.
fn versions(gpu: &mut Gpu<'_>, profile: c_uint) {
    let handle = gpu.handle;
    let mut second = Room::<nvmlGpuInstanceProfileInfo_v2_t>::versioned(2);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetGpuInstanceProfileInfoV);
    let rc = gpu.rec.call(symbol, &format!("{profile} v2"), |f| {
        // SAFETY: the library's own handle, a key by value, and room for what it writes.
        unsafe { f(handle, profile, second.pointer()) }
    });
    gpu.rec.answer(rc, &second, |v| {
        json!({"id": v.id, "name": room::text(&v.name), "isP2pSupported": v.isP2pSupported,
            "sliceCount": v.sliceCount, "instanceCount": v.instanceCount,
            "memorySizeMB": v.memorySizeMB})
    });
    let mut third = Room::<nvmlGpuInstanceProfileInfo_v3_t>::versioned(3);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetGpuInstanceProfileInfoV);
    let rc = gpu.rec.call(symbol, &format!("{profile} v3"), |f| {
        // SAFETY: the same; the version word says which struct it is.
        unsafe { f(handle, profile, third.pointer().cast()) }
    });
    gpu.rec.answer(rc, &third, |v| {
        json!({"id": v.id, "name": room::text(&v.name), "sliceCount": v.sliceCount,
            "instanceCount": v.instanceCount, "memorySizeMB": v.memorySizeMB,
            "capabilities": v.capabilities})
    });
}

/// By a profile's id: where its instances may lie, how many more there may be, how many there are.
fn instances(gpu: &mut Gpu<'_>, id: c_uint) {
    let handle = gpu.handle;
    let arg = format!("id {id}");
    let mut by_id = Room::<nvmlGpuInstanceProfileInfo_v2_t>::versioned(2);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetGpuInstanceProfileInfoByIdV);
    let rc = gpu.rec.call(symbol, &format!("{arg} v2"), |f| {
        // SAFETY: the library's own handle, a key by value, and room for what it writes.
        unsafe { f(handle, id, by_id.pointer()) }
    });
    gpu.rec.answer(
        rc,
        &by_id,
        |v| json!({"id": v.id, "name": room::text(&v.name)}),
    );

    let mut count = Room::holding(0_u32);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetGpuInstancePossiblePlacements_v2);
    let asked = gpu.rec.call(symbol, &format!("{arg}, how many"), |f| {
        // SAFETY: null asks for the count, as documented.
        unsafe { f(handle, id, ptr::null_mut(), count.pointer()) }
    });
    gpu.rec.answer(asked, &count, |v| json!(v));
    let many = usize::try_from(count.get()).unwrap_or(0);
    if asked == Some(SUCCESS) && (1..=MOST_PLACEMENTS).contains(&many) {
        let mut room = Room::<[nvmlGpuInstancePlacement_t; MOST_PLACEMENTS]>::new();
        let rc = gpu.rec.call(symbol, &arg, |f| {
            // SAFETY: room for more than the count that the library just gave.
            unsafe { f(handle, id, room.pointer().cast(), count.pointer()) }
        });
        gpu.rec.answer(rc, &room, |v| {
            let given = v[..many].iter().map(|at| json!([at.start, at.size]));
            json!(given.collect::<Vec<_>>())
        });
    }

    gpu.by(
        symbol!(gpu.lib, nvmlDeviceGetGpuInstanceRemainingCapacity),
        id,
    );
    let mut count = Room::holding(0_u32);
    let mut room = Room::<[nvmlDevice_t; MOST_PLACEMENTS]>::new();
    let rc = gpu
        .rec
        .call(symbol!(gpu.lib, nvmlDeviceGetGpuInstances), &arg, |f| {
            // SAFETY: room for more instances than a profile can have.
            unsafe { f(handle, id, room.pointer().cast(), count.pointer()) }
        });
    gpu.rec.answer(rc, &count, |v| json!(v));
}

/// A MIG device, as clients of one see it.
fn device(gpu: &mut Gpu<'_>, index: c_uint) {
    let symbol: Symbol<ByOne<nvmlDevice_t>> = symbol!(gpu.lib, nvmlDeviceGetMigDeviceHandleByIndex);
    let found = gpu.by_of(symbol, index, |_| json!(null));
    let Some(handle) = found else {
        return;
    };
    let mut slice = Gpu {
        rec: &mut *gpu.rec,
        lib: gpu.lib,
        handle,
        index: gpu.index,
    };
    slice.text(symbol!(slice.lib, nvmlDeviceGetUUID));
    slice.text(symbol!(slice.lib, nvmlDeviceGetName));
    slice.one(symbol!(slice.lib, nvmlDeviceIsMigDeviceHandle));
    slice.one(symbol!(slice.lib, nvmlDeviceGetGpuInstanceId));
    slice.one(symbol!(slice.lib, nvmlDeviceGetComputeInstanceId));
    slice.structure(
        symbol!(slice.lib, nvmlDeviceGetMemoryInfo),
        |v| fields!(v; total, free, used),
    );
}
