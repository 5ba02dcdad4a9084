//! The one place that calls the library.

use crate::identity::Identities;
use crate::room::{Plain, Room};
use nvml_wrapper_sys::bindings::{NvmlLib, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::time::Instant;

/// How names of functions begin that only ask. Event sets are the client's own; registering says what
/// it wants to be told.
const QUESTIONS: [&str; 16] = [
    "nvmlInit",
    "nvmlShutdown",
    "nvmlErrorString",
    "nvmlSystemGet",
    "nvmlUnitGetCount",
    "nvmlDeviceGet",
    "nvmlDeviceIs",
    "nvmlDeviceOnSameBoard",
    "nvmlDeviceQueryDrainState",
    "nvmlDeviceWorkloadPowerProfileGet",
    "nvmlGetExcludedDevice",
    "nvmlGpmQuery",
    "nvmlDeviceRegisterEvents",
    "nvmlEventSetCreate",
    "nvmlEventSetWait",
    "nvmlEventSetFree",
];

/// A function of the library: one that the bindings know, or one found by name.
#[derive(Clone, Copy)]
pub struct Symbol<F> {
    /// As the library exports it.
    pub name: &'static str,
    /// Where it is. `None`: the library does not have it.
    pub entry: Option<F>,
}

impl<F> fmt::Debug for Symbol<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.entry.is_some())
    }
}

impl<F: Copy> Symbol<F> {
    /// One that the bindings do not know. `name` ends with a zero.
    ///
    /// # Safety
    /// `F` is the function's type, as the documentation of `nvml.h` declares it.
    pub unsafe fn named(lib: &NvmlLib, name: &'static str) -> Self {
        let bare = name.strip_suffix('\0').expect("a C name ends with a zero");
        Self {
            name: bare,
            // SAFETY: promised by the caller.
            entry: unsafe { lib.__library.get::<F>(name.as_bytes()) }
                .ok()
                .map(|symbol| *symbol),
        }
    }
}

/// A function that the bindings know, by its name: its type is theirs.
macro_rules! symbol {
    ($lib:expr, $name:ident) => {
        $crate::record::Symbol {
            name: stringify!($name),
            entry: $lib.$name.as_ref().ok().copied(),
        }
    };
}
pub(crate) use symbol;

/// Fields of a struct, by their names in C.
macro_rules! fields {
    ($of:expr; $($name:ident),+ $(,)?) => {
        ::serde_json::json!({ $(stringify!($name): $of.$name),+ })
    };
}
pub(crate) use fields;

/// One call and what came of it.
#[derive(Debug, Default, Serialize)]
pub struct Entry {
    call: &'static str,
    /// What it was asked, where a function is called more than once.
    #[serde(skip_serializing_if = "String::is_empty")]
    arg: String,
    /// The index of the GPU it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<u32>,
    /// `nvmlReturn_t`. None where there was no call.
    #[serde(skip_serializing_if = "Option::is_none")]
    rc: Option<nvmlReturn_t>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    us: Option<f64>,
    /// How long a second call right after it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    again_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// A struct, byte by byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// Bytes written behind the struct: ours is not the library's, and `value` not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    overrun: Option<usize>,
    /// The library does not export it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
    /// Left out by request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skipped: bool,
}

/// Calls, and keeps the entries.
#[derive(Debug)]
pub struct Recorder {
    /// What must not be in the record.
    pub identities: Identities,
    /// The GPU that calls are about, by index.
    pub gpu: Option<u32>,
    skip: Vec<String>,
    quiet: bool,
    entries: Vec<Entry>,
    /// What the library does not have, so far.
    absent: BTreeSet<&'static str>,
    /// How many of them were told on stderr.
    told: usize,
}

impl Recorder {
    pub fn new(identities: Identities, skip: Vec<String>, quiet: bool) -> Self {
        Self {
            identities,
            gpu: None,
            skip,
            quiet,
            entries: Vec::new(),
            absent: BTreeSet::new(),
            told: 0,
        }
    }

    /// All entries so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Makes one call. Its code, or `None` where it was not made. That a function is not there is
    /// recorded once.
    ///
    /// # Panics
    /// At a name that is not a question.
    pub fn call<F: Copy>(
        &mut self,
        symbol: Symbol<F>,
        arg: &str,
        run: impl FnOnce(F) -> nvmlReturn_t,
    ) -> Option<nvmlReturn_t> {
        let name = symbol.name;
        assert!(is_question(name), "{name} may change something");
        if symbol.entry.is_none() && self.absent.contains(name) {
            return None;
        }
        self.finish();
        let mut entry = Entry {
            call: name,
            arg: arg.to_owned(),
            gpu: self.gpu,
            skipped: self.skips(name),
            absent: symbol.entry.is_none(),
            ..Entry::default()
        };
        if let Some(function) = symbol.entry.filter(|_| !entry.skipped) {
            if !self.quiet {
                tell(&format!("> {name} {arg}"));
            }
            let begin = Instant::now();
            let rc = run(function);
            entry.us = Some(tenths(begin.elapsed().as_nanos()));
            entry.rc = Some(rc);
            entry.code = Some(code(rc));
        }
        if entry.absent {
            self.absent.insert(name);
        }
        let rc = entry.rc;
        self.entries.push(entry);
        rc
    }

    /// Whether this function is to be left out.
    pub fn skips(&self, name: &str) -> bool {
        self.skip.iter().any(|skipped| skipped == name)
    }

    /// What the last call gave.
    pub fn value(&mut self, value: Value) {
        self.last().value = Some(value);
    }

    /// How long the last call took when it was made again.
    pub fn again(&mut self, nanoseconds: u128) {
        self.last().again_us = Some(tenths(nanoseconds));
    }

    /// What the last call wrote: its value where it succeeded, and what was written beside it in any case.
    pub fn answer<T: Plain>(
        &mut self,
        rc: Option<nvmlReturn_t>,
        room: &Room<T>,
        decode: impl FnOnce(&T) -> Value,
    ) {
        if rc == Some(SUCCESS) {
            self.value(decode(&room.get()));
        }
        if room.overrun() > 0 {
            self.last().overrun = Some(room.overrun());
        }
    }

    /// The bytes of the last answer.
    pub fn raw<T: Plain>(&mut self, rc: Option<nvmlReturn_t>, room: &Room<T>) {
        if rc == Some(SUCCESS) {
            self.last().raw = Some(room.hex());
        }
    }

    /// Cuts identities out of the last entry and tells it.
    pub fn finish(&mut self) {
        for at in self.told..self.entries.len() {
            let entry = &mut self.entries[at];
            if let Some(value) = &mut entry.value {
                hide(value, &mut self.identities);
            }
            if !self.quiet {
                tell(&serde_json::to_string(entry).unwrap_or_else(|e| e.to_string()));
            }
        }
        self.told = self.entries.len();
    }

    fn last(&mut self) -> &mut Entry {
        self.entries
            .last_mut()
            .expect("a call was made before it is spoken of")
    }
}

/// On stderr at once: it is what is left of a process that the library kills.
fn tell(line: &str) {
    // Nobody to tell is no reason to stop.
    let mut stderr = std::io::stderr().lock();
    drop(writeln!(stderr, "{line}").and_then(|()| stderr.flush()));
}

fn is_question(name: &str) -> bool {
    QUESTIONS.iter().any(|question| name.starts_with(question))
}

/// Microseconds, to a tenth.
pub fn tenths(nanoseconds: u128) -> f64 {
    let tenths = u32::try_from((nanoseconds + 50) / 100).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

/// In every text of a value.
pub fn hide(value: &mut Value, identities: &mut Identities) {
    match value {
        Value::String(text) => *text = identities.hide(text),
        Value::Array(list) => list.iter_mut().for_each(|one| hide(one, identities)),
        Value::Object(map) => map.values_mut().for_each(|one| hide(one, identities)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The name of a code, as `nvml.h` has it, less `NVML_`.
pub fn code(rc: nvmlReturn_t) -> &'static str {
    match rc {
        0 => "SUCCESS",
        1 => "ERROR_UNINITIALIZED",
        2 => "ERROR_INVALID_ARGUMENT",
        3 => "ERROR_NOT_SUPPORTED",
        4 => "ERROR_NO_PERMISSION",
        5 => "ERROR_ALREADY_INITIALIZED",
        6 => "ERROR_NOT_FOUND",
        7 => "ERROR_INSUFFICIENT_SIZE",
        8 => "ERROR_INSUFFICIENT_POWER",
        9 => "ERROR_DRIVER_NOT_LOADED",
        10 => "ERROR_TIMEOUT",
        11 => "ERROR_IRQ_ISSUE",
        12 => "ERROR_LIBRARY_NOT_FOUND",
        13 => "ERROR_FUNCTION_NOT_FOUND",
        14 => "ERROR_CORRUPTED_INFOROM",
        15 => "ERROR_GPU_IS_LOST",
        16 => "ERROR_RESET_REQUIRED",
        17 => "ERROR_OPERATING_SYSTEM",
        18 => "ERROR_LIB_RM_VERSION_MISMATCH",
        19 => "ERROR_IN_USE",
        20 => "ERROR_MEMORY",
        21 => "ERROR_NO_DATA",
        22 => "ERROR_VGPU_ECC_NOT_SUPPORTED",
        23 => "ERROR_INSUFFICIENT_RESOURCES",
        24 => "ERROR_FREQ_NOT_SUPPORTED",
        25 => "ERROR_ARGUMENT_VERSION_MISMATCH",
        26 => "ERROR_DEPRECATED",
        27 => "ERROR_NOT_READY",
        28 => "ERROR_GPU_NOT_FOUND",
        29 => "ERROR_INVALID_STATE",
        30 => "ERROR_RESET_TYPE_NOT_SUPPORTED",
        999 => "ERROR_UNKNOWN",
        _ => "(no name)",
    }
}
