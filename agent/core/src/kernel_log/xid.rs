//! An XID: the driver reports an error of one GPU.

use super::incident::{Witness, XidSighting};
use super::nvlink::{NVLINK_XIDS, NvlinkError};
use super::pci::PciAddress;
use super::recovery::RecoveryChange;
use super::text::{decimal, plain};
use leasehold_common::time::Timestamp;
use std::fmt;

/// The XID with which the driver says what it wants done.
const RECOVERY_ACTION: u32 = 154;

/// What an XID line begins with.
const MARK: &str = "NVRM: Xid (";

/// What the driver writes where it does not know a process.
const UNKNOWN: &str = "<unknown>";

/// An error that the driver reports of a GPU (`krcReportXid` in the open kernel modules).
///
/// `NVRM: Xid (PCI:0000:9b:00 GPU-I:05): 94, pid=7194, name=python, Contained: CE User Channel (0x9).`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xid {
    /// The GPU.
    pub pci: PciAddress,
    /// The part of it, where it is cut into instances and the error concerns one of them.
    pub mig: Option<MigInstance>,
    /// Which error.
    pub code: u32,
    /// The process whose channel it was. Nothing where the driver does not know or say; the number
    /// is the host's.
    pub pid: Option<u32>,
    /// That process' name. Its owner chose it.
    pub name: Option<String>,
    /// What the driver says of it, without control characters and cut to 512.
    pub text: String,
}

/// A part of a GPU that is cut into instances, by the ids that NVML has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigInstance {
    /// The GPU instance (`GPU-I`).
    pub gpu_instance: u32,
    /// The compute instance in it (`GPU-CI`), where only that is concerned.
    pub compute_instance: Option<u32>,
}

impl Xid {
    /// Reads the message of one record; nothing where it is no XID.
    ///
    /// Only at the very beginning: a process can put a line end and a second XID, of a neighbour's
    /// GPU, into its name.
    pub fn read(message: &str) -> Option<Self> {
        let (place, rest) = message.strip_prefix(MARK)?.split_once(')')?;
        let (pci, mig) = place_of(place)?;
        let rest = rest.strip_prefix(':')?.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let code = decimal(&rest[..end])?;
        let rest = match rest[end..].chars().next() {
            Some(c) if c == ',' || c.is_whitespace() => rest[end + 1..].trim_start(),
            None => "",
            Some(_) => return None,
        };
        let (pid, rest) = field(rest, "pid=");
        let (name, text) = field(rest, "name=");
        Some(Self {
            pci,
            mig,
            code,
            pid: pid.and_then(decimal),
            name: name.map(plain).filter(|name| !name.is_empty()),
            text: plain(text),
        })
    }

    /// This XID as something that was seen at a time, to be put together with NVML's events.
    pub const fn sighting(&self, at: Timestamp) -> XidSighting {
        XidSighting {
            pci: self.pci,
            mig: self.mig,
            code: self.code,
            at,
            by: Witness::KernelLog,
        }
    }

    /// What the driver wants done now, where this XID says so (154). It is in the log also when the
    /// GPU no longer answers.
    pub fn recovery(&self) -> Option<RecoveryChange> {
        (self.code == RECOVERY_ACTION)
            .then(|| RecoveryChange::read(&self.text))
            .flatten()
    }

    /// What is wrong with a link, where this XID says so (144 to 150).
    pub fn nvlink(&self) -> Option<NvlinkError> {
        NVLINK_XIDS
            .contains(&self.code)
            .then(|| NvlinkError::read(&self.text))
            .flatten()
    }
}

/// `PCI:0000:9b:00 GPU-I:05 GPU-CI:02`, the mark and the instances optional; a comma between them
/// is taken too.
fn place_of(place: &str) -> Option<(PciAddress, Option<MigInstance>)> {
    let mut parts = place.split([' ', ',']).filter(|part| !part.is_empty());
    let address = parts.next()?;
    let address = address.strip_prefix("PCI:").unwrap_or(address);
    let (mut gpu_instance, mut compute_instance) = (None, None);
    for part in parts {
        if let Some(id) = part.strip_prefix("GPU-I:") {
            gpu_instance = decimal(id);
        } else if let Some(id) = part.strip_prefix("GPU-CI:") {
            compute_instance = decimal(id);
        }
    }
    let mig = gpu_instance.map(|gpu_instance| MigInstance {
        gpu_instance,
        compute_instance,
    });
    Some((address.parse().ok()?, mig))
}

/// The value of the field that `rest` begins with, and what follows it. The driver's `<unknown>`,
/// quoted or not, is no value.
fn field<'a>(rest: &'a str, key: &str) -> (Option<&'a str>, &'a str) {
    let Some(value) = rest.strip_prefix(key) else {
        return (None, rest);
    };
    let (value, rest) = value
        .split_once(", ")
        .unwrap_or_else(|| (value.trim_end().trim_end_matches(','), ""));
    let known = value.trim_matches('\'') != UNKNOWN;
    (known.then_some(value), rest.trim_start())
}

/// As the driver writes it, with the process where anything of it is known.
impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pci,
            mig,
            code,
            pid,
            name,
            text,
        } = self;
        write!(f, "{MARK}PCI:{pci}")?;
        if let Some(MigInstance {
            gpu_instance,
            compute_instance,
        }) = mig
        {
            write!(f, " GPU-I:{gpu_instance:02}")?;
            if let Some(compute_instance) = compute_instance {
                write!(f, " GPU-CI:{compute_instance:02}")?;
            }
        }
        write!(f, "): {code}, ")?;
        if pid.is_some() || name.is_some() {
            match pid {
                Some(pid) => write!(f, "pid={pid}, ")?,
                None => write!(f, "pid='{UNKNOWN}', ")?,
            }
            write!(f, "name={}, ", name.as_deref().unwrap_or(UNKNOWN))?;
        }
        f.write_str(text)
    }
}
