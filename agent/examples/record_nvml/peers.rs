//! A GPU beside the others, and beside the host's processors.

use crate::gpu::Gpu;
use crate::record::symbol;
use crate::room::Room;
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use serde_json::{Value, json};
use std::ptr;

/// For 1,024 processors, or memory nodes.
const WORDS: usize = 16;

pub fn record(gpu: &mut Gpu<'_>, all: &[(u32, nvmlDevice_t)]) {
    affinity(gpu);
    // Levels of `nvmlGpuTopologyLevel_t`, in tens.
    for level in [0, 10, 20, 30, 40, 50] {
        let (handle, mut count) = (gpu.handle, Room::holding(0_u32));
        let symbol = symbol!(gpu.lib, nvmlDeviceGetTopologyNearestGpus);
        let rc = gpu
            .rec
            .call(symbol, &format!("level {level}, how many"), |f| {
                // SAFETY: a count of no room, as documented for asking how many there are.
                unsafe { f(handle, level, count.pointer(), ptr::null_mut()) }
            });
        gpu.rec.answer(rc, &count, |v| json!(v));
    }
    for &(index, other) in all {
        pair(gpu, index, other);
    }
}

/// With itself too: what the library says to that.
fn pair(gpu: &mut Gpu<'_>, index: u32, other: nvmlDevice_t) {
    let handle = gpu.handle;
    let arg = format!("with {index}");
    let mut room = Room::<u32>::new();
    let rc = gpu.rec.call(
        symbol!(gpu.lib, nvmlDeviceGetTopologyCommonAncestor),
        &arg,
        |f| {
            // SAFETY: the library's own handles, and room for what it writes.
            unsafe { f(handle, other, room.pointer()) }
        },
    );
    gpu.rec.answer(rc, &room, |v| json!(v));
    let mut room = Room::<i32>::new();
    let rc = gpu
        .rec
        .call(symbol!(gpu.lib, nvmlDeviceOnSameBoard), &arg, |f| {
            // SAFETY: the same.
            unsafe { f(handle, other, room.pointer()) }
        });
    gpu.rec.answer(rc, &room, |v| json!(v));
    for capability in 0..=5 {
        let mut room = Room::<u32>::new();
        let arg = format!("with {index}/{capability}");
        let rc = gpu
            .rec
            .call(symbol!(gpu.lib, nvmlDeviceGetP2PStatus), &arg, |f| {
                // SAFETY: the same, a key by value.
                unsafe { f(handle, other, capability, room.pointer()) }
            });
        gpu.rec.answer(rc, &room, |v| json!(v));
    }
}

fn affinity(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let words = u32::try_from(WORDS).unwrap_or(0);
    let shown = |set: &[u64; WORDS]| {
        let used = set
            .iter()
            .rposition(|&word| word != 0)
            .map_or(0, |last| last + 1);
        let words = set[..used].iter().map(|word| format!("0x{word:016x}"));
        Value::Array(words.map(Value::String).collect())
    };
    let mut room = Room::<[u64; WORDS]>::new();
    let rc = gpu
        .rec
        .call(symbol!(gpu.lib, nvmlDeviceGetCpuAffinity), "", |f| {
            // SAFETY: the library's own handle, and as many words of room as it is told.
            unsafe { f(handle, words, room.pointer().cast()) }
        });
    gpu.rec.answer(rc, &room, shown);
    // `NVML_AFFINITY_SCOPE_NODE`, `NVML_AFFINITY_SCOPE_SOCKET`.
    for scope in [0, 1] {
        let arg = format!("scope {scope}");
        let mut room = Room::<[u64; WORDS]>::new();
        let symbol = symbol!(gpu.lib, nvmlDeviceGetCpuAffinityWithinScope);
        let rc = gpu.rec.call(symbol, &arg, |f| {
            // SAFETY: the same.
            unsafe { f(handle, words, room.pointer().cast(), scope) }
        });
        gpu.rec.answer(rc, &room, shown);
        let mut room = Room::<[u64; WORDS]>::new();
        let rc = gpu
            .rec
            .call(symbol!(gpu.lib, nvmlDeviceGetMemoryAffinity), &arg, |f| {
                // SAFETY: the same.
                unsafe { f(handle, words, room.pointer().cast(), scope) }
            });
        gpu.rec.answer(rc, &room, shown);
    }
}
