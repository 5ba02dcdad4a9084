//! Who a GPU is. All of it follows from the node's name and the slot, so that the same node has the
//! same GPUs in every process and after every restart.

use crate::board::Board;
use crate::link::PciAddress;
use leasehold_common::ids::{GpuUuid, NodeName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A GPU's place in its node, counted from 0. It never changes, whereas an NVML index is only the
/// position among the GPUs that are present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u32);

impl Slot {
    /// As a position in an array kept in slot order.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is written on the board, whether or not the driver can still read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Where in the node.
    pub slot: Slot,
    /// `GPU-` and a hyphenated UUID.
    pub uuid: GpuUuid,
    /// Thirteen digits, as on NVIDIA's boards.
    pub serial: String,
    /// The number in `/dev/nvidiaN`.
    pub minor: u32,
    /// Where on the PCI bus.
    pub pci: PciAddress,
    /// Device and vendor id, as NVML reports them.
    pub pci_device_id: u32,
    /// The nearest NUMA node.
    pub numa_node: u32,
}

impl Identity {
    pub(crate) fn new(board: &Board, node: &NodeName, slot: Slot) -> Self {
        let gpus = board.pci.len();
        Self {
            slot,
            uuid: gpu_uuid(node, slot),
            serial: format!(
                "165{:010}",
                seed(node, slot.0, Purpose::Serial) % 10_000_000_000
            ),
            // Neighbours are swapped, because on real nodes minor numbers need not follow NVML's
            // order; whoever takes one for the other must be found out here and not there.
            minor: slot.0 ^ 1,
            pci: board.pci_address(slot.as_usize()),
            pci_device_id: board.pci_device_id,
            numa_node: u32::from(slot.as_usize() >= gpus / 2),
        }
    }
}

/// What a number derived from a name is for. Part of the hash, so that no two purposes share one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Uuid,
    UuidLow,
    Serial,
    Boot,
    BootLow,
    Spread,
}

/// A number that follows from a node's name, a count and a purpose: FNV-1a, finished by the mixer of
/// splitmix64. It makes names look random; it protects nothing.
pub(crate) fn seed(node: &NodeName, count: u32, purpose: Purpose) -> u64 {
    let bytes = node
        .as_str()
        .bytes()
        .chain([0, purpose as u8])
        .chain(count.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn gpu_uuid(node: &NodeName, slot: Slot) -> GpuUuid {
    let high = seed(node, slot.0, Purpose::Uuid);
    let low = seed(node, slot.0, Purpose::UuidLow);
    format!("GPU-{}", hyphenated(high, low))
        .parse()
        .expect("hexadecimal digits and hyphens are allowed in a GPU UUID")
}

/// A boot id such as the kernel's `/proc/sys/kernel/random/boot_id`.
pub(crate) fn boot_id(node: &NodeName, boots: u32) -> String {
    hyphenated(
        seed(node, boots, Purpose::Boot),
        seed(node, boots, Purpose::BootLow),
    )
}

/// 128 bits as UUIDs are written.
fn hyphenated(high: u64, low: u64) -> String {
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    let (d, e) = (low >> 48, low & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}
