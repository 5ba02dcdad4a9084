//! Field values: one call for each field, then many fields in one, then those that have a scope.
//!
//! Each is asked for twice in a row, because the driver gives some answers a second time from memory.

use crate::gpu::Gpu;
use crate::link::LINKS;
use crate::record::{Recorder, code, symbol};
use crate::room::Room;
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlFieldValue_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
    nvmlValue_t,
};
use serde_json::{Value, json};
use std::ffi::c_int;
use std::ops::RangeInclusive;
use std::time::Instant;

/// Beyond 302, the last that any published header names.
const FIELDS: RangeInclusive<u32> = 1..=320;

/// Fields that a link is named for as their scope.
const OF_LINKS: [RangeInclusive<u32>; 7] = [
    138..=141,
    146..=146,
    160..=168,
    200..=225,
    235..=250,
    274..=274,
    289..=300,
];

/// Power and energy, of the GPU (scope 0), the module (1) and the memory (2).
const OF_POWER: RangeInclusive<u32> = 185..=192;

/// What an agent asks for each second, in one call.
pub const OF_HEALTH: [u32; 16] = [
    230, 3, 4, 82, 83, 142, 143, 144, 145, 74, 75, 91, 94, 173, 179, 180,
];

type Ask = unsafe extern "C" fn(nvmlDevice_t, c_int, *mut nvmlFieldValue_t) -> nvmlReturn_t;

pub fn record(gpu: &mut Gpu<'_>) {
    for field in FIELDS {
        single(gpu, field, 0);
    }
    for field in OF_POWER {
        for scope in 1..=2 {
            single(gpu, field, scope);
        }
    }
    // All links together, as some fields take it: `UINT_MAX`.
    for field in [138, 139, 140, 141, 160, 161, 162, 163] {
        single(gpu, field, u32::MAX);
    }
    for field in OF_LINKS.into_iter().flatten() {
        by_link(gpu, field);
    }
    let all: Vec<u32> = FIELDS.collect();
    batch(
        gpu,
        &format!("{} to {} in one call", FIELDS.start(), FIELDS.end()),
        &all,
    );
    batch(gpu, "of health, in one call", &OF_HEALTH);
    batch(gpu, "none", &[]);
}

/// A field as the library takes it: all zero but for what is asked.
pub fn asked(field: u32, scope: u32) -> nvmlFieldValue_t {
    let mut room = Room::<nvmlFieldValue_t>::new().get();
    room.fieldId = field;
    room.scopeId = scope;
    room
}

fn single(gpu: &mut Gpu<'_>, field: u32, scope: u32) {
    let handle = gpu.handle;
    let mut room = Room::holding(asked(field, scope));
    let symbol = symbol!(gpu.lib, nvmlDeviceGetFieldValues);
    let arg = format!("{field} scope {scope}");
    let rc = gpu.rec.call(symbol, &arg, |f: Ask| {
        // SAFETY: the library's own handle, and one value as the count says.
        unsafe { f(handle, 1, room.pointer()) }
    });
    gpu.rec.answer(rc, &room, |v| {
        json!({
            "rc": v.nvmlReturn,
            "code": code(v.nvmlReturn),
            "type": v.valueType,
            "value": value(v.valueType, &v.value),
            "latency_us": v.latencyUsec,
            "timestamp": v.timestamp,
            "field": (v.fieldId != field).then_some(v.fieldId),
        })
    });
    if let (Some(_), Some(f)) = (rc, symbol.entry) {
        let begin = Instant::now();
        let mut room = Room::holding(asked(field, scope));
        // SAFETY: the same.
        unsafe { f(handle, 1, room.pointer()) };
        gpu.rec.again(begin.elapsed().as_nanos());
    }
}

/// One field of every link, an entry for them all: `[code, type, value]`, in the order of the links.
fn by_link(gpu: &mut Gpu<'_>, field: u32) {
    let values: Vec<_> = (0..LINKS).map(|link| asked(field, link)).collect();
    let arg = format!("{field} scope 0 to {}", LINKS - 1);
    let (rc, values) = ask(
        gpu.rec,
        symbol!(gpu.lib, nvmlDeviceGetFieldValues),
        gpu.handle,
        &arg,
        values,
    );
    if rc.is_some() {
        gpu.rec.value(values.iter().map(brief).collect());
    }
}

/// Many fields. What each gives stands in its own entry: here only their codes.
fn batch(gpu: &mut Gpu<'_>, arg: &str, fields: &[u32]) {
    let values: Vec<_> = fields.iter().map(|&field| asked(field, 0)).collect();
    for times in ["", ", again"] {
        let (rc, values) = ask(
            gpu.rec,
            symbol!(gpu.lib, nvmlDeviceGetFieldValues),
            gpu.handle,
            &format!("{arg}{times}"),
            values.clone(),
        );
        if rc == Some(SUCCESS) {
            let good = values.iter().filter(|v| v.nvmlReturn == SUCCESS);
            let latency: i64 = values.iter().map(|v| v.latencyUsec).sum();
            gpu.rec.value(json!({
                "good": good.clone().count(),
                "of": values.len(),
                "latency_us": latency,
                "values": good.map(|v| json!([v.fieldId, value(v.valueType, &v.value)])).collect::<Vec<_>>(),
            }));
        }
    }
}

fn ask(
    rec: &mut Recorder,
    symbol: crate::record::Symbol<Ask>,
    handle: nvmlDevice_t,
    arg: &str,
    mut values: Vec<nvmlFieldValue_t>,
) -> (Option<nvmlReturn_t>, Vec<nvmlFieldValue_t>) {
    let count = c_int::try_from(values.len()).expect("hundreds");
    let rc = rec.call(symbol, arg, |f| {
        // SAFETY: the library's own handle, and as many values as the count says.
        unsafe { f(handle, count, values.as_mut_ptr()) }
    });
    (rc, values)
}

fn brief(v: &nvmlFieldValue_t) -> Value {
    json!([v.nvmlReturn, v.valueType, value(v.valueType, &v.value)])
}

/// By `nvmlValueType_t`. A type that the header does not name: the eight bytes as a number, in a text.
pub fn value(kind: u32, of: &nvmlValue_t) -> Value {
    // SAFETY: whatever the library wrote, on zeros: each member has a value in any eight bytes.
    unsafe {
        match kind {
            0 => json!(of.dVal),
            1 => json!(of.uiVal),
            2 => json!(of.ulVal),
            3 => json!(of.ullVal),
            4 => json!(of.sllVal),
            5 => json!(of.siVal),
            6 => json!(of.usVal),
            _ => json!(format!("0x{:016x}", of.ullVal)),
        }
    }
}
