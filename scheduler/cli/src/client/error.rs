//! Why there is no answer, or none that helps.

use crate::exit::Exit;
use hyper::StatusCode;
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::time::Span;
use std::path::PathBuf;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no scheduler answers on {}", socket.display())]
    Unreachable {
        /// The path.
        socket: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke before the answer, twice where it was a request of the usual kind.
    #[error("the connection to {} was lost before the answer", socket.display())]
    Lost {
        /// The path.
        socket: PathBuf,
        /// How it broke.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("{} has not answered within {after}", socket.display())]
    Late {
        /// The path.
        socket: PathBuf,
        /// How long was waited.
        after: Span,
    },
    /// The scheduler says no, and why.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// An error that is no problem document: something else listens there.
    #[error("status {status} without a problem document: {body:?}")]
    NoProblem {
        /// The HTTP status.
        status: StatusCode,
        /// The body, cut to 200 characters.
        body: String,
    },
    /// An answer that is not UTF-8.
    #[error("the answer is not UTF-8")]
    NotUtf8,
    /// An answer of another form than this version knows.
    #[error("the answer does not have the form expected; is the scheduler of another version?")]
    Form {
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A request that cannot be written.
    #[error("the request cannot be written as JSON")]
    Request {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A line of an event stream beyond all bounds.
    #[error("the event stream has a line longer than {max} bytes")]
    LineTooLong {
        /// The limit.
        max: usize,
    },
}

/// What a response other than 2xx says.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ClientError::Refused(Box::new(problem)),
        Err(_) => {
            let body = String::from_utf8_lossy(body).chars().take(200).collect();
            ClientError::NoProblem { status, body }
        }
    }
}

impl ClientError {
    /// Whether there was nobody to say yes or no: worth asking again for one who waits.
    pub const fn is_absence(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Late { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 503 | 504),
            Self::NoProblem { .. }
            | Self::NotUtf8
            | Self::Form { .. }
            | Self::Request { .. }
            | Self::LineTooLong { .. } => false,
        }
    }

    /// Whether a write that got this may have been carried out all the same.
    pub const fn is_doubtful(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Late { .. } => true,
            Self::Refused(problem) => problem.status == 504,
            Self::Unreachable { .. }
            | Self::NoProblem { .. }
            | Self::NotUtf8
            | Self::Form { .. }
            | Self::Request { .. }
            | Self::LineTooLong { .. } => false,
        }
    }

    /// The exit code that says it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Late { .. } => Exit::Unreachable,
            Self::Refused(problem) => problem_exit(&problem.code),
            Self::NoProblem { .. }
            | Self::NotUtf8
            | Self::Form { .. }
            | Self::Request { .. }
            | Self::LineTooLong { .. } => Exit::Failed,
        }
    }
}

/// The exit code of each problem: whose move it is now, the caller's, an operator's, or nobody's.
fn problem_exit(code: &ProblemCode) -> Exit {
    use ProblemCode as P;
    match code {
        P::InvalidField
        | P::InvalidBody
        | P::BodyTooLarge
        | P::UnknownSku
        | P::InvalidPolicy
        | P::IdempotencyMismatch => Exit::Usage,
        P::IllegalState => Exit::NotActive,
        P::UnknownAccount
        | P::UnknownLease
        | P::LeaseLeftLedger
        | P::UnknownNode
        | P::UnknownPolicy
        | P::UnknownMaintenance => Exit::NoSuchObject,
        P::Forbidden => Exit::Permission,
        P::QuotaExceeded
        | P::NeverFits
        | P::Booked
        | P::StaleGeneration
        | P::ConfirmationNeeded
        | P::TooManyPending => Exit::Refused,
        P::NotLeader | P::Frozen | P::StoreUnavailable | P::Timeout => Exit::Unreachable,
        // A code of a newer scheduler, or one that has no exit code of its own.
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_its_exit_code() {
        let codes: Vec<String> = ProblemCode::ALL
            .iter()
            .map(|code| format!("{} {code}", problem_exit(code).code()))
            .collect();
        insta::assert_snapshot!(codes.join("\n"), @"
        2 invalid-field
        2 invalid-body
        2 body-too-large
        1 no-such-route
        4 unknown-account
        2 unknown-sku
        4 unknown-lease
        4 lease-left-ledger
        4 unknown-node
        4 unknown-policy
        4 unknown-maintenance
        1 account-exists
        6 quota-exceeded
        6 never-fits
        2 invalid-policy
        6 booked
        2 idempotency-mismatch
        3 illegal-state
        6 stale-generation
        6 confirmation-needed
        5 forbidden
        8 not-leader
        8 frozen
        1 not-frozen
        6 too-many-pending
        8 store-unavailable
        8 timeout
        1 internal
        ");
    }

    #[test]
    fn an_error_that_is_no_problem_is_shown_as_it_came() {
        let error = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(
            error.to_string(),
            "status 502 Bad Gateway without a problem document: \"<html>\""
        );
        assert_eq!(error.exit(), Exit::Failed);
    }
}
