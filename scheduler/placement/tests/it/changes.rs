//! Leases that have hardware and want less of it, or another node.

use crate::fleet::{POLICY, Twice, asks, hour};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::Shape;
use leasehold_common::node::NodeState;
use leasehold_common::node_set::NodeSet;
use leasehold_common::topology::Locality;
use leasehold_placement::{Gang, NodeCondition, Request, drop_nodes, replace, shrink};
use proptest::prelude::*;

fn set(nodes: &[u32]) -> NodeSet {
    nodes.iter().copied().map(NodeIndex).collect()
}

fn fails(fleet: &mut Twice, node: u32) {
    let condition = *fleet.cell.condition(NodeIndex(node)).unwrap();
    let lost = NodeCondition {
        state: NodeState::Quarantined,
        ..condition
    };
    fleet.cell.set_condition(NodeIndex(node), lost);
}

fn gb200(within: Locality) -> Request {
    Request {
        sku: "gb200".parse().unwrap(),
        within,
        ..asks(Shape::nodes(1))
    }
}

#[test]
fn what_is_not_sound_goes_first_and_then_the_smallest_part_of_a_domain() {
    let mut fleet = Twice::nvl(3, 4);
    fails(&mut fleet, 1);
    let (nodes, spares) = (set(&[0, 1, 2, 4, 5, 6, 7, 8]), NodeSet::new());
    let gang = Gang {
        nodes: &nodes,
        spares: &spares,
        whole: None,
    };
    let left = |working| shrink(&fleet.cell, gang, working).nodes;
    assert_eq!(left(8), nodes);
    assert_eq!(left(7), set(&[0, 2, 4, 5, 6, 7, 8]));
    assert_eq!(left(6), set(&[0, 2, 4, 5, 6, 7]));
    assert_eq!(left(4), set(&[4, 5, 6, 7]));
    assert_eq!(left(1), set(&[4]));
}

#[test]
fn spares_leave_with_the_last_node_that_works_beside_them() {
    let fleet = Twice::nvl(2, 4);
    let (nodes, spares) = (set(&[0, 1, 2, 3, 4, 5]), set(&[3, 5]));
    let gang = Gang {
        nodes: &nodes,
        spares: &spares,
        whole: None,
    };
    let three = shrink(&fleet.cell, gang, 3);
    assert_eq!((three.nodes, three.spares), (set(&[0, 1, 2, 3]), set(&[3])));
    let named = drop_nodes(&fleet.cell, gang, &set(&[3, 4]));
    assert_eq!((named.nodes, named.spares), (set(&[0, 1, 2]), set(&[])));
}

#[test]
fn a_spare_of_the_domain_comes_before_any_free_node_and_others_never() {
    let mut fleet = Twice::nvl(2, 4);
    let (nodes, spares) = (set(&[0, 1, 4, 5]), set(&[1, 5]));
    let gang = Gang {
        nodes: &nodes,
        spares: &spares,
        whole: None,
    };
    let goes = |fleet: &Twice, within| {
        let request = gb200(within);
        let out = NodeIndex(0);
        let decision = replace(&fleet.cell, &request, gang, out, &POLICY, hour(0));
        decision.plan().map(|plan| plan.nodes.to_string())
    };
    assert_eq!(goes(&fleet, Locality::Domain).as_deref(), Some("1"));
    fails(&mut fleet, 1);
    assert_eq!(goes(&fleet, Locality::Domain).as_deref(), Some("2"));
    fails(&mut fleet, 2);
    fails(&mut fleet, 3);
    assert_eq!(goes(&fleet, Locality::Domain), None);
    assert_eq!(goes(&fleet, Locality::Cell).as_deref(), Some("6"));
}

proptest! {
    /// Wherever nodes fail, a replacement is a sound node that is not the lease's (or its spare), and
    /// in the unit that the lease was asked for.
    #[test]
    fn a_replacement_never_leaves_the_unit_it_must_be_in(
        failed in prop::collection::btree_set(0..12_u32, 0..9),
        out in 0..2_u32,
        level in prop::sample::select(Locality::ALL.to_vec()),
    ) {
        let mut fleet = Twice::nvl(3, 4);
        failed.iter().for_each(|node| fails(&mut fleet, *node));
        let (nodes, spares) = (set(&[0, 1]), NodeSet::new());
        let gang = Gang { nodes: &nodes, spares: &spares, whole: None };
        let unit = |node: NodeIndex| fleet.cell.spec(node).unwrap().path.unit(level);
        let may: Vec<u32> = (2..12)
            .filter(|n| !failed.contains(n) && unit(NodeIndex(*n)) == unit(NodeIndex(out)))
            .collect();
        let request = gb200(level);
        let decision = replace(&fleet.cell, &request, gang, NodeIndex(out), &POLICY, hour(0));
        match decision.plan() {
            Some(plan) => {
                prop_assert_eq!(plan.nodes.len(), 1);
                prop_assert!(may.contains(&plan.nodes.first().unwrap().0));
            }
            None => prop_assert_eq!(may, Vec::<u32>::new()),
        }
    }
}
