//! What can be wrong with rules.

use std::fmt;

/// One mistake: where, what stands there, and what may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMistake {
    /// The field: `rule "too-hot": unit`.
    pub field: String,
    /// What stands there; empty where nothing does.
    pub given: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for RuleMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            given,
            allowed,
        } = self;
        if given.is_empty() {
            write!(f, "{field} is missing; allowed: {allowed}")
        } else {
            write!(f, "{field} is {given}; allowed: {allowed}")
        }
    }
}

/// Rules that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Not TOML, or a field that is not known.
    #[error("no rules of health: {said}")]
    Form {
        /// What is wrong, and where.
        said: String,
    },
    /// Every mistake in them.
    #[error("rules of health: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Mistakes(Vec<RuleMistake>),
}

/// Gathers mistakes, so that all of them are told at once.
#[derive(Debug, Default)]
pub struct Mistakes {
    found: Vec<RuleMistake>,
}

impl Mistakes {
    /// Something is there that may not be.
    pub fn wrong(&mut self, field: String, given: impl fmt::Display, allowed: impl Into<String>) {
        self.found.push(RuleMistake {
            field,
            given: given.to_string(),
            allowed: allowed.into(),
        });
    }

    /// Something is not there that must be.
    pub fn missing(&mut self, field: String, allowed: impl Into<String>) {
        self.wrong(field, "", allowed);
    }

    /// What was made, if nothing is wrong with it.
    pub fn finish<T>(self, made: Option<T>) -> Result<T, RulesError> {
        match made {
            Some(made) if self.found.is_empty() => Ok(made),
            Some(_) | None => Err(RulesError::Mistakes(self.found)),
        }
    }
}
