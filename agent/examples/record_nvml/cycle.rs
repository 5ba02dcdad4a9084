//! The calls of one observation, over and over: what each costs, and how much the values move.
//!
//! Without a pause the driver answers some from memory; at the agent's own pace it may not. So each
//! pace is its own series.

use crate::field::{OF_HEALTH, asked, value};
use crate::gpu::{One, Two};
use crate::host;
use crate::record::{Recorder, Symbol, symbol, tenths};
use crate::room::{Plain, Room};
use nvml_wrapper_sys::bindings::{
    NvmlLib, nvmlDevice_t, nvmlFieldValue_t, nvmlMemory_v2_t, nvmlProcessInfo_v2_t, nvmlReturn_t,
};
use serde_json::{Value, json};
use std::ffi::CString;
use std::thread;
use std::time::{Duration, Instant};

/// One call: what it is, and how it is made.
struct Step {
    name: String,
    make: Box<dyn FnMut() -> Made>,
}

/// One call made: its code, how many nanoseconds it took, and what to keep of its value.
type Made = (nvmlReturn_t, u128, Value);

/// The call alone is timed, not what is made of its value.
fn timed(call: impl FnOnce() -> nvmlReturn_t) -> (nvmlReturn_t, u128) {
    let begin = Instant::now();
    let rc = call();
    (rc, begin.elapsed().as_nanos())
}

/// One pace: so many rounds with so long a pause.
pub fn record(
    rec: &mut Recorder,
    lib: &NvmlLib,
    index: u32,
    handle: nvmlDevice_t,
    rounds: usize,
    pause: Duration,
) -> Value {
    let mut steps = steps(rec, lib, handle);
    let mut times: Vec<Vec<u128>> = vec![Vec::new(); steps.len()];
    let mut whole = Vec::new();
    let mut values = vec![Vec::new(); steps.len()];
    let before = host::cpu_us();
    for _ in 0..rounds {
        let mut round = 0;
        for (at, step) in steps.iter_mut().enumerate() {
            let (rc, took, value) = (step.make)();
            times[at].push(took);
            round += took;
            if !pause.is_zero() || values[at].is_empty() {
                values[at].push(json!([rc, value]));
            }
        }
        whole.push(round);
        thread::sleep(pause);
    }
    let spent = host::cpu_us().saturating_sub(before);
    let steps: Vec<Value> = steps
        .iter()
        .zip(times.iter_mut().zip(values))
        .map(|(step, (times, values))| {
            json!({"call": step.name, "us": spread(times), "values": values})
        })
        .collect();
    json!({
        "gpu": index,
        "pause_ms": u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        "rounds": rounds,
        "us": spread(&mut whole),
        "cpu_us": spent,
        "steps": steps,
    })
}

/// Least, middle, 99th of a hundred, most.
fn spread(times: &mut [u128]) -> Value {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else {
        return Value::Null;
    };
    // The least that so many of a hundred do not exceed.
    let rank = |percent: usize| (times.len() * percent).div_ceil(100).clamp(1, last + 1);
    let at = |percent: usize| tenths(times[rank(percent) - 1]);
    json!({"min": at(0), "median": at(50), "p99": at(99), "max": at(100)})
}

/// What the agent calls for each GPU and second, and then what else its verdict could rest on.
fn steps(rec: &mut Recorder, lib: &NvmlLib, handle: nvmlDevice_t) -> Vec<Step> {
    let mut all = Vec::new();
    let mut add = |step: Option<Step>| {
        all.extend(step.filter(|step| {
            let bare = step.name.split(' ').next().unwrap_or_default();
            !rec.skips(bare)
        }));
    };
    add(by_uuid(lib, handle));
    add(one::<u32>(symbol!(lib, nvmlDeviceGetPowerUsage), handle));
    add(one::<u32>(
        symbol!(lib, nvmlDeviceGetEnforcedPowerLimit),
        handle,
    ));
    add(keyed(symbol!(lib, nvmlDeviceGetTemperature), handle, 0));
    add(keyed(
        symbol!(lib, nvmlDeviceGetTemperatureThreshold),
        handle,
        1,
    ));
    add(one::<u64>(
        symbol!(lib, nvmlDeviceGetTotalEnergyConsumption),
        handle,
    ));
    add(memory(lib, handle));
    add(two::<u32, u32>(symbol!(lib, nvmlDeviceGetEccMode), handle));
    add(ecc(lib, handle));
    add(fields(lib, handle, &[230], "230"));
    for symbol in [
        symbol!(lib, nvmlDeviceGetComputeRunningProcesses_v3),
        symbol!(lib, nvmlDeviceGetGraphicsRunningProcesses_v3),
        symbol!(lib, nvmlDeviceGetMPSComputeRunningProcesses_v3),
    ] {
        add(processes(symbol, handle));
    }
    add(one::<u64>(
        symbol!(lib, nvmlDeviceGetCurrentClocksEventReasons),
        handle,
    ));
    add(rows(lib, handle));
    add(one::<u32>(
        symbol!(lib, nvmlDeviceGetPerformanceState),
        handle,
    ));
    add(one::<u32>(
        symbol!(lib, nvmlDeviceGetPcieReplayCounter),
        handle,
    ));
    add(two::<u32, u32>(symbol!(lib, nvmlDeviceGetMigMode), handle));
    add(fields(lib, handle, &[185, 186], "185, 186"));
    add(fields(lib, handle, &OF_HEALTH, "of health"));
    all
}

fn step(name: String, make: impl FnMut() -> Made + 'static) -> Option<Step> {
    Some(Step {
        name,
        make: Box::new(make),
    })
}

fn one<T: Plain + serde::Serialize>(symbol: Symbol<One<T>>, handle: nvmlDevice_t) -> Option<Step> {
    let f = symbol.entry?;
    let mut room = Box::new(Room::<T>::new());
    step(symbol.name.to_owned(), move || {
        // SAFETY: the library's own handle, and room for what it writes.
        let (rc, took) = timed(|| unsafe { f(handle, room.pointer()) });
        (rc, took, json!(room.get()))
    })
}

fn two<A: Plain + serde::Serialize, B: Plain + serde::Serialize>(
    symbol: Symbol<Two<A, B>>,
    handle: nvmlDevice_t,
) -> Option<Step> {
    let f = symbol.entry?;
    let (mut a, mut b) = (Room::<A>::new(), Room::<B>::new());
    step(symbol.name.to_owned(), move || {
        // SAFETY: the library's own handle, and room for what it writes.
        let (rc, took) = timed(|| unsafe { f(handle, a.pointer(), b.pointer()) });
        (rc, took, json!([a.get(), b.get()]))
    })
}

fn keyed(symbol: Symbol<crate::gpu::ByOne<u32>>, handle: nvmlDevice_t, key: u32) -> Option<Step> {
    let f = symbol.entry?;
    let mut room = Room::<u32>::new();
    step(format!("{} {key}", symbol.name), move || {
        // SAFETY: the library's own handle, a key by value, and room for what it writes.
        let (rc, took) = timed(|| unsafe { f(handle, key, room.pointer()) });
        (rc, took, json!(room.get()))
    })
}

/// The handle anew, as the agent makes it for each reading.
fn by_uuid(lib: &NvmlLib, handle: nvmlDevice_t) -> Option<Step> {
    let uuid = lib.nvmlDeviceGetUUID.as_ref().ok()?;
    let f = lib.nvmlDeviceGetHandleByUUID.as_ref().copied().ok()?;
    let mut text = Room::<[std::ffi::c_char; crate::gpu::TEXT]>::new();
    // SAFETY: the library's own handle, and as much room as it is told.
    unsafe { uuid(handle, text.pointer().cast(), crate::gpu::TEXT_LENGTH) };
    let text = CString::new(crate::room::text(&text.get())).ok()?;
    let mut room = Room::<nvmlDevice_t>::new();
    step("nvmlDeviceGetHandleByUUID".to_owned(), move || {
        // SAFETY: a text that ends with a zero, and room for a handle.
        let (rc, took) = timed(|| unsafe { f(text.as_ptr(), room.pointer()) });
        (rc, took, Value::Null)
    })
}

fn memory(lib: &NvmlLib, handle: nvmlDevice_t) -> Option<Step> {
    let f = lib.nvmlDeviceGetMemoryInfo_v2.as_ref().copied().ok()?;
    let mut room = Room::<nvmlMemory_v2_t>::versioned(2);
    step("nvmlDeviceGetMemoryInfo_v2".to_owned(), move || {
        // SAFETY: the library's own handle, and room for what it writes.
        let (rc, took) = timed(|| unsafe { f(handle, room.pointer()) });
        (rc, took, json!(room.get().used))
    })
}

/// Uncorrected, since the driver was loaded.
fn ecc(lib: &NvmlLib, handle: nvmlDevice_t) -> Option<Step> {
    let f = lib.nvmlDeviceGetTotalEccErrors.as_ref().copied().ok()?;
    let mut room = Room::<u64>::new();
    step("nvmlDeviceGetTotalEccErrors 1/0".to_owned(), move || {
        // SAFETY: the library's own handle, keys by value, and room for what it writes.
        let (rc, took) = timed(|| unsafe { f(handle, 1, 0, room.pointer()) });
        (rc, took, json!(room.get()))
    })
}

fn rows(lib: &NvmlLib, handle: nvmlDevice_t) -> Option<Step> {
    let f = lib.nvmlDeviceGetRemappedRows.as_ref().copied().ok()?;
    let mut out = [(); 4].map(|()| Room::<u32>::new());
    step("nvmlDeviceGetRemappedRows".to_owned(), move || {
        let [a, b, c, d] = &mut out;
        // SAFETY: the library's own handle, and room for what it writes.
        let (rc, took) =
            timed(|| unsafe { f(handle, a.pointer(), b.pointer(), c.pointer(), d.pointer()) });
        (rc, took, json!(out.each_ref().map(Room::get)))
    })
}

fn processes(
    symbol: Symbol<
        unsafe extern "C" fn(nvmlDevice_t, *mut u32, *mut nvmlProcessInfo_v2_t) -> nvmlReturn_t,
    >,
    handle: nvmlDevice_t,
) -> Option<Step> {
    let f = symbol.entry?;
    let mut room = Room::<[nvmlProcessInfo_v2_t; 64]>::new();
    step(symbol.name.to_owned(), move || {
        let mut count = 64;
        // SAFETY: as much room as the count says.
        let (rc, took) = timed(|| unsafe { f(handle, &raw mut count, room.pointer().cast()) });
        (rc, took, json!(count))
    })
}

fn fields(lib: &NvmlLib, handle: nvmlDevice_t, ids: &[u32], what: &str) -> Option<Step> {
    let f = lib.nvmlDeviceGetFieldValues.as_ref().copied().ok()?;
    let mut values: Vec<nvmlFieldValue_t> = ids.iter().map(|&id| asked(id, 0)).collect();
    let count = std::ffi::c_int::try_from(values.len()).ok()?;
    step(format!("nvmlDeviceGetFieldValues {what}"), move || {
        // SAFETY: the library's own handle, and as many values as the count says.
        let (rc, took) = timed(|| unsafe { f(handle, count, values.as_mut_ptr()) });
        let shown = values.iter().map(|v| match v.nvmlReturn {
            0 => value(v.valueType, &v.value),
            _ => Value::Null,
        });
        (rc, took, json!(shown.collect::<Vec<_>>()))
    })
}
