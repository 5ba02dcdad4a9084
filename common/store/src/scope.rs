//! Which keys a prefix means.

/// The keys of a prefix. An agent may read its own keys and nothing beside them, and etcd refuses
/// the range `grants/node-1…` to somebody who may only read `grants/node-1`: so a prefix that names
/// no folder is one key. It also keeps `node-1` from meaning `node-10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Exactly this key.
    Key(String),
    /// Every key that begins with this, which ends in `/` or is empty.
    Below(String),
}

impl Scope {
    /// What a prefix means.
    pub(crate) fn of(prefix: &str) -> Self {
        if prefix.is_empty() || prefix.ends_with('/') {
            Self::Below(prefix.to_owned())
        } else {
            Self::Key(prefix.to_owned())
        }
    }

    /// Whether a key is in it.
    pub(crate) fn holds(&self, key: &str) -> bool {
        match self {
            Self::Key(only) => key == only,
            Self::Below(prefix) => key.starts_with(prefix.as_str()),
        }
    }

    /// The prefix it was made of, for messages.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Key(text) | Self::Below(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_everything_below_it_and_a_key_is_itself() {
        let folder = Scope::of("/c/grants/");
        assert!(folder.holds("/c/grants/node-1") && !folder.holds("/c/grantsx"));
        let key = Scope::of("/c/grants/node-1");
        assert!(key.holds("/c/grants/node-1") && !key.holds("/c/grants/node-10"));
        assert!(Scope::of("").holds("anything"));
    }
}
