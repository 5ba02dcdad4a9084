//! NVIDIA's own library, through `nvml-wrapper`: the only folder that names it.
//!
//! `sample` is one reading of one GPU, `pace` how often what of it is read, `raw` the calls that the wrapper
//! lacks, `process` who has a GPU open, `watch` the thread that waits for events.
//!
//! Handles are made anew for each reading, by UUID: an index changes when a GPU falls off the bus,
//! and a handle from before a driver reload is worth nothing. One failing call costs that value.

mod counters;
mod pace;
mod process;
mod raw;
mod sample;
mod watch;

use super::event::GpuEvent;
use super::{DriverError, DriverFacts, GpuDriver};
use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::GpuInfo;
use leasehold_common::units::{Bytes, Celsius, MilliWatts};
use nvml_wrapper::bitmasks::InitFlags;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use sample::Memory;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// The library as the driver installs it, found by the loader.
pub const LIBRARY: &str = "libnvidia-ml.so.1";

/// The driver behind a `libnvidia-ml`. It is loaded with the first call and again after it was
/// gone, so that the agent may start before it and outlive a reload.
pub struct NvmlDriver {
    library: PathBuf,
    nvml: Mutex<Option<Arc<Nvml>>>,
    /// What is known of each GPU from readings before.
    known: Mutex<BTreeMap<GpuUuid, Memory>>,
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
            known: Mutex::new(BTreeMap::new()),
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

    /// Reads a GPU with what is known of it. Calls about one GPU never overlap, so that what is known of it
    /// is taken out for as long as a call takes, and a call that hangs keeps nobody else from theirs.
    fn sample(&self, nvml: &Nvml, gpu: &Device<'_>, uuid: &GpuUuid) -> GpuSample {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = known().remove(uuid).unwrap_or_default();
        let sample = sample::sample(nvml, gpu, &mut memory, Instant::now());
        if sample.contact == Contact::Answered {
            known().insert(uuid.clone(), memory);
        }
        sample
    }

    /// Where the driver itself is gone, what was loaded is of no more use.
    fn note<T>(&self, answer: Result<T, NvmlError>) -> Result<T, NvmlError> {
        if let Err(e) = &answer
            && is_about_the_driver(e)
        {
            *self.nvml.lock().unwrap_or_else(PoisonError::into_inner) = None;
            // Another driver may have what this one had not, and counts from nothing.
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.clear();
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
                NvmlError::LibRmVersionMismatch => DriverError::Mismatch {
                    library,
                    detail: NvmlError::LibRmVersionMismatch.to_string(),
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
            Ok(gpu) => self.sample(&nvml, &gpu, uuid),
            Err(e) => GpuSample::silent(contact(&e), &e.to_string()),
        }
    }

    fn may_hang(&self) -> bool {
        true
    }

    fn follow(self: Arc<Self>, tell: UnboundedSender<GpuEvent>) {
        watch::start(self, tell);
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

fn milliwatts(raw: u32) -> MilliWatts {
    MilliWatts(u64::from(raw))
}

fn celsius(raw: u32) -> Celsius {
    Celsius(i32::try_from(raw).unwrap_or(i32::MAX))
}
