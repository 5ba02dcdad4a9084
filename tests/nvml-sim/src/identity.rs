//! Who a GPU is.

use crate::abi::{Out, array, export};
use crate::simulator::{Device, gpu};
use leasehold_gpu_sim::{Architecture, Gpu};
use nvml_wrapper_sys::bindings::{
    NVML_DEVICE_ARCH_AMPERE, NVML_DEVICE_ARCH_BLACKWELL, NVML_DEVICE_ARCH_HOPPER,
    nvmlBrandType_enum_NVML_BRAND_NVIDIA, nvmlBrandType_t, nvmlDeviceArchitecture_t, nvmlPciInfo_t,
};
use std::ffi::{c_char, c_int, c_uint};

/// NVIDIA's own subsystem id on every board here.
const SUBSYSTEM: c_uint = 0x16c1_10de;

export! {
    /// The product name.
    fn nvmlDeviceGetName(device: Device, name: Out<c_char>, length: c_uint) {
        name.put_text(length, gpu(device, Gpu::name)?)
    }

    /// The UUID.
    fn nvmlDeviceGetUUID(device: Device, uuid: Out<c_char>, length: c_uint) {
        uuid.put_text(length, &gpu(device, |gpu| gpu.uuid().map(ToString::to_string))?)
    }

    /// The board's serial number.
    fn nvmlDeviceGetSerial(device: Device, serial: Out<c_char>, length: c_uint) {
        serial.put_text(length, &gpu(device, |gpu| gpu.serial().map(str::to_owned))?)
    }

    /// The board's part number.
    fn nvmlDeviceGetBoardPartNumber(device: Device, number: Out<c_char>, length: c_uint) {
        number.put_text(length, gpu(device, Gpu::part_number)?)
    }

    /// Version of the video BIOS.
    fn nvmlDeviceGetVbiosVersion(device: Device, version: Out<c_char>, length: c_uint) {
        version.put_text(length, gpu(device, Gpu::vbios_version)?)
    }

    /// The number in `/dev/nvidiaN`.
    fn nvmlDeviceGetMinorNumber(device: Device, minor: Out<c_uint>) {
        minor.put(gpu(device, Gpu::minor_number)?)
    }

    /// The place on the PCI bus. NVML writes the domain with eight digits, the kernel with four.
    fn nvmlDeviceGetPciInfo_v3(device: Device, pci: Out<nvmlPciInfo_t>) {
        let (address, id) =
            gpu(device, |gpu| Ok((gpu.pci_address()?, gpu.identity().pci_device_id)))?;
        let legacy = address.to_string().to_uppercase();
        pci.put(nvmlPciInfo_t {
            busId: array(&format!("0000{legacy}")),
            busIdLegacy: array(&legacy),
            domain: address.domain,
            bus: address.bus,
            device: address.device,
            pciDeviceId: id,
            pciSubSystemId: SUBSYSTEM,
        })
    }

    /// A number that the GPUs of one board share; every board here has one.
    fn nvmlDeviceGetBoardId(device: Device, board: Out<c_uint>) {
        let address = gpu(device, Gpu::pci_address)?;
        board.put(address.domain << 16 | address.bus << 8)
    }

    /// The nearest NUMA node.
    fn nvmlDeviceGetNumaNodeId(device: Device, numa_node: Out<c_uint>) {
        numa_node.put(gpu(device, Gpu::numa_node)?)
    }

    /// Under which brand it is sold.
    fn nvmlDeviceGetBrand(device: Device, brand: Out<nvmlBrandType_t>) {
        gpu(device, Gpu::name)?;
        brand.put(nvmlBrandType_enum_NVML_BRAND_NVIDIA)
    }

    /// The generation of GPU.
    fn nvmlDeviceGetArchitecture(device: Device, architecture: Out<nvmlDeviceArchitecture_t>) {
        architecture.put(match gpu(device, Gpu::architecture)? {
            Architecture::Ampere => NVML_DEVICE_ARCH_AMPERE,
            Architecture::Hopper => NVML_DEVICE_ARCH_HOPPER,
            Architecture::Blackwell => NVML_DEVICE_ARCH_BLACKWELL,
        })
    }

    /// What CUDA can do with it.
    fn nvmlDeviceGetCudaComputeCapability(device: Device, major: Out<c_int>, minor: Out<c_int>) {
        let (found_major, found_minor) = gpu(device, Gpu::compute_capability)?;
        major.put(found_major.cast_signed())?;
        minor.put(found_minor.cast_signed())
    }
}
