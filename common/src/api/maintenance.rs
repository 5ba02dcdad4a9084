//! Maintenance as people see it, and what stands in its way.

use crate::ids::{AccountName, LeaseId, MaintenanceId};
use crate::lease::LeaseState;
use crate::maintenance::MaintenanceState;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/maintenance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMaintenance {
    /// The nodes, as a hostlist.
    pub nodes: String,
    /// From this instant; from now on where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until this one.
    pub to: Timestamp,
    /// Why, for whoever meets it, up to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MaintenanceView {
    /// Its number.
    pub id: MaintenanceId,
    /// How far it has come.
    pub state: MaintenanceState,
    /// Whether its time has come and is not over.
    pub active: bool,
    /// Its nodes, as a hostlist.
    pub nodes: String,
    /// How many.
    pub node_count: u64,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why, in words; absent where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who booked it (uid).
    pub by: u32,
    /// When it was booked.
    pub created: Timestamp,
}

/// Hardware that is booked: for a lease, or for a maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookingView {
    /// The lease; absent for a maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
    /// Who holds it; absent for a maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// How far it has come; absent for a maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LeaseState>,
    /// The maintenance; absent for a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceId>,
    /// The nodes that are in question, as a hostlist.
    pub nodes: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; absent for an open end, and where the hardware is late back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

impl std::fmt::Display for BookingView {
    /// `lease 7 of acme (active) on h[001-002], 2026-… to 2026-…`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.lease, &self.maintenance) {
            (Some(id), _) => write!(f, "lease {id}")?,
            (None, Some(id)) => write!(f, "maintenance {id}")?,
            (None, None) => f.write_str("a booking")?,
        }
        if let Some(account) = &self.account {
            write!(f, " of {account}")?;
        }
        if let Some(state) = self.state {
            write!(f, " ({state})")?;
        }
        write!(f, " on {}, {} to ", self.nodes, self.from)?;
        match self.to {
            Some(to) => write!(f, "{to}"),
            None => f.write_str("an open end"),
        }
    }
}
