//! Leases: how they get hardware, keep it, and give it back.
//!
//! [`place`] asks the packing engine and books within the [`quota`], [`progress`] follows the nodes' acknowledgements,
//! [`clock`] does what is due, [`nodes`] changes its nodes, [`mend`] plans those again that cannot serve, [`reclaim`] says what would be taken back. Each moves a lease only along [`LeaseState::may_become`].

mod clock;
mod condition;
mod mend;
mod nodes;
mod place;
mod progress;
mod quota;
mod reclaim;

pub(crate) use mend::AT_ONCE;
pub(crate) use nodes::Having;
pub(crate) use quota::OverQuota;

use crate::draft::Entry;
use crate::settings::CoreSettings;
use crate::state::State;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::log::{Attributes, EventName};
use leasehold_common::time::{Span, Timestamp};

/// How long a lease that is over stays in the store; afterwards the log has it.
pub(crate) const CLOSED_KEPT: Span = Span::from_hours(7 * 24);

/// The most leases that are over which stay in the store.
pub(crate) const CLOSED_MAX: usize = 100_000;

/// How long a request may wait before it lapses.
const PENDING_MAX: Span = Span::from_hours(24);

/// How long nodes have to give the hardware back before they are quarantined: ten minutes for
/// processes to go by themselves and ten for them to be made to.
const RETURN_MAX: Span = Span::from_mins(20);

/// How long a lease waits for the last meter readings of nodes that are lost.
const SETTLE_MAX: Span = Span::from_hours(24);

/// When a lease has something to do although nothing happens.
pub(crate) fn wake_time(lease: &LeaseRecord, settings: &CoreSettings) -> Option<Timestamp> {
    let moves_on = moves_on(lease, settings);
    [moves_on, leavers_due(lease)].into_iter().flatten().min()
}

/// When the nodes that a lease has given up should be back from it; absent where none is missing.
fn leavers_due(lease: &LeaseRecord) -> Option<Timestamp> {
    let goes_on = matches!(
        lease.state,
        LeaseState::Preparing | LeaseState::Active | LeaseState::Draining
    );
    // Most leases have never given anything up.
    if !goes_on || lease.placement.len() < 2 {
        return None;
    }
    leavers(lease).map(|(_, due)| due).min()
}

/// Nodes that a lease has given up and that may still come back from it, each with when it should be: what
/// leaves after it gives it no more time.
fn leavers(lease: &LeaseRecord) -> impl Iterator<Item = (NodeIndex, Timestamp)> {
    let former = lease.former().minus(&lease.progress.lost);
    let nodes: Vec<NodeIndex> = former.iter().collect();
    nodes.into_iter().filter_map(|node| {
        let left = lease.segment_with(node)?.to?;
        Some((node, left + RETURN_MAX))
    })
}

fn moves_on(lease: &LeaseRecord, settings: &CoreSettings) -> Option<Timestamp> {
    match lease.state {
        LeaseState::Requested => {
            let earliest = lease.explanation.as_ref().and_then(|why| why.earliest);
            // An earliest start that has passed without success is not tried again by the clock.
            let earliest = earliest.filter(|at| *at > lease.since);
            let lapses = lease.created + PENDING_MAX;
            Some(earliest.map_or(lapses, |at| at.min(lapses)))
        }
        LeaseState::Held => lease.held_until,
        LeaseState::Scheduled => lease.start.map(|start| start - settings.prepare_lead),
        LeaseState::Preparing => match (lease.start, lease.access_end) {
            (Some(start), _) if start > lease.since => Some(start),
            (_, end) => end,
        },
        LeaseState::Active => lease.access_end.map(|end| end - lease.notice()),
        LeaseState::Draining => lease.access_end,
        LeaseState::Releasing => Some(lease.since + RETURN_MAX),
        LeaseState::Settling => Some(lease.since + SETTLE_MAX),
        LeaseState::Closed
        | LeaseState::Rejected
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => None,
    }
}

impl State {
    /// Moves a lease on, and says so in the log.
    ///
    /// # Panics
    /// On a move that [`LeaseState::may_become`] does not allow: every caller has checked.
    pub(crate) fn move_lease(
        &mut self,
        id: LeaseId,
        to: LeaseState,
        mut entry: Entry,
        event: EventName,
        now: Timestamp,
    ) {
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        let from = lease.state;
        assert!(
            from.may_become(to),
            "lease {id} cannot go from {from} to {to}"
        );
        (lease.state, lease.since) = (to, now);
        if to.is_over() {
            lease.closed = Some(now);
        }
        entry.attributes.from = Some(from.to_string());
        entry.attributes.to = Some(to.to_string());
        self.log_lease(id, event, entry);
        self.reindex_lease(id);
        if matches!(to, LeaseState::Preparing | LeaseState::Releasing) || to.is_over() {
            self.regrant(id);
        }
        if to == LeaseState::Preparing {
            let nodes: Vec<NodeIndex> = self.leases[&id].nodes().collect();
            nodes.into_iter().for_each(|node| self.want_judgement(node));
        }
    }

    /// Moves a lease on for a reason in words.
    pub(crate) fn move_lease_because(
        &mut self,
        id: LeaseId,
        to: LeaseState,
        reason: &str,
        now: Timestamp,
    ) {
        let attributes = Attributes {
            reason: Some(reason.into()),
            ..Attributes::default()
        };
        let entry = Entry {
            attributes,
            ..Entry::default()
        };
        self.move_lease(id, to, entry, EventName::LeaseState, now);
    }
}
