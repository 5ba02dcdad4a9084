//! Maintenance in the packing engine, which knows leases only.
//!
//! The engine books for a number and an account. A maintenance gets a number of a range that lease
//! numbers never reach, and the name of an account that cannot be created; so does what is on its way
//! back from a lease that goes on. This file is the only place that knows any of it: everything else asks [`Booker::of`].

use crate::state::State;
use leasehold_common::class::Class;
use leasehold_common::explain::{Explanation, Unblock};
use leasehold_common::ids::{LeaseId, MaintenanceId};
use leasehold_common::maintenance::{MaintenanceRecord, MaintenanceState};
use leasehold_placement::{BookError, Booking};
use std::collections::BTreeMap;

/// Numbers from here on stand for maintenance: no cell counts its leases so far in a million years.
const FIRST: u64 = 1 << 62;

/// Numbers from here on stand for what is on its way back from a lease that goes on without it.
const LEAVING: u64 = 1 << 61;

/// Who a maintenance is booked for. Accounts of this name are refused.
pub(crate) const HOLDER: &str = "maintenance";

/// For whom the engine has booked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Booker {
    Lease(LeaseId),
    Maintenance(MaintenanceId),
}

impl Booker {
    /// Whose number in the engine this is.
    pub const fn of(number: LeaseId) -> Self {
        match number.0 {
            n if n >= FIRST => Self::Maintenance(MaintenanceId(n - FIRST)),
            n if n >= LEAVING => Self::Lease(LeaseId(n - LEAVING)),
            _ => Self::Lease(number),
        }
    }

    /// The lease, where it is one.
    pub const fn lease(self) -> Option<LeaseId> {
        match self {
            Self::Lease(id) => Some(id),
            Self::Maintenance(_) => None,
        }
    }
}

/// What the engine calls the hardware on its way back from a lease that goes on without it.
pub(crate) const fn leaving(id: LeaseId) -> LeaseId {
    LeaseId(LEAVING + id.0)
}

const fn number(id: MaintenanceId) -> LeaseId {
    LeaseId(FIRST + id.0)
}

/// Says of maintenance what the engine says of the number it knows it by.
pub(crate) fn in_words_of_people(why: &mut Explanation) {
    for unblock in &mut why.unblocked_by {
        if let Unblock::LeaseEnds { lease, at } = *unblock {
            *unblock = match Booker::of(lease) {
                Booker::Maintenance(maintenance) => Unblock::MaintenanceEnds { maintenance, at },
                Booker::Lease(lease) => Unblock::LeaseEnds { lease, at },
            };
        }
    }
}

impl State {
    /// Enters a maintenance that is not there yet, and books its nodes.
    ///
    /// # Errors
    /// Nodes that somebody else has at that time.
    pub(crate) fn insert_maintenance(
        &mut self,
        record: MaintenanceRecord,
    ) -> Result<(), BookError> {
        match record.state {
            MaintenanceState::Booked => {
                self.cell.book(Booking {
                    lease: number(record.id),
                    account: HOLDER.parse().expect("it is a valid name"),
                    class: Class::InternalCritical,
                    from: record.from,
                    to: Some(record.to),
                    nodes: record.nodes.clone(),
                    gpus: BTreeMap::new(),
                    slices: BTreeMap::new(),
                    host: None,
                    // Whatever a crew does to a node, its GPUs are not let.
                    gpu_cap_watts: Some(0),
                })?;
                self.maintenance_ends.insert((record.to, record.id));
            }
            MaintenanceState::Ended => {
                self.maintenance_ended.insert((record.since, record.id));
            }
        }
        for known in &record.idempotency {
            let target = crate::state::Changed::Maintenance(record.id);
            self.by_key.insert((known.uid, known.key.clone()), target);
        }
        self.maintenance.insert(record.id, record);
        Ok(())
    }

    /// Takes a maintenance out, with what is booked for it.
    pub(crate) fn remove_maintenance(&mut self, id: MaintenanceId) -> Option<MaintenanceRecord> {
        let record = self.maintenance.remove(&id)?;
        self.cell.unbook(number(id));
        self.maintenance_ends.remove(&(record.to, id));
        self.maintenance_ended.remove(&(record.since, id));
        for known in &record.idempotency {
            self.by_key.remove(&(known.uid, known.key.clone()));
        }
        Some(record)
    }
}
