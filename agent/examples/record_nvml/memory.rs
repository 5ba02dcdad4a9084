//! Memory: how much, what went wrong in it, and what was done about that.

use crate::gpu::{Gpu, One, ones};
use crate::record::{Symbol, fields, symbol};
use crate::room::{Plain, Room};
use nvml_wrapper_sys::bindings::nvmlEccSramUniqueUncorrectedErrorCounts_t;
use serde_json::json;
use std::ffi::c_uint;
use std::ptr;

/// `nvmlRemappedRowsInfo_v2_t` of `nvml.h` 13.3, filled in by `nvmlDeviceGetRemappedRows_v2`. Without a
/// version word, as published.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(non_snake_case, reason = "the header's names")]
struct RemappedRows2 {
    corrActiveRemaps: c_uint,
    corrInactiveRemaps: c_uint,
    uncActiveRemaps: c_uint,
    uncInactiveRemaps: c_uint,
    bPending: c_uint,
    bFailureOccurred: c_uint,
}

// SAFETY: integers only.
unsafe impl Plain for RemappedRows2 {}

pub fn record(gpu: &mut Gpu<'_>) {
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetMemoryInfo),
        |v| fields!(v; total, free, used),
    );
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetMemoryInfo_v2),
        2,
        |v| fields!(v; total, reserved, free, used),
    );
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetBAR1MemoryInfo),
        |v| fields!(v; bar1Total, bar1Free, bar1Used),
    );
    errors(gpu);
    sram(gpu);
    remaps(gpu);
    retired(gpu);
}

fn errors(gpu: &mut Gpu<'_>) {
    for kind in 0..=1 {
        for counter in 0..=1 {
            gpu.by_two(
                symbol!(gpu.lib, nvmlDeviceGetTotalEccErrors),
                [kind, counter],
            );
            let detailed = symbol!(gpu.lib, nvmlDeviceGetDetailedEccErrors);
            gpu.by_two_of(
                detailed,
                [kind, counter],
                |v| fields!(v; l1Cache, l2Cache, deviceMemory, registerFile),
            );
            for location in 0..=8 {
                let (handle, mut room) = (gpu.handle, Room::<u64>::new());
                let symbol = symbol!(gpu.lib, nvmlDeviceGetMemoryErrorCounter);
                let arg = format!("{kind}/{counter}/{location}");
                let rc = gpu.rec.call(symbol, &arg, |f| {
                    // SAFETY: the library's own handle, keys by value, and room for what it writes.
                    unsafe { f(handle, kind, counter, location, room.pointer()) }
                });
                gpu.rec.answer(rc, &room, |v| json!(v));
            }
        }
    }
}

fn sram(gpu: &mut Gpu<'_>) {
    gpu.versioned(symbol!(gpu.lib, nvmlDeviceGetSramEccErrorStatus), 1, |v| {
        fields!(v; aggregateUncParity, aggregateUncSecDed, aggregateCor, volatileUncParity,
            volatileUncSecDed, volatileCor, aggregateUncBucketL2, aggregateUncBucketSm,
            aggregateUncBucketPcie, aggregateUncBucketMcu, aggregateUncBucketOther,
            bThresholdExceeded)
    });
    let symbol = symbol!(gpu.lib, nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts);
    // With `entries` null it says how many there are.
    let room = Room::<nvmlEccSramUniqueUncorrectedErrorCounts_t>::versioned(1);
    gpu.structure_in(symbol, "v1, how many", room, |v| fields!(v; entryCount));
}

fn remaps(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let mut out = [(); 4].map(|()| Room::<u32>::new());
    let [corrected, uncorrected, pending, failed] = &mut out;
    let rc = gpu
        .rec
        .call(symbol!(gpu.lib, nvmlDeviceGetRemappedRows), "", |f| {
            // SAFETY: the library's own handle, and room for what it writes.
            unsafe {
                f(
                    handle,
                    corrected.pointer(),
                    uncorrected.pointer(),
                    pending.pointer(),
                    failed.pointer(),
                )
            }
        });
    gpu.rec
        .answer(rc, &out[3], |_| json!(out.each_ref().map(Room::get)));
    // SAFETY: the type that `nvml.h` declares.
    let second: Symbol<One<RemappedRows2>> =
        unsafe { Symbol::named(gpu.lib, "nvmlDeviceGetRemappedRows_v2\0") };
    gpu.structure(second, |v| {
        fields!(v; corrActiveRemaps, corrInactiveRemaps, uncActiveRemaps, uncInactiveRemaps,
            bPending, bFailureOccurred)
    });
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetRowRemapperHistogram),
        |v| fields!(v; max, high, partial, low, none),
    );
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetRepairStatus),
        1,
        |v| fields!(v; bChannelRepairPending, bTpcRepairPending),
    );
    // `nvmlUnrepairableMemoryStatus_v1_t` of `nvml.h` 13.1 is one `unsigned int bUnrepairableMemory`.
    // SAFETY: the type that `nvml.h` declares.
    let unrepairable: Symbol<One<c_uint>> =
        unsafe { Symbol::named(gpu.lib, "nvmlDeviceGetUnrepairableMemoryFlag_v1\0") };
    gpu.one(unrepairable);
}

/// Pages, on GPUs older than those that remap rows.
fn retired(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    for cause in 0..=1 {
        let mut count = Room::holding(0_u32);
        let symbol = symbol!(gpu.lib, nvmlDeviceGetRetiredPages);
        let rc = gpu.rec.call(symbol, &cause.to_string(), |f| {
            // SAFETY: a count of no room, as documented for asking how many there are.
            unsafe { f(handle, cause, count.pointer(), ptr::null_mut()) }
        });
        gpu.rec.answer(rc, &count, |v| json!(v));
        let mut count = Room::holding(0_u32);
        let symbol = symbol!(gpu.lib, nvmlDeviceGetRetiredPages_v2);
        let rc = gpu.rec.call(symbol, &cause.to_string(), |f| {
            // SAFETY: the same.
            unsafe {
                f(
                    handle,
                    cause,
                    count.pointer(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            }
        });
        gpu.rec.answer(rc, &count, |v| json!(v));
    }
    ones!(gpu: nvmlDeviceGetRetiredPagesPendingStatus);
}
