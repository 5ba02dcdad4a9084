//! What a node is told, and what it answers.
//!
//! A grant travels as the *text* that was signed: an agent checks the bytes it received and parses
//! them afterwards, and nobody re-serialises a payload. Absence of a grant orders nothing. Only a
//! newer term ends a lease early, by an earlier `access_end` or by [`Order::End`].

use crate::class::{Class, Side};
use crate::ids::{AccountName, CellName, Epoch, GpuUuid, LeaseId, NodeIndex, NodeName, Seq, Term};
use crate::lease::Digest;
use crate::mig::MigProfile;
use crate::node::Word;
use crate::record::{Unknown, Version, record};
use crate::time::{Span, Timestamp};
use crate::token::{tokens, words};
use crate::units::{MilliJoules, MilliWatts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most the value of `grants/<node>` may take: 64 grants of a kilobyte.
pub const GRANTS_MAX_BYTES: usize = 64 * 1024;

words! {
    /// What a grant orders.
    Order("order") {
        /// Serve the lease from `starts_at` to `access_end`.
        Serve = "serve",
        /// End it now, whatever an earlier term said. Kept until the return of the hardware is
        /// recorded.
        End = "end",
    }
}

words! {
    /// What an agent does at `access_end` while it is cut off.
    DisconnectPolicy("disconnect policy") {
        /// End access by its own clock.
        EnforceAtEnd = "enforce-at-end",
    }
}

/// One MIG instance of one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedSlice {
    /// The GPU.
    pub gpu: GpuUuid,
    /// What it is.
    pub profile: MigProfile,
    /// The memory slice it begins at.
    pub start: u8,
}

/// The word in a grant's `requires` where it has slices: an agent must know that its GPUs may be in
/// several leases.
pub const REQUIRES_MIG: &str = "mig";

/// What one node must enforce for one lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Form of the payload.
    pub version: Version,
    /// The cell it belongs to.
    pub cell: CellName,
    /// The lease.
    pub lease: LeaseId,
    /// Which version of its terms.
    pub term: Term,
    /// The placement-log record that brought these terms.
    pub term_seq: Seq,
    /// The node it is for.
    pub node: NodeName,
    /// That node's position among the lease's nodes, counted from 0.
    pub rank: u32,
    /// Serve it or end it.
    pub order: Order,
    /// The GPUs, in slot order.
    pub gpus: Vec<GpuUuid>,
    /// The slices of those GPUs that it has, in order of slot and start; absent where it has the GPUs
    /// whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<GrantedSlice>,
    /// Who holds the lease.
    pub account: AccountName,
    /// That account's side.
    pub side: Side,
    /// What was promised.
    pub class: Class,
    /// When access begins.
    pub starts_at: Timestamp,
    /// When access ends by the agent's own clock; absent for an open end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_end: Option<Timestamp>,
    /// Before which the holder's data is not wiped without a further order; absent with an open
    /// end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe_not_before: Option<Timestamp>,
    /// How long before `access_end` the holder is told.
    pub notice: Span,
    /// What to do at the end while cut off.
    pub disconnect_policy: DisconnectPolicy,
    /// The most one GPU may draw, in milliwatts; absent for the default limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_cap_mw: Option<MilliWatts>,
    /// What isolates the lease on the network; absent where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_ref: Option<String>,
    /// What an agent must be able to do to accept this; it refuses a word it does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The scheduler that issued it.
    pub issuer: String,
}

/// A grant as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedGrant {
    /// The key that signed it; absent until grants are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// A [`Grant`] as JSON text: the bytes that are signed.
    pub payload: String,
    /// Ed25519 over the bytes of `payload`, base64; absent until grants are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig: Option<String>,
}

impl SealedGrant {
    /// Wraps a grant, unsigned.
    pub fn unsigned(grant: &Grant) -> Self {
        let payload = serde_json::to_string(grant).expect("a grant has no failing fields");
        Self {
            key_id: None,
            payload,
            sig: None,
        }
    }

    /// The grant inside.
    ///
    /// # Errors
    /// A payload that is not a grant of a form this version reads.
    pub fn open(&self) -> Result<Grant, GrantError> {
        let version: VersionOnly =
            serde_json::from_str(&self.payload).map_err(|e| GrantError::Form(e.to_string()))?;
        let needs = version.version.min_reader;
        if needs > crate::record::READER {
            return Err(GrantError::TooNew { needs });
        }
        serde_json::from_str(&self.payload).map_err(|e| GrantError::Form(e.to_string()))
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: Version,
}

/// A sealed grant that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The payload is not a grant.
    #[error("grant does not parse: {0}")]
    Form(String),
    /// Written by a newer version that says older ones must not act on it.
    #[error("grant needs a reader of form {needs}")]
    TooNew {
        /// The form it asks for.
        needs: u32,
    },
}

/// All grants of one node (`grants/<node>`, derived by the leader from lease and node records).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantsRecord {
    /// Form of the record.
    pub version: Version,
    /// The node.
    pub node: NodeName,
    /// Its number.
    pub index: NodeIndex,
    /// By lease.
    pub grants: BTreeMap<LeaseId, SealedGrant>,
    /// What operators say of its GPUs. A word that is gone is no order: each ends by itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<GpuUuid, Vec<Word>>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(GrantsRecord, "grants");

words! {
    /// How far a node is with a grant.
    AckState("ack state") {
        /// On the node's disk; does not serve yet because `starts_at` is to come.
        Accepted = "accepted",
        /// Serving.
        Serving = "serving",
        /// Access has ended and the hardware is given back: until certificates exist, this is the
        /// certificate.
        Returned = "returned",
        /// Refused; the reason says why.
        Refused = "refused",
    }
}

tokens! {
    /// Why an agent refuses a grant.
    RefusalReason {
        /// Older than what it has for that lease.
        OldTerm = "OldTerm",
        /// For another node.
        ForeignNode = "ForeignNode",
        /// Of another cell.
        ForeignCell = "ForeignCell",
        /// Names a GPU that is not here.
        UnknownGpu = "UnknownGpu",
        /// Asks for something this agent does not know.
        UnknownRequirement = "UnknownRequirement",
        /// Names a GPU that another grant has at that time.
        Overlap = "Overlap",
        /// Names a GPU that a process nobody explains is on.
        Occupied = "Occupied",
        /// Is not a grant this version can read.
        Unreadable = "Unreadable",
    }
}

/// What a lease has used on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meter {
    /// GPU-seconds of access, whole seconds.
    pub gpu_seconds: u64,
    /// Energy of its GPUs while it had access, in millijoules.
    pub energy_mj: MilliJoules,
}

/// What a node says of one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseAck {
    /// The term it speaks of.
    pub term: Term,
    /// The placement-log record that brought that term.
    pub term_seq: Seq,
    /// How far it is.
    pub state: AckState,
    /// Since when.
    pub since: Timestamp,
    /// Why it refuses; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusalReason>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What it has used so far; never less than was said before.
    #[serde(default)]
    pub meter: Meter,
    /// Digest of the certificate that the hardware is clean; absent until certificates exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Digest>,
}

/// What a node enforces (`acks/<node>`, written by that agent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckRecord {
    /// Form of the record.
    pub version: Version,
    /// The node that answers; the same as in the key.
    pub node: NodeName,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The highest epoch it has seen.
    pub epoch: Epoch,
    /// By lease. A returned lease stays until its grant is gone.
    pub leases: BTreeMap<LeaseId, LeaseAck>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(AckRecord, "acknowledgements");
