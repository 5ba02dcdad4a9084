//! What a driver tells by itself.

use leasehold_common::ids::GpuUuid;

/// Something that happened on a GPU, told once and by nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuEvent {
    /// On which.
    pub gpu: GpuUuid,
    /// What.
    pub what: GpuEventKind,
    /// In which GPU instance, where it is divided and the driver says.
    pub gpu_instance: Option<u32>,
    /// In which compute instance of that.
    pub compute_instance: Option<u32>,
}

/// What can happen, by the bits of `nvmlEventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuEventKind {
    /// The driver reports an error by its XID (0x8). Of several between two looks NVML keeps the last.
    Xid(u64),
    /// ECC put an error right (0x1).
    SingleBitEcc,
    /// ECC found an error that it could not put right (0x2).
    DoubleBitEcc,
    /// The GPU cannot be used any more (0x4000).
    Unavailable,
    /// The driver wants something else done than before (0x8000), by the numbers of field 230.
    RecoveryAction(u64),
}

impl GpuEventKind {
    /// The bits that are asked for, as far as a GPU has them.
    pub const WANTED: u64 = 0x1 | 0x2 | 0x8 | 0x4000 | 0x8000;

    /// By the bit and the number that comes with it; absent for what was not asked for.
    pub const fn of(bit: u64, data: u64) -> Option<Self> {
        match bit {
            0x1 => Some(Self::SingleBitEcc),
            0x2 => Some(Self::DoubleBitEcc),
            0x8 => Some(Self::Xid(data)),
            0x4000 => Some(Self::Unavailable),
            0x8000 => Some(Self::RecoveryAction(data)),
            _ => None,
        }
    }
}
