//! Errors on the control API: RFC 9457 `application/problem+json`.

use super::BookingView;
use crate::explain::RankedReason;
use crate::ids::Seq;
use crate::lease::LeaseState;
use crate::policy::Finding;
use crate::token::tokens;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

tokens! {
    /// What went wrong, stable for scripts.
    ProblemCode {
        /// A field's value is not allowed.
        InvalidField = "invalid-field",
        /// The body is not JSON of the request's form, or has a field that is not known.
        InvalidBody = "invalid-body",
        /// The body is larger than 1 MiB.
        BodyTooLarge = "body-too-large",
        /// No such path.
        NoSuchRoute = "no-such-route",
        /// The account is not known.
        UnknownAccount = "unknown-account",
        /// The SKU is not known.
        UnknownSku = "unknown-sku",
        /// No lease has that number.
        UnknownLease = "unknown-lease",
        /// The lease was over so long ago that it has left the ledger.
        LeaseLeftLedger = "lease-left-ledger",
        /// No node has that name.
        UnknownNode = "unknown-node",
        /// No policy has that number.
        UnknownPolicy = "unknown-policy",
        /// No maintenance has that number.
        UnknownMaintenance = "unknown-maintenance",
        /// The account exists already.
        AccountExists = "account-exists",
        /// The account's quota does not allow it.
        QuotaExceeded = "quota-exceeded",
        /// No unit of the cell could ever hold it.
        NeverFits = "never-fits",
        /// The policy contradicts itself, the catalogue or the fleet; the findings say how.
        InvalidPolicy = "invalid-policy",
        /// Hardware that is asked for is booked; the conflicts say for whom.
        Booked = "booked",
        /// The idempotency key was used with another body.
        IdempotencyMismatch = "idempotency-mismatch",
        /// The lease's state does not allow it.
        IllegalState = "illegal-state",
        /// The lease's generation is another than `If-Match` says.
        StaleGeneration = "stale-generation",
        /// The number of GPUs must be typed to confirm.
        ConfirmationNeeded = "confirmation-needed",
        /// The caller has no role, or one that may not do this.
        Forbidden = "forbidden",
        /// This scheduler does not lead; the detail names the one that does.
        NotLeader = "not-leader",
        /// Decisions are frozen; the detail says why.
        Frozen = "frozen",
        /// Nothing is wrong that could be recovered.
        NotFrozen = "not-frozen",
        /// More requests wait than may.
        TooManyPending = "too-many-pending",
        /// The store does not answer.
        StoreUnavailable = "store-unavailable",
        /// It took too long.
        Timeout = "timeout",
        /// A defect in the daemon.
        Internal = "internal",
    }
}

/// An error, as RFC 9457 says, with what scripts need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Problem {
    /// `urn:leasehold:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong here, with the numbers.
    pub detail: String,
    /// Stable for scripts.
    pub code: ProblemCode,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// The field that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Its value, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// The state of the lease it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_state: Option<LeaseState>,
    /// Why, where it was a decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<RankedReason>,
    /// Everything that is wrong, where there may be more than one thing.
    #[serde(default, skip_serializing_if = "<[Finding]>::is_empty")]
    #[schema(value_type = Vec<Finding>)]
    pub findings: Box<[Finding]>,
    /// What is booked and stands in the way.
    #[serde(default, skip_serializing_if = "<[BookingView]>::is_empty")]
    #[schema(value_type = Vec<BookingView>)]
    pub conflicts: Box<[BookingView]>,
    /// The record in the placement log, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_seq: Option<Seq>,
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let (status, title) = code.status_and_title();
        Self {
            kind: format!("urn:leasehold:problem:{code}"),
            title: title.into(),
            status,
            detail: detail.into(),
            retryable: matches!(status, 409 | 429 | 503 | 504),
            code,
            field: None,
            value: None,
            allowed: None,
            lease_state: None,
            reasons: Vec::new(),
            findings: Box::default(),
            conflicts: Box::default(),
            log_seq: None,
        }
    }

    /// A field whose value is not allowed.
    pub fn field(field: &str, value: impl ToString, allowed: impl Into<String>) -> Self {
        let (value, allowed) = (value.to_string(), allowed.into());
        Self {
            field: Some(field.into()),
            ..Self::new(
                ProblemCode::InvalidField,
                format!("{field} is {value:?}, allowed is {allowed}"),
            )
        }
        .with_value(value, allowed)
    }

    /// With the field, its value and what is allowed.
    #[must_use]
    pub fn about(self, field: &str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..self.with_value(value.to_string(), allowed.into())
        }
    }

    fn with_value(self, value: String, allowed: String) -> Self {
        Self {
            value: Some(value),
            allowed: Some(allowed),
            ..self
        }
    }

    /// With the state of the lease.
    #[must_use]
    pub fn in_state(self, state: LeaseState) -> Self {
        Self {
            lease_state: Some(state),
            ..self
        }
    }
}

impl ProblemCode {
    fn status_and_title(&self) -> (u16, &'static str) {
        match self {
            Self::InvalidField => (422, "a field's value is not allowed"),
            Self::InvalidBody => (400, "the body is not a request of this kind"),
            Self::BodyTooLarge => (413, "the body is too large"),
            Self::NoSuchRoute => (404, "no such path"),
            Self::UnknownAccount => (404, "no such account"),
            Self::UnknownSku => (422, "no such SKU"),
            Self::UnknownLease => (404, "no such lease"),
            Self::LeaseLeftLedger => (410, "the lease has left the ledger"),
            Self::UnknownNode => (404, "no such node"),
            Self::UnknownPolicy => (404, "no such policy"),
            Self::UnknownMaintenance => (404, "no such maintenance"),
            Self::InvalidPolicy => (422, "the policy cannot be kept"),
            Self::Booked => (409, "the hardware is booked"),
            Self::AccountExists => (409, "the account exists"),
            Self::QuotaExceeded => (403, "the quota does not allow it"),
            Self::NeverFits => (422, "it can never be placed"),
            Self::IdempotencyMismatch => (422, "the idempotency key was used with another body"),
            Self::IllegalState => (409, "the lease's state does not allow it"),
            Self::StaleGeneration => (412, "the lease has changed since"),
            Self::ConfirmationNeeded => (428, "the number of GPUs must be confirmed"),
            Self::Forbidden => (403, "the caller may not do this"),
            Self::NotLeader => (503, "this scheduler does not lead"),
            Self::Frozen => (503, "decisions are frozen"),
            Self::NotFrozen => (409, "there is nothing to recover"),
            Self::TooManyPending => (429, "too many requests wait"),
            Self::StoreUnavailable => (503, "the store does not answer"),
            Self::Timeout => (504, "it took too long"),
            Self::Internal | Self::Other(_) => (500, "a defect in the daemon"),
        }
    }
}
