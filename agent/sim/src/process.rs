//! Who uses a GPU, and the memory they hold.

use crate::change::ChangeError;
use crate::identity::Slot;
use leasehold_common::units::Bytes;
use serde::{Deserialize, Serialize};

/// How a process uses the GPU. NVML has a list for each.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// With a compute context (CUDA).
    #[default]
    Compute,
    /// With a graphics context.
    Graphics,
    /// Through the multi-process service.
    Mps,
}

/// A process that has the GPU open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number on the host.
    pub pid: u32,
    /// How it uses the GPU.
    pub kind: ProcessKind,
    /// The GPU memory it holds.
    pub memory: Bytes,
}

/// A GPU's memory. `total` is `reserved`, `used` and `free` together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryInfo {
    /// What is soldered on.
    pub total: Bytes,
    /// What the driver keeps for itself.
    pub reserved: Bytes,
    /// What processes hold.
    pub used: Bytes,
    /// What is left.
    pub free: Bytes,
}

#[derive(Debug, Clone)]
pub(crate) struct Processes {
    total: Bytes,
    reserved: Bytes,
    /// Sorted, so that lists do not depend on the order of starts.
    running: Vec<Process>,
}

impl Processes {
    pub fn new(total: Bytes, reserved: Bytes) -> Self {
        Self {
            total,
            reserved,
            running: Vec::new(),
        }
    }

    pub fn running(&self) -> &[Process] {
        &self.running
    }

    pub fn memory(&self) -> MemoryInfo {
        let used = self.running.iter().map(|process| process.memory).sum();
        MemoryInfo {
            total: self.total,
            reserved: self.reserved,
            used,
            free: self.total - self.reserved - used,
        }
    }

    pub fn start(&mut self, gpu: Slot, process: Process) -> Result<(), ChangeError> {
        if self.running.iter().any(|other| other.pid == process.pid) {
            return Err(ChangeError::PidTaken {
                gpu,
                pid: process.pid,
            });
        }
        let free = self.memory().free;
        if process.memory > free {
            return Err(ChangeError::MemoryExhausted {
                gpu,
                wanted: process.memory,
                free,
            });
        }
        self.running.push(process);
        self.running.sort_unstable();
        Ok(())
    }

    pub fn stop(&mut self, gpu: Slot, pid: u32) -> Result<(), ChangeError> {
        let before = self.running.len();
        self.running.retain(|process| process.pid != pid);
        if self.running.len() == before {
            return Err(ChangeError::NoSuchProcess { gpu, pid });
        }
        Ok(())
    }

    pub fn clear(&mut self) {
        self.running.clear();
    }
}
