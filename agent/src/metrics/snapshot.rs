//! What the agent's task last knew.

use leasehold_agent_core::grants::Phase;
use leasehold_common::class::{Class, Side};
use leasehold_common::grant::Meter;
use leasehold_common::ids::{AccountName, GpuUuid, LeaseId};
use leasehold_common::node::{Action, Verdict};
use std::time::Instant;

/// The agent at the end of one of its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When that was.
    pub at: Instant,
    /// Whether the hardware has been read, or is known not to be readable.
    pub is_ready: bool,
    /// How many things are wrong that are no GPU's fault.
    pub troubles: usize,
    /// Every GPU that has a verdict.
    pub gpus: Vec<GpuShown>,
    /// The leases it has accepted and that are not over.
    pub leases: Vec<LeaseShown>,
    /// Leases that are over and remembered, so that they never serve again.
    pub ended: usize,
    /// Grants that were received and are not followed.
    pub refused: usize,
    /// Whether the store answers.
    pub is_in_contact: bool,
    /// How often it has come back.
    pub contacts: u64,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuShown {
    /// Which.
    pub uuid: GpuUuid,
    /// What is made of it.
    pub verdict: Verdict,
    /// What is to be done about it.
    pub action: Action,
    /// For how many reasons.
    pub reasons: usize,
    /// How often each XID came.
    pub xids: Vec<(u32, u64)>,
    /// How many processes are on it that no lease explains.
    pub unexplained: usize,
}

/// One lease on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseShown {
    /// Its number.
    pub lease: LeaseId,
    /// Who holds it.
    pub account: AccountName,
    /// On which side that is.
    pub side: Side,
    /// What was promised.
    pub class: Class,
    /// How far it is.
    pub phase: Phase,
    /// On which GPUs.
    pub gpus: Vec<GpuUuid>,
    /// What it has used.
    pub meter: Meter,
}
