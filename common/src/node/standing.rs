//! What the ledger has of the health of a GPU, and what operators say of it.

use super::{Action, HealthReason, Verdict};
use crate::time::Timestamp;
use crate::token::tokens;
use serde::{Deserialize, Serialize};

/// How a GPU, or a node as a whole, stands in the ledger: what was last recorded of its health, under
/// the log record that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The verdict.
    pub verdict: Verdict,
    /// Why; empty where it is healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<HealthReason>,
    /// What is to be done.
    #[serde(default = "Action::none", skip_serializing_if = "Action::is_none")]
    pub action: Action,
    /// What was seen, in words and numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// Since when, by the agent's clock.
    pub since: Timestamp,
    /// The boot whose report said so.
    pub boot_id: String,
    /// When that report was read, by the agent's clock.
    pub read: Timestamp,
    /// When it was recorded, in ledger time.
    pub recorded: Timestamp,
    /// How many records there were in a row, none long after the one before.
    pub changes: u32,
}

impl Standing {
    /// Whether a new lease may be given what stands so.
    pub const fn can_be_let(&self) -> bool {
        self.verdict.can_be_let() && self.action.is_harmless()
    }

    /// Whether nothing is the matter with it.
    pub const fn is_well(&self) -> bool {
        matches!(self.verdict, Verdict::Healthy) && self.action.is_harmless()
    }
}

tokens! {
    /// What an operator says of a GPU.
    WordKind {
        /// What was found has been dealt with.
        Acknowledge = "acknowledge",
        /// The verdict is another one.
        Override = "override",
        /// What was overridden no longer is.
        Withdraw = "withdraw",
    }
}

/// An operator's word on a GPU, kept and passed on to its agent until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Word {
    /// What is said.
    pub says: WordKind,
    /// The verdict; of an override only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What was dealt with; of an acknowledgement only, and absent where all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<HealthReason>,
    /// Who says so (uid of the caller).
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// When it was said, in ledger time.
    pub at: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
}

impl Word {
    /// Whether both speak of the same thing, so that the later one takes the place of the other.
    pub fn is_instead_of(&self, other: &Self) -> bool {
        let acknowledges = |word: &Self| word.says == WordKind::Acknowledge;
        match (acknowledges(self), acknowledges(other)) {
            (true, true) => self.reason == other.reason,
            (false, false) => true,
            (true, false) | (false, true) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(says: WordKind, reason: Option<HealthReason>) -> Word {
        Word {
            says,
            verdict: None,
            reason,
            by: "7".into(),
            why: "seen to".into(),
            at: Timestamp::EPOCH,
            until: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_later_word_takes_the_place_of_one_on_the_same_thing() {
        let all = word(WordKind::Acknowledge, None);
        let one = word(WordKind::Acknowledge, Some(HealthReason::TooHot));
        let (says, unsays) = (
            word(WordKind::Override, None),
            word(WordKind::Withdraw, None),
        );
        assert!(unsays.is_instead_of(&says) && says.is_instead_of(&unsays));
        assert!(all.is_instead_of(&all) && !all.is_instead_of(&one));
        assert!(!one.is_instead_of(&says) && !says.is_instead_of(&one));
    }

    #[test]
    fn a_word_that_only_a_later_version_knows_is_kept() {
        let text = r#"{"says":"bless","by":"7","why":"w","at":"1970-01-01T00:00:00.000Z","until":"1970-01-01T00:00:00.000Z"}"#;
        let read: Word = serde_json::from_str(text).unwrap();
        assert_eq!(read.says, WordKind::Other("bless".into()));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
