//! Names and numbers of things. A value of one of these types has been checked: where text comes
//! in, [`std::str::FromStr`] and serde go through the same rule.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Text that is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {given:?} is not valid: {rule}")]
pub struct InvalidName {
    /// What was being named: `"account"`, `"node"` …
    pub kind: &'static str,
    /// The text as given, cut to 80 characters.
    pub given: String,
    /// What is allowed, for people.
    pub rule: &'static str,
}

/// What text a name may consist of.
struct Rule {
    kind: &'static str,
    text: &'static str,
    longest: usize,
    allowed: fn(char) -> bool,
}

impl Rule {
    fn check(&self, s: &str) -> Result<(), InvalidName> {
        let first_ok = s.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if first_ok && s.len() <= self.longest && s.chars().all(self.allowed) {
            return Ok(());
        }
        Err(InvalidName {
            kind: self.kind,
            given: s.chars().take(80).collect(),
            rule: self.text,
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:ident = $rule_value:expr) => {
        const $rule: Rule = $rule_value;

        $(#[$doc])*
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> {
                $rule.check(s)?;
                Ok(Self(s.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(s: String) -> Result<Self, InvalidName> {
                $rule.check(&s)?;
                Ok(Self(s.into()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

name!(
    /// A cell: what one scheduler and one etcd cluster look after.
    CellName, CELL = Rule {
        kind: "cell",
        text: "1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit",
        longest: 63,
        allowed: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    }
);
name!(
    /// Who holds leases.
    AccountName, ACCOUNT = Rule {
        kind: "account",
        text: "1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit",
        longest: 63,
        allowed: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    }
);
name!(
    /// A node's host name. The short name or the full one, but the same everywhere.
    NodeName, NODE = Rule {
        kind: "node",
        text: "1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
        longest: 128,
        allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
    }
);
name!(
    /// A kind of node as it is sold: `h200`, `gb200`. Described in [`crate::sku`].
    SkuName, SKU = Rule {
        kind: "sku",
        text: "1 to 31 of a-z, 0-9, '-' and '.', beginning with a letter or digit",
        longest: 31,
        allowed: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'),
    }
);
name!(
    /// A GPU's UUID as NVML writes it: `GPU-` and a hyphenated UUID (`nvmlDeviceGetUUID`).
    GpuUuid, GPU_UUID = Rule {
        kind: "gpu uuid",
        text: "1 to 80 of A-Z, a-z, 0-9, '/' and '-', beginning with a letter or digit",
        longest: 80,
        allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/'),
    }
);
name!(
    /// What a client calls one write, so that a retry of it is known (`Idempotency-Key`).
    IdempotencyKey, IDEMPOTENCY_KEY = Rule {
        kind: "idempotency key",
        text: "1 to 128 of A-Z, a-z, 0-9, '.', '_', ':' and '-', beginning with a letter or digit",
        longest: 128,
        allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-'),
    }
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $raw:ty, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub $raw);

        impl $name {
            /// The one after this.
            ///
            /// # Panics
            /// At the type's maximum, which no cell can reach: one a nanosecond would take centuries
            /// for the 64-bit kinds, and node indices are bounded at admission.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect(concat!($kind, " numbers are used up")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> {
                s.parse().map(Self).map_err(|_| InvalidName {
                    kind: $kind,
                    given: s.chars().take(80).collect(),
                    rule: "a whole number, 0 or more",
                })
            }
        }
    };
}

number!(
    /// A lease's number, counted from 1 in its cell and never used again.
    LeaseId, u64, "lease"
);
number!(
    /// A maintenance's number, counted from 1 in its cell and never used again.
    MaintenanceId, u64, "maintenance"
);
number!(
    /// A node's number in its cell: given at admission, never used again. Sets of nodes in records
    /// are sets of these.
    NodeIndex, u32, "node index"
);
number!(
    /// The sequence number of a placement-log record; also the number of the last one in a commit.
    Seq, u64, "sequence"
);
number!(
    /// Raised by `ledger recover` when the store was restored from the past, so that everything
    /// granted afterwards is newer than everything granted before.
    Epoch, u64, "epoch"
);
number!(
    /// How often the terms of one lease have changed. Compared together with the [`Epoch`].
    Generation, u64, "generation"
);

impl NodeIndex {
    /// As a position in an array kept in index order.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// Which version of a lease's terms: compared by epoch first, then by generation. Never an etcd
/// revision, because those go backwards when a snapshot is restored.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
pub struct Term {
    /// The ledger's epoch when the terms were last changed.
    pub epoch: Epoch,
    /// Counted from 1 within the lease.
    pub generation: Generation,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_says_what_is_allowed() {
        let refused = "Acme Corp".parse::<AccountName>().unwrap_err().to_string();
        assert_eq!(
            refused,
            "account \"Acme Corp\" is not valid: 1 to 63 of a-z, 0-9 and '-', beginning with a \
             letter or digit"
        );
        assert!("".parse::<NodeName>().is_err());
        assert!("../etc".parse::<NodeName>().is_err());
        assert!("n/1".parse::<NodeName>().is_err());
    }

    #[test]
    fn serde_goes_through_the_same_rule() {
        assert!(serde_json::from_str::<NodeName>("\"h001\"").is_ok());
        assert!(serde_json::from_str::<NodeName>("\"h 001\"").is_err());
    }

    #[test]
    fn a_higher_epoch_beats_any_generation() {
        let before = Term {
            epoch: Epoch(1),
            generation: Generation(900),
        };
        let after = Term {
            epoch: Epoch(2),
            generation: Generation(1),
        };
        assert!(after > before);
    }
}
