//! How a retried write is known.

use crate::ids::IdempotencyKey;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A BLAKE3 hash, written `b3:` and 64 hexadecimal digits.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct Digest([u8; 32]);

/// Text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("digest {given:?} is not b3: and 64 hexadecimal digits")]
pub struct InvalidDigest {
    /// The text as given, cut to 80 characters.
    pub given: String,
}

impl Digest {
    /// The digest that stands before the first record of a log.
    pub const ZERO: Self = Self([0; 32]);

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Of `before` followed by these bytes: one link of a chain.
    pub fn chained(before: Self, bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&before.0);
        hasher.update(bytes);
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;
    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.strip_prefix("b3:")
            .and_then(|hex| blake3::Hash::from_hex(hex).ok())
            .map(|hash| Self(*hash.as_bytes()))
            .ok_or_else(|| InvalidDigest {
                given: text.chars().take(80).collect(),
            })
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A write that changed a record, kept in that record until 24 hours after it closed, so that a
/// retry is answered and not carried out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Who wrote.
    pub uid: u32,
    /// What the client called the write.
    pub key: IdempotencyKey,
    /// Digest of the request, so that the same key with another body is refused.
    pub body: Digest,
    /// When it was carried out.
    pub at: Timestamp,
    /// The HTTP status it was answered with; the answer's body is the record's view.
    pub status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_a_damaged_one_does_not() {
        let digest = Digest::of(b"x");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>(&text.replace("b3", "b4")).is_err());
    }
}
