//! A node of a lease that somebody wants replaced.

use super::shrink::check_changeable;
use super::{Answer, Asked, check_why};
use crate::state::State;
use leasehold_common::api::{Problem, ProblemCode, ReplaceNode};
use leasehold_common::explain::Explanation;
use leasehold_common::ids::{Generation, LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseRecord, Shape};
use leasehold_common::log::Attributes;
use leasehold_placement::Decision;

impl State {
    pub(super) fn replace_node(
        &mut self,
        id: LeaseId,
        wish: &ReplaceNode,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        check_changeable(lease, "given another node", asked.now)?;
        check_why("reason", wish.reason.as_deref())?;
        let out = self.node_to_replace(lease, wish)?;
        let state = lease.state;
        let (plan, why) = match self.find_instead(id, out, asked.now) {
            Decision::Placed { plan, why } => (plan, why),
            Decision::Wait { why, .. } | Decision::Never { why } => {
                return Err(nothing_free(id, wish, &why).in_state(state));
            }
        };
        if asked.dry_run {
            let lease = &self.leases[&id];
            let last = lease.segment().expect("it was looked at above");
            let (mut nodes, mut spares) = (last.nodes.clone(), last.spares.clone());
            nodes.remove(out);
            spares.remove(out);
            for new in plan.nodes.iter() {
                nodes.insert(new);
                spares.remove(new);
            }
            return Ok(self.would_have(lease, &nodes, &spares));
        }
        let said = wish.reason.as_deref().map(|why| format!(": {why}"));
        let attributes = Attributes {
            reason: Some(format!(
                "{} replaced by request{}",
                wish.node,
                said.unwrap_or_default()
            )),
            actor: Some(asked.actor.clone()),
            ..Attributes::default()
        };
        self.put_instead(id, out, plan, why, attributes, asked.now);
        self.remember(id, asked);
        Ok(self.written(id, 200))
    }

    fn node_to_replace(
        &self,
        lease: &LeaseRecord,
        wish: &ReplaceNode,
    ) -> Result<NodeIndex, Problem> {
        let its = || format!("nodes of lease {}: {}", lease.id, self.nodes_of(lease));
        let name = &wish.node;
        if matches!(lease.spec.shape, Shape::Unit { .. }) {
            let detail = format!(
                "lease {} has everything below a place: nothing there could take the place of {name}",
                lease.id
            );
            return Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state));
        }
        let index = self.by_name.get(name).ok_or_else(|| {
            Problem::new(
                ProblemCode::UnknownNode,
                format!("no node is called {name}"),
            )
            .about("node", name, its())
        })?;
        if lease.nodes().any(|node| node == *index) {
            return Ok(*index);
        }
        let detail = format!("node {name} is not one of lease {}", lease.id);
        Err(Problem::new(ProblemCode::InvalidField, detail)
            .about("node", name, its())
            .in_state(lease.state))
    }
}

/// The refusal that says what was looked at.
fn nothing_free(id: LeaseId, wish: &ReplaceNode, why: &Explanation) -> Problem {
    let ruled_out: Vec<String> = why
        .filtered
        .iter()
        .map(|(filter, nodes)| format!("{nodes} {filter}"))
        .collect();
    let ruled_out = match ruled_out.as_slice() {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    let first = match why.earliest {
        Some(at) => format!("; the first could be had at {at}"),
        None => String::new(),
    };
    let detail = format!(
        "nothing that lease {id} may have is free in the place of {}: of {} nodes none fits{ruled_out}{first}",
        wish.node, why.evaluated
    );
    Problem::new(ProblemCode::Booked, detail)
}
