//! Which nodes of a gang stay.

use super::{Left, check_fields};
use crate::lease::Having;
use crate::state::State;
use leasehold_common::api::{Problem, ProblemCode, ShrinkLease};
use leasehold_common::hostlist;
use leasehold_common::ids::{NodeIndex, NodeName};
use leasehold_common::lease::{LeaseRecord, SegmentReason, Slices};
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::Prefix;
use leasehold_placement::{Gang, Shrunk, drop_nodes, shape_of, shrink};
use std::collections::BTreeSet;

impl State {
    /// What is left of a lease of whole nodes once the wish is carried out.
    pub(super) fn nodes_that_stay(
        &self,
        lease: &LeaseRecord,
        wish: &ShrinkLease,
    ) -> Result<Left, Problem> {
        check_fields(lease, wish, ["nodes", "drop"])?;
        let segment = lease.segment().expect("callers looked at its state");
        let gang = Gang {
            nodes: &segment.nodes,
            spares: &segment.spares,
            whole: lease.spec.shape.whole_units(),
        };
        let working = gang.nodes.len() - gang.spares.len();
        let left = match (wish.nodes, &wish.drop) {
            (Some(count), None) if count > 0 && (count as usize) < working => {
                let left = shrink(&self.cell, gang, count);
                self.check_whole(lease, &left, "nodes", count)?;
                left
            }
            (Some(count), None) => {
                let allowed = match working {
                    0 | 1 => "nothing: it has one node that works, end it instead".to_owned(),
                    most => format!("1 to {}, it has {most} nodes that work", most - 1),
                };
                return Err(Problem::field("nodes", count, allowed).in_state(lease.state));
            }
            (None, Some(list)) => {
                let going = self.named_nodes(lease, list)?;
                let left = drop_nodes(&self.cell, gang, &going);
                if left.nodes.len() == left.spares.len() {
                    let allowed = "fewer than all nodes that work; to give up all of it, end it";
                    return Err(Problem::field("drop", list, allowed).in_state(lease.state));
                }
                self.check_whole(lease, &left, "drop", list)?;
                left
            }
            (Some(_), Some(_)) => {
                return Err(Problem::field("nodes", "given with drop", "one of both"));
            }
            (None, None) => return Err(Problem::field("nodes", "absent", "nodes or drop")),
        };
        let Shrunk { nodes, spares, why } = left;
        let working = u32::try_from(nodes.len() - spares.len()).unwrap_or(u32::MAX);
        Ok(Left {
            shape: shape_of(&lease.spec.shape, working),
            said: format!("{working} nodes that work"),
            having: Having {
                nodes,
                gpus: segment.gpus.clone(),
                slices: Slices::new(),
                spares,
                stands_for: None,
                reason: SegmentReason::Shrunk,
            },
            why,
        })
    }

    /// Whether a lease of whole units has whole ones left.
    fn check_whole(
        &self,
        lease: &LeaseRecord,
        left: &Shrunk,
        field: &str,
        given: impl ToString,
    ) -> Result<(), Problem> {
        let Some(level) = lease.spec.shape.whole_units() else {
            return Ok(());
        };
        let unit = |node: NodeIndex| self.nodes[&node].fleet.path.unit(level);
        let left: BTreeSet<NodeIndex> = left.nodes.iter().collect();
        let (stay, go): (Vec<NodeIndex>, Vec<NodeIndex>) =
            lease.nodes().partition(|node| left.contains(node));
        let stays: BTreeSet<Prefix> = stay.into_iter().map(unit).collect();
        if go.into_iter().any(|node| stays.contains(&unit(node))) {
            let allowed =
                format!("all nodes of a {level} or none: it is a lease of whole {level}s");
            return Err(Problem::field(field, given.to_string(), allowed).in_state(lease.state));
        }
        Ok(())
    }

    /// The nodes of a hostlist, all of which are the lease's.
    fn named_nodes(&self, lease: &LeaseRecord, list: &str) -> Result<NodeSet, Problem> {
        let its = || format!("nodes of lease {}: {}", lease.id, self.nodes_of(lease));
        let names = hostlist::expand(list).map_err(|e| {
            Problem::field("drop", list, format!("a hostlist such as h[001-016]: {e}"))
        })?;
        let mut nodes = NodeSet::new();
        for name in &names {
            let known = name.parse::<NodeName>().ok();
            let index = known.and_then(|name| self.by_name.get(&name));
            let index = index.ok_or_else(|| {
                Problem::new(
                    ProblemCode::UnknownNode,
                    format!("no node is called {name}"),
                )
                .about("drop", name, its())
            })?;
            if !lease.nodes().any(|node| node == *index) {
                let detail = format!("node {name} is not one of lease {}", lease.id);
                return Err(Problem::new(ProblemCode::InvalidField, detail)
                    .about("drop", name, its())
                    .in_state(lease.state));
            }
            nodes.insert(*index);
        }
        Ok(nodes)
    }
}
