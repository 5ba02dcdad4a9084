//! Sets of nodes as records keep them: index ranges or a base64 bitmap, whichever is shorter.
//!
//! A whole cell of 125,000 nodes is one range; the worst scatter of it is 21 KiB of bitmap, where a
//! folded hostlist would take 336 KB and names outright 4.5 MB. Hostlists are for people.

use crate::ids::NodeIndex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The largest cell is 125,000 nodes; indices are never used again, so leave room for eight
/// generations of it. Bounds what a damaged record can make us allocate.
const LARGEST: u32 = 1_000_000;

/// A set of node indices, kept as sorted, disjoint, non-adjacent ranges.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeSet {
    /// First and last of each range, both included.
    ranges: Vec<(u32, u32)>,
}

/// Text that is no set of nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node set {given:?} is not valid: {rule}")]
pub struct InvalidNodeSet {
    /// The text as given, cut to 80 characters.
    pub given: String,
    /// What is wrong.
    pub rule: &'static str,
}

impl NodeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// How many nodes are in it.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|(a, b)| (b - a) as usize + 1).sum()
    }

    /// Whether it has no node.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `node` is in it.
    pub fn contains(&self, node: NodeIndex) -> bool {
        let after = self.ranges.partition_point(|(a, _)| *a <= node.0);
        after > 0 && self.ranges[after - 1].1 >= node.0
    }

    /// Adds a node; says whether it was new.
    ///
    /// # Panics
    /// On an index above 1,000,000: admission gives out none.
    pub fn insert(&mut self, node: NodeIndex) -> bool {
        assert!(node.0 <= LARGEST, "node index {node} is above {LARGEST}");
        let n = node.0;
        let at = self.ranges.partition_point(|(a, _)| *a <= n);
        if at > 0 && self.ranges[at - 1].1 >= n {
            return false;
        }
        let joins_left = at > 0 && self.ranges[at - 1].1 + 1 == n;
        let joins_right = at < self.ranges.len() && n + 1 == self.ranges[at].0;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = n,
            (false, true) => self.ranges[at].0 = n,
            (false, false) => self.ranges.insert(at, (n, n)),
        }
        true
    }

    /// Takes a node out; says whether it was in.
    pub fn remove(&mut self, node: NodeIndex) -> bool {
        let n = node.0;
        let at = self.ranges.partition_point(|(a, _)| *a <= n);
        if at == 0 || self.ranges[at - 1].1 < n {
            return false;
        }
        let (a, b) = self.ranges[at - 1];
        match (a == n, b == n) {
            (true, true) => {
                self.ranges.remove(at - 1);
            }
            (true, false) => self.ranges[at - 1].0 = n + 1,
            (false, true) => self.ranges[at - 1].1 = n - 1,
            (false, false) => {
                self.ranges[at - 1].1 = n - 1;
                self.ranges.insert(at, (n + 1, b));
            }
        }
        true
    }

    /// The nodes, in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.ranges
            .iter()
            .flat_map(|&(a, b)| (a..=b).map(NodeIndex))
    }

    /// The first node, if any.
    pub fn first(&self) -> Option<NodeIndex> {
        self.ranges.first().map(|(a, _)| NodeIndex(*a))
    }

    /// How many nodes of the set come before `node`; absent where it is not in.
    pub fn rank(&self, node: NodeIndex) -> Option<usize> {
        if !self.contains(node) {
            return None;
        }
        let before = self.ranges.iter().take_while(|(_, last)| *last < node.0);
        let whole: usize = before.map(|(a, b)| (b - a) as usize + 1).sum();
        let own = self.ranges.iter().find(|(_, last)| *last >= node.0)?;
        Some(whole + (node.0 - own.0) as usize)
    }

    /// Whether every node of `other` is in this set.
    pub fn is_superset(&self, other: &Self) -> bool {
        other.ranges.iter().all(|&(a, b)| {
            let after = self.ranges.partition_point(|(start, _)| *start <= a);
            after > 0 && self.ranges[after - 1].1 >= b
        })
    }

    /// The nodes of this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.iter().filter(|n| !other.contains(*n)).collect()
    }

    fn ranges_text(&self) -> String {
        let parts: Vec<String> = self
            .ranges
            .iter()
            .map(|(a, b)| {
                if a == b {
                    a.to_string()
                } else {
                    format!("{a}-{b}")
                }
            })
            .collect();
        parts.join(",")
    }

    /// `@` first index `:` bitmap from there, lowest bit first.
    fn bitmap_text(&self) -> Option<String> {
        let first = self.ranges.first()?.0;
        let last = self.ranges.last()?.1;
        let mut bits = vec![0_u8; (last - first) as usize / 8 + 1];
        for node in self.iter() {
            let at = (node.0 - first) as usize;
            bits[at / 8] |= 1 << (at % 8);
        }
        Some(format!("@{first}:{}", BASE64.encode(bits)))
    }
}

impl FromIterator<NodeIndex> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeIndex>>(nodes: I) -> Self {
        let mut set = Self::new();
        set.extend(nodes);
        set
    }
}

impl Extend<NodeIndex> for NodeSet {
    fn extend<I: IntoIterator<Item = NodeIndex>>(&mut self, nodes: I) {
        for node in nodes {
            match self.ranges.last_mut() {
                // The common case, nodes in order, without a search.
                Some(last) if last.1 + 1 == node.0 && node.0 <= LARGEST => last.1 = node.0,
                _ => {
                    self.insert(node);
                }
            }
        }
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.ranges_text();
        // A bitmap is worth computing only where the ranges are already long.
        if ranges.len() > 64
            && let Some(bitmap) = self.bitmap_text()
            && bitmap.len() < ranges.len()
        {
            return f.write_str(&bitmap);
        }
        f.write_str(&ranges)
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.ranges_text())
    }
}

impl FromStr for NodeSet {
    type Err = InvalidNodeSet;
    fn from_str(s: &str) -> Result<Self, InvalidNodeSet> {
        let bad = |rule| InvalidNodeSet {
            given: s.chars().take(80).collect(),
            rule,
        };
        if s.is_empty() {
            return Ok(Self::new());
        }
        if let Some(bitmap) = s.strip_prefix('@') {
            let (first, bits) = bitmap
                .split_once(':')
                .ok_or(bad("a bitmap is @FIRST:BASE64"))?;
            let first: u32 = first.parse().map_err(|_| bad("FIRST is an index"))?;
            let bits = BASE64
                .decode(bits)
                .map_err(|_| bad("the bitmap is not base64"))?;
            let indices = (0_u32..)
                .zip(
                    bits.iter()
                        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)),
                )
                .filter(|(_, set)| *set)
                .map(|(at, _)| NodeIndex(first.saturating_add(at)));
            let mut set = Self::new();
            for node in indices {
                if node.0 > LARGEST {
                    return Err(bad("an index is above 1000000"));
                }
                set.extend([node]);
            }
            return Ok(set);
        }
        let mut set = Self::new();
        for part in s.split(',') {
            let (a, b) = part.split_once('-').unwrap_or((part, part));
            let a: u32 = a
                .parse()
                .map_err(|_| bad("a part is INDEX or FIRST-LAST"))?;
            let b: u32 = b
                .parse()
                .map_err(|_| bad("a part is INDEX or FIRST-LAST"))?;
            let in_order = set.ranges.last().is_none_or(|(_, last)| last + 1 < a);
            if a > b || b > LARGEST || !in_order {
                return Err(bad("ranges ascend, are apart, and end at 1000000"));
            }
            set.ranges.push((a, b));
        }
        Ok(set)
    }
}

impl utoipa::PartialSchema for NodeSet {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for NodeSet {}

impl Serialize for NodeSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_whole_cell_is_one_range_and_a_scattered_one_a_bitmap() {
        let all: NodeSet = (0..125_000).map(NodeIndex).collect();
        assert_eq!(all.to_string(), "0-124999");
        let every_other: NodeSet = (0..125_000).step_by(2).map(NodeIndex).collect();
        let text = every_other.to_string();
        assert!(
            text.starts_with("@0:") && text.len() < 21 * 1024,
            "{}",
            text.len()
        );
        assert_eq!(text.parse::<NodeSet>().unwrap(), every_other);
    }

    #[test]
    fn damaged_text_is_refused() {
        for bad in [
            "5-1",
            "1,1",
            "1,2",
            "3,1",
            "x",
            "1-",
            "@x:AA",
            "@0",
            "@0:*",
            "0-99999999",
        ] {
            assert!(bad.parse::<NodeSet>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set(ops in prop::collection::vec((any::<bool>(), 0_u32..300), 0..400)) {
            let (mut set, mut oracle) = (NodeSet::new(), BTreeSet::new());
            for (add, n) in ops {
                if add {
                    prop_assert_eq!(set.insert(NodeIndex(n)), oracle.insert(n));
                } else {
                    prop_assert_eq!(set.remove(NodeIndex(n)), oracle.remove(&n));
                }
                prop_assert_eq!(set.len(), oracle.len());
            }
            prop_assert!(set.iter().map(|n| n.0).eq(oracle.iter().copied()));
            for (rank, n) in oracle.iter().enumerate() {
                prop_assert_eq!(set.rank(NodeIndex(*n)), Some(rank));
            }
            prop_assert_eq!(set.to_string().parse::<NodeSet>().unwrap(), set);
        }
    }
}
