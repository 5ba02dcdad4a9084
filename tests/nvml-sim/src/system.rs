//! Versions of the driver, of NVML and of CUDA.

use crate::abi::{Out, export};
use crate::simulator::node;
use std::ffi::{c_char, c_int, c_uint};

/// The API that the bindings were made from.
const NVML_API: &str = "13";
/// CUDA 13.0, as `1000 * major + 10 * minor`.
const CUDA_VERSION: c_int = 13_000;

export! {
    /// The version of the kernel driver.
    fn nvmlSystemGetDriverVersion(version: Out<c_char>, length: c_uint) {
        node(|node| version.put_text(length, node.driver_version()?))
    }

    /// The version of the library: that of the API, then that of the driver it came with.
    fn nvmlSystemGetNVMLVersion(version: Out<c_char>, length: c_uint) {
        node(|node| version.put_text(length, &format!("{NVML_API}.{}", node.driver_version()?)))
    }

    /// The newest CUDA that the driver runs.
    fn nvmlSystemGetCudaDriverVersion_v2(version: Out<c_int>) {
        node(|_| version.put(CUDA_VERSION))
    }

    /// The same, by its older name.
    fn nvmlSystemGetCudaDriverVersion(version: Out<c_int>) {
        node(|_| version.put(CUDA_VERSION))
    }
}
