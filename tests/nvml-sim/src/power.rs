//! Power and energy of a GPU.

use crate::abi::{Out, export};
use crate::simulator::{self, Device, gpu};
use leasehold_common::units::MilliWatts;
use leasehold_gpu_sim::{Change, Gpu, PowerLimits};
use std::ffi::{c_uint, c_ulonglong};

/// Milliwatts as NVML has them: 32 bits, enough for four megawatts a GPU.
pub fn milliwatts(power: MilliWatts) -> c_uint {
    c_uint::try_from(power.0).unwrap_or(c_uint::MAX)
}

fn put_limit(
    device: Device,
    to: Out<c_uint>,
    which: impl FnOnce(PowerLimits) -> MilliWatts,
) -> crate::abi::Answer {
    to.put(milliwatts(which(gpu(device, Gpu::power_limits)?)))
}

export! {
    /// Present draw.
    fn nvmlDeviceGetPowerUsage(device: Device, power: Out<c_uint>) {
        power.put(milliwatts(gpu(device, Gpu::power_draw)?))
    }

    /// Energy since the driver was loaded, in millijoules.
    fn nvmlDeviceGetTotalEnergyConsumption(device: Device, energy: Out<c_ulonglong>) {
        energy.put(gpu(device, Gpu::energy)?.0)
    }

    /// The limit last asked for.
    fn nvmlDeviceGetPowerManagementLimit(device: Device, limit: Out<c_uint>) {
        put_limit(device, limit, |limits| limits.requested)
    }

    /// The limit after the driver was loaded.
    fn nvmlDeviceGetPowerManagementDefaultLimit(device: Device, limit: Out<c_uint>) {
        put_limit(device, limit, |limits| limits.default)
    }

    /// The limit that holds.
    fn nvmlDeviceGetEnforcedPowerLimit(device: Device, limit: Out<c_uint>) {
        put_limit(device, limit, |limits| limits.enforced)
    }

    /// The lowest and the highest limit that can be set.
    fn nvmlDeviceGetPowerManagementLimitConstraints(
        device: Device,
        min: Out<c_uint>,
        max: Out<c_uint>,
    ) {
        put_limit(device, min, |limits| limits.min)?;
        put_limit(device, max, |limits| limits.max)
    }

    /// Whether power limits exist. They do on every board here.
    fn nvmlDeviceGetPowerManagementMode(device: Device, mode: Out<c_uint>) {
        gpu(device, Gpu::power_limits)?;
        mode.put(1)
    }

    /// Sets the limit. It lives as long as the library is loaded.
    fn nvmlDeviceSetPowerManagementLimit(device: Device, limit: c_uint) {
        let limit = MilliWatts(limit.into());
        simulator::change(device, |gpu| Change::SetPowerLimit { gpu, limit })
    }
}
