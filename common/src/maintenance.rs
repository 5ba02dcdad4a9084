//! Maintenance: nodes booked for the people who look after them, from one instant to another.
//!
//! It is a booking without an account. Nobody is let on its nodes in that time and nothing is done to
//! them: it only keeps them free. What is booked already is never moved for it; whoever plans it is
//! told what stands in the way.

use crate::ids::MaintenanceId;
use crate::lease::Idempotency;
use crate::node_set::NodeSet;
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use crate::token::words;
use serde::{Deserialize, Serialize};

words! {
    /// How far a maintenance has come. Whether it has begun follows from its times.
    MaintenanceState("maintenance state") {
        /// Its nodes are kept free, from its start on.
        Booked = "booked",
        /// Its time is over, or it was ended.
        Ended = "ended",
    }
}

/// A maintenance (`maintenance/<id>`, written by the leader).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceRecord {
    /// Form of the record.
    pub version: Version,
    /// Its number.
    pub id: MaintenanceId,
    /// On these nodes.
    pub nodes: NodeSet,
    /// From this instant.
    pub from: Timestamp,
    /// Until this one. Brought forward where it is ended early.
    pub to: Timestamp,
    /// Who booked it (uid of the caller).
    pub by: u32,
    /// Why, in words; empty where nobody said.
    pub why: String,
    /// When it was booked.
    pub created: Timestamp,
    /// How far it has come.
    pub state: MaintenanceState,
    /// Since when.
    pub since: Timestamp,
    /// The writes that changed it, the one that booked it first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotency: Vec<Idempotency>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(MaintenanceRecord, "maintenance");
