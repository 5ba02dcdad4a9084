//! The name of a profile.

use crate::ids::InvalidName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a kind of instance is asked for: `1g.18gb`, `1g.10gb+me`. That the text has this form says
/// nothing of which GPUs have such instances; a [`crate::mig::MigFamily`] does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "1g.18gb")]
pub struct MigProfile(Box<str>);

impl MigProfile {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its compute slices, of which a GPU has seven: the number its name begins with.
    pub fn sevenths(&self) -> u8 {
        self.0.bytes().next().map_or(0, |digit| digit - b'0')
    }
}

/// Compute slices, gigabytes, and what else the instance has or lacks: `1g.10gb`, `1g.10gb+me`.
fn has_form(text: &str) -> bool {
    let number = |text: &str, longest: usize| {
        (1..=longest).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0')
    };
    let parts = text
        .split_once("g.")
        .and_then(|(compute, rest)| Some((compute, rest.split_once("gb")?)));
    let Some((compute, (memory, rest))) = parts else {
        return false;
    };
    let rest_ok = rest.is_empty()
        || (2..=9).contains(&rest.len())
            && rest.starts_with(['+', '-'])
            && rest[1..]
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'.');
    number(compute, 1) && number(memory, 4) && rest_ok
}

impl FromStr for MigProfile {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if has_form(text) {
            return Ok(Self(text.into()));
        }
        Err(InvalidName {
            kind: "mig profile",
            given: text.chars().take(80).collect(),
            rule: "compute slices and gigabytes such as 1g.18gb, with +me for media engines",
        })
    }
}

impl TryFrom<String> for MigProfile {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<MigProfile> for String {
    fn from(name: MigProfile) -> Self {
        name.0.into()
    }
}

impl fmt::Display for MigProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MigProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_nvidias_tools_write() {
        for name in [
            "1g.5gb",
            "1g.10gb+me",
            "7g.141gb",
            "1g.24gb-me",
            "1g.24gb+me.all",
        ] {
            assert_eq!(name.parse::<MigProfile>().unwrap().to_string(), name);
        }
        let many = [
            "", "g.gb", "1g", "1g.gb", "01g.5gb", "1g.05gb", "1G.5GB", "1g.5gb+", "1g.5gbx",
        ];
        for bad in many {
            assert!(bad.parse::<MigProfile>().is_err(), "{bad}");
            let json = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<MigProfile>(&json).is_err(), "{bad}");
        }
        assert_eq!(
            "half".parse::<MigProfile>().unwrap_err().to_string(),
            "mig profile \"half\" is not valid: compute slices and gigabytes such as 1g.18gb, with \
             +me for media engines"
        );
    }
}
