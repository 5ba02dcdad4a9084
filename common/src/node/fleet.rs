//! What the operator admitted, and what the scheduler decided about it.

use super::{Flag, FlagKind, NodeState, Standing, Verdict, Word, WordKind};
use crate::class::Side;
use crate::ids::{GpuUuid, LeaseId, NodeIndex, NodeName, SkuName};
use crate::lease::{Digest, Idempotency};
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use crate::token::{tokens, words};
use crate::topology::TopologyPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// Whose work a node is meant for.
    Owner("owner") {
        /// May be let to tenants and used by the owner.
        Sellable = "sellable",
        /// For the owner's work only.
        Internal = "internal",
        /// Kept back to replace others.
        Spare = "spare",
        /// With the repair crew.
        Repair = "repair",
    }
}

words! {
    /// Whether a GPU is known to be clean.
    CleanState("clean state") {
        /// Nothing of a former holder is on it.
        Clean = "clean",
        /// It has been handed over since it was last proved clean.
        Dirty = "dirty",
    }
}

tokens! {
    /// Why a node is in its stored state.
    StateReason {
        /// It has not reported yet.
        NeverReported = "NeverReported",
        /// It reports, but no operator has listed or admitted it.
        NotAdmitted = "NotAdmitted",
        /// Its report agreed with what was admitted.
        Verified = "Verified",
        /// An operator admitted it.
        Admitted = "Admitted",
        /// It reports another place than the one admitted.
        OtherPlace = "OtherPlace",
        /// It reports another SKU than the one admitted.
        OtherSku = "OtherSku",
        /// It reports other GPUs than those admitted.
        OtherGpus = "OtherGpus",
        /// It reports a GPU that another node has.
        GpuSeenElsewhere = "GpuSeenElsewhere",
        /// It reports fewer GPUs than its SKU has.
        MissingGpus = "MissingGpus",
        /// A process that no lease explains is on a GPU.
        UnexplainedProcess = "UnexplainedProcess",
        /// Its agent has not been heard of for longer than the grace.
        NotHeardOf = "NotHeardOf",
        /// Its agent is back and says what it holds.
        HeardOfAgain = "HeardOfAgain",
        /// It serves a lease that the ledger does not know.
        UnknownLease = "UnknownLease",
        /// It did not give its hardware back in time.
        NotReturned = "NotReturned",
        /// Its agent refused a grant.
        GrantRefused = "GrantRefused",
    }
}

/// One GPU of a node, in a slot that it keeps for life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetGpu {
    /// The GPU in that slot.
    pub uuid: GpuUuid,
    /// Whether it is known to be clean.
    pub clean: CleanState,
    /// Digest of the certificate that says so; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Digest>,
    /// What was last recorded of its health; absent while there was nothing to record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// What operators say of it, as long as it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
}

impl FleetGpu {
    /// One that has just been admitted.
    pub const fn new(uuid: GpuUuid) -> Self {
        Self {
            uuid,
            clean: CleanState::Clean,
            certificate: None,
            standing: None,
            words: Vec::new(),
        }
    }

    /// The verdict that an operator has put in the place of the agent's.
    pub fn overridden(&self) -> Option<(&Word, Verdict)> {
        let says = |word: &&Word| word.says == WordKind::Override;
        let word = self.words.iter().find(says)?;
        Some((word, word.verdict?))
    }
}

/// A node as admitted (`fleet/<node>`, written by the leader).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetRecord {
    /// Form of the record.
    pub version: Version,
    /// Its name.
    pub name: NodeName,
    /// Its number; never used again.
    pub index: NodeIndex,
    /// Where it stands.
    pub path: TopologyPath,
    /// What it is sold as.
    pub sku: SkuName,
    /// Whose work it is meant for.
    pub owner: Owner,
    /// Its GPUs by slot; empty until the first report was accepted.
    #[serde(default)]
    pub gpus: Vec<FleetGpu>,
    /// Public key its agent signs with; absent until agents sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_key: Option<String>,
    /// Its stored state: never one that follows from leases.
    pub state: NodeState,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: StateReason,
    /// The same in words, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The side it served last; absent before the first lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// The lease whose hardware was given up on it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<LeaseId>,
    /// Flags beside the state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<FlagKind, Flag>,
    /// What was last recorded of the health of the node itself; absent while there was nothing to
    /// record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Writes that set or took away flags or words on several nodes, of which this one was the last;
    /// the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotency: Vec<Idempotency>,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(FleetRecord, "fleet node");
