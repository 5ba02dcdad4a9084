//! The one node this library is the driver of: found at the first initialisation, advanced to the
//! present in every call, behind one lock.

use crate::abi::{Answer, Code, Handle};
use crate::event::EventSets;
use crate::path;
use leasehold_gpu_sim::state::StateFile;
use leasehold_gpu_sim::{Change, Fault, Followed, Gpu, Node, NodeSpec, Replay, Scenario, Slot};
use nvml_wrapper_sys::bindings::nvmlDevice_st;
use std::error::Error;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A device as callers hold it. It names a slot, so it outlives whatever happens to the GPU there.
pub type Device = Handle<nvmlDevice_st>;

/// Where the numbers of device handles begin: nowhere that memory is mapped on Linux.
const DEVICES: usize = 0x10_0000;

/// How soon a waiting call looks at the state file again. Tests wait for this, so it is short.
pub const GLANCE: Duration = Duration::from_millis(10);

static SIMULATOR: Mutex<Option<Simulator>> = Mutex::new(None);

/// Waited on to give the lock up for a [`GLANCE`]. Nobody notifies it: what is waited for happens
/// in a file.
static PAUSE: Condvar = Condvar::new();

pub struct Simulator {
    file: Option<StateFile>,
    replay: Replay,
    /// Initialisations without a shutdown yet.
    clients: u32,
    /// Whether the first of those wanted its GPUs: a driver that attaches none finds none.
    is_attached: bool,
    complaint: String,
    pub sets: EventSets,
}

/// The lock on a simulator that is initialised and at the present.
pub struct Session(MutexGuard<'static, Option<Simulator>>);

impl Session {
    pub fn open() -> Result<Self, Code> {
        let mut session = Self(lock());
        if session
            .0
            .as_ref()
            .is_none_or(|simulator| simulator.clients == 0)
        {
            return Err(Code::UNINITIALIZED);
        }
        session.simulator().catch_up();
        Ok(session)
    }

    pub fn simulator(&mut self) -> &mut Simulator {
        self.0
            .as_mut()
            .expect("`open` found a simulator under this lock")
    }

    /// Gives the lock up for a moment, so that others get on, and takes it again.
    pub fn pause(self, time: Duration) {
        drop(
            PAUSE
                .wait_timeout(self.0, time)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

fn lock() -> MutexGuard<'static, Option<Simulator>> {
    // A call that panicked has returned 999; the model is still whole, for it changes by values.
    SIMULATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more client, that wants the GPUs or only the library.
pub fn initialise(wants_gpus: bool) -> Answer {
    let mut guard = lock();
    if guard.is_none() {
        *guard = Some(Simulator::load().map_err(|error| {
            complain(&*error);
            Code::UNKNOWN
        })?);
    }
    let simulator = guard.as_mut().expect("put there above");
    simulator.catch_up();
    simulator.node().driver()?;
    simulator.is_attached = wants_gpus || (simulator.clients > 0 && simulator.is_attached);
    simulator.clients += 1;
    Ok(())
}

/// One client less.
pub fn shut_down() -> Answer {
    let mut session = Session::open()?;
    let simulator = session.simulator();
    simulator.clients -= 1;
    if simulator.clients == 0 {
        simulator.sets = EventSets::default();
    }
    Ok(())
}

/// Whether there are GPUs to be found, as far as the clients wanted any.
pub fn is_attached() -> Result<bool, Code> {
    let mut session = Session::open()?;
    Ok(session.simulator().is_attached)
}

/// Asks something of the node, whose driver must answer.
pub fn node<T>(ask: impl FnOnce(&Node) -> Result<T, Code>) -> Result<T, Code> {
    let mut session = Session::open()?;
    let node = session.simulator().node();
    node.driver()?;
    ask(node)
}

/// Asks something of one GPU. While the GPU hangs, so does the call, without holding up others.
pub fn gpu<T>(device: Device, ask: impl FnOnce(&Gpu) -> Result<T, Fault>) -> Result<T, Code> {
    let slot = Slot(device.number(DEVICES)?);
    loop {
        let mut session = Session::open()?;
        let node = session.simulator().node();
        node.driver()?;
        let gpu = node.gpu(slot).ok_or(Code::INVALID_ARGUMENT)?;
        if !gpu.is_hung() {
            return ask(gpu).map_err(Code::from);
        }
        session.pause(GLANCE);
    }
}

/// Changes something of one GPU through the driver.
pub fn change(device: Device, change: impl FnOnce(Slot) -> Change) -> Answer {
    // Hangs with the GPU, and refuses a handle of none.
    let slot = gpu(device, |gpu| Ok(gpu.identity().slot))?;
    let mut session = Session::open()?;
    session
        .simulator()
        .replay
        .node_mut()
        .apply(&change(slot))
        .map_err(Code::from)
}

/// The handle of the GPU in a slot.
pub fn device(slot: Slot) -> Device {
    Handle::new(DEVICES, slot.0)
}

impl Simulator {
    fn load() -> Result<Self, Box<dyn Error>> {
        let mut file = path::state_file().map(StateFile::new);
        let scenario = match &mut file {
            Some(file) => file
                .poll()?
                .ok_or("state file was read before it was opened")?,
            None => Scenario::new(NodeSpec::new(path::host_name(), "h200".parse()?)),
        };
        let replay = Replay::new(scenario, now())?;
        Ok(Self {
            file,
            replay,
            clients: 0,
            is_attached: false,
            complaint: String::new(),
            sets: EventSets::default(),
        })
    }

    pub fn node(&self) -> &Node {
        self.replay.node()
    }

    /// The node to read and the sets to change, at once.
    pub fn node_and_sets(&mut self) -> (&Node, &mut EventSets) {
        (self.replay.node(), &mut self.sets)
    }

    /// Reads the state file where it has changed and lets the time pass since the last call. A file
    /// that cannot be read leaves the node as it is: a test gets an answer and a line on stderr.
    fn catch_up(&mut self) {
        let followed = match self.file.as_mut().map(StateFile::poll) {
            None | Some(Ok(None)) => Ok(Followed::Continued),
            Some(Ok(Some(scenario))) => self
                .replay
                .follow(scenario, now())
                .map_err(Box::<dyn Error>::from),
            Some(Err(error)) => Err(error.into()),
        };
        match followed {
            Ok(Followed::Continued) => {}
            Ok(Followed::Anew) => self.sets.rewind(),
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint != complaint {
                    complain(&*error);
                    self.complaint = complaint;
                }
            }
        }
        self.replay.advance_to(now());
        for refused in self.replay.take_refused() {
            complain(&refused);
        }
    }
}

/// Says on stderr what went wrong, causes included: a C library has no better place.
fn complain(error: &dyn Error) {
    let mut line = format!("nvml-sim: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    eprintln!("{line}");
}

/// The present. The library is the edge: here, and nowhere else, is the clock read.
pub fn now() -> leasehold_common::time::Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    leasehold_common::time::Timestamp::from_unix_ms(ms)
}
