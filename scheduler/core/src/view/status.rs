//! The cell as a whole.

use crate::node::Presence;
use crate::state::State;
use leasehold_common::api::Status;
use leasehold_common::lease::LeaseState;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// What a scheduler knows besides the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// This host.
    pub host: String,
    /// The host that leads.
    pub leader: Option<String>,
    /// Whether this host leads.
    pub leading: bool,
    /// What the store is, in words.
    pub store: String,
    /// What an operator must know first.
    pub alerts: Vec<String>,
}

impl State {
    pub(crate) fn status_view(&self, around: &Surroundings, now: Timestamp) -> Status {
        let mut nodes = BTreeMap::new();
        let (mut gpus, mut free, mut leased, mut live, mut power) = (0, 0, 0, 0, 0);
        for node in self.nodes.values() {
            *nodes.entry(self.state_of(node)).or_insert(0) += 1;
            gpus += node.fleet.gpus.len() as u64;
            free += u64::from(self.gpus_free(node, now));
            leased += u64::from(self.gpus_held(node, now));
            live += u64::from(node.presence == Presence::Here);
            power += node
                .health
                .as_ref()
                .map_or(0, |health| health.power().watts());
        }
        for stranger in self.stranger_views() {
            *nodes.entry(stranger.state).or_insert(0) += 1;
        }
        let (mut leases, mut pending, mut envelope) = (BTreeMap::new(), BTreeMap::new(), 0);
        for lease in self.unfinished() {
            *leases.entry(lease.state).or_insert(0) += 1;
            if lease.state == LeaseState::Requested {
                let reason = lease.explanation.as_ref().and_then(|why| why.reason());
                let reason = reason.map_or("NotEvaluated", |r| r.as_str()).to_owned();
                *pending.entry(reason).or_insert(0) += 1;
            } else if lease.state.has_grants() {
                envelope += lease.segment().map_or(0, |s| s.envelope_mw.watts());
            }
        }
        Status {
            cell: self.settings.cell.clone(),
            host: around.host.clone(),
            leader: around.leader.clone(),
            leading: around.leading,
            alerts: around.alerts.clone(),
            frozen: self.frozen.as_ref().map(ToString::to_string),
            brake: self.brake.on,
            store: around.store.clone(),
            epoch: self.head.epoch,
            seq: self.head.seq,
            log_hash: self.head.log_hash,
            now: self.head.now,
            node_count: nodes.values().sum(),
            nodes,
            nodes_live: live,
            gpus,
            gpus_free: free,
            gpus_leased: leased,
            power_watts: power,
            envelope_watts: envelope,
            leases,
            pending,
        }
    }
}
