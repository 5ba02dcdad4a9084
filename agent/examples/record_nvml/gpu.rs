//! Calls about one GPU, by the shapes that NVML's functions have.

use crate::record::{Recorder, Symbol};
use crate::room::{self, Plain, Room};
use nvml_wrapper_sys::bindings::{
    NvmlLib, nvmlDevice_t, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::ffi::{c_char, c_uint};

/// `nvmlReturn_t f(device, *out)`.
pub type One<T> = unsafe extern "C" fn(nvmlDevice_t, *mut T) -> nvmlReturn_t;
/// `nvmlReturn_t f(device, *out, *out)`.
pub type Two<A, B> = unsafe extern "C" fn(nvmlDevice_t, *mut A, *mut B) -> nvmlReturn_t;
/// `nvmlReturn_t f(device, key, *out)`.
pub type ByOne<T> = unsafe extern "C" fn(nvmlDevice_t, c_uint, *mut T) -> nvmlReturn_t;
/// `nvmlReturn_t f(device, key, key, *out)`.
pub type ByTwo<T> = unsafe extern "C" fn(nvmlDevice_t, c_uint, c_uint, *mut T) -> nvmlReturn_t;
/// `nvmlReturn_t f(device, *text, length)`.
pub type Text = unsafe extern "C" fn(nvmlDevice_t, *mut c_char, c_uint) -> nvmlReturn_t;

/// A text's length: NVML's longest constant is 96.
pub const TEXT: usize = 256;

/// The same as the library counts it.
#[expect(clippy::cast_possible_truncation, reason = "256")]
pub const TEXT_LENGTH: c_uint = TEXT as c_uint;

/// One GPU of a library.
pub struct Gpu<'a> {
    /// Where its answers go.
    pub rec: &'a mut Recorder,
    /// What is asked.
    pub lib: &'a NvmlLib,
    /// As the library gave it.
    pub handle: nvmlDevice_t,
    /// Its index.
    pub index: u32,
}

/// Calls that give one number each.
macro_rules! ones {
    ($gpu:ident: $($name:ident),+ $(,)?) => {
        $( $gpu.one($crate::record::symbol!($gpu.lib, $name)); )+
    };
}
pub(crate) use ones;

/// Calls that give two numbers each.
macro_rules! twos {
    ($gpu:ident: $($name:ident),+ $(,)?) => {
        $( $gpu.two($crate::record::symbol!($gpu.lib, $name)); )+
    };
}
pub(crate) use twos;

/// Calls that give a text each.
macro_rules! texts {
    ($gpu:ident: $($name:ident),+ $(,)?) => {
        $( $gpu.text($crate::record::symbol!($gpu.lib, $name)); )+
    };
}
pub(crate) use texts;

impl Gpu<'_> {
    /// A number.
    pub fn one<T: Plain + Serialize>(&mut self, symbol: Symbol<One<T>>) -> Option<T> {
        let (handle, mut room) = (self.handle, Room::new());
        // SAFETY: the library's own handle, and room for what it writes.
        let rc = self
            .rec
            .call(symbol, "", |f| unsafe { f(handle, room.pointer()) });
        self.rec.answer(rc, &room, |value| json!(value));
        (rc == Some(SUCCESS)).then(|| room.get())
    }

    /// Two numbers.
    pub fn two<A: Plain + Serialize, B: Plain + Serialize>(&mut self, symbol: Symbol<Two<A, B>>) {
        let (handle, mut a, mut b) = (self.handle, Room::new(), Room::new());
        // SAFETY: the library's own handle, and room for what it writes.
        let rc = self.rec.call(symbol, "", |f| unsafe {
            f(handle, a.pointer(), b.pointer())
        });
        self.rec.answer(rc, &a, |_| Value::Null);
        self.rec.answer(rc, &b, |b| json!([a.get(), b]));
    }

    /// A text.
    pub fn text(&mut self, symbol: Symbol<Text>) -> Option<String> {
        let (handle, mut room) = (self.handle, Room::<[c_char; TEXT]>::new());
        let rc = self.rec.call(symbol, "", |f| {
            // SAFETY: the library's own handle, and as much room as it is told.
            unsafe { f(handle, room.pointer().cast(), TEXT_LENGTH) }
        });
        self.rec.answer(rc, &room, |chars| json!(room::text(chars)));
        (rc == Some(SUCCESS)).then(|| room::text(&room.get()))
    }

    /// A number for a key.
    pub fn by<T: Plain + Serialize>(&mut self, symbol: Symbol<ByOne<T>>, key: u32) -> Option<T> {
        self.by_of(symbol, key, |value| json!(value))
    }

    /// A struct for a key.
    pub fn by_of<T: Plain>(
        &mut self,
        symbol: Symbol<ByOne<T>>,
        key: u32,
        decode: impl FnOnce(&T) -> Value,
    ) -> Option<T> {
        let (handle, mut room) = (self.handle, Room::new());
        let rc = self.rec.call(symbol, &key.to_string(), |f| {
            // SAFETY: the library's own handle, a key by value, and room for what it writes.
            unsafe { f(handle, key, room.pointer()) }
        });
        self.rec.answer(rc, &room, decode);
        (rc == Some(SUCCESS)).then(|| room.get())
    }

    /// A number for two keys.
    pub fn by_two<T: Plain + Serialize>(&mut self, symbol: Symbol<ByTwo<T>>, keys: [u32; 2]) {
        self.by_two_of(symbol, keys, |value| json!(value));
    }

    /// A struct for two keys.
    pub fn by_two_of<T: Plain>(
        &mut self,
        symbol: Symbol<ByTwo<T>>,
        [a, b]: [u32; 2],
        decode: impl FnOnce(&T) -> Value,
    ) {
        let (handle, mut room) = (self.handle, Room::new());
        let rc = self.rec.call(symbol, &format!("{a}/{b}"), |f| {
            // SAFETY: the library's own handle, keys by value, and room for what it writes.
            unsafe { f(handle, a, b, room.pointer()) }
        });
        self.rec.answer(rc, &room, decode);
    }

    /// A struct, with its bytes.
    pub fn structure<T: Plain>(
        &mut self,
        symbol: Symbol<One<T>>,
        decode: impl FnOnce(&T) -> Value,
    ) {
        self.structure_in(symbol, "", Room::new(), decode);
    }

    /// A struct of a version, with its bytes.
    pub fn versioned<T: Plain>(
        &mut self,
        symbol: Symbol<One<T>>,
        version: u32,
        decode: impl FnOnce(&T) -> Value,
    ) {
        let arg = format!("v{version} size {}", size_of::<T>());
        self.structure_in(symbol, &arg, Room::versioned(version), decode);
    }

    /// A struct that is partly filled in, with its bytes.
    pub fn structure_in<T: Plain>(
        &mut self,
        symbol: Symbol<One<T>>,
        arg: &str,
        mut room: Room<T>,
        decode: impl FnOnce(&T) -> Value,
    ) {
        let handle = self.handle;
        // SAFETY: the library's own handle, and room for what it writes.
        let rc = self
            .rec
            .call(symbol, arg, |f| unsafe { f(handle, room.pointer()) });
        self.rec.answer(rc, &room, decode);
        self.rec.raw(rc, &room);
    }

    /// The same where the bytes are an identity: only what `decode` shows is kept.
    pub fn secretive<T: Plain>(
        &mut self,
        symbol: Symbol<One<T>>,
        arg: &str,
        mut room: Room<T>,
    ) -> Option<T> {
        let handle = self.handle;
        // SAFETY: the library's own handle, and room for what it writes.
        let rc = self
            .rec
            .call(symbol, arg, |f| unsafe { f(handle, room.pointer()) });
        self.rec.answer(rc, &room, |_| Value::Null);
        (rc == Some(SUCCESS)).then(|| room.get())
    }
}
