//! Clocks, why they are what they are, and how busy a GPU is.

use crate::gpu::{Gpu, ones, twos};
use crate::record::{fields, symbol};
use crate::room::{self, Room};
use nvml_wrapper_sys::bindings::{nvmlClockOffset_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS};
use serde_json::json;

/// More than any GPU has.
const MOST_CLOCKS: usize = 1024;

pub fn record(gpu: &mut Gpu<'_>) {
    ones!(gpu: nvmlDeviceGetCurrentClocksEventReasons, nvmlDeviceGetCurrentClocksThrottleReasons,
        nvmlDeviceGetSupportedClocksEventReasons, nvmlDeviceGetSupportedClocksThrottleReasons,
        nvmlDeviceGetAdaptiveClockInfoStatus, nvmlDeviceGetGpcClkVfOffset,
        nvmlDeviceGetMemClkVfOffset);
    twos!(gpu: nvmlDeviceGetGpcClkMinMaxVfOffset, nvmlDeviceGetMemClkMinMaxVfOffset,
        nvmlDeviceGetEncoderUtilization, nvmlDeviceGetDecoderUtilization,
        nvmlDeviceGetJpgUtilization, nvmlDeviceGetOfaUtilization);
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetUtilizationRates),
        |v| fields!(v; gpu, memory),
    );
    for kind in 0..=4 {
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetClockInfo), kind);
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetMaxClockInfo), kind);
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetApplicationsClock), kind);
        gpu.by(
            symbol!(gpu.lib, nvmlDeviceGetDefaultApplicationsClock),
            kind,
        );
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetMaxCustomerBoostClock), kind);
        for id in 0..=4 {
            gpu.by_two(symbol!(gpu.lib, nvmlDeviceGetClock), [kind, id]);
        }
    }
    states(gpu);
    supported(gpu);
    gpu.structure(symbol!(gpu.lib, nvmlDeviceGetDynamicPstatesInfo), |v| {
        let domains: Vec<_> = v
            .utilization
            .iter()
            .map(|u| json!([u.bIsPresent, u.percentage, u.incThreshold, u.decThreshold]))
            .collect();
        json!({"flags": v.flags, "domains": domains})
    });
    // Texts of 2 KiB: their bytes say nothing more.
    let modes = symbol!(gpu.lib, nvmlDeviceGetPerformanceModes);
    if let Some(modes) = gpu.secretive(modes, "v1", Room::versioned(1)) {
        gpu.rec.value(json!(room::text(&modes.str_)));
    }
    let freqs = symbol!(gpu.lib, nvmlDeviceGetCurrentClockFreqs);
    if let Some(freqs) = gpu.secretive(freqs, "v1", Room::versioned(1)) {
        gpu.rec.value(json!(room::text(&freqs.str_)));
    }
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetClkMonStatus),
        |v| fields!(v; bGlobalStatus, clkMonListSize),
    );
}

fn states(gpu: &mut Gpu<'_>) {
    /// `NVML_MAX_GPU_PERF_PSTATES`.
    const STATES: usize = 16;
    let handle = gpu.handle;
    let mut room = Room::<[u32; STATES]>::new();
    let symbol = symbol!(gpu.lib, nvmlDeviceGetSupportedPerformanceStates);
    let rc = gpu.rec.call(symbol, "", |f| {
        let bytes = u32::try_from(STATES * size_of::<u32>()).unwrap_or(0);
        // SAFETY: the library's own handle, and as many bytes of room as it is told.
        unsafe { f(handle, room.pointer().cast(), bytes) }
    });
    gpu.rec.answer(rc, &room, |v| json!(v));
    for kind in 0..=3 {
        let (mut low, mut high) = (Room::<u32>::new(), Room::<u32>::new());
        let symbol = symbol!(gpu.lib, nvmlDeviceGetMinMaxClockOfPState);
        let rc = gpu.rec.call(symbol, &format!("{kind}/0"), |f| {
            // SAFETY: the library's own handle, keys by value, and room for what it writes.
            unsafe { f(handle, kind, 0, low.pointer(), high.pointer()) }
        });
        gpu.rec.answer(rc, &high, |high| json!([low.get(), high]));
        let size = u32::try_from(size_of::<nvmlClockOffset_t>()).unwrap_or(0);
        let asked = nvmlClockOffset_t {
            version: size | 1 << 24,
            type_: kind,
            pstate: 0,
            clockOffsetMHz: 0,
            minClockOffsetMHz: 0,
            maxClockOffsetMHz: 0,
        };
        let symbol = symbol!(gpu.lib, nvmlDeviceGetClockOffsets);
        let arg = format!("v1 clock {kind} state 0");
        gpu.structure_in(
            symbol,
            &arg,
            Room::holding(asked),
            |v| fields!(v; clockOffsetMHz, minClockOffsetMHz, maxClockOffsetMHz),
        );
    }
}

/// The clocks that may be asked for: of the memory all, of the rest how many and from where to where.
fn supported(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let (mut count, mut room) = (Room::holding(length()), Room::<[u32; MOST_CLOCKS]>::new());
    let symbol = symbol!(gpu.lib, nvmlDeviceGetSupportedMemoryClocks);
    let rc = gpu.rec.call(symbol, "", |f| {
        // SAFETY: as much room as the count says.
        unsafe { f(handle, count.pointer(), room.pointer().cast()) }
    });
    let memory = given(&count, &room);
    gpu.rec.answer(rc, &room, |_| json!(memory));
    if rc != Some(SUCCESS) {
        return;
    }
    for clock in memory {
        let (mut count, mut room) = (Room::holding(length()), Room::<[u32; MOST_CLOCKS]>::new());
        let symbol = symbol!(gpu.lib, nvmlDeviceGetSupportedGraphicsClocks);
        let rc = gpu
            .rec
            .call(symbol, &format!("with memory at {clock}"), |f| {
                // SAFETY: as much room as the count says.
                unsafe { f(handle, clock, count.pointer(), room.pointer().cast()) }
            });
        let clocks = given(&count, &room);
        gpu.rec.answer(
            rc,
            &room,
            |_| json!({"count": clocks.len(), "first": clocks.first(), "last": clocks.last()}),
        );
    }
}

fn length() -> u32 {
    u32::try_from(MOST_CLOCKS).unwrap_or(0)
}

fn given(count: &Room<u32>, room: &Room<[u32; MOST_CLOCKS]>) -> Vec<u32> {
    let many = usize::try_from(count.get()).unwrap_or(0).min(MOST_CLOCKS);
    room.get()[..many].to_vec()
}
