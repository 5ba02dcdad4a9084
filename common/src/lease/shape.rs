//! How much hardware, in what form.

use crate::mig::MigProfile;
use crate::topology::{Locality, Prefix};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How much hardware, in what form.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// A gang of whole nodes: all of them or none.
    Nodes {
        /// How many.
        count: u32,
        /// The fewest it can do with, where it would rather start with fewer than wait; absent
        /// where it needs all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<u32>,
        /// Nodes to be kept besides, in each domain it goes to, so that a failed node is replaced
        /// without leaving the domain's NVLink memory.
        #[serde(default, skip_serializing_if = "is_zero")]
        spares: u32,
        /// Only all of the nodes that units of this size have: whole domains, racks or rows. A unit that
        /// has fewer nodes of the SKU than others of its size is no whole one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<Locality>,
    },
    /// GPUs of one node.
    Gpus {
        /// How many.
        count: u32,
    },
    /// Slices of the GPUs of one node: MIG instances.
    Slices {
        /// How many of each profile.
        #[schema(value_type = BTreeMap<String, u32>, example = json!({"1g.18gb": 3}))]
        profiles: BTreeMap<MigProfile, u32>,
    },
    /// Everything that can be let below a place: a buy-out.
    Unit {
        /// The place; the empty prefix is the whole cell.
        prefix: Prefix,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over by reference"
)]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Shape {
    /// A gang of exactly so many whole nodes.
    pub const fn nodes(count: u32) -> Self {
        Self::Nodes {
            count,
            at_least: None,
            spares: 0,
            whole: None,
        }
    }

    /// The size of unit of which it takes only whole ones.
    pub const fn whole_units(&self) -> Option<Locality> {
        match self {
            Self::Nodes { whole, .. } => *whole,
            Self::Gpus { .. } | Self::Slices { .. } | Self::Unit { .. } => None,
        }
    }

    /// So many GPUs of one node.
    pub const fn gpus(count: u32) -> Self {
        Self::Gpus { count }
    }

    /// Slices of the GPUs of one node.
    pub fn slices(profiles: impl IntoIterator<Item = (MigProfile, u32)>) -> Self {
        Self::Slices {
            profiles: profiles.into_iter().collect(),
        }
    }

    /// Compute slices it asks for, of which a GPU has seven; nothing where it takes GPUs whole.
    pub fn sevenths(&self) -> u64 {
        match self {
            Self::Slices { profiles } => profiles
                .iter()
                .map(|(profile, count)| u64::from(profile.sevenths()) * u64::from(*count))
                .sum(),
            Self::Nodes { .. } | Self::Gpus { .. } | Self::Unit { .. } => 0,
        }
    }

    /// The fewest GPUs it can do with on nodes with `per_node` of them, as far as the shape alone
    /// says: of a unit only that it has a node, and of slices as many GPUs as their compute slices make
    /// up, rounded up.
    pub fn least_gpus(&self, per_node: u8) -> u64 {
        match self {
            Self::Gpus { count } => u64::from(*count),
            Self::Slices { .. } => self.sevenths().div_ceil(7),
            Self::Nodes { .. } | Self::Unit { .. } => {
                u64::from(self.least_nodes()) * u64::from(per_node)
            }
        }
    }

    /// The GPUs it asks for on nodes with `per_node` of them, spares aside.
    pub fn wanted_gpus(&self, per_node: u8) -> u64 {
        match self {
            Self::Nodes { count, .. } => u64::from(*count) * u64::from(per_node),
            Self::Gpus { .. } | Self::Slices { .. } | Self::Unit { .. } => {
                self.least_gpus(per_node)
            }
        }
    }

    /// The fewest nodes it can do with.
    pub const fn least_nodes(&self) -> u32 {
        match self {
            Self::Nodes {
                at_least: Some(least),
                ..
            } => *least,
            Self::Nodes { count, .. } => *count,
            Self::Gpus { .. } | Self::Slices { .. } | Self::Unit { .. } => 1,
        }
    }

    /// Whether it takes nodes whole.
    pub const fn is_whole_nodes(&self) -> bool {
        match self {
            Self::Nodes { .. } | Self::Unit { .. } => true,
            Self::Gpus { .. } | Self::Slices { .. } => false,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes {
                count,
                at_least,
                spares,
                whole,
            } => {
                if let Some(least) = at_least {
                    write!(f, "{least} to ")?;
                }
                let plural = if *count == 1 { "" } else { "s" };
                write!(f, "{count} node{plural}")?;
                match spares {
                    0 => {}
                    n => write!(f, " and {n} spare in each domain")?,
                }
                match whole {
                    Some(unit) => write!(f, " in whole {unit}s"),
                    None => Ok(()),
                }
            }
            Self::Gpus { count: 1 } => f.write_str("1 gpu"),
            Self::Gpus { count } => write!(f, "{count} gpus"),
            Self::Slices { profiles } => {
                for (at, (profile, count)) in profiles.iter().enumerate() {
                    let and = if at == 0 { "" } else { " and " };
                    write!(f, "{and}{count} x {profile}")?;
                }
                Ok(())
            }
            Self::Unit { prefix } => write!(f, "all of {prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_first_version_read_and_write_as_they_did() {
        let gang: Shape = serde_json::from_str(r#"{"kind":"nodes","count":4}"#).unwrap();
        assert_eq!(gang, Shape::nodes(4));
        assert_eq!(
            serde_json::to_string(&gang).unwrap(),
            r#"{"kind":"nodes","count":4}"#
        );
    }

    #[test]
    fn shapes_are_said_in_words() {
        let gang = Shape::Nodes {
            count: 16,
            at_least: Some(12),
            spares: 1,
            whole: None,
        };
        assert_eq!(
            gang.to_string(),
            "12 to 16 nodes and 1 spare in each domain"
        );
        let whole = Shape::Nodes {
            count: 36,
            at_least: None,
            spares: 0,
            whole: Some(Locality::Domain),
        };
        assert_eq!(whole.to_string(), "36 nodes in whole domains");
        let text = r#"{"kind":"nodes","count":36,"whole":"domain"}"#;
        assert_eq!(serde_json::to_string(&whole).unwrap(), text);
        let all = Shape::Unit {
            prefix: Prefix::cell(),
        };
        assert_eq!(
            (gang.least_nodes(), all.to_string()),
            (12, "all of cell".to_owned())
        );
    }

    #[test]
    fn slices_are_counted_in_whole_gpus_by_their_compute_slices() {
        let text = r#"{"kind":"slices","profiles":{"1g.18gb":3,"3g.71gb":2}}"#;
        let shape: Shape = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&shape).unwrap(), text);
        assert_eq!((shape.sevenths(), shape.least_gpus(8)), (9, 2));
        assert_eq!(shape.to_string(), "3 x 1g.18gb and 2 x 3g.71gb");
    }
}
