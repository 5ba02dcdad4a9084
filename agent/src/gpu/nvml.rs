//! NVIDIA's own library, through `nvml-wrapper`: the only file that names it.
//!
//! Handles are made anew for each reading, by UUID: an index changes when a GPU falls off the bus,
//! and a handle from before a driver reload is worth nothing. One failing call costs that value.

use super::{DriverError, DriverFacts, GpuDriver};
use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::{GpuInfo, GpuProcess, Reading};
use leasehold_common::units::{Bytes, Celsius, MilliJoules, MilliWatts};
use nvml_wrapper::bitmasks::InitFlags;
use nvml_wrapper::enum_wrappers::device::{
    EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The library as the driver installs it, found by the loader.
pub const LIBRARY: &str = "libnvidia-ml.so.1";

/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`.
const RECOVERY_ACTION: FieldId = FieldId(230);

/// The driver behind a `libnvidia-ml`. It is loaded with the first call and again after it was
/// gone, so that the agent may start before it and outlive a reload.
pub struct NvmlDriver {
    library: PathBuf,
    nvml: Mutex<Option<Arc<Nvml>>>,
}

impl fmt::Debug for NvmlDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NvmlDriver")
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

impl NvmlDriver {
    /// Of this library: a path with a slash, or a bare name that the loader looks for.
    pub fn new(library: &Path) -> Self {
        Self {
            library: library.to_owned(),
            nvml: Mutex::new(None),
        }
    }

    fn nvml(&self) -> Result<Arc<Nvml>, NvmlError> {
        let mut loaded = self.nvml.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nvml) = &*loaded {
            return Ok(Arc::clone(nvml));
        }
        // Having no GPU is no failure. `NO_ATTACH` must not be said: with it driver 580.159.04 counts no
        // GPU where there is one, and without it only the handle of a bad GPU fails.
        let nvml = Nvml::builder()
            .lib_path(self.library.as_os_str())
            .flags(InitFlags::NO_GPUS)
            .init()?;
        Ok(Arc::clone(loaded.insert(Arc::new(nvml))))
    }

    /// Where the driver itself is gone, what was loaded is of no more use.
    fn note<T>(&self, answer: Result<T, NvmlError>) -> Result<T, NvmlError> {
        if let Err(e) = &answer
            && is_about_the_driver(e)
        {
            *self.nvml.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        answer
    }

    fn explained(&self, call: &'static str) -> impl Fn(NvmlError) -> DriverError {
        let library = self.library.display().to_string();
        move |e| {
            let library = library.clone();
            match e {
                NvmlError::LibloadingError(e) => DriverError::NoLibrary {
                    library,
                    detail: e.to_string(),
                },
                e if is_about_the_driver(&e) => DriverError::NoDriver {
                    library,
                    detail: e.to_string(),
                },
                e => DriverError::Failed {
                    call,
                    detail: e.to_string(),
                },
            }
        }
    }
}

fn is_about_the_driver(e: &NvmlError) -> bool {
    matches!(
        e,
        NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch | NvmlError::Uninitialized
    )
}

impl GpuDriver for NvmlDriver {
    fn facts(&self) -> Result<DriverFacts, DriverError> {
        let nvml = self.nvml().map_err(self.explained("init"))?;
        let count = self
            .note(nvml.device_count())
            .map_err(self.explained("device count"))?;
        Ok(DriverFacts {
            driver: nvml.sys_driver_version().ok(),
            nvml: nvml.sys_nvml_version().ok(),
            count,
        })
    }

    fn identify(&self, index: u32) -> Result<GpuInfo, DriverError> {
        let nvml = self.nvml().map_err(self.explained("init"))?;
        let gpu = self
            .note(nvml.device_by_index(index))
            .map_err(self.explained("handle by index"))?;
        let uuid = gpu.uuid().map_err(self.explained("uuid"))?;
        Ok(GpuInfo {
            uuid: uuid
                .parse()
                .map_err(
                    |e: leasehold_common::ids::InvalidName| DriverError::Failed {
                        call: "uuid",
                        detail: e.to_string(),
                    },
                )?,
            name: gpu.name().map_err(self.explained("name"))?,
            index,
            minor: gpu.minor_number().ok(),
            pci: gpu.pci_info().ok().map(|pci| pci.bus_id),
            serial: gpu.serial().ok(),
            memory: gpu.memory_info().ok().map(|memory| Bytes(memory.total)),
            default_limit_mw: gpu.power_management_limit_default().ok().map(milliwatts),
            vbios: gpu.vbios_version().ok(),
            numa: gpu.numa_node_id().ok(),
        })
    }

    fn read(&self, uuid: &GpuUuid) -> GpuSample {
        let nvml = match self.nvml() {
            Ok(nvml) => nvml,
            Err(e) => return GpuSample::silent(Contact::Unresponsive, &e.to_string()),
        };
        match self.note(nvml.device_by_uuid(uuid.as_str())) {
            Ok(gpu) => sample(&gpu),
            Err(e) => GpuSample::silent(contact(&e), &e.to_string()),
        }
    }

    fn may_hang(&self) -> bool {
        true
    }
}

/// What it means that there is no handle for a GPU that was there.
fn contact(e: &NvmlError) -> Contact {
    match e {
        NvmlError::GpuLost => Contact::Lost,
        NvmlError::NotFound | NvmlError::InvalidArg => Contact::Missing,
        _ => Contact::Unresponsive,
    }
}

fn sample(gpu: &Device<'_>) -> GpuSample {
    let mut lost = false;
    let sample = {
        let mut call = Call { lost: &mut lost };
        GpuSample {
            contact: Contact::Answered,
            power_mw: call.of(gpu.power_usage().map(milliwatts)),
            limit_mw: call.of(gpu.enforced_power_limit().map(milliwatts)),
            temperature: call.of(gpu.temperature(TemperatureSensor::Gpu).map(celsius)),
            slowdown: call.of(gpu
                .temperature_threshold(TemperatureThreshold::Slowdown)
                .map(celsius)),
            energy_mj: call.of(gpu.total_energy_consumption().map(MilliJoules)),
            memory_used: call.of(gpu.memory_info().map(|memory| Bytes(memory.used))),
            ecc_enabled: call.of(gpu.is_ecc_enabled().map(|mode| mode.currently_enabled)),
            ecc_uncorrected: call
                .of(gpu.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile)),
            recovery_action: call.of(recovery_action(gpu)),
            processes: call.of(processes(gpu)),
            default_limit_mw: Reading::Unsupported,
            memory_temperature: Reading::Unsupported,
            shutdown: Reading::Unsupported,
            clock_events: Reading::Unsupported,
            remapped: Reading::Unsupported,
            sram: Reading::Unsupported,
            pcie: Reading::Unsupported,
            pcie_replays: Reading::Unsupported,
            nvlinks: Reading::Unsupported,
            fabric: Reading::Unsupported,
            mig: Reading::Unsupported,
            persistence: Reading::Unsupported,
            ecc_corrected: Reading::Unsupported,
        }
    };
    if lost {
        return GpuSample::silent(Contact::Lost, &NvmlError::GpuLost.to_string());
    }
    sample
}

/// Turns answers into readings, and notices the one that speaks of the whole GPU.
struct Call<'a> {
    lost: &'a mut bool,
}

impl Call<'_> {
    fn of<T>(&mut self, answer: Result<T, NvmlError>) -> Reading<T> {
        match answer {
            Ok(value) => Reading::Value(value),
            // A symbol that an older driver lacks is a value that it does not have.
            Err(
                NvmlError::NotSupported
                | NvmlError::FailedToLoadSymbol(_)
                | NvmlError::FunctionNotFound,
            ) => Reading::Unsupported,
            Err(e) => {
                *self.lost |= matches!(e, NvmlError::GpuLost);
                Reading::Failed(e.to_string())
            }
        }
    }
}

fn recovery_action(gpu: &Device<'_>) -> Result<u32, NvmlError> {
    let field = gpu
        .field_values_for(&[RECOVERY_ACTION])?
        .pop()
        .ok_or(NvmlError::NotFound)??;
    match field.value? {
        SampleValue::U32(action) => Ok(action),
        SampleValue::U64(action) => Ok(u32::try_from(action).unwrap_or(u32::MAX)),
        // A value we cannot read is not "nothing to do": the highest class of action.
        _ => Ok(u32::MAX),
    }
}

/// Everybody who has the GPU open. A process may be in several of NVML's lists.
fn processes(gpu: &Device<'_>) -> Result<Vec<GpuProcess>, NvmlError> {
    let mut by_pid: BTreeMap<u32, Option<Bytes>> = BTreeMap::new();
    let mut add = |list: Vec<ProcessInfo>| {
        for process in list {
            let memory = match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(Bytes(bytes)),
                UsedGpuMemory::Unavailable => None,
            };
            let known = by_pid.entry(process.pid).or_default();
            *known = (*known).max(memory);
        }
    };
    add(gpu.running_compute_processes()?);
    add(unless_unsupported(gpu.running_graphics_processes())?);
    add(unless_unsupported(gpu.mps_running_compute_processes())?);
    Ok(by_pid
        .into_iter()
        .map(|(pid, memory)| GpuProcess {
            pid,
            name: None,
            memory,
        })
        .collect())
}

fn unless_unsupported(
    list: Result<Vec<ProcessInfo>, NvmlError>,
) -> Result<Vec<ProcessInfo>, NvmlError> {
    match list {
        Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => Ok(Vec::new()),
        other => other,
    }
}

fn milliwatts(raw: u32) -> MilliWatts {
    MilliWatts(u64::from(raw))
}

fn celsius(raw: u32) -> Celsius {
    Celsius(i32::try_from(raw).unwrap_or(i32::MAX))
}
