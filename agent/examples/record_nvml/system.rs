//! The library itself, and what it says about the whole machine.

use crate::gpu::{TEXT, TEXT_LENGTH};
use crate::record::{Recorder, Symbol, fields, symbol};
use crate::room::{self, Plain, Room};
use nvml_wrapper_sys::bindings::{
    NvmlLib, nvmlDevice_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::ffi::{CStr, c_char, c_uint};

type Out<T> = unsafe extern "C" fn(*mut T) -> nvmlReturn_t;

/// More GPUs than any machine has: what a wrong count may cost.
const MOST_GPUS: u32 = 64;

pub fn initialise(rec: &mut Recorder, lib: &NvmlLib) {
    // SAFETY: takes nothing.
    rec.call(symbol!(lib, nvmlInit_v2), "", |f| unsafe { f() });
}

pub fn shut_down(rec: &mut Recorder, lib: &NvmlLib) {
    rec.gpu = None;
    // SAFETY: no handle is used after this.
    rec.call(symbol!(lib, nvmlShutdown), "", |f| unsafe { f() });
}

/// How a library that is shut down takes the flags of `nvmlInitWithFlags`: none, no GPU is no error (1),
/// do not attach (2), both.
pub fn flags(rec: &mut Recorder, lib: &NvmlLib) {
    for flags in 0..4 {
        let rc = rec.call(symbol!(lib, nvmlInitWithFlags), &flags.to_string(), |f| {
            // SAFETY: takes a number.
            unsafe { f(flags) }
        });
        if rc == Some(SUCCESS) {
            count(rec, lib);
            shut_down(rec, lib);
        }
    }
}

pub fn record(rec: &mut Recorder, lib: &NvmlLib) {
    for symbol in [
        symbol!(lib, nvmlSystemGetDriverVersion),
        symbol!(lib, nvmlSystemGetNVMLVersion),
    ] {
        let mut room = Room::<[c_char; TEXT]>::new();
        let rc = rec.call(symbol, "", |f| {
            // SAFETY: as much room as it is told.
            unsafe { f(room.pointer().cast(), TEXT_LENGTH) }
        });
        rec.answer(rc, &room, |chars| json!(room::text(chars)));
    }
    one(rec, symbol!(lib, nvmlSystemGetCudaDriverVersion));
    one(rec, symbol!(lib, nvmlSystemGetCudaDriverVersion_v2));
    one(rec, symbol!(lib, nvmlUnitGetCount));
    one(rec, symbol!(lib, nvmlSystemGetConfComputeGpusReadyState));
    one(rec, symbol!(lib, nvmlSystemGetNvlinkBwMode));
    driver_branch(rec, lib);
    own_name(rec, lib);
    confidential(rec, lib);
    excluded(rec, lib);
    errors(rec, lib);
}

fn one<T: Plain + Serialize>(rec: &mut Recorder, symbol: Symbol<Out<T>>) -> Option<T> {
    structure(rec, symbol, "", Room::new(), |value| json!(value))
}

fn structure<T: Plain>(
    rec: &mut Recorder,
    symbol: Symbol<Out<T>>,
    arg: &str,
    mut room: Room<T>,
    decode: impl FnOnce(&T) -> Value,
) -> Option<T> {
    // SAFETY: room for what it writes.
    let rc = rec.call(symbol, arg, |f| unsafe { f(room.pointer()) });
    rec.answer(rc, &room, decode);
    (rc == Some(SUCCESS)).then(|| room.get())
}

fn driver_branch(rec: &mut Recorder, lib: &NvmlLib) {
    let mut room = Room::<nvml_wrapper_sys::bindings::nvmlSystemDriverBranchInfo_t>::versioned(1);
    let length = 80;
    let rc = rec.call(symbol!(lib, nvmlSystemGetDriverBranch), "v1", |f| {
        // SAFETY: room for what it writes; `branch` has that length.
        unsafe { f(room.pointer(), length) }
    });
    rec.answer(rc, &room, |info| json!(room::text(&info.branch)));
}

/// Of this very process. The name may come with its folder and arguments: only the file's is kept.
fn own_name(rec: &mut Recorder, lib: &NvmlLib) {
    let mut room = Room::<[c_char; TEXT]>::new();
    let rc = rec.call(symbol!(lib, nvmlSystemGetProcessName), "own pid", |f| {
        // SAFETY: as much room as it is told.
        unsafe { f(std::process::id(), room.pointer().cast(), TEXT_LENGTH) }
    });
    rec.answer(rc, &room, |chars| {
        let name = room::text(chars);
        let program = name.split_whitespace().next().unwrap_or_default();
        let file = program.rsplit('/').next().unwrap_or_default();
        json!({
            "file": file,
            "with_folder": program.contains('/'),
            "with_arguments": name.contains(char::is_whitespace),
        })
    });
}

fn confidential(rec: &mut Recorder, lib: &NvmlLib) {
    let capabilities = symbol!(lib, nvmlSystemGetConfComputeCapabilities);
    structure(
        rec,
        capabilities,
        "",
        Room::new(),
        |v| fields!(v; cpuCaps, gpusCaps),
    );
    let state = symbol!(lib, nvmlSystemGetConfComputeState);
    structure(
        rec,
        state,
        "",
        Room::new(),
        |v| fields!(v; environment, ccFeature, devToolsMode),
    );
    let settings = symbol!(lib, nvmlSystemGetConfComputeSettings);
    structure(
        rec,
        settings,
        "v1",
        Room::versioned(1),
        |v| fields!(v; environment, ccFeature, devToolsMode, multiGpuMode),
    );
}

/// GPUs that the driver was told to leave alone.
fn excluded(rec: &mut Recorder, lib: &NvmlLib) {
    let count: c_uint = one(rec, symbol!(lib, nvmlGetExcludedDeviceCount)).unwrap_or(0);
    for index in 0..count.min(MOST_GPUS) {
        let mut room = Room::new();
        let symbol = symbol!(lib, nvmlGetExcludedDeviceInfoByIndex);
        let rc = rec.call(symbol, &index.to_string(), |f| {
            // SAFETY: room for what it writes.
            unsafe { f(index, room.pointer()) }
        });
        rec.answer(
            rc,
            &room,
            |info| json!({"uuid": room::text(&info.uuid), "bus": room::text(&info.pciInfo.busId)}),
        );
    }
}

/// What the library calls its own codes.
fn errors(rec: &mut Recorder, lib: &NvmlLib) {
    if rec.skips("nvmlErrorString") {
        return;
    }
    let Ok(f) = lib.nvmlErrorString.as_ref().copied() else {
        return;
    };
    let texts: Vec<Value> = (0..=31)
        .chain([999])
        .map(|rc| {
            // SAFETY: takes a number, gives a text that lives as long as the library, or null.
            let text = unsafe {
                let text = f(rc);
                (!text.is_null()).then(|| CStr::from_ptr(text))
            };
            json!([rc, text.map(CStr::to_string_lossy)])
        })
        .collect();
    let told = Symbol {
        name: "nvmlErrorString",
        entry: Some(()),
    };
    rec.call(told, "0..=31, 999", |()| SUCCESS);
    rec.value(json!(texts));
}

fn count(rec: &mut Recorder, lib: &NvmlLib) -> u32 {
    let count: Option<c_uint> = one(rec, symbol!(lib, nvmlDeviceGetCount_v2));
    count.unwrap_or(0).min(MOST_GPUS)
}

/// A handle of every GPU that there is one of, with its index.
pub fn handles(rec: &mut Recorder, lib: &NvmlLib) -> Vec<(u32, nvmlDevice_t)> {
    let count = count(rec, lib);
    let mut handles = Vec::new();
    // One more than there are: what the library says to that.
    for index in 0..=count {
        let mut room = Room::<nvmlDevice_t>::new();
        let symbol = symbol!(lib, nvmlDeviceGetHandleByIndex_v2);
        let rc = rec.call(symbol, &index.to_string(), |f| {
            // SAFETY: room for what it writes.
            unsafe { f(index, room.pointer()) }
        });
        // The handle is an address of this run: of no interest.
        rec.answer(rc, &room, |_| Value::Null);
        if rc == Some(SUCCESS) {
            handles.push((index, room.get()));
        }
    }
    handles
}
