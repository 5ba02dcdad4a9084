//! A GPU's place in its `NVSwitch` fabric.

use crate::board::Board;
use serde::{Deserialize, Serialize};

/// How far it is registered, and how it is there, in the numbers of NVML (`nvmlGpuFabricInfoV_t`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fabric {
    /// 0 it has none, 1 not started, 2 in progress, 3 completed.
    pub state: u8,
    /// The `nvmlReturn_t` with which the registration ended.
    #[serde(default)]
    pub status: u32,
    /// The summary: 0 not said, 1 healthy, 2 unhealthy, 3 limited.
    #[serde(default)]
    pub health: u8,
    /// One by one (`NVML_GPU_FABRIC_HEALTH_MASK_*`); 0 is that nothing is said.
    #[serde(default)]
    pub mask: u32,
}

impl Fabric {
    /// In order; none where the board has no links.
    pub(crate) const fn new(board: &Board) -> Self {
        let (state, health) = if board.nvlinks > 0 { (3, 1) } else { (0, 0) };
        Self {
            state,
            status: 0,
            health,
            mask: 0,
        }
    }
}
