//! What each kind of node is built from. Sources: NVIDIA's data sheets and mock profiles; rounded
//! to what a scheduler can tell apart.

use crate::link::PciAddress;
use leasehold_common::ids::SkuName;
use leasehold_common::units::{Bytes, MilliWatts};

/// No model exists for the kind of node that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sku {:?} has no model: one of a100, b200, gb200, h100 and h200 is allowed", sku.as_str())]
pub struct UnknownSku {
    /// The name as given.
    pub sku: SkuName,
}

/// The GPU generation, as `nvmlDeviceGetArchitecture` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Architecture {
    /// A100.
    Ampere,
    /// H100 and H200.
    Hopper,
    /// B200 and GB200.
    Blackwell,
}

/// Everything that is the same for all nodes of one kind.
#[derive(Debug)]
pub(crate) struct Board {
    pub sku: &'static str,
    pub product: &'static str,
    pub part_number: &'static str,
    pub vbios: &'static str,
    pub architecture: Architecture,
    pub compute_capability: (u32, u32),
    /// Where the GPUs sit, in the order of their slots: (PCI domain, bus). Its length is the number
    /// of GPUs of a node.
    pub pci: &'static [(u32, u32)],
    /// Device in the upper, vendor (10de) in the lower half, as NVML reports it.
    pub pci_device_id: u32,
    pub pcie_generation: u32,
    pub memory: Bytes,
    /// What the driver keeps for itself, page tables and ECC bookkeeping for the most part.
    pub memory_reserved: Bytes,
    pub idle: MilliWatts,
    pub limit_min: MilliWatts,
    /// Default and maximum limit alike: what the GPU draws at full load.
    pub limit_max: MilliWatts,
    /// Thousandths of a degree above the inlet for each watt drawn.
    pub heat_per_watt: u64,
    pub sm_clock_idle_mhz: u32,
    pub sm_clock_max_mhz: u32,
    pub memory_clock_mhz: u32,
    pub nvlinks: u32,
    pub nvlink_version: u32,
    pub host_cores: u64,
    pub host_memory: Bytes,
}

impl Board {
    pub(crate) fn of(sku: &SkuName) -> Result<&'static Self, UnknownSku> {
        BOARDS
            .iter()
            .find(|board| board.sku == sku.as_str())
            .ok_or_else(|| UnknownSku { sku: sku.clone() })
    }

    pub(crate) fn pci_address(&self, slot: usize) -> PciAddress {
        let (domain, bus) = self.pci[slot];
        PciAddress {
            domain,
            bus,
            device: 0,
            function: 0,
        }
    }
}

/// The bus numbers of a DGX A100, and of a DGX H100 and its successors.
const DGX_A100: &[(u32, u32)] = &[
    (0, 0x07),
    (0, 0x0f),
    (0, 0x47),
    (0, 0x4e),
    (0, 0x87),
    (0, 0x90),
    (0, 0xb7),
    (0, 0xbd),
];
const DGX_H100: &[(u32, u32)] = &[
    (0, 0x1b),
    (0, 0x43),
    (0, 0x52),
    (0, 0x61),
    (0, 0x9d),
    (0, 0xc3),
    (0, 0xd1),
    (0, 0xdf),
];
/// A GB200 tray has a PCI domain for each GPU; code that takes the bus number alone for an address
/// sees four GPUs at one place.
const GB200_TRAY: &[(u32, u32)] = &[(0x08, 1), (0x09, 1), (0x18, 1), (0x19, 1)];

static BOARDS: [Board; 5] = [
    Board {
        sku: "a100",
        product: "NVIDIA A100-SXM4-80GB",
        part_number: "692-2G506-0210-002",
        vbios: "92.00.45.00.03",
        architecture: Architecture::Ampere,
        compute_capability: (8, 0),
        pci: DGX_A100,
        pci_device_id: 0x20b2_10de,
        pcie_generation: 4,
        memory: Bytes::from_gib(80),
        memory_reserved: Bytes::from_mib(596),
        idle: MilliWatts::from_watts(52),
        limit_min: MilliWatts::from_watts(100),
        limit_max: MilliWatts::from_watts(400),
        heat_per_watt: 95,
        sm_clock_idle_mhz: 210,
        sm_clock_max_mhz: 1410,
        memory_clock_mhz: 1593,
        nvlinks: 12,
        nvlink_version: 3,
        host_cores: 128,
        host_memory: Bytes::from_gib(2048),
    },
    Board {
        sku: "h100",
        product: "NVIDIA H100 80GB HBM3",
        part_number: "692-2G520-0200-000",
        vbios: "96.00.74.00.01",
        architecture: Architecture::Hopper,
        compute_capability: (9, 0),
        pci: DGX_H100,
        pci_device_id: 0x2330_10de,
        pcie_generation: 5,
        memory: Bytes::from_gib(80),
        memory_reserved: Bytes::from_mib(546),
        idle: MilliWatts::from_watts(68),
        limit_min: MilliWatts::from_watts(200),
        limit_max: MilliWatts::from_watts(700),
        heat_per_watt: 55,
        sm_clock_idle_mhz: 345,
        sm_clock_max_mhz: 1980,
        memory_clock_mhz: 2619,
        nvlinks: 18,
        nvlink_version: 4,
        host_cores: 112,
        host_memory: Bytes::from_gib(2048),
    },
    Board {
        sku: "h200",
        product: "NVIDIA H200",
        part_number: "692-2G520-0280-001",
        vbios: "96.00.a5.00.01",
        architecture: Architecture::Hopper,
        compute_capability: (9, 0),
        pci: DGX_H100,
        pci_device_id: 0x2335_10de,
        pcie_generation: 5,
        memory: Bytes::from_gib(141),
        memory_reserved: Bytes::from_mib(614),
        idle: MilliWatts::from_watts(75),
        limit_min: MilliWatts::from_watts(200),
        limit_max: MilliWatts::from_watts(700),
        heat_per_watt: 55,
        sm_clock_idle_mhz: 345,
        sm_clock_max_mhz: 1980,
        memory_clock_mhz: 3201,
        nvlinks: 18,
        nvlink_version: 4,
        host_cores: 112,
        host_memory: Bytes::from_gib(2048),
    },
    Board {
        sku: "b200",
        product: "NVIDIA B200",
        part_number: "692-2G525-0220-003",
        vbios: "97.00.82.00.27",
        architecture: Architecture::Blackwell,
        compute_capability: (10, 0),
        pci: DGX_H100,
        pci_device_id: 0x2901_10de,
        pcie_generation: 5,
        memory: Bytes::from_gib(180),
        memory_reserved: Bytes::from_mib(780),
        idle: MilliWatts::from_watts(140),
        limit_min: MilliWatts::from_watts(400),
        limit_max: MilliWatts::from_watts(1000),
        heat_per_watt: 38,
        sm_clock_idle_mhz: 120,
        sm_clock_max_mhz: 1965,
        memory_clock_mhz: 3996,
        nvlinks: 18,
        nvlink_version: 5,
        host_cores: 112,
        host_memory: Bytes::from_gib(4096),
    },
    Board {
        sku: "gb200",
        product: "NVIDIA GB200",
        part_number: "692-2G548-0200-001",
        vbios: "97.00.b9.00.69",
        architecture: Architecture::Blackwell,
        compute_capability: (10, 0),
        pci: GB200_TRAY,
        pci_device_id: 0x2941_10de,
        pcie_generation: 5,
        memory: Bytes::from_gib(186),
        memory_reserved: Bytes::from_mib(810),
        idle: MilliWatts::from_watts(160),
        limit_min: MilliWatts::from_watts(400),
        limit_max: MilliWatts::from_watts(1200),
        // Cooled by liquid: less than half the rise of the air-cooled boards.
        heat_per_watt: 22,
        sm_clock_idle_mhz: 120,
        sm_clock_max_mhz: 2062,
        memory_clock_mhz: 3996,
        nvlinks: 18,
        nvlink_version: 5,
        host_cores: 144,
        host_memory: Bytes::from_gib(960),
    },
];
