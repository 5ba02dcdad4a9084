//! The indexes over the records, kept in one place: whatever enters or leaves the state goes
//! through here, whether it was decided, loaded or replayed.

use crate::lease::wake_time;
use crate::maintenance::leaving;
use crate::node::Node;
use crate::state::{Changed, State};
use leasehold_common::account::Account;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::node::FleetRecord;
use leasehold_placement::{BookError, Booking, Lifted, NodeSpec};

impl State {
    /// Enters or replaces an account.
    pub(crate) fn insert_account(&mut self, account: Account) {
        if let Some(known) = &account.idempotency {
            let target = Changed::Account(account.name.clone());
            self.by_key.insert((known.uid, known.key.clone()), target);
        }
        self.accounts.insert(account.name.clone(), account);
    }

    /// Enters a lease that is not there yet, and books its hardware.
    ///
    /// # Errors
    /// Hardware that another lease has: the ledger contradicts itself, or the caller does.
    pub(crate) fn insert_lease(&mut self, lease: LeaseRecord) -> Result<(), BookError> {
        let id = lease.id;
        self.book_again(&lease)?;
        for known in &lease.idempotency {
            self.by_key
                .insert((known.uid, known.key.clone()), Changed::Lease(id));
        }
        self.leases.insert(id, lease);
        self.reindex_lease(id);
        Ok(())
    }

    /// Takes a lease out for good.
    pub(crate) fn remove_lease(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.get(&id) else {
            return;
        };
        for known in &lease.idempotency {
            self.by_key.remove(&(known.uid, known.key.clone()));
        }
        let lease = self.leases.remove(&id).expect("it was there a line above");
        self.unbook(&lease);
        self.forget_indexes(&lease);
    }

    /// Brings the indexes of a lease up to date after its record changed.
    pub(crate) fn reindex_lease(&mut self, id: LeaseId) {
        let lease = &self.leases[&id];
        let waiting = (lease.spec.class, lease.created, id);
        let (account, state) = (lease.spec.account.clone(), lease.state);
        let (closed, wake) = (lease.closed, wake_time(lease, &self.settings));
        let missing = !lease.progress.lost.is_empty();
        if state == LeaseState::Requested {
            self.pending.insert(waiting);
        } else {
            self.pending.remove(&waiting);
            self.drop_plan(id);
        }
        if state.is_over() {
            if let Some(leases) = self.unfinished.get_mut(&account) {
                leases.remove(&id);
            }
            // While hardware of it is missing it stays, and with it the order to end it.
            self.closed
                .extend(closed.filter(|_| !missing).map(|at| (at, id)));
        } else {
            self.unfinished.entry(account).or_default().insert(id);
        }
        self.set_timer(id, wake);
    }

    fn forget_indexes(&mut self, lease: &LeaseRecord) {
        let id = lease.id;
        self.drop_plan(id);
        self.pending.remove(&(lease.spec.class, lease.created, id));
        if let Some(leases) = self.unfinished.get_mut(&lease.spec.account) {
            leases.remove(&id);
        }
        if let Some(at) = lease.closed {
            self.closed.remove(&(at, id));
        }
        self.set_timer(id, None);
    }

    /// Books hardware for a lease that has just been decided, as its record says.
    pub(crate) fn book(&mut self, lease: &LeaseRecord) -> Result<(), BookError> {
        match self.booking_of(lease) {
            Some(booking) => self.cell.book(booking),
            None => Ok(()),
        }
    }

    /// Books what a lease was given some time ago, by whatever policy that was.
    pub(crate) fn book_again(&mut self, lease: &LeaseRecord) -> Result<(), BookError> {
        self.book_instead(lease, None)
    }

    /// The same in the place of what it had: nodes that stay are cleaned when they were to be.
    pub(crate) fn book_instead(
        &mut self,
        lease: &LeaseRecord,
        before: Option<&Lifted>,
    ) -> Result<(), BookError> {
        match (self.booking_of(lease), before) {
            (Some(booking), _) if gives_back(lease) => {
                self.cell.book_ended(booking, lease.since)?;
            }
            (Some(booking), Some(before)) => self.cell.book_instead(booking, before)?,
            (Some(booking), None) => self.cell.book_again(booking)?,
            (None, _) => {}
        }
        self.book_leaving(lease);
        Ok(())
    }

    /// What a lease has, and is noted on its nodes; nothing where it has no hardware.
    fn booking_of(&mut self, lease: &LeaseRecord) -> Option<Booking> {
        let holds = lease.state.holds_hardware() || gives_back(lease);
        let segment = lease.segment().filter(|_| holds)?;
        let nodes = segment.nodes.minus(&lease.progress.returned);
        if nodes.is_empty() {
            return None;
        }
        for node in nodes.iter() {
            if let Some(node) = self.nodes.get_mut(&node) {
                node.leases.insert(lease.id);
            }
        }
        let mut gpus = segment.gpus.clone();
        gpus.retain(|node, _| nodes.contains(*node));
        let mut slices = segment.slices.clone();
        slices.retain(|node, _| nodes.contains(*node));
        Some(Booking {
            lease: lease.id,
            account: lease.spec.account.clone(),
            class: lease.spec.class,
            from: segment.from,
            to: segment.to,
            gpus,
            slices,
            nodes,
            host: lease.spec.host,
            gpu_cap_watts: lease.spec.gpu_cap_watts,
        })
    }

    /// Frees whatever a lease still has booked.
    pub(crate) fn unbook(&mut self, lease: &LeaseRecord) {
        self.cell.unbook(lease.id);
        self.cell.unbook(leaving(lease.id));
        let former = lease.former();
        for node in lease.nodes().chain(former.iter()) {
            if let Some(node) = self.nodes.get_mut(&node) {
                node.leases.remove(&lease.id);
            }
        }
    }

    /// Enters or changes a node.
    pub(crate) fn insert_node(&mut self, fleet: FleetRecord) {
        let index = fleet.index;
        self.by_name.insert(fleet.name.clone(), index);
        self.forget_flags(index);
        self.index_flags(&fleet);
        if let Some(node) = self.nodes.get_mut(&index) {
            node.fleet = fleet;
        } else {
            let stranger = self.strangers.remove(&fleet.name).unwrap_or_default();
            self.nodes.insert(index, Node::new(fleet, stranger));
        }
        self.reindex_node(index);
    }

    /// Brings the indexes of a node up to date after its fleet record changed.
    pub(crate) fn reindex_node(&mut self, index: NodeIndex) {
        let fleet = &self.nodes[&index].fleet;
        for gpu in &fleet.gpus {
            self.by_gpu.insert(gpu.uuid.clone(), index);
        }
        let gpus = self.settings.skus.get(&fleet.sku).map_or(0, |sku| sku.gpus);
        let (path, sku, owner) = (fleet.path.clone(), fleet.sku.clone(), fleet.owner);
        let spec = NodeSpec {
            path,
            sku,
            gpus,
            owner,
        };
        let is_news = self.cell.spec(index) != Some(&spec);
        self.cell.set_node(index, spec);
        self.refresh_condition(index);
        if is_news {
            self.stir_node(index);
        }
    }
}

/// Whether a lease is over and some of its hardware not back.
fn gives_back(lease: &LeaseRecord) -> bool {
    matches!(lease.state, LeaseState::Releasing | LeaseState::Settling)
        || (lease.state.is_over() && !lease.progress.lost.is_empty())
}
