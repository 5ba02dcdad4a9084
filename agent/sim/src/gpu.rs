//! One GPU: its parts, and the driver's answers about them.
//!
//! Every answer is a `Result`: a GPU that is lost, that hangs or whose one call was made to fail
//! says so in the same [`Fault`], whichever face the question came through.

use crate::board::{Architecture, Board};
use crate::change::ChangeError;
use crate::clock::{self, Clocks, ClocksEventReasons};
use crate::ecc::{Ecc, EccCounts, EccMode, EccSince, RecoveryAction, RemappedRows};
use crate::fabric::Fabric;
use crate::fault::{Call, Fault};
use crate::heat::{Heat, THRESHOLDS, Thresholds};
use crate::identity::{Identity, Purpose, Slot, seed};
use crate::link::{Links, NvlinkErrors, NvlinkState, PciAddress, PcieLink};
use crate::power::{Power, PowerLimits};
use crate::process::{MemoryInfo, Process, Processes};
use crate::wear::{Repairs, SpareRows, SramErrors, Wear};
use leasehold_common::ids::{GpuUuid, NodeName};
use leasehold_common::units::{Celsius, MilliJoules, MilliWatts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who may open a compute context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeMode {
    /// Everybody.
    Default,
    /// Nobody.
    Prohibited,
    /// One process at a time.
    ExclusiveProcess,
}

/// How busy a GPU was, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utilization {
    /// Time during which a kernel ran.
    pub gpu_percent: u32,
    /// Time during which memory was read or written.
    pub memory_percent: u32,
}

/// Whether a GPU is divided, now and after the next reset. This model divides none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigMode {
    /// Now.
    pub current: bool,
    /// After the next reset.
    pub pending: bool,
}

/// Where a GPU is, as far as its bus can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    /// Counted, but every call fails.
    Lost,
    /// Not even counted.
    Removed,
}

/// One GPU of a [`crate::Node`].
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(crate) board: &'static Board,
    pub(crate) identity: Identity,
    pub(crate) presence: Presence,
    pub(crate) hung: bool,
    pub(crate) failing: BTreeMap<Call, Fault>,
    pub(crate) power: Power,
    pub(crate) heat: Heat,
    pub(crate) ecc: Ecc,
    pub(crate) wear: Wear,
    pub(crate) fabric: Fabric,
    pub(crate) processes: Processes,
    pub(crate) links: Links,
    pub(crate) compute_mode: ComputeMode,
    pub(crate) persistence: bool,
}

impl Gpu {
    pub(crate) fn new(board: &'static Board, node: &NodeName, slot: Slot) -> Self {
        let spread = seed(node, slot.0, Purpose::Spread);
        let power = Power::new(board, spread);
        let heat = Heat::new(board, spread >> 32, power.draw());
        Self {
            board,
            identity: Identity::new(board, node, slot),
            presence: Presence::Present,
            hung: false,
            failing: BTreeMap::new(),
            power,
            heat,
            ecc: Ecc::new(),
            wear: Wear::new(),
            fabric: Fabric::new(board),
            processes: Processes::new(board.memory, board.memory_reserved),
            links: Links::new(),
            compute_mode: ComputeMode::Default,
            persistence: true,
        }
    }

    /// Runs `ticks` ticks. Once draw and temperature have settled the rest is one multiplication,
    /// so that a year costs no more than the first minutes of it.
    pub(crate) fn run(&mut self, ticks: u64) {
        for done in 0..ticks {
            if self.power.settled() && self.heat.settled(self.power.draw()) {
                return self.power.meter(ticks - done);
            }
            self.power.step();
            self.power.meter(1);
            self.heat.step(self.power.draw());
        }
    }

    /// The driver forgets this GPU and finds it again.
    pub(crate) fn reload(&mut self) {
        self.power.reload();
        self.ecc.reload();
        self.wear.reload();
        self.compute_mode = ComputeMode::Default;
        self.links.reload();
    }

    /// What a reset heals, a hang included.
    pub(crate) fn reset(&mut self) -> Result<(), ChangeError> {
        if let Some(holder) = self.processes.running().first() {
            return Err(ChangeError::InUse {
                gpu: self.identity.slot,
                pid: holder.pid,
            });
        }
        self.hung = false;
        self.ecc.reset();
        self.wear.reset();
        self.compute_mode = ComputeMode::Default;
        Ok(())
    }

    /// What is written on the board, known to the model even where the driver cannot read it.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether the driver counts this GPU among the present ones. A lost GPU is counted.
    pub fn is_counted(&self) -> bool {
        self.presence != Presence::Removed
    }

    /// Whether a call about this GPU would never return. The answers here are
    /// [`Fault::Timeout`] then; the C face really does not return.
    pub const fn is_hung(&self) -> bool {
        self.hung
    }

    /// Whether the GPU is on the bus: a fault that no call about it can escape.
    pub const fn on_bus(&self) -> Result<(), Fault> {
        match self.presence {
            Presence::Present => Ok(()),
            Presence::Lost => Err(Fault::GpuIsLost),
            Presence::Removed => Err(Fault::NotFound),
        }
    }

    /// Whether `call` can be answered at all.
    pub fn ask(&self, call: Call) -> Result<(), Fault> {
        self.on_bus()?;
        if self.hung {
            return Err(Fault::Timeout);
        }
        self.failing.get(&call).map_or(Ok(()), |fault| Err(*fault))
    }

    fn answer<T>(&self, call: Call, value: impl FnOnce() -> T) -> Result<T, Fault> {
        self.ask(call).map(|()| value())
    }

    /// The product name: `NVIDIA H200`.
    pub fn name(&self) -> Result<&'static str, Fault> {
        self.answer(Call::Name, || self.board.product)
    }

    /// The UUID.
    pub fn uuid(&self) -> Result<&GpuUuid, Fault> {
        self.answer(Call::Uuid, || &self.identity.uuid)
    }

    /// The board's serial number.
    pub fn serial(&self) -> Result<&str, Fault> {
        self.answer(Call::Serial, || self.identity.serial.as_str())
    }

    /// The board's part number.
    pub fn part_number(&self) -> Result<&'static str, Fault> {
        self.answer(Call::Serial, || self.board.part_number)
    }

    /// The number in `/dev/nvidiaN`, which is not the slot.
    pub fn minor_number(&self) -> Result<u32, Fault> {
        self.answer(Call::MinorNumber, || self.identity.minor)
    }

    /// Where the GPU sits on the PCI bus.
    pub fn pci_address(&self) -> Result<PciAddress, Fault> {
        self.answer(Call::Pci, || self.identity.pci)
    }

    /// Version of the video BIOS.
    pub fn vbios_version(&self) -> Result<&'static str, Fault> {
        self.answer(Call::VbiosVersion, || self.board.vbios)
    }

    /// The nearest NUMA node.
    pub fn numa_node(&self) -> Result<u32, Fault> {
        self.answer(Call::NumaNode, || self.identity.numa_node)
    }

    /// The generation of GPU.
    pub fn architecture(&self) -> Result<Architecture, Fault> {
        self.answer(Call::Name, || self.board.architecture)
    }

    /// CUDA compute capability, major and minor.
    pub fn compute_capability(&self) -> Result<(u32, u32), Fault> {
        self.answer(Call::Name, || self.board.compute_capability)
    }

    /// Memory in total, reserved, used and free.
    pub fn memory(&self) -> Result<MemoryInfo, Fault> {
        self.answer(Call::Memory, || self.processes.memory())
    }

    /// Present power draw.
    pub fn power_draw(&self) -> Result<MilliWatts, Fault> {
        self.answer(Call::PowerDraw, || self.power.draw())
    }

    /// All power limits.
    pub fn power_limits(&self) -> Result<PowerLimits, Fault> {
        self.answer(Call::PowerLimits, || self.power.limits())
    }

    /// Energy since the driver was loaded.
    pub fn energy(&self) -> Result<MilliJoules, Fault> {
        self.answer(Call::Energy, || self.power.energy())
    }

    /// GPU temperature.
    pub fn temperature(&self) -> Result<Celsius, Fault> {
        self.answer(Call::Temperature, || self.heat.temperature())
    }

    /// Temperatures at which the GPU slows down or shuts down.
    pub fn thresholds(&self) -> Result<Thresholds, Fault> {
        self.answer(Call::Thresholds, || THRESHOLDS)
    }

    /// Present clocks.
    pub fn clocks(&self) -> Result<Clocks, Fault> {
        self.answer(Call::Clocks, || {
            clock::clocks(self.board, &self.power, self.heat.temperature())
        })
    }

    /// The highest clocks the GPU can have.
    pub fn max_clocks(&self) -> Result<Clocks, Fault> {
        self.answer(Call::Clocks, || clock::max_clocks(self.board))
    }

    /// Why the clocks are where they are.
    pub fn clocks_event_reasons(&self) -> Result<ClocksEventReasons, Fault> {
        self.answer(Call::ClocksEventReasons, || {
            clock::event_reasons(&self.power, self.heat.temperature())
        })
    }

    /// How busy the GPU is.
    pub fn utilization(&self) -> Result<Utilization, Fault> {
        self.answer(Call::Utilization, || {
            let gpu_percent = self.power.load_permille() / 10;
            Utilization {
                gpu_percent,
                memory_percent: gpu_percent / 2,
            }
        })
    }

    /// The P-state. Data-centre GPUs stay in P0, idle or not.
    pub fn performance_state(&self) -> Result<u32, Fault> {
        self.answer(Call::PerformanceState, || 0)
    }

    /// Whether ECC is on.
    pub fn ecc_mode(&self) -> Result<EccMode, Fault> {
        self.answer(Call::EccMode, || self.ecc.mode)
    }

    /// ECC error counters; not supported while ECC is off.
    pub fn ecc_errors(&self, since: EccSince) -> Result<EccCounts, Fault> {
        self.ask(Call::EccErrors)?;
        if self.ecc.mode.current {
            Ok(self.ecc.counts(since))
        } else {
            Err(Fault::NotSupported)
        }
    }

    /// Memory rows replaced by spare ones.
    pub fn remapped_rows(&self) -> Result<RemappedRows, Fault> {
        self.answer(Call::RemappedRows, || self.ecc.rows)
    }

    /// Errors of on-chip memory.
    pub fn sram_errors(&self) -> Result<SramErrors, Fault> {
        self.answer(Call::SramErrors, || self.wear.sram)
    }

    /// Memory banks by how many spare rows they have left.
    pub fn spare_rows(&self) -> Result<SpareRows, Fault> {
        self.answer(Call::SpareRows, || self.wear.spare_rows)
    }

    /// Repairs that wait for a reset.
    pub fn repairs(&self) -> Result<Repairs, Fault> {
        self.answer(Call::Repairs, || self.wear.repairs)
    }

    /// The place in an `NVSwitch` fabric.
    pub fn fabric(&self) -> Result<Fabric, Fault> {
        self.answer(Call::Fabric, || self.fabric)
    }

    /// Errors of the `NVLink` links, and the generation of links they are counted for; not supported where
    /// there are none.
    pub fn nvlink_errors(&self) -> Result<(NvlinkErrors, u32), Fault> {
        self.ask(Call::NvlinkErrors)?;
        if self.board.nvlinks == 0 {
            return Err(Fault::NotSupported);
        }
        Ok((self.links.nvlink_errors, self.board.nvlink_version))
    }

    /// Fatal PCIe errors since the driver was loaded.
    pub fn pcie_fatal(&self) -> Result<u32, Fault> {
        self.answer(Call::PcieFatal, || self.links.pcie_fatal)
    }

    /// The temperature of the memory: that of the GPU, which is beside it.
    pub fn memory_temperature(&self) -> Result<Celsius, Fault> {
        self.ask(Call::MemoryTemperature)?;
        Ok(self.heat.temperature())
    }

    /// What the driver wants done with the GPU.
    pub fn recovery_action(&self) -> Result<RecoveryAction, Fault> {
        self.answer(Call::RecoveryAction, || self.ecc.action)
    }

    /// The processes that have the GPU open, of all kinds, by number.
    pub fn processes(&self) -> Result<&[Process], Fault> {
        self.answer(Call::Processes, || self.processes.running())
    }

    /// Present and maximum PCIe generation and width.
    pub fn pcie_link(&self) -> Result<PcieLink, Fault> {
        self.answer(Call::PcieLink, || {
            self.links.pcie(self.board, self.power.load_permille() > 0)
        })
    }

    /// PCIe packets sent again since the driver was loaded.
    pub fn pcie_replays(&self) -> Result<u32, Fault> {
        self.answer(Call::PcieReplays, || self.links.pcie_replays)
    }

    /// How many `NVLink` links the GPU has.
    pub fn nvlink_count(&self) -> Result<u32, Fault> {
        self.answer(Call::Nvlink, || self.board.nvlinks)
    }

    /// One `NVLink` link; an invalid argument where the GPU has no such link.
    pub fn nvlink(&self, link: u32) -> Result<NvlinkState, Fault> {
        self.ask(Call::Nvlink)?;
        self.links
            .nvlink(self.board, link)
            .ok_or(Fault::InvalidArgument)
    }

    /// Who may open a compute context.
    pub fn compute_mode(&self) -> Result<ComputeMode, Fault> {
        self.answer(Call::ComputeMode, || self.compute_mode)
    }

    /// Whether the driver stays loaded between clients.
    pub fn persistence_mode(&self) -> Result<bool, Fault> {
        self.answer(Call::PersistenceMode, || self.persistence)
    }

    /// Whether the GPU is divided.
    pub fn mig_mode(&self) -> Result<MigMode, Fault> {
        self.answer(Call::MigMode, || MigMode {
            current: false,
            pending: false,
        })
    }
}
