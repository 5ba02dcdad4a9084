//! What a cell's operator decides once: limits and lengths of time.

use leasehold_common::ids::CellName;
use leasehold_common::policy::Policy;
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Span;

/// Settings of the core, checked.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// The cell.
    pub cell: CellName,
    /// This scheduler's name: the issuer in its grants.
    pub host: String,
    /// Kinds of node.
    pub skus: SkuCatalogue,
    /// What placements are decided by.
    pub policy: Policy,
    /// When an absent node becomes a lost one.
    pub liveness: Liveness,
    /// How long before its start a booked lease's grants go out: long enough for every node of a
    /// large gang to have its grant on disk, short enough that a faulty node can still be told.
    pub prepare_lead: Span,
}

/// When an absent node becomes a lost one, and when too many at once mean that it is us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// The TTL of a node's liveness key.
    pub ttl: Span,
    /// How long a node may be silent before it is `Unreachable`.
    pub grace: Span,
    /// The fewest nodes that trip the brake.
    pub brake_floor: u32,
    /// The most nodes that do not trip it, however large the cell.
    pub brake_ceiling: u32,
    /// In between, this share of the cell in percent.
    pub brake_percent: u32,
    /// Nodes lost within this length of time are counted together.
    pub brake_window: Span,
}

impl Default for Liveness {
    /// The design's figures: more than max(3, min(50, 2 %)) nodes within 60 s trip the brake.
    fn default() -> Self {
        Self {
            ttl: Span::from_secs(30),
            grace: Span::from_secs(45),
            brake_floor: 3,
            brake_ceiling: 50,
            brake_percent: 2,
            brake_window: Span::from_secs(60),
        }
    }
}

impl Liveness {
    /// The most nodes that may fall silent within the window without tripping the brake, in a cell
    /// of `nodes`.
    pub fn tolerated(&self, nodes: usize) -> usize {
        let share = nodes * self.brake_percent as usize / 100;
        share
            .min(self.brake_ceiling as usize)
            .max(self.brake_floor as usize)
    }
}
