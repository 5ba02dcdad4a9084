//! The host: its CPUs, memory, kernel and boot, the names of processes, and what can be wrong with it.

mod bus;
mod clock;
mod disks;

use crate::gpu::simulated::SimulatedNode;
use leasehold_agent_core::node_health::{ClockFacts, DiskFill};
use leasehold_common::node::CpuInfo;
use leasehold_common::units::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// What does not change while the host is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Its CPUs.
    pub cpu: CpuInfo,
    /// Its memory.
    pub memory: Bytes,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The kernel's boot id: another one is another boot.
    pub boot_id: String,
}

/// One look at what can be wrong with the host. What could not be read is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostLook {
    /// GPUs on the PCI bus.
    pub pci_gpus: Option<u32>,
    /// NVSwitches on the PCI bus.
    pub switches: Option<u32>,
    /// Whether a fabric manager runs.
    pub fabric_manager: Option<bool>,
    /// Its clock.
    pub clock: Option<ClockFacts>,
    /// Its filesystems.
    pub disks: Vec<DiskFill>,
}

/// The host could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the kernel.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// CPUs or memory.
    #[error("cannot read the host's {what}: {detail}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why it was not told.
        detail: String,
    },
}

/// Where host facts come from.
pub trait Host: Send + Sync + fmt::Debug {
    /// What the host is.
    ///
    /// # Errors
    /// A kernel that does not tell.
    fn facts(&self) -> Result<HostFacts, HostError>;
    /// The name of a process, where it can be read.
    fn process_name(&self, pid: u32) -> Option<String>;
    /// What can be wrong with it; of its filesystems those of these folders.
    fn look(&self, folders: &[PathBuf]) -> HostLook;
}

/// The host this runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinuxHost;

/// Where the kernel lists what is on the PCI bus (Documentation/ABI/testing/sysfs-bus-pci).
const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// The process that sets NVSwitches up (Fabric Manager User Guide). The kernel keeps 15 characters of a name.
const FABRIC_MANAGER: &str = "nv-fabricmanage";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Host for LinuxHost {
    fn facts(&self) -> Result<HostFacts, HostError> {
        let failed = |what: &'static str| move |detail: String| HostError::System { what, detail };
        let boot_id = fs::read_to_string(BOOT_ID).map_err(|source| HostError::File {
            path: BOOT_ID,
            source,
        })?;
        let kind = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(kind)
            .map_err(|e| failed("memory and CPUs")(e.to_string()))?;
        let kernel =
            nix::sys::utsname::uname().map_err(|e| failed("kernel release")(e.to_string()))?;
        let model = system.cpus().first().map(|cpu| cpu.brand().to_owned());
        let cores = System::physical_core_count().ok();
        Ok(HostFacts {
            cpu: CpuInfo {
                model: model.unwrap_or_default(),
                threads: u32::try_from(system.cpus().len()).unwrap_or(u32::MAX),
                cores: cores.and_then(|cores| u32::try_from(cores).ok()),
            },
            memory: Bytes(system.total_memory()),
            kernel: kernel.release().to_string_lossy().into_owned(),
            boot_id: boot_id.trim().to_owned(),
        })
    }

    fn process_name(&self, pid: u32) -> Option<String> {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(name.trim_end().to_owned())
    }

    fn look(&self, folders: &[PathBuf]) -> HostLook {
        let bus = bus::count(Path::new(PCI_DEVICES));
        let switches = bus.map(|bus| bus.switches);
        HostLook {
            pci_gpus: bus.map(|bus| bus.gpus),
            switches,
            // Nobody's processes are gone through where there is nothing to manage.
            fabric_manager: switches
                .filter(|switches| *switches > 0)
                .and_then(|_| runs(FABRIC_MANAGER)),
            clock: clock::look(),
            disks: disks::look(folders),
        }
    }
}

/// Whether a process of this name runs, as far as processes can be seen.
fn runs(name: &str) -> Option<bool> {
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    Some(processes.any(|process| {
        let comm = fs::read_to_string(process.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    }))
}

/// The host around a simulated node.
#[derive(Debug, Clone)]
pub struct SimulatedHost(pub Arc<SimulatedNode>);

impl Host for SimulatedHost {
    fn facts(&self) -> Result<HostFacts, HostError> {
        Ok(self.0.look(|node| {
            let cores = u32::try_from(node.host().cores).unwrap_or(u32::MAX);
            HostFacts {
                cpu: CpuInfo {
                    model: "simulated".to_owned(),
                    threads: cores.saturating_mul(2),
                    cores: Some(cores),
                },
                memory: node.host().memory,
                kernel: "simulated".to_owned(),
                boot_id: node.boot_id().to_owned(),
            }
        }))
    }

    /// Its processes are numbers without a name; those of the real host must not be taken for them.
    fn process_name(&self, _pid: u32) -> Option<String> {
        None
    }

    /// Nothing is wrong with it: the real host's bus, clock and disks are not its own.
    fn look(&self, _folders: &[PathBuf]) -> HostLook {
        HostLook::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read() {
        let facts = LinuxHost.facts().unwrap();
        assert!(facts.cpu.threads > 0 && facts.memory > Bytes::from_mib(1));
        assert_eq!(facts.boot_id.len(), 36);
        assert!(LinuxHost.process_name(std::process::id()).is_some());
        let look = LinuxHost.look(&["/".into()]);
        assert_eq!(look.disks.len(), 1);
        let own = LinuxHost.process_name(std::process::id()).unwrap();
        assert_eq!(runs(&own), Some(true));
        assert_eq!(runs("no such process"), Some(false));
    }
}
