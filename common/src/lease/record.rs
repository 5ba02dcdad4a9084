//! What is stored of a lease.

use super::{Condition, ConditionKind, Idempotency, LeaseSpec, LeaseState, Segment, sevenths};
use crate::class::Side;
use crate::explain::Explanation;
use crate::ids::{LeaseId, NodeIndex, Seq, Term};
use crate::node_set::NodeSet;
use crate::record::{Unknown, Version, record};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many writes with an idempotency key a lease remembers besides the one that created it: a
/// client that has sent eight later writes has long had the answer to the first of them.
pub const SUPERSEDED_KEPT: usize = 8;

/// How far the nodes of a lease are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeProgress {
    /// Nodes whose agent has said that it serves the lease.
    #[serde(default, skip_serializing_if = "NodeSet::is_empty")]
    pub ready: NodeSet,
    /// Nodes whose agent has proved that the hardware is free again.
    #[serde(default, skip_serializing_if = "NodeSet::is_empty")]
    pub returned: NodeSet,
    /// Nodes given up: quarantined with the lease's hardware on them.
    #[serde(default, skip_serializing_if = "NodeSet::is_empty")]
    pub lost: NodeSet,
    /// The first segment of the placement of which a node that the lease still has may serve GPUs or
    /// slices that were given up since: it has not said yet that it follows newer terms. Absent where
    /// every node does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shedding: Option<u32>,
}

/// A lease (`leases/<id>`, written by the leader).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Form of the record.
    pub version: Version,
    /// Its number.
    pub id: LeaseId,
    /// What was asked.
    pub spec: LeaseSpec,
    /// The account's side, kept here because the account may be gone before the lease.
    pub side: Side,
    /// How far it has come.
    pub state: LeaseState,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// What is the matter with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<ConditionKind, Condition>,
    /// Which version of its terms; agents refuse an older one.
    pub term: Term,
    /// The placement-log record that brought these terms. An acknowledgement that names a later one
    /// than the ledger's head shows that the store was restored from the past.
    pub term_seq: Seq,
    /// Who created it (uid of the caller).
    pub uid: u32,
    /// When it was requested.
    pub created: Timestamp,
    /// When it starts, once that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When access ends, once that is decided; absent for an open end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_end: Option<Timestamp>,
    /// When the holder's data may be wiped without a further order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe_not_before: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// How long its hardware is to be held for its holder to commit, once there is some; absent
    /// where it is booked at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// Until when its hardware is held for its holder to commit; absent where it is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Where it is, over time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<Segment>,
    /// How far its nodes are.
    #[serde(default)]
    pub progress: NodeProgress,
    /// Energy used, as far as nodes have returned, in millijoules.
    #[serde(default)]
    pub energy_mj: u64,
    /// The latest decision about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// The writes that changed it, oldest first: the one that created it, and the latest few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotency: Vec<Idempotency>,
    /// Fields of a newer version.
    #[serde(skip)]
    pub unknown: Unknown,
}
record!(LeaseRecord, "lease");

impl LeaseRecord {
    /// The segment that holds its hardware now, or will.
    pub fn segment(&self) -> Option<&Segment> {
        self.placement.last()
    }

    /// The GPUs it holds or will hold on nodes with `per_node` of them; before it has hardware,
    /// those it asks for. Slices are counted as the GPUs that their compute slices make up, rounded up.
    pub fn gpus(&self, per_node: u8) -> u64 {
        let Some(segment) = self.segment() else {
            return self.spec.shape.wanted_gpus(per_node);
        };
        if !segment.slices.is_empty() {
            let sevenths = segment.slices.values().map(|on| u64::from(sevenths(on)));
            return sevenths.sum::<u64>().div_ceil(7);
        }
        let parts: u64 = segment.gpus.values().map(|s| u64::from(s.len())).sum();
        let whole = segment.nodes.len() - segment.gpus.len();
        parts + whole as u64 * u64::from(per_node)
    }

    /// How long before the end of access its holder is told.
    pub fn notice(&self) -> Span {
        let term = self
            .access_end
            .zip(self.start)
            .map(|(end, start)| end.since(start));
        self.spec.class.notice_within(term)
    }

    /// Every node it holds, or will.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.segment().into_iter().flat_map(|s| s.nodes.iter())
    }

    /// Whether the instant has come at which its holder's access ends, whatever its state says.
    pub fn is_past_end(&self, now: Timestamp) -> bool {
        self.access_end.is_some_and(|end| end <= now)
    }

    /// Nodes it had and has no longer, whose hardware is not back from it. Those given up are among
    /// them.
    pub fn former(&self) -> NodeSet {
        let Some((last, earlier)) = self.placement.split_last() else {
            return NodeSet::new();
        };
        let had = earlier.iter().flat_map(|segment| segment.nodes.iter());
        had.filter(|n| !last.nodes.contains(*n) && !self.progress.returned.contains(*n))
            .collect()
    }

    /// The last segment that has a node.
    pub fn segment_with(&self, node: NodeIndex) -> Option<&Segment> {
        let mut latest_first = self.placement.iter().rev();
        latest_first.find(|segment| segment.nodes.contains(node))
    }

    /// Nodes that still have its hardware, or are giving it back: neither returned nor given up.
    pub fn outstanding(&self) -> NodeSet {
        let former = self.former();
        self.nodes()
            .chain(former.iter())
            .filter(|n| !self.progress.returned.contains(*n) && !self.progress.lost.contains(*n))
            .collect()
    }
}
