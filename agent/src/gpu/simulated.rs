//! A simulated node behind the driver's trait, for many nodes in one process.

use super::event::{GpuEvent, GpuEventKind};
use super::{DriverError, DriverFacts, GpuDriver};
use crate::clock::Clock;
use leasehold_agent_core::sample::{
    Contact, Fabric, FabricFaults, FabricState, GpuSample, NvLinkErrors, NvLinks, PcieLink,
    RemappedRows, Repairs, SpareRows, SramErrors,
};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::{GpuInfo, GpuProcess, Reading};
use leasehold_common::time::Timestamp;
use leasehold_gpu_sim::{Change, ChangeError, EccSince, Event, Fault, Gpu, Node, PciAddress};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

/// A node that lives by the clock. Shared between its driver, its host, and whoever makes things
/// happen to it.
#[derive(Debug)]
pub struct SimulatedNode {
    clock: Arc<dyn Clock>,
    lived: Mutex<Lived>,
}

/// A node, until when it has lived, and who is told what happens to it.
#[derive(Debug)]
struct Lived {
    node: Node,
    at: Timestamp,
    /// Each with the last event that it was told.
    listeners: Vec<(UnboundedSender<GpuEvent>, u64)>,
}

impl SimulatedNode {
    /// Lives from now on.
    pub fn new(node: Node, clock: Arc<dyn Clock>) -> Arc<Self> {
        let now = clock.now();
        Arc::new(Self {
            clock,
            lived: Mutex::new(Lived {
                node,
                at: now,
                listeners: Vec::new(),
            }),
        })
    }

    /// Makes something happen to it now.
    ///
    /// # Errors
    /// What the model refuses; then nothing has happened.
    pub fn apply(&self, change: &Change) -> Result<(), ChangeError> {
        self.now(|node| node.apply(change))
    }

    /// Looks at it as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        self.now(|node| look(node))
    }

    fn now<T>(&self, with: impl FnOnce(&mut Node) -> T) -> T {
        // The model has no state that a panic could leave half done: changes are whole or refused.
        let mut lived = self.lived.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let lasted = now.since(lived.at);
        lived.node.advance(lasted);
        lived.at = now.max(lived.at);
        let result = with(&mut lived.node);
        lived.tell();
        result
    }

    /// From now on it is told what happens.
    fn listen(&self, tell: UnboundedSender<GpuEvent>) {
        let mut lived = self.lived.lock().unwrap_or_else(PoisonError::into_inner);
        let last = lived.node.last_event();
        lived.listeners.push((tell, last));
    }
}

impl Lived {
    /// Tells those who listen what they have not been told.
    fn tell(&mut self) {
        let Self {
            node, listeners, ..
        } = self;
        listeners.retain_mut(|(tell, told)| {
            let mut events = node.events_after(*told);
            let is_heard = events.all(|event| {
                *told = event.number;
                tell.send(as_told(node, event)).is_ok()
            });
            is_heard && !tell.is_closed()
        });
    }
}

/// An event as a driver tells it: what it can be is what a driver can tell.
fn as_told(node: &Node, event: &Event) -> GpuEvent {
    let known = node
        .gpus()
        .iter()
        .find(|gpu| gpu.identity().slot == event.gpu);
    let gpu = known.expect("events are of the node's gpus");
    let what = GpuEventKind::of(event.kind.bit(), event.kind.data());
    GpuEvent {
        gpu: gpu.identity().uuid.clone(),
        what: what.expect("the model has the bits that are asked for"),
        gpu_instance: None,
        compute_instance: None,
    }
}

/// The driver of a simulated node.
#[derive(Debug, Clone)]
pub struct SimulatedDriver(pub Arc<SimulatedNode>);

impl GpuDriver for SimulatedDriver {
    fn facts(&self) -> Result<DriverFacts, DriverError> {
        self.0.look(|node| {
            let no_driver = |fault: Fault| {
                let (library, detail) = ("simulated node".to_owned(), fault.to_string());
                match fault {
                    Fault::LibRmVersionMismatch => DriverError::Mismatch { library, detail },
                    _ => DriverError::NoDriver { library, detail },
                }
            };
            let count = node.counted().map_err(no_driver)?.count();
            let driver = node.driver_version().map_err(no_driver)?.to_owned();
            Ok(DriverFacts {
                nvml: Some(format!("simulated {driver}")),
                driver: Some(driver),
                count: u32::try_from(count).unwrap_or(u32::MAX),
            })
        })
    }

    fn identify(&self, index: u32) -> Result<GpuInfo, DriverError> {
        self.0.look(|node| {
            let failed = |call: &'static str| {
                move |fault: Fault| DriverError::Failed {
                    call,
                    detail: fault.to_string(),
                }
            };
            let mut counted = node.counted().map_err(failed("handle by index"))?;
            let gpu = counted
                .nth(index as usize)
                .ok_or(Fault::NotFound)
                .map_err(failed("handle by index"))?;
            Ok(GpuInfo {
                uuid: gpu.uuid().map_err(failed("uuid"))?.clone(),
                name: gpu.name().map_err(failed("name"))?.to_owned(),
                index,
                minor: gpu.minor_number().ok(),
                pci: gpu.pci_address().ok().map(as_nvml_writes_it),
                serial: gpu.serial().ok().map(str::to_owned),
                memory: gpu.memory().ok().map(|memory| memory.total),
                default_limit_mw: gpu.power_limits().ok().map(|limits| limits.default),
                vbios: gpu.vbios_version().ok().map(str::to_owned),
                numa: gpu.numa_node().ok(),
            })
        })
    }

    fn read(&self, gpu: &GpuUuid) -> GpuSample {
        self.0.look(|node| {
            if let Err(fault) = node.driver() {
                return GpuSample::silent(Contact::Unresponsive, &fault.to_string());
            }
            match node.gpus().iter().find(|g| g.identity().uuid == *gpu) {
                Some(gpu) => sample(gpu),
                None => GpuSample::silent(Contact::Missing, &Fault::NotFound.to_string()),
            }
        })
    }

    fn follow(self: Arc<Self>, tell: UnboundedSender<GpuEvent>) {
        self.0.listen(tell);
    }

    /// It answers from memory. A GPU that hangs is said to, instead of keeping anybody.
    fn may_hang(&self) -> bool {
        false
    }
}

fn sample(gpu: &Gpu) -> GpuSample {
    if !gpu.is_counted() {
        return GpuSample::silent(Contact::Missing, &Fault::NotFound.to_string());
    }
    if gpu.is_hung() {
        return GpuSample::silent(Contact::Unresponsive, &Fault::Timeout.to_string());
    }
    let power = gpu.power_draw();
    if power == Err(Fault::GpuIsLost) {
        return GpuSample::silent(Contact::Lost, &Fault::GpuIsLost.to_string());
    }
    GpuSample {
        contact: Contact::Answered,
        power_mw: reading(power),
        limit_mw: reading(gpu.power_limits().map(|limits| limits.enforced)),
        temperature: reading(gpu.temperature()),
        slowdown: reading(gpu.thresholds().map(|thresholds| thresholds.slowdown)),
        energy_mj: reading(gpu.energy()),
        memory_used: reading(gpu.memory().map(|memory| memory.used)),
        ecc_enabled: reading(gpu.ecc_mode().map(|mode| mode.current)),
        ecc_uncorrected: reading(
            gpu.ecc_errors(EccSince::Volatile)
                .map(|counts| counts.uncorrected),
        ),
        recovery_action: reading(gpu.recovery_action().map(|action| action.code())),
        processes: reading(gpu.processes().map(|processes| {
            processes
                .iter()
                .map(|process| GpuProcess {
                    pid: process.pid,
                    name: None,
                    memory: Some(process.memory),
                })
                .collect()
        })),
        default_limit_mw: reading(gpu.power_limits().map(|limits| limits.default)),
        memory_temperature: reading(gpu.memory_temperature()),
        shutdown: reading(gpu.thresholds().map(|thresholds| thresholds.shutdown)),
        clock_events: reading(gpu.clocks_event_reasons().map(|reasons| reasons.0)),
        ecc_corrected: reading(
            gpu.ecc_errors(EccSince::Volatile)
                .map(|counts| counts.corrected),
        ),
        remapped: reading(gpu.remapped_rows().map(|rows| RemappedRows {
            corrected: rows.corrected,
            uncorrected: rows.uncorrected,
            pending: rows.pending,
            failed: rows.failure,
        })),
        sram: reading(gpu.sram_errors().map(|sram| SramErrors {
            uncorrected: sram.uncorrected,
            uncorrected_ever: sram.uncorrected_ever,
            threshold_exceeded: sram.threshold_exceeded,
        })),
        pcie: reading(gpu.pcie_link().map(|link| PcieLink {
            generation: link.generation,
            max_generation: link.generation_max,
            width: link.width,
            max_width: link.width_max,
        })),
        pcie_replays: reading(gpu.pcie_replays().map(u64::from)),
        nvlinks: reading(nvlinks(gpu)),
        fabric: reading(gpu.fabric().map(fabric)),
        memory_max: reading(gpu.thresholds().map(|thresholds| thresholds.memory_max)),
        spare_rows: reading(gpu.spare_rows().map(|banks| SpareRows {
            all: banks.max,
            some: banks.high + banks.partial,
            few: banks.low,
            none: banks.none,
        })),
        repairs: reading(gpu.repairs().map(|repairs| Repairs {
            channel: repairs.channel,
            tpc: repairs.tpc,
        })),
        retired: Reading::Unsupported,
        nvlink_errors: reading(gpu.nvlink_errors().map(nvlink_errors)),
        c2c_errors: Reading::Unsupported,
        pcie_fatal: reading(gpu.pcie_fatal().map(u64::from)),
        mig: reading(gpu.mig_mode().map(|mode| mode.current)),
        persistence: reading(gpu.persistence_mode()),
    }
}

fn fabric(of: leasehold_gpu_sim::Fabric) -> Fabric {
    Fabric {
        state: match of.state {
            0 => FabricState::None,
            1 => FabricState::NotStarted,
            3 => FabricState::Completed,
            _ => FabricState::InProgress,
        },
        status: of.status,
        health: of.health.into(),
        faults: FabricFaults::of_mask(of.mask),
    }
}

/// What links of a generation count.
fn nvlink_errors((of, generation): (leasehold_gpu_sim::NvlinkErrors, u32)) -> NvLinkErrors {
    let older = |count| (generation < 5).then_some(count);
    NvLinkErrors {
        crc: older(of.crc),
        replays: older(of.replays),
        recoveries: older(of.recoveries),
        failed_recoveries: (generation >= 5).then_some(of.failed_recoveries),
    }
}

/// How many links are up.
fn nvlinks(gpu: &Gpu) -> Result<NvLinks, Fault> {
    let mut links = NvLinks::default();
    for link in 0..gpu.nvlink_count()? {
        if gpu.nvlink(link)?.active {
            links.active += 1;
        } else {
            links.inactive += 1;
        }
    }
    Ok(links)
}

/// `00000000:1B:00.0`, where the kernel writes `0000:1b:00.0`.
fn as_nvml_writes_it(pci: PciAddress) -> String {
    let PciAddress {
        domain,
        bus,
        device,
        function,
    } = pci;
    format!("{domain:08X}:{bus:02X}:{device:02X}.{function:X}")
}

fn reading<T>(answer: Result<T, Fault>) -> Reading<T> {
    match answer {
        Ok(value) => Reading::Value(value),
        Err(Fault::NotSupported) => Reading::Unsupported,
        Err(fault) => Reading::Failed(fault.to_string()),
    }
}
