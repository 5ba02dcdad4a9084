//! The thread that waits for what the driver tells by itself.
//!
//! One set of events for all GPUs. A GPU that has none, or cannot be registered, keeps nobody else from being
//! heard. Where the driver goes away the set goes with it, and a new one is made when it is back; the same
//! where another number of GPUs is counted. Of several XIDs between two waits NVML keeps the last one, so the
//! kernel's log is read as well.

use super::{NvmlDriver, raw};
use crate::gpu::event::{GpuEvent, GpuEventKind};
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long one wait is: as long as it may take the thread to notice that nobody listens any more.
const WAIT_MS: u32 = 500;

/// How long a set stands before it is asked whether the same GPUs are there.
const RECOUNT: Duration = Duration::from_secs(30);

/// How long it is waited for a driver that is not there.
const RETRY: Duration = Duration::from_secs(1);

/// Starts the thread. It ends when nobody listens any more.
pub(super) fn start(driver: Arc<NvmlDriver>, tell: UnboundedSender<GpuEvent>) {
    let watch = move || {
        while !tell.is_closed() {
            if let Err(e) = watch(&driver, &tell) {
                tracing::debug!(error = %e, "no events from the driver for now");
                std::thread::sleep(RETRY);
            }
        }
    };
    let named = std::thread::Builder::new().name("nvml-events".into());
    if let Err(e) = named.spawn(watch) {
        tracing::error!(error = %e, "no thread to wait for events of the driver");
    }
}

/// One set, for as long as it serves.
fn watch(driver: &NvmlDriver, tell: &UnboundedSender<GpuEvent>) -> Result<(), NvmlError> {
    let nvml = driver.nvml()?;
    let count = driver.note(nvml.device_count())?;
    let set = raw::EventSet::new(&nvml)?;
    for index in 0..count {
        if let Err(e) = register(&nvml, &set, index) {
            tracing::debug!(gpu = index, error = %e, "no events of this gpu");
        }
    }
    let until = Instant::now() + RECOUNT;
    while !tell.is_closed() {
        match driver.note(set.wait(WAIT_MS)) {
            Ok(event) => {
                let told = GpuEventKind::of(event.kind, event.data).zip(event.gpu);
                if let Some((what, gpu)) = told {
                    let event = GpuEvent {
                        gpu,
                        what,
                        gpu_instance: event.gpu_instance,
                        compute_instance: event.compute_instance,
                    };
                    // Nobody listens any more: the loop ends.
                    let _ = tell.send(event);
                }
            }
            Err(NvmlError::Timeout) => {
                if Instant::now() >= until && driver.note(nvml.device_count())? != count {
                    return Ok(());
                }
            }
            // It is said by other calls that a GPU is gone; the others are still heard.
            Err(NvmlError::GpuLost) => std::thread::sleep(RETRY),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn register(nvml: &Nvml, set: &raw::EventSet<'_>, index: u32) -> Result<(), NvmlError> {
    let gpu = nvml.device_by_index(index)?;
    let supported = raw::supported_events(nvml, &gpu)?;
    set.register(&gpu, supported & GpuEventKind::WANTED)
}
