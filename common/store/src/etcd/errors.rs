//! What went wrong with a call to etcd, and above all: whether it may have been applied.
//!
//! gRPC codes alone do not tell. etcd answers `Unavailable` both for "no leader, not even tried" and
//! for "timed out, perhaps applied", and the client says `Unavailable` for a connection that never
//! came about. Everything that is not certain to have changed nothing counts as [`Fault::Lost`].

use crate::model::{StoreError, TXN_MAX_BYTES};

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It never left this process: there was no connection.
    NotSent(String),
    /// The server refused it for the moment; nothing was applied, another try may succeed.
    Busy(String),
    /// It was sent, and nobody answered whether it was applied.
    Lost(String),
    /// The credentials do not allow it.
    Denied(String),
    /// The server's quota is used up.
    NoSpace(String),
    /// Larger than the server takes.
    TooLarge(String),
    /// The revision asked for has been compacted away.
    Compacted(String),
    /// The etcd lease does not exist any more.
    LeaseGone,
    /// The server, or the client, can make no sense of it; trying again will not help.
    Invalid(String),
}

type Cause = dyn std::error::Error + 'static;

// The numbers of gRPC's status codes, which are part of its wire format.
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// Sorts what etcd-client reports.
pub(super) fn classify(error: &etcd_client::Error) -> Fault {
    use etcd_client::Error as E;
    match error {
        E::GRpcStatus(status) => {
            if never_connected(status) {
                return Fault::NotSent(connect_detail(status));
            }
            classify_status(i32::from(status.code()), status.message())
        }
        E::LeaseKeepAliveError(text) if text.contains("lease not found") => Fault::LeaseGone,
        E::WatchError(text) | E::ElectError(text) if names_a_refusal(text) => {
            Fault::Denied(text.clone())
        }
        E::InvalidArgs(_) | E::InvalidUri(_) | E::TransportError(_) | E::Utf8Error(_) => {
            Fault::Invalid(with_causes(error))
        }
        E::InvalidMetadataValue(_) | E::EndpointError(_) | E::EndpointsNotManaged => {
            Fault::Invalid(error.to_string())
        }
        E::IoError(_)
        | E::WatchError(_)
        | E::LeaseKeepAliveError(_)
        | E::ElectError(_)
        | E::Internal(_) => Fault::Lost(error.to_string()),
    }
}

/// Sorts a status by its code, and by its text where the code says too little.
fn classify_status(code: i32, message: &str) -> Fault {
    let text = message.to_owned();
    if names_a_refusal(message) {
        return Fault::Denied(text);
    }
    match code {
        // The user's rights changed while the call was under way; etcd checked and applied nothing.
        INVALID_ARGUMENT if message.contains("auth store is old") => Fault::Busy(text),
        INVALID_ARGUMENT | RESOURCE_EXHAUSTED
            if message.contains("too large") || message.contains("larger than max") =>
        {
            Fault::TooLarge(text)
        }
        RESOURCE_EXHAUSTED if message.contains("space exceeded") => Fault::NoSpace(text),
        RESOURCE_EXHAUSTED => Fault::Busy(text),
        PERMISSION_DENIED | UNAUTHENTICATED => Fault::Denied(text),
        NOT_FOUND if message.contains("lease") => Fault::LeaseGone,
        OUT_OF_RANGE => Fault::Compacted(text),
        INVALID_ARGUMENT | NOT_FOUND | FAILED_PRECONDITION => Fault::Invalid(text),
        UNAVAILABLE if message.contains("no leader") => Fault::Busy(text),
        _ => Fault::Lost(text),
    }
}

/// etcd gives some refusals the code Unknown or `InvalidArgument`.
fn names_a_refusal(message: &str) -> bool {
    [
        "permission denied",
        "user name is empty",
        "authentication failed",
        "authentication is not enabled",
        "invalid auth token",
    ]
    .iter()
    .any(|refusal| message.contains(refusal))
}

/// tonic marks a failed connection with its `ConnectError` as a cause; there is no code for it.
fn never_connected(error: &Cause) -> bool {
    causes(error).any(|cause| format!("{cause:?}").starts_with("ConnectError("))
}

fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    fn next<'e>(cause: &&'e Cause) -> Option<&'e Cause> {
        (*cause).source()
    }
    std::iter::successors(error.source(), next)
}

fn connect_detail(error: &Cause) -> String {
    causes(error).last().map_or_else(
        || error.to_string(),
        |root| format!("cannot connect: {root}"),
    )
}

fn with_causes(error: &etcd_client::Error) -> String {
    match error {
        // Its Display is "transport error" and nothing else; what is wrong is in its causes.
        etcd_client::Error::TransportError(transport) => causes(transport)
            .fold(transport.to_string(), |text, cause| {
                format!("{text}: {cause}")
            }),
        _ => error.to_string(),
    }
}

impl Fault {
    /// Whether it is certain that nothing was applied and another try may succeed.
    pub(super) fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Busy(_))
    }

    /// Whether the next endpoint may do better than this one.
    pub(super) fn is_about_the_endpoint(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Busy(_) | Self::Lost(_))
    }

    /// As the error of a call that changes nothing, or for which it does not matter how often it is
    /// applied.
    pub(super) fn of_a_read(self, key: &str) -> StoreError {
        match self {
            Self::NotSent(detail)
            | Self::Busy(detail)
            | Self::Lost(detail)
            | Self::Invalid(detail)
            | Self::Compacted(detail) => StoreError::Unavailable { detail },
            Self::LeaseGone => StoreError::Unavailable {
                detail: "the key's etcd lease is gone".to_owned(),
            },
            Self::Denied(detail) => StoreError::Denied {
                key: key.to_owned(),
                detail,
            },
            Self::NoSpace(detail) => StoreError::NoSpace { detail },
            Self::TooLarge(_) => StoreError::TooLarge {
                what: "bytes",
                size: TXN_MAX_BYTES + 1,
                allowed: TXN_MAX_BYTES,
            },
        }
    }

    /// As the error of a transaction: where it may have been applied, that is said.
    pub(super) fn of_a_write(self, key: &str) -> StoreError {
        match self {
            Self::Lost(detail) => StoreError::Unknown { detail },
            other => other.of_a_read(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_applied_is_never_called_unavailable() {
        for message in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: leader changed",
            "etcdserver: server stopped",
            "h2 protocol error: error reading a body from connection",
        ] {
            let fault = classify_status(UNAVAILABLE, message);
            let error = fault.of_a_write("/k");
            assert!(matches!(error, StoreError::Unknown { .. }), "{message}");
        }
    }

    #[test]
    fn refusals_are_sorted_by_code_and_by_text() {
        let cases = [
            (7, "etcdserver: permission denied", "denied"),
            (2, "etcdserver: permission denied", "denied"),
            (3, "etcdserver: user name is empty", "denied"),
            (3, "etcdserver: revision of auth store is old", "busy"),
            (3, "etcdserver: request is too large", "large"),
            (8, "grpc: received message larger than max", "large"),
            (8, "etcdserver: mvcc: database space exceeded", "space"),
            (8, "etcdserver: too many requests", "busy"),
            (
                11,
                "etcdserver: mvcc: required revision has been compacted",
                "compacted",
            ),
            (5, "etcdserver: requested lease not found", "gone"),
            (14, "etcdserver: no leader", "busy"),
            (2, "transport error", "lost"),
            (4, "context deadline exceeded", "lost"),
        ];
        for (code, message, wanted) in cases {
            let got = match classify_status(code, message) {
                Fault::NotSent(_) => "not sent",
                Fault::Busy(_) => "busy",
                Fault::Lost(_) => "lost",
                Fault::Denied(_) => "denied",
                Fault::NoSpace(_) => "space",
                Fault::TooLarge(_) => "large",
                Fault::Compacted(_) => "compacted",
                Fault::LeaseGone => "gone",
                Fault::Invalid(_) => "invalid",
            };
            assert_eq!(got, wanted, "{code} {message}");
        }
    }
}
