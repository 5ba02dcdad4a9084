//! The keys, each of which may be absent.

use leasehold_common::ids::CellName;
use leasehold_common::time::Span;
use leasehold_daemon::metrics::MetricsFragment;
use leasehold_daemon::store::StoreFragment;
use serde::Deserialize;
use std::path::PathBuf;

/// The settings as given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fragment {
    /// The cell this scheduler looks after.
    pub cell: Option<CellName>,
    /// This scheduler's name in the election and in answers.
    pub host: Option<String>,
    /// Its own files.
    pub state_dir: Option<PathBuf>,
    /// The placement log.
    pub log_dir: Option<PathBuf>,
    /// Files with kinds of node beyond those that are built in.
    pub sku_files: Option<Vec<PathBuf>>,
    /// Whether nothing is decided while this host's clock is not synchronised.
    pub require_synchronised_clock: Option<bool>,
    /// The control socket.
    pub control: ControlFragment,
    /// Where the ledger is kept.
    pub store: StoreFragment,
    /// The election.
    pub leader: LeaderFragment,
    /// Silent nodes.
    pub liveness: LivenessFragment,
    /// Who may do what.
    pub roles: RolesFragment,
    /// Placement.
    pub placement: PlacementFragment,
    /// What is shown to whoever scrapes.
    pub metrics: MetricsFragment,
    /// Logs.
    pub log: LogFragment,
}

/// `[control]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlFragment {
    /// The socket's path.
    pub socket: Option<PathBuf>,
    /// Its mode, in octal digits.
    pub mode: Option<String>,
    /// Its group, by name or number.
    pub group: Option<String>,
}

/// `[leader]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaderFragment {
    /// How long the others wait for a silent leader.
    pub ttl: Option<Span>,
}

/// `[liveness]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LivenessFragment {
    /// The TTL of the nodes' liveness keys, as the agents have it.
    pub ttl: Option<Span>,
    /// How long a node may be silent before it counts as unreachable.
    pub grace: Option<Span>,
    /// The most nodes that may fall silent within the window, however large the cell.
    pub brake_nodes: Option<u32>,
    /// The share of the cell that may, in percent.
    pub brake_percent: Option<u32>,
    /// The window.
    pub brake_window: Option<Span>,
}

/// `[roles]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolesFragment {
    /// Who reads.
    pub viewer: Option<Vec<String>>,
    /// Who runs the cell.
    pub operator: Option<Vec<String>>,
    /// Who owns it.
    pub owner: Option<Vec<String>>,
}

/// `[placement]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlacementFragment {
    /// How long after a lease's end its hardware is kept free.
    pub turnaround: Option<Span>,
    /// How long before its start a booked lease's grants go out.
    pub prepare_lead: Option<Span>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogFragment {
    /// What the daemon's own log lets through.
    pub level: Option<String>,
    /// A placement-log file beyond this size is put aside.
    pub rotate_mib: Option<u32>,
}
