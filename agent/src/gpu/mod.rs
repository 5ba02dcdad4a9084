//! GPUs as the agent sees them: a blocking trait, what drives it, and two that fulfil it.
//!
//! [`reader`] owns the time that a call may take; a driver just calls. So a driver may block for
//! ever (`nvml`) or never (`simulated`), and says which it is.

pub mod event;
pub mod nvml;
pub mod reader;
pub mod simulated;

use event::GpuEvent;
use leasehold_agent_core::sample::GpuSample;
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::GpuInfo;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// What the driver says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverFacts {
    /// Its version, where it tells.
    pub driver: Option<String>,
    /// The library's version, where it tells.
    pub nvml: Option<String>,
    /// How many GPUs it finds.
    pub count: u32,
}

/// What the driver knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The driver itself.
    pub facts: DriverFacts,
    /// The GPUs that could be identified, in NVML's order.
    pub gpus: Vec<GpuInfo>,
    /// Those that could not, by index, with why.
    pub unidentified: Vec<(u32, DriverError)>,
}

/// The driver gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// Its library cannot be loaded.
    #[error("{library} could not be loaded ({detail}); is the NVIDIA driver installed?")]
    NoLibrary {
        /// The library as named.
        library: String,
        /// The loader's words.
        detail: String,
    },
    /// Library and kernel module are of different versions: the driver was updated underneath
    /// (`NVML_ERROR_LIB_RM_VERSION_MISMATCH`, 18).
    #[error("{library} is of another version than the kernel module: {detail}")]
    Mismatch {
        /// The library as named.
        library: String,
        /// NVML's words.
        detail: String,
    },
    /// The library is there and the kernel module is not usable.
    #[error("{library} finds no usable driver: {detail}")]
    NoDriver {
        /// The library as named.
        library: String,
        /// NVML's words.
        detail: String,
    },
    /// One call failed.
    #[error("{call}: {detail}")]
    Failed {
        /// Which call.
        call: &'static str,
        /// NVML's words.
        detail: String,
    },
    /// No answer within the deadline.
    #[error("no answer within {deadline_ms} ms")]
    Overdue {
        /// The deadline.
        deadline_ms: u128,
    },
}

/// The driver of a node's GPUs. Its calls may block; [`reader::Reader`] keeps them off the runtime.
pub trait GpuDriver: Send + Sync + fmt::Debug {
    /// The driver's versions, and how many GPUs it finds.
    ///
    /// # Errors
    /// No library, no driver, or no answer about the number of GPUs.
    fn facts(&self) -> Result<DriverFacts, DriverError>;

    /// The GPU at an index, by what does not change.
    ///
    /// # Errors
    /// A GPU without a UUID or a name. Anything else that fails is left out.
    fn identify(&self, index: u32) -> Result<GpuInfo, DriverError>;

    /// One reading of one GPU. Never an error: what failed stands in the reading.
    fn read(&self, gpu: &GpuUuid) -> GpuSample;

    /// Tells from now on what the driver tells by itself, until nobody listens any more. It does not block.
    fn follow(self: Arc<Self>, tell: UnboundedSender<GpuEvent>);

    /// Whether a call can fail to return. Where not, calls are made in place, without a thread.
    fn may_hang(&self) -> bool;
}
