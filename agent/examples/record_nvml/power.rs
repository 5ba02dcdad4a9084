//! Watts, joules, and what keeps a GPU from drawing more.

use crate::gpu::{Gpu, ones, twos};
use crate::record::{fields, symbol};
use crate::room::Room;
use nvml_wrapper_sys::bindings::{
    nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlSample_t, nvmlWorkloadPowerProfileProfilesInfo_t,
};
use serde_json::json;

pub fn record(gpu: &mut Gpu<'_>) {
    ones!(gpu: nvmlDeviceGetPowerUsage, nvmlDeviceGetPowerManagementLimit,
        nvmlDeviceGetPowerManagementDefaultLimit, nvmlDeviceGetEnforcedPowerLimit,
        nvmlDeviceGetPowerManagementMode, nvmlDeviceGetPowerState, nvmlDeviceGetPerformanceState,
        nvmlDeviceGetTotalEnergyConsumption);
    twos!(gpu: nvmlDeviceGetPowerManagementLimitConstraints);
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetPowerMizerMode_v1),
        |v| fields!(v; currentMode, mode, supportedPowerMizerModes),
    );
    for policy in 0..=12 {
        gpu.by_of(
            symbol!(gpu.lib, nvmlDeviceGetViolationStatus),
            policy,
            |v| fields!(v; referenceTime, violationTime),
        );
    }
    profiles(gpu);
    for kind in 0..=10 {
        samples(gpu, kind);
    }
}

fn profiles(gpu: &mut Gpu<'_>) {
    let all = symbol!(gpu.lib, nvmlDeviceWorkloadPowerProfileGetProfilesInfo);
    // Without its bytes: 255 profiles, mostly of zeros.
    let room = Room::versioned(1);
    let all = gpu.secretive::<nvmlWorkloadPowerProfileProfilesInfo_t>(all, "v1", room);
    if let Some(all) = all {
        gpu.rec.value(json!({"mask": all.perfProfilesMask.mask}));
    }
    let now = symbol!(gpu.lib, nvmlDeviceWorkloadPowerProfileGetCurrentProfiles);
    gpu.versioned(now, 1, |v| {
        json!({
            "supported": v.perfProfilesMask.mask,
            "requested": v.requestedProfilesMask.mask,
            "enforced": v.enforcedProfilesMask.mask,
        })
    });
}

/// The samples that the driver keeps: how many, of which type, the first and the last.
fn samples(gpu: &mut Gpu<'_>, kind: u32) {
    const MOST: usize = 256;
    let handle = gpu.handle;
    let (mut value_type, mut count) = (Room::<u32>::new(), Room::<u32>::new());
    let needed = gpu.rec.call(
        symbol!(gpu.lib, nvmlDeviceGetSamples),
        &format!("{kind}, how many"),
        |f| {
            // SAFETY: no room for samples, as documented for asking how many there are.
            unsafe {
                f(
                    handle,
                    kind,
                    0,
                    value_type.pointer(),
                    count.pointer(),
                    std::ptr::null_mut(),
                )
            }
        },
    );
    gpu.rec.answer(
        needed,
        &count,
        |count| json!({"count": count, "type": value_type.get()}),
    );
    let many = usize::try_from(count.get()).unwrap_or(0);
    if needed != Some(SUCCESS) || many == 0 || many > MOST {
        return;
    }
    let mut room = Room::<[nvmlSample_t; MOST]>::new();
    let rc = gpu.rec.call(
        symbol!(gpu.lib, nvmlDeviceGetSamples),
        &format!("{kind}"),
        |f| {
            // SAFETY: room for at least as many samples as the count says.
            unsafe {
                f(
                    handle,
                    kind,
                    0,
                    value_type.pointer(),
                    count.pointer(),
                    room.pointer().cast(),
                )
            }
        },
    );
    let many = usize::try_from(count.get()).unwrap_or(0).min(MOST);
    gpu.rec.answer(rc, &room, |samples| {
        let shown = |sample: &nvmlSample_t| {
            json!([
                sample.timeStamp,
                crate::field::value(value_type.get(), &sample.sampleValue)
            ])
        };
        let given = &samples[..many];
        json!({
            "count": many,
            "type": value_type.get(),
            "first": given.first().map(shown),
            "last": given.last().map(shown),
        })
    });
}
