//! Clocks of a GPU, why they are where they are, and how busy it is.

use crate::abi::{Answer, Code, Out, export};
use crate::simulator::{Device, gpu};
use leasehold_gpu_sim::{Clocks, ClocksEventReasons, Gpu};
use nvml_wrapper_sys::bindings::{
    nvmlClockId_enum_NVML_CLOCK_ID_CURRENT as CURRENT,
    nvmlClockId_enum_NVML_CLOCK_ID_CUSTOMER_BOOST_MAX as BOOST_MAX, nvmlClockId_t,
    nvmlClockType_enum_NVML_CLOCK_GRAPHICS as GRAPHICS, nvmlClockType_enum_NVML_CLOCK_MEM as MEM,
    nvmlClockType_enum_NVML_CLOCK_SM as SM, nvmlClockType_enum_NVML_CLOCK_VIDEO as VIDEO,
    nvmlClockType_t, nvmlPstates_t, nvmlUtilization_t,
};
use std::ffi::{c_uint, c_ulonglong};

fn put_clock(clocks: Clocks, which: nvmlClockType_t, to: Out<c_uint>) -> Answer {
    to.put(match which {
        GRAPHICS => clocks.graphics_mhz,
        SM => clocks.sm_mhz,
        MEM => clocks.memory_mhz,
        VIDEO => clocks.video_mhz,
        _ => return Err(Code::INVALID_ARGUMENT),
    })
}

fn put_reasons(device: Device, to: Out<c_ulonglong>) -> Answer {
    to.put(gpu(device, Gpu::clocks_event_reasons)?.0)
}

fn put_supported_reasons(device: Device, to: Out<c_ulonglong>) -> Answer {
    gpu(device, Gpu::clocks_event_reasons)?;
    let all = ClocksEventReasons::IDLE
        | ClocksEventReasons::SW_POWER_CAP
        | ClocksEventReasons::HW_SLOWDOWN
        | ClocksEventReasons::SW_THERMAL_SLOWDOWN
        | ClocksEventReasons::HW_THERMAL_SLOWDOWN;
    to.put(all.0)
}

export! {
    /// A present clock.
    fn nvmlDeviceGetClockInfo(device: Device, which: nvmlClockType_t, clock: Out<c_uint>) {
        put_clock(gpu(device, Gpu::clocks)?, which, clock)
    }

    /// The highest a clock can be.
    fn nvmlDeviceGetMaxClockInfo(device: Device, which: nvmlClockType_t, clock: Out<c_uint>) {
        put_clock(gpu(device, Gpu::max_clocks)?, which, clock)
    }

    /// One of the two. Application clocks cannot be set here.
    fn nvmlDeviceGetClock(
        device: Device,
        which: nvmlClockType_t,
        id: nvmlClockId_t,
        clock: Out<c_uint>,
    ) {
        match id {
            CURRENT => put_clock(gpu(device, Gpu::clocks)?, which, clock),
            BOOST_MAX => put_clock(gpu(device, Gpu::max_clocks)?, which, clock),
            _ => Err(Code::NOT_SUPPORTED),
        }
    }

    /// Why the clocks are where they are.
    fn nvmlDeviceGetCurrentClocksEventReasons(device: Device, reasons: Out<c_ulonglong>) {
        put_reasons(device, reasons)
    }

    /// The same, by its older name.
    fn nvmlDeviceGetCurrentClocksThrottleReasons(device: Device, reasons: Out<c_ulonglong>) {
        put_reasons(device, reasons)
    }

    /// The reasons that can occur.
    fn nvmlDeviceGetSupportedClocksEventReasons(device: Device, reasons: Out<c_ulonglong>) {
        put_supported_reasons(device, reasons)
    }

    /// The same, by its older name.
    fn nvmlDeviceGetSupportedClocksThrottleReasons(device: Device, reasons: Out<c_ulonglong>) {
        put_supported_reasons(device, reasons)
    }

    /// The P-state.
    fn nvmlDeviceGetPerformanceState(device: Device, state: Out<nvmlPstates_t>) {
        state.put(gpu(device, Gpu::performance_state)?)
    }

    /// The same, by its older name.
    fn nvmlDeviceGetPowerState(device: Device, state: Out<nvmlPstates_t>) {
        state.put(gpu(device, Gpu::performance_state)?)
    }

    /// How busy the GPU is.
    fn nvmlDeviceGetUtilizationRates(device: Device, utilization: Out<nvmlUtilization_t>) {
        let found = gpu(device, Gpu::utilization)?;
        utilization.put(nvmlUtilization_t { gpu: found.gpu_percent, memory: found.memory_percent })
    }
}
