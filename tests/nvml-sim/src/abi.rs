//! The border to C: return codes, checked pointers, and the macro every exported call is made with.
//!
//! The pointer types here have no constructor. Only a C caller can hand one in, as the argument of
//! an exported call, and NVML's header obliges that caller to pass null or something valid. All
//! dereferencing happens in this file.

use leasehold_gpu_sim::{ChangeError, Fault};
use nvml_wrapper_sys::bindings::nvmlReturn_t;
use std::ffi::{CStr, c_char, c_uint};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A return code other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub nvmlReturn_t);

impl Code {
    pub const UNINITIALIZED: Self = Self(1);
    pub const INVALID_ARGUMENT: Self = Self(2);
    pub const NOT_SUPPORTED: Self = Self(3);
    pub const NOT_FOUND: Self = Self(6);
    pub const INSUFFICIENT_SIZE: Self = Self(7);
    pub const TIMEOUT: Self = Self(10);
    pub const MEMORY: Self = Self(20);
    pub const ARGUMENT_VERSION_MISMATCH: Self = Self(25);
    pub const UNKNOWN: Self = Self(999);
}

impl From<Fault> for Code {
    fn from(fault: Fault) -> Self {
        Self(fault.code())
    }
}

impl From<ChangeError> for Code {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoSuchGpu { .. }
            | ChangeError::OutOfRange { .. }
            | ChangeError::PidTaken { .. } => Self::INVALID_ARGUMENT,
            ChangeError::NoSuchProcess { .. } => Self::NOT_FOUND,
            ChangeError::MemoryExhausted { .. } => Self::MEMORY,
            ChangeError::InUse { .. } => Fault::InUse.into(),
            ChangeError::Refused(fault) => fault.into(),
        }
    }
}

/// What an exported call answers inside the library.
pub type Answer = Result<(), Code>;

/// Runs an exported call: a panic must not unwind into C, where it would abort the process.
pub fn guard(call: impl FnOnce() -> Answer) -> nvmlReturn_t {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => 0,
        Ok(Err(code)) => code.0,
        Err(_panic) => Code::UNKNOWN.0,
    }
}

/// Exports functions that return `Result<(), Code>` under NVML's names and ABI.
macro_rules! export {
    ($( $(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block )*) => { $(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($arg: $type),*) -> ::nvml_wrapper_sys::bindings::nvmlReturn_t {
            $crate::abi::guard(|| $body)
        }
    )* };
}
pub(crate) use export;

/// A place the caller wants something written to. Null is refused.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// The same place as another structure: for calls that take several versions of one, of which the
    /// caller says in its first word which it has given.
    pub const fn cast<U>(self) -> Out<U> {
        Out(self.0.cast())
    }
}

impl<T: Copy> Out<T> {
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub fn put(self, value: T) -> Answer {
        if self.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so the C caller promised a valid, writable and aligned `T`.
        unsafe { self.0.write(value) };
        Ok(())
    }

    /// What the caller had written there.
    pub fn get(self) -> Result<T, Code> {
        if self.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so the C caller promised a valid and readable `T`; it is used only for
        // members that NVML documents as read as well as written.
        Ok(unsafe { self.0.read() })
    }

    /// Changes each of the `count` items the caller has there.
    pub fn each(self, count: usize, mut change: impl FnMut(&mut T)) -> Answer {
        if self.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so the C caller promised `count` valid items that nobody else uses
        // during the call.
        unsafe { std::slice::from_raw_parts_mut(self.0, count) }
            .iter_mut()
            .for_each(&mut change);
        Ok(())
    }
}

impl Out<c_char> {
    /// Writes `text` and a zero, or refuses where `size` bytes do not hold them.
    pub fn put_text(self, size: c_uint, text: &str) -> Answer {
        if self.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        let size = size as usize;
        if text.len() >= size {
            return Err(Code::INSUFFICIENT_SIZE);
        }
        let mut bytes = text.bytes();
        self.each(text.len() + 1, |place| {
            *place = c_char::from_ne_bytes([bytes.next().unwrap_or(0)]);
        })
    }
}

/// Writes a list by NVML's protocol: `count` says how many places there are and, afterwards, how
/// many are filled or needed.
pub fn put_list<T: Copy>(count: Out<c_uint>, places: Out<T>, items: &[T]) -> Answer {
    let room = count.get()? as usize;
    count.put(c_uint::try_from(items.len()).map_err(|_| Code::UNKNOWN)?)?;
    if items.is_empty() {
        return Ok(());
    }
    if room < items.len() || places.is_null() {
        return Err(Code::INSUFFICIENT_SIZE);
    }
    let mut rest = items.iter();
    places.each(items.len(), |place| {
        if let Some(item) = rest.next() {
            *place = *item;
        }
    })
}

/// Text from the caller, ending with a zero.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Text(*const c_char);

impl Text {
    pub fn read(self) -> Result<String, Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so the C caller promised a string that ends with a zero.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str()
            .map(str::to_owned)
            .map_err(|_| Code::INVALID_ARGUMENT)
    }
}

/// Text as a C array of a fixed size, cut where it does not fit, the rest zeros.
pub fn array<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (place, byte) in array.iter_mut().take(N - 1).zip(text.bytes()) {
        *place = c_char::from_ne_bytes([byte]);
    }
    array
}

/// An opaque handle: a number in the shape of a pointer, never dereferenced. The bases lie apart so
/// that a device handle given for an event set is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Handle<T>(*mut T);

impl<T> Handle<T> {
    const STRIDE: usize = 0x100;

    pub fn new(base: usize, number: u32) -> Self {
        Self(std::ptr::without_provenance_mut(
            base + number as usize * Self::STRIDE,
        ))
    }

    /// The number, where the handle is one of `base`.
    pub fn number(self, base: usize) -> Result<u32, Code> {
        let offset = self
            .0
            .addr()
            .checked_sub(base)
            .ok_or(Code::INVALID_ARGUMENT)?;
        if offset % Self::STRIDE != 0 {
            return Err(Code::INVALID_ARGUMENT);
        }
        u32::try_from(offset / Self::STRIDE).map_err(|_| Code::INVALID_ARGUMENT)
    }

    pub const fn raw(self) -> *mut T {
        self.0
    }
}

/// The value of a struct's `version` member: its size, and its version in the topmost byte.
pub const fn version_of<T>(version: u32) -> u32 {
    // Every struct of NVML is far smaller than the 16 MiB that would reach the version's byte.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a struct of NVML is a few kilobytes"
    )]
    let size = size_of::<T>() as u32;
    size | (version << 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code() {
        assert_eq!(guard(|| panic!("a defect of the simulator")), 999);
        assert_eq!(guard(|| Ok(())), 0);
    }

    #[test]
    fn a_handle_is_known_by_its_base_and_stride() {
        let handle = Handle::<u8>::new(0x10_0000, 3);
        assert_eq!(handle.number(0x10_0000), Ok(3));
        assert_eq!(handle.number(0x20_0000), Err(Code::INVALID_ARGUMENT));
        assert_eq!(handle.number(0x10_0001), Err(Code::INVALID_ARGUMENT));
    }

    #[test]
    fn a_version_is_the_size_with_the_number_on_top() {
        assert_eq!(version_of::<[u64; 5]>(2), 0x0200_0028);
    }
}
