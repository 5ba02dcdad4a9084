//! Temperatures, their limits, and fans.

use crate::gpu::{Gpu, ones, twos};
use crate::record::{fields, symbol};
use crate::room::Room;
use nvml_wrapper_sys::bindings::nvmlTemperature_t;
use serde_json::json;

pub fn record(gpu: &mut Gpu<'_>) {
    for sensor in 0..=1 {
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetTemperature), sensor);
        let size = u32::try_from(size_of::<nvmlTemperature_t>()).unwrap_or(0);
        let asked = nvmlTemperature_t {
            version: size | 1 << 24,
            sensorType: sensor,
            temperature: 0,
        };
        let symbol = symbol!(gpu.lib, nvmlDeviceGetTemperatureV);
        let arg = format!("v1 sensor {sensor}");
        gpu.structure_in(
            symbol,
            &arg,
            Room::holding(asked),
            |v| fields!(v; temperature),
        );
        gpu.by_of(symbol!(gpu.lib, nvmlDeviceGetThermalSettings), sensor, |v| {
            let sensors: Vec<_> = v
                .sensor
                .iter()
                .map(|s| fields!(s; controller, defaultMinTemp, defaultMaxTemp, currentTemp, target))
                .collect();
            json!({"count": v.count, "sensors": sensors})
        });
    }
    for threshold in 0..=8 {
        gpu.by(
            symbol!(gpu.lib, nvmlDeviceGetTemperatureThreshold),
            threshold,
        );
    }
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetMarginTemperature),
        1,
        |v| fields!(v; marginTemperature),
    );
    ones!(gpu: nvmlDeviceGetNumFans, nvmlDeviceGetFanSpeed);
    twos!(gpu: nvmlDeviceGetMinMaxFanSpeed);
    gpu.by(symbol!(gpu.lib, nvmlDeviceGetFanSpeed_v2), 0);
    gpu.by(symbol!(gpu.lib, nvmlDeviceGetTargetFanSpeed), 0);
    gpu.by(symbol!(gpu.lib, nvmlDeviceGetFanControlPolicy_v2), 0);
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetFanSpeedRPM),
        1,
        |v| fields!(v; speed),
    );
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetCoolerInfo),
        1,
        |v| fields!(v; signalType, target),
    );
}
