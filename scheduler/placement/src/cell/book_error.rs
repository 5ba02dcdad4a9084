//! Why a booking cannot be made or changed.

use leasehold_common::class::Side;
use leasehold_common::ids::{AccountName, LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Slice};
use leasehold_common::time::Timestamp;

/// A booking that cannot be made or changed. Nothing has been changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The lease has one.
    #[error("lease {lease} is booked already")]
    AlreadyBooked {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease has none.
    #[error("lease {lease} is not booked")]
    NotBooked {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease is over.
    #[error("lease {lease} has ended")]
    Ended {
        /// The lease.
        lease: LeaseId,
    },
    /// No node, or GPUs of a node that is not among its nodes.
    #[error("lease {lease} names no node, or gpus of a node that is not among its nodes")]
    NoNodes {
        /// The lease.
        lease: LeaseId,
    },
    /// It would be over before it began.
    #[error("lease {lease} would run from {from} to {to}, and the end must be later")]
    EndNotAfterStart {
        /// The lease.
        lease: LeaseId,
        /// Its start.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// A node that is not in the cell.
    #[error("lease {lease} names node {node}, which is not in the cell")]
    UnknownNode {
        /// The lease.
        lease: LeaseId,
        /// The node.
        node: NodeIndex,
    },
    /// GPUs the node does not have, or none.
    #[error("lease {lease} names gpus {gpus} of node {node}, which has {allowed}")]
    NoSuchGpus {
        /// The lease.
        lease: LeaseId,
        /// The node.
        node: NodeIndex,
        /// The GPUs named.
        gpus: GpuSlots,
        /// Those it has.
        allowed: GpuSlots,
    },
    /// A slice that the node's GPUs do not have there.
    #[error("lease {lease} names {slice} of node {node}: {why}")]
    NoSuchSlice {
        /// The lease.
        lease: LeaseId,
        /// The node.
        node: NodeIndex,
        /// The slice named.
        slice: Slice,
        /// What is wrong with it.
        why: String,
    },
    /// A GPU would be in two leases at one time, or slices of it that cannot both be.
    #[error("gpus {gpus} of node {node} would be in lease {lease} and lease {other} at one time")]
    Taken {
        /// The lease.
        lease: LeaseId,
        /// The lease that has them.
        other: LeaseId,
        /// The node.
        node: NodeIndex,
        /// The GPUs in both.
        gpus: GpuSlots,
    },
    /// A node would serve two accounts at one time.
    #[error(
        "node {node} would serve lease {lease} of {account} and lease {other} of {other_account} \
         at one time"
    )]
    OtherAccount {
        /// The lease.
        lease: LeaseId,
        /// Whose it is.
        account: AccountName,
        /// The lease that has the node.
        other: LeaseId,
        /// Whose that is.
        other_account: AccountName,
        /// The node.
        node: NodeIndex,
    },
    /// Hardware would not be clean in time: it waits for an hour in which policy lets it be cleaned.
    #[error(
        "node {node} would not be cleaned in time between lease {lease} and lease {other}: the hours \
         before are full"
    )]
    NotClean {
        /// The lease.
        lease: LeaseId,
        /// The lease that has the node before or after it.
        other: LeaseId,
        /// The node.
        node: NodeIndex,
    },
    /// A domain would serve both sides at one time, and policy keeps them apart by domains.
    #[error(
        "node {node} would serve lease {lease} of the {side} side, and lease {other} of the other side \
         has another node of its domain at that time"
    )]
    OtherSide {
        /// The lease.
        lease: LeaseId,
        /// Its side.
        side: Side,
        /// The lease that has something of the domain.
        other: LeaseId,
        /// The node.
        node: NodeIndex,
    },
}

impl BookError {
    /// The lease that is in the way, and the node it is in the way on; absent where none is.
    pub const fn other(&self) -> Option<(NodeIndex, LeaseId)> {
        match self {
            Self::Taken { other, node, .. }
            | Self::OtherAccount { other, node, .. }
            | Self::NotClean { other, node, .. }
            | Self::OtherSide { other, node, .. } => Some((*node, *other)),
            Self::AlreadyBooked { .. }
            | Self::NotBooked { .. }
            | Self::Ended { .. }
            | Self::NoNodes { .. }
            | Self::EndNotAfterStart { .. }
            | Self::UnknownNode { .. }
            | Self::NoSuchGpus { .. }
            | Self::NoSuchSlice { .. } => None,
        }
    }
}
