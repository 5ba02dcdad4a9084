//! One reading of one GPU.

use super::counters::{c2c_errors, nvlink_errors, pcie_fatal, retired_pages};
use super::pace::{Last, Pace};
use super::process::processes;
use super::{celsius, milliwatts, raw};
use leasehold_agent_core::sample::{
    Contact, Fabric, GpuSample, NvLinkErrors, NvLinks, PcieLink, RemappedRows, Repairs,
    RetiredPages, SpareRows, SramErrors,
};
use leasehold_common::node::Reading;
use leasehold_common::units::{Bytes, Celsius, MilliJoules, MilliWatts};
use nvml_wrapper::enum_wrappers::device::{
    EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};
use std::time::Instant;

/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`.
const RECOVERY_ACTION: FieldId = FieldId(230);

/// `NVML_FI_DEV_RESET_STATUS`, of drivers that do not have the field above.
const RESET_STATUS: FieldId = FieldId(226);

/// `NVML_FI_DEV_DRAIN_AND_RESET_STATUS`, the same.
const DRAIN_AND_RESET_STATUS: FieldId = FieldId(227);

/// `NVML_FI_DEV_MEMORY_TEMP`.
const MEMORY_TEMPERATURE: FieldId = FieldId(82);

/// `NVML_NVLINK_MAX_LINKS`: links from here on are none.
pub(super) const NVLINKS: u32 = 18;

/// What is known of one GPU from readings before.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    recovery_action: Last<u32>,
    memory_temperature: Last<Celsius>,
    energy: Last<MilliJoules>,
    clock_events: Last<u64>,
    ecc_uncorrected: Last<u64>,
    ecc_corrected: Last<u64>,
    memory_used: Last<Bytes>,
    limit: Last<MilliWatts>,
    default_limit: Last<MilliWatts>,
    slowdown: Last<Celsius>,
    shutdown: Last<Celsius>,
    ecc_enabled: Last<bool>,
    remapped: Last<RemappedRows>,
    sram: Last<SramErrors>,
    pcie: Last<PcieLink>,
    pcie_replays: Last<u64>,
    nvlinks: Last<NvLinks>,
    fabric: Last<Fabric>,
    memory_max: Last<Celsius>,
    spare_rows: Last<SpareRows>,
    repairs: Last<Repairs>,
    retired: Last<RetiredPages>,
    nvlink_errors: Last<NvLinkErrors>,
    c2c_errors: Last<u64>,
    pcie_fatal: Last<u64>,
    mig: Last<bool>,
    persistence: Last<bool>,
}

/// Reads a GPU, as far as what was read before is due again.
pub(super) fn sample(nvml: &Nvml, gpu: &Device<'_>, known: &mut Memory, now: Instant) -> GpuSample {
    let mut call = Call { is_lost: false };
    let (soon, seldom) = (Pace::Soon, Pace::Seldom);
    let threshold = |which| gpu.temperature_threshold(which).map(celsius);
    let errors = |severity| gpu.total_ecc_errors(severity, EccCounter::Volatile);
    let sample = GpuSample {
        contact: Contact::Answered,
        power_mw: call.of(gpu.power_usage().map(milliwatts)),
        temperature: call.of(gpu.temperature(TemperatureSensor::Gpu).map(celsius)),
        processes: call.of(processes(gpu)),
        recovery_action: known
            .recovery_action
            .or(Pace::Always, now, || call.of(recovery_action(gpu))),
        memory_temperature: known.memory_temperature.or(soon, now, || {
            let degrees = field(gpu, MEMORY_TEMPERATURE);
            call.of(degrees.map(celsius))
        }),
        energy_mj: known.energy.or(Pace::Always, now, || {
            call.of(gpu.total_energy_consumption().map(MilliJoules))
        }),
        clock_events: known
            .clock_events
            .or(soon, now, || call.of(raw::clock_events(nvml, gpu))),
        ecc_uncorrected: known
            .ecc_uncorrected
            .or(soon, now, || call.of(errors(MemoryError::Uncorrected))),
        ecc_corrected: known
            .ecc_corrected
            .or(soon, now, || call.of(errors(MemoryError::Corrected))),
        memory_used: known.memory_used.or(soon, now, || {
            call.of(gpu.memory_info().map(|memory| Bytes(memory.used)))
        }),
        limit_mw: known.limit.or(soon, now, || {
            call.of(gpu.enforced_power_limit().map(milliwatts))
        }),
        default_limit_mw: known.default_limit.or(seldom, now, || {
            call.of(gpu.power_management_limit_default().map(milliwatts))
        }),
        slowdown: known.slowdown.or(seldom, now, || {
            call.of(threshold(TemperatureThreshold::Slowdown))
        }),
        shutdown: known.shutdown.or(seldom, now, || {
            call.of(threshold(TemperatureThreshold::Shutdown))
        }),
        ecc_enabled: known.ecc_enabled.or(seldom, now, || {
            call.of(gpu.is_ecc_enabled().map(|mode| mode.currently_enabled))
        }),
        remapped: known
            .remapped
            .or(seldom, now, || call.of(raw::remapped_rows(nvml, gpu))),
        sram: known
            .sram
            .or(seldom, now, || call.of(raw::sram_errors(nvml, gpu))),
        pcie: known.pcie.or(seldom, now, || call.of(pcie(gpu))),
        pcie_replays: known.pcie_replays.or(seldom, now, || {
            call.of(gpu.pcie_replay_counter().map(u64::from))
        }),
        nvlinks: known.nvlinks.or(seldom, now, || call.of(nvlinks(gpu))),
        fabric: known
            .fabric
            .or(seldom, now, || call.of(raw::fabric(nvml, gpu))),
        memory_max: known.memory_max.or(seldom, now, || {
            call.of(threshold(TemperatureThreshold::MemoryMax))
        }),
        spare_rows: known
            .spare_rows
            .or(seldom, now, || call.of(raw::spare_rows(nvml, gpu))),
        repairs: known
            .repairs
            .or(seldom, now, || call.of(raw::repairs(nvml, gpu))),
        retired: known
            .retired
            .or(seldom, now, || call.of(retired_pages(gpu))),
        nvlink_errors: known
            .nvlink_errors
            .or(seldom, now, || call.of(nvlink_errors(nvml, gpu))),
        c2c_errors: known
            .c2c_errors
            .or(seldom, now, || call.of(c2c_errors(nvml, gpu))),
        pcie_fatal: known
            .pcie_fatal
            .or(seldom, now, || call.of(pcie_fatal(nvml, gpu))),
        mig: known.mig.or(seldom, now, || {
            call.of(gpu.mig_mode().map(|mode| mode.current != 0))
        }),
        persistence: known
            .persistence
            .or(seldom, now, || call.of(gpu.is_in_persistent_mode())),
    };
    if call.is_lost {
        return GpuSample::silent(Contact::Lost, &NvmlError::GpuLost.to_string());
    }
    sample
}

/// Turns answers into readings, and notices the one that speaks of the whole GPU.
struct Call {
    is_lost: bool,
}

impl Call {
    fn of<T>(&mut self, answer: Result<T, NvmlError>) -> Reading<T> {
        match answer {
            Ok(value) => Reading::Value(value),
            // A symbol that an older driver lacks is a value that it does not have.
            Err(
                NvmlError::NotSupported
                | NvmlError::FailedToLoadSymbol(_)
                | NvmlError::FunctionNotFound,
            ) => Reading::Unsupported,
            // A structure of a version that the driver does not know (`NVML_ERROR_ARGUMENT_VERSION_MISMATCH`).
            Err(NvmlError::UnexpectedVariant(25)) => Reading::Unsupported,
            Err(e) => {
                self.is_lost |= matches!(e, NvmlError::GpuLost);
                Reading::Failed(e.to_string())
            }
        }
    }
}

/// A field that is a small number.
fn field(gpu: &Device<'_>, id: FieldId) -> Result<u32, NvmlError> {
    let field = gpu
        .field_values_for(&[id])?
        .pop()
        .ok_or(NvmlError::NotFound)??;
    match field.value? {
        SampleValue::U32(value) => Ok(value),
        SampleValue::U64(value) => Ok(u32::try_from(value).unwrap_or(u32::MAX)),
        // A value we cannot read is not "nothing to do": the highest class of action.
        _ => Ok(u32::MAX),
    }
}

/// What the driver wants done. Drivers that cannot say it in one word say in two fields whether a reset is
/// wanted, and whether after a drain.
fn recovery_action(gpu: &Device<'_>) -> Result<u32, NvmlError> {
    /// `nvmlDeviceGpuRecoveryAction_t`.
    const RESET: u32 = 1;
    const DRAIN_AND_RESET: u32 = 4;
    match field(gpu, RECOVERY_ACTION) {
        Err(NvmlError::NotSupported) => {
            if field(gpu, RESET_STATUS)? != 0 {
                Ok(RESET)
            } else if field(gpu, DRAIN_AND_RESET_STATUS)? != 0 {
                Ok(DRAIN_AND_RESET)
            } else {
                Ok(0)
            }
        }
        answer => answer,
    }
}

fn pcie(gpu: &Device<'_>) -> Result<PcieLink, NvmlError> {
    Ok(PcieLink {
        generation: gpu.current_pcie_link_gen()?,
        max_generation: gpu.max_pcie_link_gen()?,
        width: gpu.current_pcie_link_width()?,
        max_width: gpu.max_pcie_link_width()?,
    })
}

/// How many links are up. A GPU has none from the first on that it does not know; one that has none at all
/// says that it does not support them.
fn nvlinks(gpu: &Device<'_>) -> Result<NvLinks, NvmlError> {
    let mut links = NvLinks::default();
    for link in 0..NVLINKS {
        match gpu.link_wrapper_for(link).is_active() {
            Ok(true) => links.active += 1,
            Ok(false) => links.inactive += 1,
            Err(NvmlError::NotSupported | NvmlError::InvalidArg) if link > 0 => break,
            Err(e) => return Err(e),
        }
    }
    Ok(links)
}
