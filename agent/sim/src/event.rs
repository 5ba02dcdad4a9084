//! What a node has to tell without being asked: XIDs, memory errors, a GPU that is gone.

use crate::ecc::RecoveryAction;
use crate::identity::Slot;
use std::collections::VecDeque;

/// Something that happened on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Counted from 1 in its node. A reader remembers the last one it saw.
    pub number: u64,
    /// On which GPU.
    pub gpu: Slot,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// An error report of the driver, by its XID number.
    Xid(u32),
    /// ECC put an error right.
    SingleBitEcc,
    /// ECC found an error that it could not put right.
    DoubleBitEcc,
    /// The GPU cannot be used any more.
    GpuUnavailable,
    /// The driver wants something else done than before.
    RecoveryAction(RecoveryAction),
}

impl EventKind {
    /// The bit of NVML's event mask.
    pub const fn bit(self) -> u64 {
        match self {
            Self::SingleBitEcc => 0x1,
            Self::DoubleBitEcc => 0x2,
            Self::Xid(_) => 0x8,
            Self::GpuUnavailable => 0x4000,
            Self::RecoveryAction(_) => 0x8000,
        }
    }

    /// The number that NVML delivers with the event; 0 where it has none.
    pub const fn data(self) -> u64 {
        match self {
            Self::Xid(xid) => xid as u64,
            Self::RecoveryAction(action) => action.code() as u64,
            Self::SingleBitEcc | Self::DoubleBitEcc | Self::GpuUnavailable => 0,
        }
    }
}

/// All event bits a GPU of this model can deliver.
pub const SUPPORTED_EVENTS: u64 = 0x1 | 0x2 | 0x8 | 0x4000 | 0x8000;

/// How many events a node remembers. A reader that is further behind than this has missed some, as
/// it would with a real driver, whose own buffers are much shorter.
const REMEMBERED: usize = 1024;

#[derive(Debug, Clone, Default)]
pub(crate) struct EventLog {
    last: u64,
    recent: VecDeque<Event>,
}

impl EventLog {
    pub fn raise(&mut self, gpu: Slot, kind: EventKind) {
        self.last += 1;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(Event {
            number: self.last,
            gpu,
            kind,
        });
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn after(&self, number: u64) -> impl Iterator<Item = &Event> {
        self.recent
            .iter()
            .filter(move |event| event.number > number)
    }
}
