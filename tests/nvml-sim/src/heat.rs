//! Temperature of a GPU.

use crate::abi::{Code, Out, export};
use crate::simulator::{Device, gpu};
use leasehold_common::units::Celsius;
use leasehold_gpu_sim::Gpu;
use nvml_wrapper_sys::bindings::{
    nvmlTemperatureSensors_t,
    nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_GPU_MAX as GPU_MAX,
    nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_MEM_MAX as MEM_MAX,
    nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SHUTDOWN as SHUTDOWN,
    nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SLOWDOWN as SLOWDOWN,
    nvmlTemperatureThresholds_t,
};
use std::ffi::c_uint;

/// The only sensor there is: that of the GPU itself.
const GPU_SENSOR: nvmlTemperatureSensors_t = 0;

fn degrees(temperature: Celsius) -> c_uint {
    c_uint::try_from(temperature.0).unwrap_or(0)
}

export! {
    /// Temperature of the GPU.
    fn nvmlDeviceGetTemperature(
        device: Device,
        sensor: nvmlTemperatureSensors_t,
        temperature: Out<c_uint>,
    ) {
        if sensor != GPU_SENSOR {
            return Err(Code::INVALID_ARGUMENT);
        }
        temperature.put(degrees(gpu(device, Gpu::temperature)?))
    }

    /// Temperature at which something happens. There are no acoustic ones: the fans are the node's.
    fn nvmlDeviceGetTemperatureThreshold(
        device: Device,
        threshold: nvmlTemperatureThresholds_t,
        temperature: Out<c_uint>,
    ) {
        let thresholds = gpu(device, Gpu::thresholds)?;
        temperature.put(degrees(match threshold {
            SHUTDOWN => thresholds.shutdown,
            SLOWDOWN => thresholds.slowdown,
            MEM_MAX => thresholds.memory_max,
            GPU_MAX => thresholds.gpu_max,
            _ => return Err(Code::NOT_SUPPORTED),
        }))
    }
}
