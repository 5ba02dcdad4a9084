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
    /// The watts it may draw.
    pub envelope_mw: MilliWatts,
    /// Why it begins.
    pub reason: SegmentReason,
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
            envelope_mw: MilliWatts::from_watts(1400),
            reason: SegmentReason::Placed,
        };
        let text = serde_json::to_string(&segment).unwrap();
        assert_eq!(serde_json::from_str::<Segment>(&text).unwrap(), segment);
    }
}
