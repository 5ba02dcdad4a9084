//! What a message of the kernel says of a GPU.

use super::pci::PciAddress;
use super::record::KernelRecord;
use super::sxid::SXid;
use super::text::decimal;
use super::xid::Xid;
use leasehold_common::ids::GpuUuid;
use std::fmt;

/// What a message says. Anything else that the driver prints is nothing: most of it is for its
/// makers, and what no rule decides by is not worth keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuMessage {
    /// An error of a GPU.
    Xid(Xid),
    /// An error of a switch.
    SXid(SXid),
    /// Which GPU is where. The driver prints it once for each GPU, before its first XID
    /// (`_krcLogUuidOnce`): it names a GPU that NVML no longer can.
    Identity {
        /// Where.
        pci: PciAddress,
        /// Which.
        uuid: GpuUuid,
    },
    /// A GPU no longer answers on the bus. Not always with an XID 79: a GPU that is gone before the
    /// driver has it gets none.
    OffBus {
        /// Where it was.
        pci: PciAddress,
    },
    /// The driver is being loaded. What NVML said before, indices and counters, is over.
    DriverLoading {
        /// Which driver.
        version: String,
        /// Which of its two kernel modules.
        module: KernelModule,
    },
    /// The driver was unloaded, or gave up being loaded.
    DriverUnloaded,
    /// Lines of the driver that are missing here, because there were too many of one kind.
    Suppressed {
        /// The function of the driver that printed them.
        by: String,
        /// How many.
        lines: u32,
    },
}

/// The driver's two kernel modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelModule {
    /// The one with closed sources, for GPUs up to Hopper.
    Proprietary,
    /// The open one, the only one from Blackwell on.
    Open,
}

const IDENTITY: &str = "NVRM: GPU at PCI:";
const OFF_BUS: &str = "GPU has fallen off the bus";
const OFF_BUS_AT_PROBE: &str = "NVRM: The NVIDIA GPU ";
const LOADING: &str = "NVRM: loading NVIDIA UNIX ";

/// Printed by nvidia.ko, of which the link core is a part, when it is removed; the kernel's own lines
/// name no unloading. Older drivers have the second.
const UNLOADED: [&str; 2] = [
    "nvidia-nvlink: Unregistered Nvlink Core",
    "nvidia-nvlink: Unregistered the Nvlink Core",
];

/// What the kernel prints of lines it kept back (`___ratelimit` in lib/ratelimit.c).
const SUPPRESSED: &str = " callbacks suppressed";

/// What the names of the driver's functions begin with. `nvme` is not among them.
const FUNCTIONS: [&str; 8] = [
    "nv_", "nvidia", "nvlink", "nvswitch", "nvkms", "uvm_", "rm_", "os_",
];

impl GpuMessage {
    /// What a record says of a GPU; nothing where the kernel did not say it.
    pub fn in_record(record: &KernelRecord) -> Option<Self> {
        record
            .is_the_kernels()
            .then(|| Self::read(&record.text))
            .flatten()
    }

    /// What a message says of a GPU, whoever wrote it.
    pub fn read(message: &str) -> Option<Self> {
        let message = message.trim_start();
        Xid::read(message)
            .map(Self::Xid)
            .or_else(|| SXid::read(message).map(Self::SXid))
            .or_else(|| identity(message))
            .or_else(|| off_bus(message).map(|pci| Self::OffBus { pci }))
            .or_else(|| loading(message))
            .or_else(|| unloaded(message).then_some(Self::DriverUnloaded))
            .or_else(|| suppressed(message))
    }
}

/// `NVRM: GPU at PCI:0000:9b:00: GPU-48ef9c66-…`
fn identity(message: &str) -> Option<GpuMessage> {
    let (pci, uuid) = message.strip_prefix(IDENTITY)?.split_once(": ")?;
    let uuid = uuid.trim_end();
    Some(GpuMessage::Identity {
        pci: pci.parse().ok()?,
        uuid: uuid.starts_with("GPU-").then(|| uuid.parse().ok())??,
    })
}

/// `NVRM: GPU 0000:9b:00.0: GPU has fallen off the bus.`, and of a GPU that was gone before the
/// driver had it three lines in one message:
///
/// ```text
/// NVRM: The NVIDIA GPU 0000:9b:00.0
/// NVRM: (PCI ID: 10de:2335) installed in this system has
/// NVRM: fallen off the bus and is not responding to commands.
/// ```
fn off_bus(message: &str) -> Option<PciAddress> {
    if let Some(rest) = message.strip_prefix(OFF_BUS_AT_PROBE) {
        let (pci, rest) = rest.split_once(char::is_whitespace)?;
        let gone = rest.contains("fallen off the bus");
        return gone.then(|| pci.parse().ok()).flatten();
    }
    let (pci, said) = message.strip_prefix("NVRM: GPU ")?.split_once(": ")?;
    let gone = said.starts_with(OFF_BUS);
    gone.then(|| pci.parse().ok()).flatten()
}

/// `NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 …`, or `… UNIX Open Kernel
/// Module for x86_64  580.95.05  Release Build …`.
fn loading(message: &str) -> Option<GpuMessage> {
    let (before, after) = message.strip_prefix(LOADING)?.split_once("Kernel Module")?;
    let is_version = |word: &&str| {
        word.len() <= 24
            && word.contains('.')
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
    };
    let version = after.split_whitespace().find(is_version)?;
    let open = before.split_whitespace().any(|word| word == "Open");
    Some(GpuMessage::DriverLoading {
        version: version.to_owned(),
        module: if open {
            KernelModule::Open
        } else {
            KernelModule::Proprietary
        },
    })
}

fn unloaded(message: &str) -> bool {
    UNLOADED.iter().any(|line| message.starts_with(line))
}

/// `nv_printf: 23 callbacks suppressed`
fn suppressed(message: &str) -> Option<GpuMessage> {
    let (by, lines) = message
        .trim_end()
        .strip_suffix(SUPPRESSED)?
        .split_once(": ")?;
    let name = by.len() <= 64 && by.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let drivers = FUNCTIONS.iter().any(|start| by.starts_with(start));
    let lines = decimal(lines)?;
    (name && drivers).then(|| GpuMessage::Suppressed {
        by: by.to_owned(),
        lines,
    })
}

/// As the driver writes it.
impl fmt::Display for GpuMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xid(xid) => xid.fmt(f),
            Self::SXid(sxid) => sxid.fmt(f),
            Self::Identity { pci, uuid } => write!(f, "{IDENTITY}{pci}: {uuid}"),
            Self::OffBus { pci } => write!(f, "NVRM: GPU {pci}.0: {OFF_BUS}."),
            Self::DriverLoading { version, module } => match module {
                KernelModule::Proprietary => {
                    write!(f, "{LOADING}x86_64 Kernel Module  {version}")
                }
                KernelModule::Open => {
                    write!(f, "{LOADING}Open Kernel Module for x86_64  {version}")
                }
            },
            Self::DriverUnloaded => f.write_str(UNLOADED[0]),
            Self::Suppressed { by, lines } => write!(f, "{by}: {lines}{SUPPRESSED}"),
        }
    }
}
