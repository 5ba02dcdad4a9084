//! How a GPU is connected: to its host over PCIe, to other GPUs over `NVLink`.

use crate::board::Board;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A place on the PCI bus, written `0000:1b:00.0` as in the kernel's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// PCI domain (segment).
    pub domain: u32,
    /// Bus in the domain.
    pub bus: u32,
    /// Device on the bus.
    pub device: u32,
    /// Function of the device; 0 for every GPU.
    pub function: u32,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

/// The PCIe link as it is and as it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcieLink {
    /// Generation at present. It falls when the GPU is idle, so it says something only under load.
    pub generation: u32,
    /// The highest generation that GPU and host both know.
    pub generation_max: u32,
    /// Lanes in use.
    pub width: u32,
    /// Lanes wired.
    pub width_max: u32,
}

/// One `NVLink` link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NvlinkState {
    /// Whether the link is trained and carries data.
    pub active: bool,
    /// Generation of the link.
    pub version: u32,
}

/// Errors of a GPU's `NVLink` links, all of them together, since the driver was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NvlinkErrors {
    /// Packets with a wrong check sum; counted until generation 4.
    #[serde(default)]
    pub crc: u64,
    /// Packets sent again; counted until generation 4.
    #[serde(default)]
    pub replays: u64,
    /// Links set up again; counted until generation 4.
    #[serde(default)]
    pub recoveries: u64,
    /// Links that could not be set up again; counted from generation 5 on.
    #[serde(default)]
    pub failed_recoveries: u64,
}

impl NvlinkErrors {
    pub(crate) fn add(&mut self, more: Self) {
        self.crc = self.crc.saturating_add(more.crc);
        self.replays = self.replays.saturating_add(more.replays);
        self.recoveries = self.recoveries.saturating_add(more.recoveries);
        self.failed_recoveries = self
            .failed_recoveries
            .saturating_add(more.failed_recoveries);
    }
}

/// The lanes of every data-centre GPU here.
const PCIE_LANES: u32 = 16;

#[derive(Debug, Clone)]
pub(crate) struct Links {
    pub pcie_width: u32,
    pub pcie_replays: u32,
    pub pcie_fatal: u32,
    pub nvlink_errors: NvlinkErrors,
    pub nvlinks_down: BTreeSet<u32>,
}

impl Links {
    pub fn new() -> Self {
        Self {
            pcie_width: PCIE_LANES,
            pcie_replays: 0,
            pcie_fatal: 0,
            nvlink_errors: NvlinkErrors::default(),
            nvlinks_down: BTreeSet::new(),
        }
    }

    /// The counters begin again.
    pub fn reload(&mut self) {
        (self.pcie_replays, self.pcie_fatal) = (0, 0);
        self.nvlink_errors = NvlinkErrors::default();
    }

    pub fn pcie(&self, board: &Board, busy: bool) -> PcieLink {
        PcieLink {
            generation: if busy { board.pcie_generation } else { 1 },
            generation_max: board.pcie_generation,
            width: self.pcie_width,
            width_max: PCIE_LANES,
        }
    }

    pub fn nvlink(&self, board: &Board, link: u32) -> Option<NvlinkState> {
        (link < board.nvlinks).then(|| NvlinkState {
            active: !self.nvlinks_down.contains(&link),
            version: board.nvlink_version,
        })
    }
}

/// Link widths that PCIe knows, up to the lanes that are wired.
pub(crate) fn is_pcie_width(width: u32) -> bool {
    width <= PCIE_LANES && width.is_power_of_two()
}
