//! The node: its GPUs, its driver, and the rules by which changes reach them.

use crate::board::{Board, UnknownSku};
use crate::change::{Change, ChangeError};
use crate::event::{Event, EventKind, EventLog};
use crate::fault::{Call, Fault};
use crate::gpu::{Gpu, Presence};
use crate::identity::{Slot, boot_id};
use crate::link::is_pcie_width;
use crate::process::Process;
use crate::tick::Tick;
use leasehold_common::ids::{NodeName, SkuName};
use leasehold_common::time::Span;
use leasehold_common::units::{Bytes, Celsius, MilliWatts};
use serde::{Deserialize, Serialize};

/// What a node is made from. The same description gives the same node, GPU for GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// The host name, from which UUIDs and serial numbers follow.
    pub name: NodeName,
    /// `a100`, `h100`, `h200`, `b200` or `gb200`.
    pub sku: SkuName,
    /// The driver's version. It decides the numbering of some field ids: see the C face.
    #[serde(default = "usual_driver")]
    pub driver: String,
}

fn usual_driver() -> String {
    "580.95.05".to_owned()
}

impl NodeSpec {
    /// A node with the usual driver.
    pub fn new(name: NodeName, sku: SkuName) -> Self {
        Self {
            name,
            sku,
            driver: usual_driver(),
        }
    }
}

/// What the GPUs sit in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// CPU cores.
    pub cores: u64,
    /// Main memory.
    pub memory: Bytes,
}

/// A simulated GPU node. See the crate's essay.
#[derive(Debug, Clone)]
pub struct Node {
    spec: NodeSpec,
    board: &'static Board,
    gpus: Vec<Gpu>,
    events: EventLog,
    tick: Tick,
    boots: u32,
    boot_id: String,
    driver_fault: Option<Fault>,
}

impl Node {
    /// A node that was just booted: all GPUs present, idle and well.
    pub fn new(spec: &NodeSpec) -> Result<Self, UnknownSku> {
        let board = Board::of(&spec.sku)?;
        let gpus = (0..)
            .zip(board.pci)
            .map(|(slot, _)| Gpu::new(board, &spec.name, Slot(slot)));
        Ok(Self {
            board,
            gpus: gpus.collect(),
            events: EventLog::default(),
            tick: Tick::default(),
            boots: 0,
            boot_id: boot_id(&spec.name, 0),
            driver_fault: None,
            spec: spec.clone(),
        })
    }

    /// What the node was made from.
    pub const fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The host name.
    pub const fn name(&self) -> &NodeName {
        &self.spec.name
    }

    /// The kind of node.
    pub const fn sku(&self) -> &SkuName {
        &self.spec.sku
    }

    /// Another one after each reboot.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// What the GPUs sit in.
    pub const fn host(&self) -> Host {
        Host {
            cores: self.board.host_cores,
            memory: self.board.host_memory,
        }
    }

    /// Whether the driver answers at all.
    pub fn driver(&self) -> Result<(), Fault> {
        self.driver_fault.map_or(Ok(()), Err)
    }

    /// The driver's version.
    pub fn driver_version(&self) -> Result<&str, Fault> {
        self.driver().map(|()| self.spec.driver.as_str())
    }

    /// Every GPU that is in the node, in slot order, those included that the driver does not find.
    pub fn gpus(&self) -> &[Gpu] {
        &self.gpus
    }

    /// The GPU in one slot.
    pub fn gpu(&self, slot: Slot) -> Option<&Gpu> {
        self.gpus.get(slot.as_usize())
    }

    /// The GPUs that the driver finds, in the order of NVML's index.
    pub fn counted(&self) -> Result<impl Iterator<Item = &Gpu>, Fault> {
        self.driver()
            .map(|()| self.gpus.iter().filter(|gpu| gpu.is_counted()))
    }

    /// The number of the last event so far; 0 before the first.
    pub fn last_event(&self) -> u64 {
        self.events.last()
    }

    /// What happened after the event of that number, oldest first.
    pub fn events_after(&self, number: u64) -> impl Iterator<Item = &Event> {
        self.events.after(number)
    }

    /// Lets time pass. Advancing by two spans is exactly advancing by their sum.
    pub fn advance(&mut self, by: Span) {
        let ticks = self.tick.take(by);
        for gpu in &mut self.gpus {
            gpu.run(ticks);
        }
    }

    /// Applies one change, or says why not and leaves everything as it was.
    pub fn apply(&mut self, change: &Change) -> Result<(), ChangeError> {
        match *change {
            Change::SetLoad { gpu, permille } => {
                in_range("permille", permille, permille <= 1000, "0 to 1000")?;
                self.present(gpu)?.power.set_load(permille);
            }
            Change::SetInlet { celsius } => self.set_inlet(celsius)?,
            Change::StartProcess {
                gpu,
                pid,
                kind,
                memory,
            } => {
                self.present(gpu)?
                    .processes
                    .start(gpu, Process { pid, kind, memory })?;
            }
            Change::StopProcess { gpu, pid } => self.slot(gpu)?.processes.stop(gpu, pid)?,
            Change::SetPowerLimit { gpu, limit } => self.set_power_limit(gpu, limit)?,
            Change::SetComputeMode { gpu, mode } => {
                let gpu = self.slot(gpu)?;
                gpu.ask(Call::ComputeMode)?;
                gpu.compute_mode = mode;
            }
            Change::SetPersistenceMode { gpu, enabled } => {
                let gpu = self.slot(gpu)?;
                gpu.ask(Call::PersistenceMode)?;
                gpu.persistence = enabled;
            }
            Change::SetEccMode { gpu, enabled } => {
                let gpu = self.slot(gpu)?;
                gpu.ask(Call::EccMode)?;
                gpu.ecc.mode.pending = enabled;
            }
            Change::InjectEcc {
                gpu,
                severity,
                count,
            } => {
                self.slot(gpu)?.ecc.inject(severity, count);
                self.events.raise(gpu, severity.event());
            }
            Change::SetRemappedRows { gpu, rows } => self.slot(gpu)?.ecc.rows = rows,
            Change::InjectSram {
                gpu,
                count,
                threshold_exceeded,
            } => self.slot(gpu)?.wear.inject_sram(count, threshold_exceeded),
            Change::SetSpareRows { gpu, banks } => self.slot(gpu)?.wear.spare_rows = banks,
            Change::SetRepairs { gpu, repairs } => self.slot(gpu)?.wear.repairs = repairs,
            Change::AddNvlinkErrors { gpu, errors } => {
                self.slot(gpu)?.links.nvlink_errors.add(errors);
            }
            Change::SetFabric { gpu, fabric } => self.slot(gpu)?.fabric = fabric,
            Change::AddPcieFatal { gpu, count } => {
                let fatal = &mut self.slot(gpu)?.links.pcie_fatal;
                *fatal = fatal.saturating_add(count);
            }
            Change::RaiseXid { gpu, xid } => {
                self.slot(gpu)?;
                self.events.raise(gpu, EventKind::Xid(xid));
            }
            Change::SetRecoveryAction { gpu, action } => {
                self.slot(gpu)?.ecc.action = action;
                self.events.raise(gpu, EventKind::RecoveryAction(action));
            }
            Change::AddPcieReplays { gpu, count } => {
                let replays = &mut self.slot(gpu)?.links.pcie_replays;
                *replays = replays.saturating_add(count);
            }
            Change::SetPcieWidth { gpu, width } => {
                in_range("width", width, is_pcie_width(width), "1, 2, 4, 8 or 16")?;
                self.slot(gpu)?.links.pcie_width = width;
            }
            Change::SetNvlink { gpu, link, active } => self.set_nvlink(gpu, link, active)?,
            Change::FailCall { gpu, call, fault } => {
                self.slot(gpu)?.failing.insert(call, fault);
            }
            Change::HealCall { gpu, call } => {
                self.slot(gpu)?.failing.remove(&call);
            }
            Change::SetHung { gpu, hung } => self.slot(gpu)?.hung = hung,
            Change::LoseGpu { gpu } => self.take_away(gpu, Presence::Lost)?,
            Change::RemoveGpu { gpu } => self.take_away(gpu, Presence::Removed)?,
            Change::RestoreGpu { gpu } => self.slot(gpu)?.presence = Presence::Present,
            Change::ResetGpu { gpu } => self.slot(gpu)?.reset()?,
            Change::FailDriver { fault } => self.driver_fault = Some(fault),
            Change::HealDriver => self.driver_fault = None,
            Change::ReloadDriver => self.reload_driver()?,
            Change::Reboot => self.reboot(),
        }
        Ok(())
    }

    fn slot(&mut self, slot: Slot) -> Result<&mut Gpu, ChangeError> {
        let last = Slot(u32::try_from(self.gpus.len() - 1).expect("a node has few GPUs"));
        self.gpus
            .get_mut(slot.as_usize())
            .ok_or(ChangeError::NoSuchGpu { gpu: slot, last })
    }

    /// A GPU that work can reach.
    fn present(&mut self, slot: Slot) -> Result<&mut Gpu, ChangeError> {
        let gpu = self.slot(slot)?;
        gpu.on_bus()?;
        Ok(gpu)
    }

    fn set_inlet(&mut self, inlet: Celsius) -> Result<(), ChangeError> {
        let degrees = u32::try_from(inlet.0).unwrap_or(u32::MAX);
        in_range("celsius", degrees, degrees <= 80, "0 to 80")?;
        for gpu in &mut self.gpus {
            gpu.heat.set_inlet(inlet);
        }
        Ok(())
    }

    fn set_power_limit(&mut self, slot: Slot, limit: MilliWatts) -> Result<(), ChangeError> {
        let gpu = self.slot(slot)?;
        gpu.ask(Call::SetPowerLimit)?;
        let limits = gpu.power.limits();
        if limit < limits.min || limit > limits.max {
            return Err(ChangeError::OutOfRange {
                field: "limit",
                given: limit.0,
                allowed: format!("{} to {} mW", limits.min.0, limits.max.0),
            });
        }
        gpu.power.set_limit(limit);
        Ok(())
    }

    fn set_nvlink(&mut self, slot: Slot, link: u32, active: bool) -> Result<(), ChangeError> {
        let gpu = self.slot(slot)?;
        let links = gpu.board.nvlinks;
        in_range("link", link, link < links, &format!("0 to {}", links - 1))?;
        if active {
            gpu.links.nvlinks_down.remove(&link);
        } else {
            gpu.links.nvlinks_down.insert(link);
        }
        Ok(())
    }

    /// The GPU is gone, and with it the work on it. The processes stay until somebody ends them:
    /// they hold a descriptor that answers nothing.
    fn take_away(&mut self, slot: Slot, to: Presence) -> Result<(), ChangeError> {
        let gpu = self.slot(slot)?;
        gpu.presence = to;
        gpu.power.set_load(0);
        self.events.raise(slot, EventKind::GpuUnavailable);
        Ok(())
    }

    fn reload_driver(&mut self) -> Result<(), ChangeError> {
        for gpu in &self.gpus {
            if let Some(holder) = gpu.processes.running().first() {
                return Err(ChangeError::InUse {
                    gpu: gpu.identity.slot,
                    pid: holder.pid,
                });
            }
        }
        self.gpus.iter_mut().for_each(Gpu::reload);
        Ok(())
    }

    fn reboot(&mut self) {
        self.boots += 1;
        self.boot_id = boot_id(&self.spec.name, self.boots);
        self.driver_fault = None;
        for gpu in &mut self.gpus {
            gpu.processes.clear();
            gpu.power.set_load(0);
            gpu.reset()
                .expect("nothing holds the GPU: its processes were ended above");
            gpu.reload();
            if gpu.presence == Presence::Lost {
                gpu.presence = Presence::Present;
            }
        }
    }
}

fn in_range(field: &'static str, given: u32, ok: bool, allowed: &str) -> Result<(), ChangeError> {
    if ok {
        return Ok(());
    }
    Err(ChangeError::OutOfRange {
        field,
        given: u64::from(given),
        allowed: allowed.to_owned(),
    })
}
