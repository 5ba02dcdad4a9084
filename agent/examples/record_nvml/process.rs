//! Who has a GPU open. Their numbers are kept, neither names nor command lines are asked for.

use crate::gpu::Gpu;
use crate::record::{Symbol, symbol};
use crate::room::{Plain, Room};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlProcessDetailList_t, nvmlProcessInfo_v1_t, nvmlProcessInfo_v2_t,
    nvmlProcessUtilizationSample_t, nvmlProcessesUtilizationInfo_t, nvmlReturn_t,
};
use serde_json::{Value, json};
use std::ffi::c_uint;
use std::ptr;

/// Of a list, so many are asked for.
const MOST: usize = 64;

type List<T> = unsafe extern "C" fn(nvmlDevice_t, *mut c_uint, *mut T) -> nvmlReturn_t;

pub fn record(gpu: &mut Gpu<'_>) {
    let third: [Symbol<List<nvmlProcessInfo_v2_t>>; 3] = [
        symbol!(gpu.lib, nvmlDeviceGetComputeRunningProcesses_v3),
        symbol!(gpu.lib, nvmlDeviceGetGraphicsRunningProcesses_v3),
        symbol!(gpu.lib, nvmlDeviceGetMPSComputeRunningProcesses_v3),
    ];
    // `_v2` has the struct of `_v3`, the name without a number the one of version 1 (`nvml.h`).
    let second = [
        "nvmlDeviceGetComputeRunningProcesses_v2\0",
        "nvmlDeviceGetGraphicsRunningProcesses_v2\0",
        "nvmlDeviceGetMPSComputeRunningProcesses_v2\0",
    ]
    // SAFETY: the type that `nvml.h` declares.
    .map(|name| unsafe { Symbol::<List<nvmlProcessInfo_v2_t>>::named(gpu.lib, name) });
    let first = [
        "nvmlDeviceGetComputeRunningProcesses\0",
        "nvmlDeviceGetGraphicsRunningProcesses\0",
        "nvmlDeviceGetMPSComputeRunningProcesses\0",
    ]
    // SAFETY: the same.
    .map(|name| unsafe { Symbol::<List<nvmlProcessInfo_v1_t>>::named(gpu.lib, name) });
    for symbol in third.into_iter().chain(second) {
        list(gpu, symbol, |p| {
            json!([p.pid, p.usedGpuMemory, p.gpuInstanceId, p.computeInstanceId])
        });
    }
    for symbol in first {
        list(gpu, symbol, |p| json!([p.pid, p.usedGpuMemory]));
    }
    details(gpu);
    utilisation(gpu);
}

/// How many there are, then the list.
fn list<T: Plain>(gpu: &mut Gpu<'_>, symbol: Symbol<List<T>>, shown: impl Fn(&T) -> Value) {
    let (handle, mut count) = (gpu.handle, Room::holding(0_u32));
    let rc = gpu.rec.call(symbol, "how many", |f| {
        // SAFETY: a count of no room, as documented for asking how much is needed.
        unsafe { f(handle, count.pointer(), ptr::null_mut()) }
    });
    gpu.rec.answer(rc, &count, |v| json!(v));
    if rc.is_none() {
        return;
    }
    gpu.rec.value(json!({"count": count.get()}));
    let mut count = Room::holding(u32::try_from(MOST).unwrap_or(0));
    let mut room = Room::<[T; MOST]>::new();
    let rc = gpu.rec.call(symbol, "", |f| {
        // SAFETY: as much room as the count says.
        unsafe { f(handle, count.pointer(), room.pointer().cast()) }
    });
    let many = usize::try_from(count.get()).unwrap_or(0).min(MOST);
    gpu.rec.answer(rc, &room, |list| {
        json!({"count": count.get(), "list": list[..many].iter().map(&shown).collect::<Vec<_>>()})
    });
}

/// The newer list. Modes: compute, graphics, MPS.
fn details(gpu: &mut Gpu<'_>) {
    let size = u32::try_from(size_of::<nvmlProcessDetailList_t>()).unwrap_or(0);
    for mode in 0..=2 {
        let asked = nvmlProcessDetailList_t {
            version: size | 1 << 24,
            mode,
            numProcArrayEntries: 0,
            procArray: ptr::null_mut(),
        };
        let (handle, mut room) = (gpu.handle, Room::holding(asked));
        let symbol = symbol!(gpu.lib, nvmlDeviceGetRunningProcessDetailList);
        let rc = gpu
            .rec
            .call(symbol, &format!("v1 mode {mode}, how many"), |f| {
                // SAFETY: no room for entries, as documented for asking how many there are.
                unsafe { f(handle, room.pointer()) }
            });
        gpu.rec.answer(rc, &room, |_| Value::Null);
        if rc.is_some() {
            gpu.rec
                .value(json!({"count": room.get().numProcArrayEntries}));
        }
    }
}

fn utilisation(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let mut count = Room::holding(u32::try_from(MOST).unwrap_or(0));
    let mut room = Room::<[nvmlProcessUtilizationSample_t; MOST]>::new();
    let rc = gpu
        .rec
        .call(symbol!(gpu.lib, nvmlDeviceGetProcessUtilization), "", |f| {
            // SAFETY: as much room as the count says.
            unsafe { f(handle, room.pointer().cast(), count.pointer(), 0) }
        });
    let many = usize::try_from(count.get()).unwrap_or(0).min(MOST);
    gpu.rec.answer(rc, &room, |list| {
        let shown = |p: &nvmlProcessUtilizationSample_t| {
            json!([
                p.pid,
                p.timeStamp,
                p.smUtil,
                p.memUtil,
                p.encUtil,
                p.decUtil
            ])
        };
        json!(list[..many].iter().map(shown).collect::<Vec<_>>())
    });

    let size = u32::try_from(size_of::<nvmlProcessesUtilizationInfo_t>()).unwrap_or(0);
    let asked = nvmlProcessesUtilizationInfo_t {
        version: size | 1 << 24,
        processSamplesCount: 0,
        lastSeenTimeStamp: 0,
        procUtilArray: ptr::null_mut(),
    };
    let mut room = Room::holding(asked);
    let symbol = symbol!(gpu.lib, nvmlDeviceGetProcessesUtilizationInfo);
    let rc = gpu.rec.call(symbol, "v1, how many", |f| {
        // SAFETY: no room for samples, as documented for asking how many there are.
        unsafe { f(handle, room.pointer()) }
    });
    gpu.rec.answer(rc, &room, |_| Value::Null);
    if rc.is_some() {
        gpu.rec
            .value(json!({"count": room.get().processSamplesCount}));
    }
}
