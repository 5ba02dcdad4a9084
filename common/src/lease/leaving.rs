//! What a lease has given up and not got rid of yet.

use super::{GpuSlots, LeaseRecord, Segment, Slice, sevenths};
use crate::ids::NodeIndex;
use std::collections::BTreeMap;

/// What of a node is on its way back from a lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaving {
    /// Which GPUs; absent for the whole node.
    pub gpus: Option<GpuSlots>,
    /// Which slices of them, where it is slices.
    pub slices: Vec<Slice>,
}

impl Leaving {
    /// How many GPUs of a node with `per_node`; slices are counted as the GPUs that their compute slices
    /// make up, rounded up.
    pub fn count(&self, per_node: u8) -> u64 {
        match (&self.gpus, self.slices.as_slice()) {
            (None, _) => u64::from(per_node),
            (Some(gpus), []) => u64::from(gpus.len()),
            (Some(_), slices) => u64::from(sevenths(slices)).div_ceil(7),
        }
    }
}

impl LeaseRecord {
    /// What is on its way back from it, by node: all of what it had of nodes that it has no longer, and of
    /// others the GPUs and slices that they may still serve though they were given up.
    pub fn leaving(&self) -> BTreeMap<NodeIndex, Leaving> {
        let former = self.former();
        let trimmed = self.progress.shedding.into_iter();
        let trimmed = trimmed.flat_map(|_| self.nodes());
        let trimmed = trimmed.filter(|node| !self.progress.returned.contains(*node));
        let nodes = former.iter().chain(trimmed);
        let each = nodes.filter_map(|node| Some((node, self.leaving_on(node)?)));
        each.collect()
    }

    /// What of one node is on its way back; absent where that is nothing.
    fn leaving_on(&self, node: NodeIndex) -> Option<Leaving> {
        let had = self.segment_with(node)?;
        let (last, earlier) = self.placement.split_last()?;
        let has = last.nodes.contains(node).then_some(last);
        let Some(gpus) = had.gpus.get(&node) else {
            return has.is_none().then(Leaving::default);
        };
        let since = self.progress.shedding.map_or(usize::MAX, |at| at as usize);
        let served = earlier.iter().skip(since).chain([had]);
        let served: Vec<&Segment> = served.filter(|s| s.nodes.contains(node)).collect();
        let slices = |segment: &Segment| segment.slices.get(&node).cloned().unwrap_or_default();
        let kept = has.map(slices).unwrap_or_default();
        let mut left: Vec<Slice> = served.iter().flat_map(|s| slices(s)).collect();
        left.retain(|slice| !kept.contains(slice));
        left.sort_unstable();
        left.dedup();
        let gpus = if left.is_empty() && slices(had).is_empty() {
            let of = |segment: &Segment| segment.gpus.get(&node).copied().unwrap_or(*gpus);
            let all = served.iter().map(|s| of(s));
            let all = all.fold(GpuSlots::NONE, GpuSlots::union);
            all.minus(has.map_or(GpuSlots::NONE, of))
        } else {
            left.iter()
                .fold(GpuSlots::NONE, |on, slice| on.with(slice.gpu))
        };
        (!gpus.is_empty()).then_some(Leaving {
            gpus: Some(gpus),
            slices: left,
        })
    }

    /// GPUs on their way back from it which may still come back by themselves.
    pub fn gpus_leaving(&self, per_node: u8) -> u64 {
        let leaving = self.leaving();
        let comes = leaving
            .iter()
            .filter(|(node, _)| !self.progress.lost.contains(**node));
        comes.map(|(_, left)| left.count(per_node)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(list: &[u8]) -> GpuSlots {
        list.iter().copied().fold(GpuSlots::NONE, GpuSlots::with)
    }

    /// A lease of GPUs that were these, one after the other, each on a node.
    fn had(segments: &[(u32, &[u8])]) -> LeaseRecord {
        let text = include_str!("../../tests/samples/v1/lease.json");
        let mut lease: LeaseRecord = serde_json::from_str(text).unwrap();
        let segment = lease.placement[0].clone();
        let each = segments.iter().map(|(node, gpus)| Segment {
            nodes: [NodeIndex(*node)].into_iter().collect(),
            gpus: BTreeMap::from([(NodeIndex(*node), slots(gpus))]),
            ..segment.clone()
        });
        lease.placement = each.collect();
        lease.progress = crate::lease::NodeProgress::default();
        lease
    }

    fn leaving(lease: &LeaseRecord) -> Vec<(u32, GpuSlots)> {
        let each = lease.leaving().into_iter();
        each.map(|(node, left)| (node.0, left.gpus.unwrap()))
            .collect()
    }

    #[test]
    fn what_a_node_follows_is_not_on_its_way_back_again() {
        let mut lease = had(&[(7, &[0, 1, 2, 3]), (7, &[0, 1])]);
        assert_eq!(leaving(&lease), []);
        lease.progress.shedding = Some(0);
        assert_eq!(leaving(&lease), [(7, slots(&[2, 3]))]);
        let mut again = had(&[(7, &[0, 1, 2, 3]), (7, &[0, 1]), (7, &[0])]);
        again.progress.shedding = Some(1);
        assert_eq!(leaving(&again), [(7, slots(&[1]))]);
        again.progress.shedding = Some(0);
        assert_eq!(leaving(&again), [(7, slots(&[1, 2, 3]))]);
        assert_eq!(again.gpus_leaving(8), 3);
    }

    #[test]
    fn of_a_node_it_has_left_all_is_on_its_way_back() {
        let mut lease = had(&[(7, &[0, 1, 2, 3]), (7, &[0, 1]), (9, &[4, 5])]);
        assert_eq!(leaving(&lease), [(7, slots(&[0, 1]))]);
        lease.progress.shedding = Some(0);
        assert_eq!(leaving(&lease), [(7, slots(&[0, 1, 2, 3]))]);
        lease.progress.returned.insert(NodeIndex(7));
        assert_eq!(leaving(&lease), []);
    }
}
