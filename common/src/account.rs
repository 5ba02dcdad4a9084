//! Who holds leases.

use crate::class::Side;
use crate::ids::AccountName;
use crate::lease::Idempotency;
use crate::record::{Unknown, Version, record};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// An account (`accounts/<name>`, written by the leader from the API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Form of the record.
    pub version: Version,
    /// Its name, never changed.
    pub name: AccountName,
    /// Which side of the house; never changed.
    pub side: Side,
    /// The most GPUs its live leases may hold together; absent where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_gpus: Option<u32>,
    /// When it was created.
    pub created: Timestamp,
    /// The write that created it, so that a retry is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(Account, "account");
