//! What a GPU is: names, numbers, firmware, place on the bus.

use crate::gpu::{Gpu, One, TEXT, TEXT_LENGTH, ones, texts, twos};
use crate::record::{Symbol, fields, symbol};
use crate::room::{self, Room};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlPciInfo_t, nvmlPdi_t, nvmlPlatformInfo_t, nvmlReturn_t,
};
use serde_json::{Value, json};
use std::ffi::{CString, c_char, c_uint};

pub fn record(gpu: &mut Gpu<'_>) {
    gpu.rec.gpu = Some(gpu.index);
    identity(gpu);
    texts!(gpu: nvmlDeviceGetName, nvmlDeviceGetVbiosVersion, nvmlDeviceGetBoardPartNumber,
        nvmlDeviceGetInforomImageVersion);
    ones!(gpu: nvmlDeviceGetMinorNumber, nvmlDeviceGetIndex, nvmlDeviceGetArchitecture,
        nvmlDeviceGetBrand, nvmlDeviceGetBoardId, nvmlDeviceGetModuleId,
        nvmlDeviceGetMultiGpuBoard, nvmlDeviceGetBusType, nvmlDeviceGetPowerSource,
        nvmlDeviceGetIrqNum, nvmlDeviceGetNumGpuCores, nvmlDeviceGetMemoryBusWidth,
        nvmlDeviceGetNumaNodeId, nvmlDeviceIsMigDeviceHandle,
        nvmlDeviceGetInforomConfigurationChecksum);
    twos!(gpu: nvmlDeviceGetCudaComputeCapability, nvmlDeviceGetGspFirmwareMode,
        nvmlDeviceGetLastBBXFlushTime);
    firmware(gpu);
    place(gpu);
    gpu.structure(symbol!(gpu.lib, nvmlDeviceGetAttributes_v2), |v| {
        fields!(v; multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount,
            sharedEncoderCount, sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount,
            computeInstanceSliceCount, memorySizeMB)
    });
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetCapabilities),
        1,
        |v| fields!(v; capMask),
    );
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetAddressingMode),
        1,
        |v| fields!(v; value),
    );
    gpu.structure(
        symbol!(gpu.lib, nvmlDeviceGetC2cModeInfoV),
        |v| fields!(v; isC2cEnabled),
    );
    // `nvmlBBXTimeData_v1_t` of `nvml.h` 13.3 is one `unsigned int timeRun`, without a version.
    // SAFETY: the type that `nvml.h` declares.
    let bbx: Symbol<One<c_uint>> =
        unsafe { Symbol::named(gpu.lib, "nvmlDeviceGetBBXTimeData_v1\0") };
    gpu.one(bbx);
    // SAFETY: the same.
    let support = unsafe { Symbol::<One<_>>::named(gpu.lib, "nvmlGpmQueryDeviceSupport\0") };
    gpu.versioned(
        support,
        1,
        |v: &nvml_wrapper_sys::bindings::nvmlGpmSupport_t| fields!(v; isSupportedDevice),
    );
}

/// What there is only one of, and the ways from there back to a handle.
fn identity(gpu: &mut Gpu<'_>) {
    let uuid = gpu.text(symbol!(gpu.lib, nvmlDeviceGetUUID));
    let serial = gpu.text(symbol!(gpu.lib, nvmlDeviceGetSerial));
    for name in [&uuid, &serial].into_iter().flatten() {
        gpu.rec.identities.learn(name);
    }
    for (symbol, name, what) in [
        (
            symbol!(gpu.lib, nvmlDeviceGetHandleByUUID),
            uuid,
            "its UUID",
        ),
        (
            symbol!(gpu.lib, nvmlDeviceGetHandleBySerial),
            serial,
            "its serial",
        ),
    ] {
        handle_by(gpu, symbol, name, what);
    }
    let nobody = Some("GPU-00000000-0000-4000-8000-0000000000ff".to_owned());
    let by_uuid = symbol!(gpu.lib, nvmlDeviceGetHandleByUUID);
    handle_by(gpu, by_uuid, nobody, "a UUID of no GPU");
    let pdi = symbol!(gpu.lib, nvmlDeviceGetPdi);
    if let Some(pdi) = gpu.secretive::<nvmlPdi_t>(pdi, "v1", Room::versioned(1)) {
        let shown = gpu.rec.identities.hide_number(pdi.value);
        gpu.rec.value(json!(shown));
    }
    // Versions 1 and 2 are of one length.
    for version in [1, 2] {
        let symbol = symbol!(gpu.lib, nvmlDeviceGetPlatformInfo);
        let arg = format!("v{version}");
        let Some(v) = gpu.secretive::<nvmlPlatformInfo_t>(symbol, &arg, Room::versioned(version))
        else {
            continue;
        };
        let (guid, chassis) = (&v.ibGuid, &v.chassisSerialNumber);
        let identities = &gpu.rec.identities;
        let shown = json!({
            "ibGuid": identities.hide_bytes(guid),
            "rackGuid or chassisSerialNumber": identities.hide_bytes(chassis),
            "slotNumber": v.slotNumber,
            "trayIndex": v.trayIndex,
            "hostId": v.hostId,
            "peerType": v.peerType,
            "moduleId": v.moduleId,
        });
        gpu.rec.value(shown);
    }
}

type HandleBy = unsafe extern "C" fn(*const c_char, *mut nvmlDevice_t) -> nvmlReturn_t;

fn handle_by(gpu: &mut Gpu<'_>, symbol: Symbol<HandleBy>, name: Option<String>, what: &str) {
    let Some(name) = name.and_then(|name| CString::new(name).ok()) else {
        return;
    };
    let mut room = Room::<nvmlDevice_t>::new();
    let rc = gpu.rec.call(symbol, what, |f| {
        // SAFETY: a text that ends with a zero, and room for a handle.
        unsafe { f(name.as_ptr(), room.pointer()) }
    });
    let own = gpu.handle;
    gpu.rec.answer(
        rc,
        &room,
        |&handle| json!({"same_as_by_index": handle == own}),
    );
}

fn firmware(gpu: &mut Gpu<'_>) {
    let handle = gpu.handle;
    let mut room = Room::<[c_char; TEXT]>::new();
    let symbol = symbol!(gpu.lib, nvmlDeviceGetGspFirmwareVersion);
    let rc = gpu.rec.call(symbol, "", |f| {
        // SAFETY: more room than `NVML_GSP_FIRMWARE_VERSION_BUF_SIZE`, which it takes for granted.
        unsafe { f(handle, room.pointer().cast()) }
    });
    gpu.rec.answer(rc, &room, |chars| json!(room::text(chars)));
    for object in 0..=4 {
        let mut room = Room::<[c_char; TEXT]>::new();
        let symbol = symbol!(gpu.lib, nvmlDeviceGetInforomVersion);
        let rc = gpu.rec.call(symbol, &object.to_string(), |f| {
            // SAFETY: as much room as it is told.
            unsafe { f(handle, object, room.pointer().cast(), TEXT_LENGTH) }
        });
        gpu.rec.answer(rc, &room, |chars| json!(room::text(chars)));
    }
}

fn place(gpu: &mut Gpu<'_>) {
    gpu.structure(symbol!(gpu.lib, nvmlDeviceGetPciInfo_v3), pci);
    gpu.versioned(symbol!(gpu.lib, nvmlDeviceGetPciInfoExt), 1, |v| {
        json!({
            "bus": room::text(&v.busId),
            "domain": v.domain,
            "device": format!("0x{:08x}", v.pciDeviceId),
            "subsystem": format!("0x{:08x}", v.pciSubSystemId),
            "class": [v.baseClass, v.subClass],
        })
    });
    // By the address as `nvmlDeviceGetPciInfo_v3` gives it, and as the kernel writes it.
    let (handle, mut room) = (gpu.handle, Room::<nvmlPciInfo_t>::new());
    let Ok(ask) = gpu.lib.nvmlDeviceGetPciInfo_v3.as_ref().copied() else {
        return;
    };
    // SAFETY: the library's own handle, and room for what it writes.
    if gpu.rec.skips("nvmlDeviceGetPciInfo_v3") || unsafe { ask(handle, room.pointer()) } != 0 {
        return;
    }
    let bus = room::text(&room.get().busId);
    let kernel = bus.get(4..).map(str::to_lowercase);
    for (bus, what) in [
        (Some(bus), "as NVML writes it"),
        (kernel, "as the kernel writes it"),
    ] {
        let symbol = symbol!(gpu.lib, nvmlDeviceGetHandleByPciBusId_v2);
        handle_by(gpu, symbol, bus, what);
    }
    let drain = symbol!(gpu.lib, nvmlDeviceQueryDrainState);
    let mut state = Room::<u32>::new();
    let rc = gpu.rec.call(drain, "", |f| {
        // SAFETY: an address on the bus as the library gave it, and room for what it writes.
        unsafe { f(room.pointer(), state.pointer()) }
    });
    gpu.rec.answer(rc, &state, |v| json!(v));
}

pub fn pci(v: &nvmlPciInfo_t) -> Value {
    json!({
        "bus": room::text(&v.busId),
        "bus_legacy": room::text(&v.busIdLegacy),
        "domain": v.domain,
        "device": format!("0x{:08x}", v.pciDeviceId),
        "subsystem": format!("0x{:08x}", v.pciSubSystemId),
    })
}
