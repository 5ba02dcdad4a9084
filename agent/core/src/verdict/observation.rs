//! What can be seen of a GPU between two verdicts.

use crate::sample::GpuSample;
use leasehold_common::ids::{AccountName, GpuUuid};
use leasehold_common::node::{HealthReason, Verdict};
use leasehold_common::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What was seen of one GPU: a reading, things that happened, or both.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observation<'a> {
    /// A reading.
    pub sample: Option<&'a GpuSample>,
    /// What happened, in any order, also twice.
    pub events: &'a [Event],
}

/// A slice of a divided GPU, as the driver's events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// The GPU instance.
    pub gpu: u32,
    /// The compute instance in it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute: Option<u32>,
}

/// An XID: the driver has something to report of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Xid {
    /// When.
    pub at: Timestamp,
    /// Its number.
    pub code: u32,
    /// Of which GPU; it is for the caller to tell it to that GPU's state.
    pub gpu: GpuUuid,
    /// Of which slice of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// Who had the GPU then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<AccountName>,
    /// The kernel's words after the number; empty where only the driver's event is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// An operator's word on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Word {
    /// Since when it holds.
    pub at: Timestamp,
    /// Who says so.
    pub owner: String,
    /// Why.
    pub why: String,
    /// Until when it holds.
    pub expires: Timestamp,
}

/// Something that happened to a GPU or its node. The order of the variants is the order in which
/// events of one instant are taken: what is done to a GPU is after what it reported until then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// An XID.
    Xid(Xid),
    /// The node runs under this boot id, since then. Said at each start of the agent; another id
    /// than before is a reboot.
    Boot {
        /// When the kernel started.
        at: Timestamp,
        /// The kernel's boot id.
        id: String,
    },
    /// The driver was loaded again: counters begin anew, and nothing is repaired by that.
    DriverReload {
        /// When.
        at: Timestamp,
    },
    /// The GPU was reset.
    Reset {
        /// When it was done.
        at: Timestamp,
    },
    /// A reset was tried and failed. Not for one that was refused because somebody had the GPU open.
    ResetFailed {
        /// When.
        at: Timestamp,
        /// In what words.
        why: String,
    },
    /// What this reason names has been dealt with, an rma too; without a reason all of it. It is
    /// forgotten as soon as its signal is gone, if that is before the word expires.
    Acknowledge {
        /// Who, why, until when.
        word: Word,
        /// What.
        reason: Option<HealthReason>,
    },
    /// The verdict is this, whatever is found; a GPU that does not answer stays what it is.
    Override {
        /// Who, why, until when.
        word: Word,
        /// The verdict.
        verdict: Verdict,
    },
    /// What was overridden no longer is.
    Withdraw {
        /// When.
        at: Timestamp,
    },
}

impl Event {
    /// When it happened.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Boot { at, .. }
            | Self::DriverReload { at }
            | Self::Reset { at }
            | Self::ResetFailed { at, .. }
            | Self::Withdraw { at } => *at,
            Self::Acknowledge { word, .. } | Self::Override { word, .. } => word.at,
            Self::Xid(xid) => xid.at,
        }
    }
}
