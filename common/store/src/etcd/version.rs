//! Which etcd versions have faults that matter here.

use std::fmt;

/// An etcd version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

impl Version {
    /// From `3.4.23`, with or without something after a `-` or `+`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut parts = core.split('.').map(str::parse);
        let mut next = || parts.next()?.ok();
        Some(Self(next()?, next()?, next()?))
    }

    /// Whether a leader that was away may delete keys that are alive (etcd#15247), quiet watches
    /// get no progress, and events can be lost after a compaction.
    fn deletes_live_keys(self) -> bool {
        self < Self(3, 4, 31) || (Self(3, 5, 0)..Self(3, 5, 13)).contains(&self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What an endpoint said about its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// This text.
    Says(String),
    /// Nothing: some versions answer root only.
    NotAllowed,
    /// Nothing: it did not answer at all.
    Silent(String),
}

/// What an operator should know about one endpoint.
pub(super) fn warning(endpoint: &str, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Says(text) => match Version::parse(text) {
            Some(version) if version.deletes_live_keys() => Some(format!(
                "etcd {version} at {endpoint} can delete the keys of live sessions after its \
                 leader was away (etcd#15247); upgrade to 3.4.31, 3.5.13 or later"
            )),
            Some(_) => None,
            None => Some(format!("etcd at {endpoint} says {text:?} for its version")),
        },
        Answer::NotAllowed => Some(format!(
            "version of etcd at {endpoint} unknown: this user may not ask for it"
        )),
        Answer::Silent(detail) => Some(format!("etcd does not answer: {detail}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_warned_about_and_no_others() {
        let warns = |text: &str| warning("e", &Answer::Says(text.into())).is_some();
        for old in [
            "3.3.27",
            "3.4.23",
            "3.4.30",
            "3.5.0",
            "3.5.12",
            "3.5.0-rc.1",
        ] {
            assert!(warns(old), "{old}");
        }
        for good in ["3.4.31", "3.4.44", "3.5.13", "3.6.0", "4.0.0"] {
            assert!(!warns(good), "{good}");
        }
        assert!(warns("unreleased"));
    }

    #[test]
    fn a_version_that_may_not_be_asked_for_is_unknown() {
        let text = warning("https://a:1", &Answer::NotAllowed).unwrap();
        assert!(text.contains("https://a:1 unknown"), "{text}");
    }
}
