//! Leases that go on with less: `nodes` of a gang, or `parts` of one node.

mod nodes;
mod parts;

use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::lease::Having;
use crate::maintenance::in_words_of_people;
use crate::state::State;
use leasehold_common::api::{Problem, ProblemCode, ShrinkLease};
use leasehold_common::explain::Explanation;
use leasehold_common::ids::{Generation, LeaseId};
use leasehold_common::lease::{LeaseRecord, LeaseState, Shape};
use leasehold_common::log::{Attributes, EventName, Inputs};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;
use leasehold_placement::shape_of;

/// What a lease goes on with.
struct Left {
    having: Having,
    shape: Shape,
    /// The same in words, for the log.
    said: String,
    why: Explanation,
}

impl State {
    pub(super) fn shrink_lease(
        &mut self,
        id: LeaseId,
        wish: &ShrinkLease,
        if_match: Option<Generation>,
        asked: Asked<'_>,
    ) -> Answer {
        let lease = self.find(id, if_match)?;
        check_changeable(lease, "shrunk", asked.now)?;
        let left = match &lease.spec.shape {
            Shape::Nodes { .. } | Shape::Unit { .. } => self.nodes_that_stay(lease, wish)?,
            Shape::Gpus { count } => self.gpus_that_stay(lease, *count, wish)?,
            Shape::Slices { profiles } => self.slices_that_stay(lease, profiles, wish)?,
        };
        if asked.dry_run {
            return Ok(self.would_go_on(lease, left));
        }
        self.give_up(id, left, asked);
        self.remember(id, asked);
        Ok(self.written(id, 200))
    }

    pub(super) fn nodes_of(&self, lease: &LeaseRecord) -> String {
        self.fold(&lease.nodes().collect())
    }

    /// The lease as it would be with these nodes.
    pub(super) fn would_have(
        &self,
        lease: &LeaseRecord,
        nodes: &NodeSet,
        spares: &NodeSet,
    ) -> Written {
        let mut lease = lease.clone();
        let working = nodes.len() - spares.len();
        lease.spec.shape = shape_of(
            &lease.spec.shape,
            u32::try_from(working).unwrap_or(u32::MAX),
        );
        if let Some(last) = lease.placement.last_mut() {
            last.nodes = nodes.clone();
            last.spares = spares.clone();
        }
        self.shown(&lease)
    }

    /// The lease as it would be with what is left.
    fn would_go_on(&self, lease: &LeaseRecord, left: Left) -> Written {
        let Having {
            nodes,
            gpus,
            slices,
            spares,
            ..
        } = left.having;
        let envelope = self.envelope_of(lease, &nodes, &gpus, &slices);
        let mut lease = lease.clone();
        lease.spec.shape = left.shape;
        if let Some(last) = lease.placement.last_mut() {
            (last.nodes, last.gpus, last.slices) = (nodes, gpus, slices);
            (last.spares, last.envelope_mw) = (spares, envelope);
        }
        self.shown(&lease)
    }

    fn shown(&self, lease: &LeaseRecord) -> Written {
        Written {
            status: 200,
            replayed: false,
            view: View::Lease(Box::new(self.lease_view(lease, true))),
        }
    }

    fn give_up(&mut self, id: LeaseId, left: Left, asked: Asked<'_>) {
        let Left {
            having,
            shape,
            said,
            mut why,
        } = left;
        why.policy = Some(self.policies.digest());
        in_words_of_people(&mut why);
        let lease = self.leases.get_mut(&id).expect("it was found above");
        lease.spec.shape = shape;
        lease.explanation = Some(why.clone());
        let entry = Entry {
            attributes: Attributes {
                reason: Some(format!("shrunk by request to {said}")),
                actor: Some(asked.actor.clone()),
                ..Attributes::default()
            },
            inputs: Some(Inputs {
                request: lease.spec.clone(),
                now: asked.now,
                policy: why.policy,
            }),
            why: Some(why),
            ..Entry::default()
        };
        self.change_nodes(id, having, EventName::LeaseShrunk, entry, asked.now);
    }
}

/// Refuses fields that say nothing to a lease of this shape: they are named, with what would.
fn check_fields(
    lease: &LeaseRecord,
    wish: &ShrinkLease,
    allowed: [&str; 2],
) -> Result<(), Problem> {
    let given = [
        ("nodes", wish.nodes.is_some()),
        ("drop", wish.drop.is_some()),
        ("gpus", wish.gpus.is_some()),
        ("slices", wish.slices.is_some()),
    ];
    let strange = given
        .into_iter()
        .find(|(field, is_given)| *is_given && !allowed.contains(field));
    let Some((field, _)) = strange else {
        return Ok(());
    };
    let [first, second] = allowed;
    let allowed = if first == second {
        first.to_owned()
    } else {
        format!("{first} or {second}")
    };
    let detail = format!(
        "lease {} is one of {}: it is shrunk by {allowed}, not by {field}",
        lease.id, lease.spec.shape
    );
    Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state))
}

/// Whether the nodes of a lease can be changed now.
pub(super) fn check_changeable(
    lease: &LeaseRecord,
    what: &str,
    now: Timestamp,
) -> Result<(), Problem> {
    let why = match lease.state {
        // Its end has come and nobody has looked at it yet.
        LeaseState::Scheduled | LeaseState::Preparing | LeaseState::Active
            if lease.is_past_end(now) =>
        {
            "its end has come"
        }
        LeaseState::Scheduled | LeaseState::Preparing | LeaseState::Active => return Ok(()),
        LeaseState::Requested => "it has no nodes yet",
        LeaseState::Held => "only one whose hardware is booked can be",
        LeaseState::Draining => "it is about to end",
        LeaseState::Releasing
        | LeaseState::Settling
        | LeaseState::Closed
        | LeaseState::Rejected
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => "it has ended",
    };
    let detail = format!(
        "lease {} is {} and cannot be {what}: {why}",
        lease.id, lease.state
    );
    Err(Problem::new(ProblemCode::IllegalState, detail).in_state(lease.state))
}
