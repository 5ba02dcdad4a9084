//! Where a lease is, over time.

use super::Slices;
use crate::ids::NodeIndex;
use crate::node_set::NodeSet;
use crate::time::Timestamp;
use crate::token::tokens;
use crate::units::MilliWatts;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Which GPUs of one node: bit `i` is the GPU in slot `i` of its fleet record. Written as ranges
/// (`0-3,7`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GpuSlots(pub u16);

impl GpuSlots {
    /// None.
    pub const NONE: Self = Self(0);

    /// Slots 0 to `n` - 1; all sixteen where `n` is larger.
    pub const fn first(n: u8) -> Self {
        if n >= 16 {
            Self(u16::MAX)
        } else {
            Self((1 << n) - 1)
        }
    }

    /// How many.
    pub const fn len(self) -> u8 {
        // At most 16.
        self.0.count_ones().to_le_bytes()[0]
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether slot `slot` is among them.
    pub const fn contains(self, slot: u8) -> bool {
        slot < 16 && self.0 >> slot & 1 == 1
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// With `slot` as well.
    #[must_use]
    pub const fn with(self, slot: u8) -> Self {
        if slot < 16 {
            Self(self.0 | 1 << slot)
        } else {
            self
        }
    }

    /// The slots, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |slot| self.contains(*slot))
    }
}

impl fmt::Display for GpuSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: NodeSet = self.iter().map(|slot| NodeIndex(u32::from(slot))).collect();
        fmt::Display::fmt(&set, f)
    }
}

impl fmt::Debug for GpuSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl Serialize for GpuSlots {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GpuSlots {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let set = NodeSet::deserialize(from)?;
        set.iter()
            .try_fold(Self::NONE, |slots, slot| match u8::try_from(slot.0) {
                Ok(slot) if slot < 16 => Ok(slots.with(slot)),
                _ => Err(serde::de::Error::custom(format!(
                    "gpu slot {slot} is above 15"
                ))),
            })
    }
}

tokens! {
    /// Why a segment begins.
    SegmentReason {
        /// The lease was placed.
        Placed = "placed",
        /// The store was recovered, and this is where the log says the lease was.
        Recovered = "recovered",
        /// Nodes, GPUs or slices of it were given up at its holder's or an operator's wish.
        Shrunk = "shrunk",
        /// Another node took the place of one of them.
        Replaced = "replaced",
    }
}

/// Where a lease is from one instant to another. A placement is a list of these in order of time;
/// it only grows, and the last one's `to` may be brought forward, or put off by an extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From this instant.
    pub from: Timestamp,
    /// Until this one; absent for an open end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// On these nodes.
    pub nodes: NodeSet,
    /// Which GPUs, on nodes of which it has only some; a node that is not named here is its whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gpus: BTreeMap<NodeIndex, GpuSlots>,
    /// Which slices, on nodes of which it has slices of GPUs; `gpus` names the GPUs they are on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: Slices,
    /// Those of its nodes that are kept as spares.
    #[serde(default, skip_serializing_if = "NodeSet::is_empty")]
    pub spares: NodeSet,
    /// Nodes that took the place of others, each with the one whose rank it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stands_for: BTreeMap<NodeIndex, NodeIndex>,
    /// The watts it may draw.
    pub envelope_mw: MilliWatts,
    /// Why it begins.
    pub reason: SegmentReason,
}

impl Segment {
    /// The number of a node among those of the lease: nodes that work are counted before spares, each
    /// in the place of the one it stands for, so that a replacement leaves everybody else's number as
    /// it was. Absent where the node is not in it.
    pub fn rank(&self, node: NodeIndex) -> Option<usize> {
        if !self.nodes.contains(node) {
            return None;
        }
        if self.spares.is_empty() && self.stands_for.is_empty() {
            return self.nodes.rank(node);
        }
        if let Some(at) = self.spares.rank(node) {
            return Some(self.nodes.len() - self.spares.len() + at);
        }
        let place = self.place(node);
        let working = self.nodes.iter().filter(|n| !self.spares.contains(*n));
        Some(working.filter(|n| self.place(*n) < place).count())
    }

    /// The node whose rank a node has.
    fn place(&self, node: NodeIndex) -> NodeIndex {
        self.stands_for.get(&node).copied().unwrap_or(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_read_back_as_ranges() {
        let slots = GpuSlots::first(4).with(7);
        assert_eq!(serde_json::to_string(&slots).unwrap(), "\"0-3,7\"");
        assert_eq!(
            serde_json::from_str::<GpuSlots>("\"0-3,7\"").unwrap(),
            slots
        );
        assert!(serde_json::from_str::<GpuSlots>("\"16\"").is_err());
        assert_eq!(slots.len(), 5);
    }

    #[test]
    fn a_segment_keeps_its_map_of_nodes() {
        let segment = Segment {
            from: Timestamp::EPOCH,
            to: None,
            nodes: [NodeIndex(17)].into_iter().collect(),
            gpus: BTreeMap::from([(NodeIndex(17), GpuSlots::first(2))]),
            slices: Slices::new(),
            spares: NodeSet::new(),
            stands_for: BTreeMap::new(),
            envelope_mw: MilliWatts::from_watts(1400),
            reason: SegmentReason::Placed,
        };
        let text = serde_json::to_string(&segment).unwrap();
        assert_eq!(serde_json::from_str::<Segment>(&text).unwrap(), segment);
    }

    #[test]
    fn who_stands_for_a_node_has_its_rank_and_nobody_elses_changes() {
        let set = |nodes: &[u32]| nodes.iter().copied().map(NodeIndex).collect::<NodeSet>();
        let before = Segment {
            from: Timestamp::EPOCH,
            to: None,
            nodes: set(&[3, 5, 7, 9]),
            gpus: BTreeMap::new(),
            slices: Slices::new(),
            spares: set(&[5]),
            stands_for: BTreeMap::new(),
            envelope_mw: MilliWatts::from_watts(1400),
            reason: SegmentReason::Placed,
        };
        let rank = |segment: &Segment, n| segment.rank(NodeIndex(n));
        let ranks = [3, 5, 7, 9, 11].map(|n| rank(&before, n));
        assert_eq!(ranks, [Some(0), Some(3), Some(1), Some(2), None]);
        let after = Segment {
            nodes: set(&[5, 7, 9]),
            spares: NodeSet::new(),
            stands_for: BTreeMap::from([(NodeIndex(5), NodeIndex(3))]),
            ..before
        };
        assert_eq!(
            [5, 7, 9].map(|n| rank(&after, n)),
            [Some(0), Some(1), Some(2)]
        );
        let last = Segment {
            nodes: set(&[1, 5, 7]),
            stands_for: BTreeMap::from([
                (NodeIndex(5), NodeIndex(3)),
                (NodeIndex(1), NodeIndex(9)),
            ]),
            ..after
        };
        assert_eq!(
            [5, 7, 1].map(|n| rank(&last, n)),
            [Some(0), Some(1), Some(2)]
        );
    }
}
