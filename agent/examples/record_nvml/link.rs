//! What a GPU is connected by: PCIe, NVLink, the fabric.

use crate::about::pci;
use crate::gpu::{Gpu, ones};
use crate::record::{fields, symbol};
use crate::room::Room;
use nvml_wrapper_sys::bindings::{
    nvmlGpuFabricInfo_t, nvmlGpuFabricInfo_v2_t, nvmlGpuFabricInfoV_t, nvmlNvLinkInfo_v1_t,
};
use serde_json::json;

/// `NVML_NVLINK_MAX_LINKS` of Hopper and Blackwell.
pub const LINKS: u32 = 18;

pub fn record(gpu: &mut Gpu<'_>) {
    ones!(gpu: nvmlDeviceGetCurrPcieLinkGeneration, nvmlDeviceGetMaxPcieLinkGeneration,
        nvmlDeviceGetGpuMaxPcieLinkGeneration, nvmlDeviceGetCurrPcieLinkWidth,
        nvmlDeviceGetMaxPcieLinkWidth, nvmlDeviceGetPcieLinkMaxSpeed, nvmlDeviceGetPcieSpeed,
        nvmlDeviceGetPcieReplayCounter);
    for counter in 0..=2 {
        gpu.by(symbol!(gpu.lib, nvmlDeviceGetPcieThroughput), counter);
    }
    for link in 0..=LINKS {
        nvlink(gpu, link);
    }
    // Version 1 is the beginning of version 2.
    let size = u32::try_from(size_of::<nvmlNvLinkInfo_v1_t>()).unwrap_or(0);
    let first = Room::with_word(size | 1 << 24);
    let info = symbol!(gpu.lib, nvmlDeviceGetNvLinkInfo);
    if let Some(v) = gpu.secretive(info, "v1", first) {
        gpu.rec.value(fields!(v; isNvleEnabled));
    }
    let info = symbol!(gpu.lib, nvmlDeviceGetNvLinkInfo);
    if let Some(v) = gpu.secretive(info, "v2", Room::versioned(2)) {
        let valid = usize::try_from(v.firmwareInfo.numValidEntries).unwrap_or(0);
        let firmware: Vec<_> = v
            .firmwareInfo
            .firmwareVersion
            .iter()
            .take(valid)
            .map(|f| json!([f.ucodeType, f.major, f.minor, f.subMinor]))
            .collect();
        gpu.rec
            .value(json!({"isNvleEnabled": v.isNvleEnabled, "firmware": firmware}));
    }
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetNvlinkSupportedBwModes),
        1,
        |v| fields!(v; bwModes, totalBwModes),
    );
    gpu.versioned(
        symbol!(gpu.lib, nvmlDeviceGetNvlinkBwMode),
        1,
        |v| fields!(v; bIsBest, bwMode),
    );
    fabric(gpu);
}

/// One link. The one after the last is asked for too.
fn nvlink(gpu: &mut Gpu<'_>, link: u32) {
    gpu.by(symbol!(gpu.lib, nvmlDeviceGetNvLinkState), link);
    gpu.by(symbol!(gpu.lib, nvmlDeviceGetNvLinkVersion), link);
    gpu.by(symbol!(gpu.lib, nvmlDeviceGetNvLinkRemoteDeviceType), link);
    gpu.by_of(
        symbol!(gpu.lib, nvmlDeviceGetNvLinkRemotePciInfo_v2),
        link,
        pci,
    );
    for counter in 0..=4 {
        gpu.by_two(
            symbol!(gpu.lib, nvmlDeviceGetNvLinkErrorCounter),
            [link, counter],
        );
    }
    for capability in 0..=5 {
        gpu.by_two(
            symbol!(gpu.lib, nvmlDeviceGetNvLinkCapability),
            [link, capability],
        );
    }
}

fn fabric(gpu: &mut Gpu<'_>) {
    let plain = symbol!(gpu.lib, nvmlDeviceGetGpuFabricInfo);
    if let Some(v) = gpu.secretive::<nvmlGpuFabricInfo_t>(plain, "", Room::new()) {
        let cluster = gpu.rec.identities.hide_bytes(&v.clusterUuid);
        let shown = json!({
            "clusterUuid": cluster,
            "status": v.status,
            "cliqueId": v.cliqueId,
            "state": v.state,
        });
        gpu.rec.value(shown);
    }
    // Version 2 is version 3 without `healthSummary` at its end.
    let second = u32::try_from(size_of::<nvmlGpuFabricInfo_v2_t>()).unwrap_or(0) | 2 << 24;
    let third = u32::try_from(size_of::<nvmlGpuFabricInfoV_t>()).unwrap_or(0) | 3 << 24;
    for (version, word) in [(2, second), (3, third)] {
        let symbol = symbol!(gpu.lib, nvmlDeviceGetGpuFabricInfoV);
        let arg = format!("v{version} size {}", word & 0x00ff_ffff);
        let Some(v) = gpu.secretive::<nvmlGpuFabricInfoV_t>(symbol, &arg, Room::with_word(word))
        else {
            continue;
        };
        let cluster = gpu.rec.identities.hide_bytes(&v.clusterUuid);
        let summary = (version == 3).then_some(v.healthSummary);
        let shown = json!({
            "clusterUuid": cluster,
            "status": v.status,
            "cliqueId": v.cliqueId,
            "state": v.state,
            "healthMask": format!("0x{:08x}", v.healthMask),
            "healthSummary": summary,
        });
        gpu.rec.value(shown);
    }
}
