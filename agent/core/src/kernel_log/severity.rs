//! Whether the hardware can go on after an error.

use std::fmt;

/// What the driver says of an error of a link or a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What was under way goes on, or is sent again.
    NonFatal,
    /// The unit has stopped.
    Fatal,
}

impl Severity {
    /// A GPU's lines have `Nonfatal`, a switch's `Non-fatal`.
    pub(super) fn read(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("Fatal") {
            Some(Self::Fatal)
        } else if word.eq_ignore_ascii_case("Nonfatal") || word.eq_ignore_ascii_case("Non-fatal") {
            Some(Self::NonFatal)
        } else {
            None
        }
    }
}

/// As a switch's lines have it.
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonFatal => "Non-fatal",
            Self::Fatal => "Fatal",
        })
    }
}
