//! Where a node stands: `hall/row/rack/domain`. Every prefix of a path is a *unit* that can bound
//! locality, blast radius or power.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The full place of a node, such as `hall-a/row-1/rack-03/d0`. The domain is the nodes that share
/// NVLink memory; an HGX node is its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct TopologyPath(Box<str>);

/// A unit of the cell: the first few parts of a path. The empty prefix is the whole cell, shown to
/// people as `cell`; `/` is read as that too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct Prefix(Box<str>);

/// How close together the nodes of a lease must be: all inside one unit of this size.
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
#[serde(rename_all = "kebab-case")]
pub enum Locality {
    /// One NVLink domain.
    Domain,
    /// One rack.
    Rack,
    /// One row.
    Row,
    /// One hall.
    Hall,
    /// Anywhere in the cell.
    #[default]
    Cell,
}

/// Text that is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// Not four parts, or a part that is empty, too long or has other characters.
    #[error(
        "topology path {given:?} is not valid: four parts hall/row/rack/domain, each 1 to 31 of \
         A-Z, a-z, 0-9, '.', '_' and '-'"
    )]
    Path {
        /// The text as given, cut to 160 characters.
        given: String,
    },
    /// More than four parts, or a bad part.
    #[error(
        "topology prefix {given:?} is not valid: up to four parts hall/row/rack/domain, each 1 to \
         31 of A-Z, a-z, 0-9, '.', '_' and '-'"
    )]
    Prefix {
        /// The text as given, cut to 160 characters.
        given: String,
    },
    /// No level of locality.
    #[error("locality {given:?} is not known: domain, rack, row, hall or cell")]
    Locality {
        /// The text as given, cut to 160 characters.
        given: String,
    },
}

fn part_is_valid(part: &str) -> bool {
    (1..=31).contains(&part.len())
        && part != "."
        && part != ".."
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn shown(s: &str) -> String {
    s.chars().take(160).collect()
}

impl TopologyPath {
    /// From its four parts.
    ///
    /// # Errors
    /// A part that is empty, longer than 31, or has characters other than letters, digits, `.`,
    /// `_` and `-`.
    pub fn new(hall: &str, row: &str, rack: &str, domain: &str) -> Result<Self, InvalidPlace> {
        format!("{hall}/{row}/{rack}/{domain}").parse()
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit of size `level` that holds this node.
    pub fn unit(&self, level: Locality) -> Prefix {
        let parts = match level {
            Locality::Cell => 0,
            Locality::Hall => 1,
            Locality::Row => 2,
            Locality::Rack => 3,
            Locality::Domain => 4,
        };
        Prefix(
            self.0
                .split('/')
                .take(parts)
                .collect::<Vec<_>>()
                .join("/")
                .into(),
        )
    }

    /// `[hall, row, rack, domain]`.
    pub fn parts(&self) -> [&str; 4] {
        let mut parts = self.0.split('/');
        [(); 4].map(|()| parts.next().expect("a path has four parts"))
    }
}

impl Prefix {
    /// The whole cell.
    pub fn cell() -> Self {
        Self("".into())
    }

    /// The prefix as text; empty for the whole cell.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit that this one is in; none for the whole cell.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let (above, _) = self.0.rsplit_once('/').unwrap_or_default();
        Some(Self(above.into()))
    }

    /// How large a unit this names.
    pub fn level(&self) -> Locality {
        match self.0.split('/').filter(|p| !p.is_empty()).count() {
            0 => Locality::Cell,
            1 => Locality::Hall,
            2 => Locality::Row,
            3 => Locality::Rack,
            _ => Locality::Domain,
        }
    }

    /// Whether the node at `path` stands below this prefix.
    pub fn holds(&self, path: &TopologyPath) -> bool {
        let rest = path.as_str().strip_prefix(self.as_str());
        self.0.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for TopologyPath {
    type Err = InvalidPlace;
    fn from_str(s: &str) -> Result<Self, InvalidPlace> {
        if s.split('/').count() == 4 && s.split('/').all(part_is_valid) {
            return Ok(Self(s.into()));
        }
        Err(InvalidPlace::Path { given: shown(s) })
    }
}

impl FromStr for Prefix {
    type Err = InvalidPlace;
    fn from_str(s: &str) -> Result<Self, InvalidPlace> {
        if matches!(s, "" | "/") {
            return Ok(Self::cell());
        }
        if s.split('/').count() <= 4 && s.split('/').all(part_is_valid) {
            return Ok(Self(s.into()));
        }
        Err(InvalidPlace::Prefix { given: shown(s) })
    }
}

impl FromStr for Locality {
    type Err = InvalidPlace;
    fn from_str(s: &str) -> Result<Self, InvalidPlace> {
        Locality::ALL
            .into_iter()
            .find(|l| l.as_str() == s)
            .ok_or_else(|| InvalidPlace::Locality { given: shown(s) })
    }
}

impl Locality {
    /// From the smallest unit to the largest.
    pub const ALL: [Self; 5] = [Self::Domain, Self::Rack, Self::Row, Self::Hall, Self::Cell];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Rack => "rack",
            Self::Row => "row",
            Self::Hall => "hall",
            Self::Cell => "cell",
        }
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = InvalidPlace;
            fn try_from(s: String) -> Result<Self, InvalidPlace> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(place: $name) -> String {
                place.0.into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

text!(TopologyPath);
text!(Prefix);

impl fmt::Display for TopologyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.0.is_empty() {
            "cell"
        } else {
            self.as_str()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_path_is_a_unit_that_holds_it() {
        let path: TopologyPath = "hall-a/row-1/rack-03/d0".parse().unwrap();
        for level in Locality::ALL {
            let unit = path.unit(level);
            assert_eq!(unit.level(), level);
            assert!(unit.holds(&path), "{unit}");
        }
        assert_eq!(path.unit(Locality::Row).as_str(), "hall-a/row-1");
        let hall = path.unit(Locality::Row).parent().unwrap();
        assert_eq!(hall, path.unit(Locality::Hall));
        assert_eq!(hall.parent(), Some(Prefix::cell()));
        assert_eq!(Prefix::cell().parent(), None);
    }

    #[test]
    fn a_prefix_ends_at_a_part() {
        let prefix: Prefix = "hall-a/row-1".parse().unwrap();
        assert!(!prefix.holds(&"hall-a/row-10/r/d".parse().unwrap()));
    }

    #[test]
    fn places_that_would_escape_a_key_are_refused() {
        for bad in ["a/b/c", "a/b/c/d/e", "a//c/d", "a/../c/d", "a/b c/c/d", ""] {
            assert!(bad.parse::<TopologyPath>().is_err(), "{bad}");
        }
    }
}
