//! Everything that is wrong with the settings, each with where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a key was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File(PathBuf),
    /// By a variable of the environment.
    Variable(String),
    /// By a flag on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands; absent where a key that must be set is set nowhere.
    pub origin: Option<Origin>,
    /// The key, dotted; absent where a file cannot be read at all.
    pub key: Option<String>,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// Settings that cannot be used: every mistake, in the order of the layers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct SettingsError(pub Vec<Finding>);

fn listed(findings: &[Finding]) -> String {
    let mistakes = if findings.len() == 1 {
        "mistake"
    } else {
        "mistakes"
    };
    findings.iter().fold(
        format!("{} {mistakes} in the settings", findings.len()),
        |text, finding| format!("{text}\n  {finding}"),
    )
}

/// Collects mistakes while settings are made, and knows where each key was set.
#[derive(Debug, Default)]
pub struct Findings {
    origins: BTreeMap<String, Origin>,
    found: Vec<Finding>,
}

impl Findings {
    pub(super) fn set_by(&mut self, key: &str, origin: &Origin) {
        self.origins.insert(key.to_owned(), origin.clone());
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Where a key was set; absent where it was left to its default.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.get(key)
    }

    /// Whether nothing has been found wrong yet.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Says what is wrong with the value of a key.
    pub fn wrong(&mut self, key: &str, problem: impl fmt::Display) {
        self.found.push(Finding {
            origin: self.origins.get(key).cloned(),
            key: Some(key.to_owned()),
            problem: problem.to_string(),
        });
    }

    /// The value of a key that has no default. Where it is absent because the value given was
    /// refused already, that is not said twice.
    pub fn required<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        let refused = |finding: &Finding| finding.key.as_deref() == Some(key);
        if value.is_none() && !self.found.iter().any(refused) {
            self.wrong(key, "must be set and is not");
        }
        value
    }

    /// A quantity within bounds; said to be wrong, and absent, outside of them.
    pub fn bounded<T: PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        value: T,
        least: T,
        most: T,
    ) -> Option<T> {
        if value >= least && value <= most {
            return Some(value);
        }
        self.wrong(key, format!("is {value}, allowed is {least} to {most}"));
        None
    }

    /// The settings, if nothing was wrong.
    ///
    /// # Errors
    /// Everything that was found.
    ///
    /// # Panics
    /// Where settings are absent and nobody said why: a defect of the caller.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, SettingsError> {
        if self.found.is_empty() {
            return Ok(settings.expect("settings are absent only where something was found wrong"));
        }
        Err(SettingsError(self.found))
    }
}
