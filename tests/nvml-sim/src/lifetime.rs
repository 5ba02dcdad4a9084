//! Initialising, shutting down, and what the codes mean.

use crate::abi::export;
use crate::simulator;
use nvml_wrapper_sys::bindings::nvmlReturn_t;
use std::ffi::{CStr, c_char, c_uint};

export! {
    /// Begins a client's use of the library; fails as the driver does.
    fn nvmlInit_v2() {
        simulator::initialise(true)
    }

    /// The same. Of the flags one is about nodes without GPUs, which the model knows none of; with the
    /// other, `NVML_INIT_FLAG_NO_ATTACH`, the driver counts no GPU and gives no handle, as one of version
    /// 580.159.04 did with an H200.
    fn nvmlInitWithFlags(flags: c_uint) {
        const NO_ATTACH: c_uint = 2;
        simulator::initialise(flags & NO_ATTACH == 0)
    }

    /// Ends a client's use of the library.
    fn nvmlShutdown() {
        simulator::shut_down()
    }

    /// Frees a GPM sample. There are none, but `nvml-wrapper` calls this without looking.
    fn nvmlGpmSampleFree(_sample: *mut std::ffi::c_void) {
        Err(crate::abi::Code::INVALID_ARGUMENT)
    }
}

/// A code in words. Not an `nvmlReturn_t` itself, so not made by the macro; it cannot panic.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(result: nvmlReturn_t) -> *const c_char {
    let text: &'static CStr = match result {
        0 => c"Success",
        1 => c"Uninitialized",
        2 => c"Invalid Argument",
        3 => c"Not Supported",
        4 => c"Insufficient Permissions",
        5 => c"Already Initialized",
        6 => c"Not Found",
        7 => c"Insufficient Size",
        8 => c"Insufficient External Power",
        9 => c"Driver Not Loaded",
        10 => c"Timeout",
        11 => c"Interrupt Request Issue",
        12 => c"NVML Shared Library Not Found",
        13 => c"Function Not Found",
        14 => c"Corrupted infoROM",
        15 => c"GPU is lost",
        16 => c"GPU requires reset",
        17 => c"GPU access blocked by the operating system",
        18 => c"Driver/library version mismatch",
        19 => c"In use by another client",
        20 => c"Insufficient Memory",
        21 => c"No data",
        25 => c"Argument version mismatch",
        26 => c"Deprecated",
        27 => c"Not Ready",
        28 => c"GPU Not Found",
        29 => c"Invalid State",
        _ => c"Unknown Error",
    };
    text.as_ptr()
}
