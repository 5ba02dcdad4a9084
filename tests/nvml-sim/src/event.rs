//! Sets of events: created, registered for, waited on, freed.

use crate::abi::{Code, Handle, Out, export};
use crate::simulator::{self, Device, GLANCE, Session, gpu};
use leasehold_gpu_sim::{Call, Event, Node, SUPPORTED_EVENTS, Slot};
use nvml_wrapper_sys::bindings::{nvmlEventData_t, nvmlEventSet_st, nvmlEventSet_t};
use std::collections::BTreeMap;
use std::ffi::{c_uint, c_ulonglong};
use std::time::{Duration, Instant};

/// An event set as callers hold it.
pub type EventSet = Handle<nvmlEventSet_st>;

/// Where the numbers of event sets begin, far from those of devices.
const SETS: usize = 0x20_0000;

/// More sets than this are a leak in the caller.
const SETS_MAX: usize = 1024;

/// Stands for the instance ids of an event on a GPU that is not divided.
const NO_INSTANCE: c_uint = c_uint::MAX;

/// For each GPU and event bit that a set is registered for, the last event it has seen.
type Registrations = BTreeMap<(Slot, u64), u64>;

/// All sets there are.
#[derive(Debug, Default)]
pub struct EventSets {
    created: u32,
    sets: BTreeMap<u32, Registrations>,
}

impl EventSets {
    fn create(&mut self) -> Result<EventSet, Code> {
        if self.sets.len() >= SETS_MAX {
            return Err(Code::UNKNOWN);
        }
        self.created += 1;
        self.sets.insert(self.created, Registrations::new());
        Ok(Handle::new(SETS, self.created))
    }

    fn find(&mut self, set: EventSet) -> Result<&mut Registrations, Code> {
        self.sets
            .get_mut(&set.number(SETS)?)
            .ok_or(Code::INVALID_ARGUMENT)
    }

    fn free(&mut self, set: EventSet) -> Result<(), Code> {
        self.sets
            .remove(&set.number(SETS)?)
            .map(drop)
            .ok_or(Code::INVALID_ARGUMENT)
    }

    /// The node was made anew and counts its events from 1.
    pub fn rewind(&mut self) {
        self.sets
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .for_each(|seen| *seen = 0);
    }
}

/// What to deliver next: the oldest kind of event that is waiting, but of that kind on that GPU the
/// newest. Those between are lost, as NVML loses them.
fn take(registered: &mut Registrations, node: &Node) -> Option<Event> {
    let oldest = registered.values().copied().min()?;
    let waiting = |event: &&Event| {
        registered
            .get(&(event.gpu, event.kind.bit()))
            .is_some_and(|seen| event.number > *seen)
    };
    let first = *node.events_after(oldest).find(waiting)?;
    let same = |event: &&Event| event.gpu == first.gpu && event.kind.bit() == first.kind.bit();
    let last = node
        .events_after(oldest)
        .filter(same)
        .last()
        .copied()
        .unwrap_or(first);
    registered.insert((last.gpu, last.kind.bit()), last.number);
    Some(last)
}

fn bits(mask: u64) -> impl Iterator<Item = u64> {
    (0..u64::BITS)
        .map(|shift| 1 << shift)
        .filter(move |bit| mask & bit != 0)
}

export! {
    /// An event set, registered for nothing.
    fn nvmlEventSetCreate(set: Out<nvmlEventSet_t>) {
        if set.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        set.put(Session::open()?.simulator().sets.create()?.raw())
    }

    /// The event types that the GPU can deliver.
    fn nvmlDeviceGetSupportedEventTypes(device: Device, types: Out<c_ulonglong>) {
        gpu(device, |gpu| gpu.ask(Call::Events))?;
        types.put(SUPPORTED_EVENTS)
    }

    /// Adds event types of one GPU to a set. What happened before is not delivered.
    fn nvmlDeviceRegisterEvents(device: Device, types: c_ulonglong, set: EventSet) {
        let slot = gpu(device, |gpu| gpu.ask(Call::Events).map(|()| gpu.identity().slot))?;
        let mut session = Session::open()?;
        let simulator = session.simulator();
        let last = simulator.node().last_event();
        let registered = simulator.sets.find(set)?;
        if types & !SUPPORTED_EVENTS != 0 {
            return Err(Code::NOT_SUPPORTED);
        }
        for bit in bits(types) {
            registered.entry((slot, bit)).or_insert(last);
        }
        Ok(())
    }

    /// Waits for an event of the set. That none came in time is code 10 and quite normal.
    fn nvmlEventSetWait_v2(set: EventSet, data: Out<nvmlEventData_t>, timeout_ms: c_uint) {
        if data.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
        loop {
            let mut session = Session::open()?;
            if let Some(event) = session.simulator().take_event(set)? {
                return data.put(nvmlEventData_t {
                    device: simulator::device(event.gpu).raw(),
                    eventType: event.kind.bit(),
                    eventData: event.kind.data(),
                    gpuInstanceId: NO_INSTANCE,
                    computeInstanceId: NO_INSTANCE,
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Code::TIMEOUT);
            }
            session.pause(left.min(GLANCE));
        }
    }

    /// Frees a set.
    fn nvmlEventSetFree(set: EventSet) {
        Session::open()?.simulator().sets.free(set)
    }
}

impl simulator::Simulator {
    fn take_event(&mut self, set: EventSet) -> Result<Option<Event>, Code> {
        let (node, sets) = self.node_and_sets();
        Ok(take(sets.find(set)?, node))
    }
}
