//! What is simulated: so many nodes of such kinds, and where they stand.

mod topology;

pub use topology::{Placed, TopologyError, generate, listed};

use leasehold_common::ids::SkuName;
use std::fmt;
use std::str::FromStr;

/// The most nodes one process simulates: an agent each, and all of them beat.
pub const NODES_MAX: u32 = 20_000;

/// So many nodes of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u32,
    /// Of what kind.
    pub sku: SkuName,
}

/// What to simulate: `16xh200`, or `16xh200,36xgb200`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet(pub Vec<Group>);

/// Text that says not what to simulate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a list such as 16xh200 or 16xh200,36xgb200 with 1 to {NODES_MAX} nodes in all"
)]
pub struct InvalidFleet {
    /// The text as given.
    pub given: String,
}

impl FromStr for Fleet {
    type Err = InvalidFleet;
    fn from_str(text: &str) -> Result<Self, InvalidFleet> {
        let bad = || InvalidFleet {
            given: text.chars().take(80).collect(),
        };
        let mut groups = Vec::new();
        for part in text.split(',') {
            let (count, sku) = part.split_once('x').ok_or_else(bad)?;
            let count = count.parse().map_err(|_| bad())?;
            groups.push(Group {
                count,
                sku: sku.parse().map_err(|_| bad())?,
            });
        }
        let nodes: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
        let each = groups.iter().all(|group| group.count > 0);
        (each && nodes <= u64::from(NODES_MAX))
            .then_some(Self(groups))
            .ok_or_else(bad)
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}x{}", group.count, group.sku)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back() {
        let fleet: Fleet = "16xh200,36xgb200".parse().unwrap();
        assert_eq!(fleet.0.len(), 2);
        assert_eq!(fleet.to_string(), "16xh200,36xgb200");
        for bad in [
            "",
            "16",
            "0xh200",
            "xh200",
            "-1xh200",
            "16xH 200",
            "999999xh200",
        ] {
            assert!(bad.parse::<Fleet>().is_err(), "{bad}");
        }
    }
}
