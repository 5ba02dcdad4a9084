//! Where the library writes its answers.

use nvml_wrapper_sys::bindings as sys;
use std::marker::PhantomData;

/// Types of which every bit pattern is a value, so that a library may write into them what it likes.
///
/// # Safety
/// Integers, floats, pointers that nobody follows, and C structs, unions and arrays of those.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($kind:ty),+ $(,)?) => {
        $(
            // SAFETY: made of integers, floats and pointers only, as the bindings declare it.
            unsafe impl Plain for $kind {}
        )+
    };
}

plain!(
    i8,
    u8,
    i32,
    u32,
    u64,
    sys::nvmlBAR1Memory_t,
    sys::nvmlC2cModeInfo_v1_t,
    sys::nvmlClkMonStatus_t,
    sys::nvmlClockOffset_t,
    sys::nvmlConfComputeMemSizeInfo_t,
    sys::nvmlConfComputeSystemCaps_t,
    sys::nvmlConfComputeSystemState_t,
    sys::nvmlCoolerInfo_t,
    sys::nvmlDeviceAddressingMode_t,
    sys::nvmlDeviceAttributes_t,
    sys::nvmlDeviceCapabilities_t,
    sys::nvmlDeviceCurrentClockFreqs_t,
    sys::nvmlDevicePerfModes_t,
    sys::nvmlDevicePowerMizerModes_v1_t,
    sys::nvmlDramEncryptionInfo_t,
    sys::nvmlEccErrorCounts_t,
    sys::nvmlEccSramErrorStatus_t,
    sys::nvmlEccSramUniqueUncorrectedErrorCounts_t,
    sys::nvmlEventData_t,
    sys::nvmlExcludedDeviceInfo_t,
    sys::nvmlFanSpeedInfo_t,
    sys::nvmlFieldValue_t,
    sys::nvmlGpmSupport_t,
    sys::nvmlGpuDynamicPstatesInfo_t,
    sys::nvmlGpuFabricInfoV_t,
    sys::nvmlGpuFabricInfo_t,
    sys::nvmlGpuInstancePlacement_t,
    sys::nvmlGpuInstanceProfileInfo_t,
    sys::nvmlGpuInstanceProfileInfo_v2_t,
    sys::nvmlGpuInstanceProfileInfo_v3_t,
    sys::nvmlGpuThermalSettings_t,
    sys::nvmlMarginTemperature_t,
    sys::nvmlMemory_t,
    sys::nvmlMemory_v2_t,
    sys::nvmlNvLinkInfo_t,
    sys::nvmlNvlinkGetBwMode_t,
    sys::nvmlNvlinkSupportedBwModes_t,
    sys::nvmlPciInfoExt_t,
    sys::nvmlPciInfo_t,
    sys::nvmlPdi_t,
    sys::nvmlPlatformInfo_t,
    sys::nvmlProcessDetailList_t,
    sys::nvmlProcessInfo_v1_t,
    sys::nvmlProcessInfo_v2_t,
    sys::nvmlProcessUtilizationSample_t,
    sys::nvmlProcessesUtilizationInfo_t,
    sys::nvmlRepairStatus_t,
    sys::nvmlRowRemapperHistogramValues_t,
    sys::nvmlSample_t,
    sys::nvmlSystemConfComputeSettings_t,
    sys::nvmlSystemDriverBranchInfo_t,
    sys::nvmlTemperature_t,
    sys::nvmlUtilization_t,
    sys::nvmlViolationTime_t,
    sys::nvmlWorkloadPowerProfileCurrentProfiles_t,
    sys::nvmlWorkloadPowerProfileProfilesInfo_t,
);

// SAFETY: an array of such values.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
// SAFETY: an address, which is never followed here.
unsafe impl<T: 'static> Plain for *mut T {}

/// Bytes after the answer: a library whose struct is longer than ours writes here and harms nothing.
/// Longer than any struct of NVML that is not a list of the caller's size.
const MARGIN: usize = 16 * 1024;

/// What the margin holds until somebody writes there.
const UNTOUCHED: u8 = 0xa5;

/// Space for a `T`, zeroed, with a margin behind it.
#[derive(Debug)]
pub struct Room<T> {
    /// Words, so that any `T` is aligned.
    words: Vec<u64>,
    kind: PhantomData<T>,
}

impl<T: Plain> Room<T> {
    pub fn new() -> Self {
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        let length = (size_of::<T>() + MARGIN).div_ceil(size_of::<u64>());
        let mut room = Self {
            words: vec![u64::from_ne_bytes([UNTOUCHED; 8]); length],
            kind: PhantomData,
        };
        // SAFETY: the words hold `size_of::<T>()` bytes and more.
        unsafe {
            room.words
                .as_mut_ptr()
                .cast::<u8>()
                .write_bytes(0, size_of::<T>());
        };
        room
    }

    /// For a versioned call: the first word is the size and, above 24 bits, the version, as
    /// `NVML_STRUCT_VERSION` of `nvml.h` makes it.
    pub fn versioned(version: u32) -> Self {
        let size = u32::try_from(size_of::<T>()).expect("a struct of C is shorter than 4 GiB");
        Self::with_word(size | version << 24)
    }

    /// With this first word.
    pub fn with_word(word: u32) -> Self {
        assert!(size_of::<T>() >= size_of::<u32>());
        let mut room = Self::new();
        // SAFETY: room for a `u32`, aligned for a `u64`.
        unsafe { room.words.as_mut_ptr().cast::<u32>().write(word) };
        room
    }

    /// With this in it.
    pub fn holding(value: T) -> Self {
        let mut room = Self::new();
        // SAFETY: room for a `T`, aligned for it by the assertion in `new`.
        unsafe { room.pointer().write(value) };
        room
    }

    /// For the library to write to.
    pub fn pointer(&mut self) -> *mut T {
        self.words.as_mut_ptr().cast()
    }

    /// What is there now.
    pub fn get(&self) -> T {
        // SAFETY: initialised bytes, enough of them, aligned, and each pattern is a value.
        unsafe { self.words.as_ptr().cast::<T>().read() }
    }

    /// The same as bytes, in hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.bytes()[..size_of::<T>()])
    }

    /// How many bytes behind the answer were written to. None, unless our struct is not the library's.
    pub fn overrun(&self) -> usize {
        let margin = &self.bytes()[size_of::<T>()..];
        margin
            .iter()
            .rposition(|&byte| byte != UNTOUCHED)
            .map_or(0, |last| last + 1)
    }

    fn bytes(&self) -> &[u8] {
        let length = self.words.len() * size_of::<u64>();
        // SAFETY: the words, looked at as bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), length) }
    }
}

/// Bytes as `0x…`.
pub fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// C's text: up to the first zero.
pub fn text(chars: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = chars
        .iter()
        .map(|c| c.to_ne_bytes()[0])
        .take_while(|&byte| byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
