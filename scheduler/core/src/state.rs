//! Everything the scheduler knows, with the indexes that keep each step short.

use crate::ahead::Ahead;
use crate::draft::{Draft, Entry};
use crate::node::{Brake, Node, Stranger};
use crate::policy::Policies;
use crate::power::DrawnBelow;
use crate::request::Admission;
use crate::settings::CoreSettings;
use leasehold_common::account::Account;
use leasehold_common::class::Class;
use leasehold_common::ids::{
    AccountName, GpuUuid, IdempotencyKey, LeaseId, MaintenanceId, NodeIndex, NodeName, Term,
};
use leasehold_common::keys::Key;
use leasehold_common::lease::{LeaseRecord, LeaseState};
use leasehold_common::ledger::LedgerHead;
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::maintenance::MaintenanceRecord;
use leasehold_common::node::FlagKind;
use leasehold_common::power::PowerRecord;
use leasehold_common::record;
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Prefix;
use leasehold_placement::Cell;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Why nothing is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freeze {
    /// The store is older than a log file or an acknowledgement: it was restored from the past.
    StoreFromPast {
        /// The differences, in words.
        differences: Vec<String>,
    },
    /// This host's clock is behind the ledger's, or does not count as synchronised.
    Clock {
        /// What is wrong with it, in words.
        detail: String,
    },
}

impl std::fmt::Display for Freeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StoreFromPast { differences } => {
                write!(
                    f,
                    "the store was restored from the past: {}",
                    differences.join("; ")
                )
            }
            Self::Clock { detail } => write!(f, "the clock cannot be trusted: {detail}"),
        }
    }
}

/// What a known write changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    Lease(LeaseId),
    Account(AccountName),
    Policy(u64),
    Power(Prefix),
    Maintenance(MaintenanceId),
    Flags(NodeIndex),
}

/// The state of a cell. Owned by one task and changed only by [`crate::step`].
#[derive(Debug)]
pub struct State {
    pub(crate) settings: CoreSettings,
    pub(crate) head: LedgerHead,
    pub(crate) accounts: BTreeMap<AccountName, Account>,
    pub(crate) leases: BTreeMap<LeaseId, LeaseRecord>,
    pub(crate) nodes: BTreeMap<NodeIndex, Node>,
    pub(crate) strangers: BTreeMap<NodeName, Stranger>,
    pub(crate) policies: Policies,
    pub(crate) power: BTreeMap<Prefix, PowerRecord>,
    pub(crate) maintenance: BTreeMap<MaintenanceId, MaintenanceRecord>,
    pub(crate) cell: Cell,

    pub(crate) by_name: BTreeMap<NodeName, NodeIndex>,
    pub(crate) by_gpu: BTreeMap<GpuUuid, NodeIndex>,
    pub(crate) by_key: BTreeMap<(u32, IdempotencyKey), Changed>,
    /// Leases that are not over, by account.
    pub(crate) unfinished: BTreeMap<AccountName, BTreeSet<LeaseId>>,
    pub(crate) pending: BTreeSet<(Class, Timestamp, LeaseId)>,
    pub(crate) closed: BTreeSet<(Timestamp, LeaseId)>,
    pub(crate) timers: BTreeSet<(Timestamp, LeaseId)>,
    pub(crate) wakes: BTreeMap<LeaseId, Timestamp>,
    /// Maintenance that is not over, by its end.
    pub(crate) maintenance_ends: BTreeSet<(Timestamp, MaintenanceId)>,
    /// Maintenance that is, by when that was.
    pub(crate) maintenance_ended: BTreeSet<(Timestamp, MaintenanceId)>,

    /// Flags that the clock takes away, by when.
    pub(crate) flag_ends: BTreeSet<(Timestamp, NodeIndex, FlagKind)>,
    /// Operators' words on GPUs, by when they expire.
    pub(crate) word_ends: BTreeSet<(Timestamp, NodeIndex)>,
    /// Nodes of whose health more is to be recorded than could be, by when that may be.
    pub(crate) judgements: BTreeSet<(Timestamp, NodeIndex)>,

    /// What nodes draw below each place.
    pub(crate) drawn: DrawnBelow,
    pub(crate) brake: Brake,
    pub(crate) frozen: Option<Freeze>,
    pub(crate) admissions: VecDeque<Admission>,
    /// Leases whose nodes have said something since the last batch.
    pub(crate) progressed: BTreeSet<LeaseId>,
    /// Leases with a node that may not be able to serve them, and when they are looked at.
    pub(crate) wanting: BTreeMap<LeaseId, Timestamp>,
    /// What is planned for leases that wait.
    pub(crate) ahead: Ahead,
    pub(crate) draft: Draft,
}

impl State {
    /// The head of the ledger, as of the last closed batch.
    pub fn head(&self) -> &LedgerHead {
        &self.head
    }

    /// Why nothing is decided; absent where decisions are made.
    pub fn frozen(&self) -> Option<&Freeze> {
        self.frozen.as_ref()
    }

    /// Stops all decisions.
    pub fn freeze(&mut self, why: Freeze) {
        self.frozen = Some(why);
    }

    /// A lease.
    pub fn lease(&self, id: LeaseId) -> Option<&LeaseRecord> {
        self.leases.get(&id)
    }

    /// All leases.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseRecord> {
        self.leases.values()
    }

    /// The name of a node.
    pub fn node_name(&self, index: NodeIndex) -> Option<&NodeName> {
        self.nodes.get(&index).map(|node| &node.fleet.name)
    }

    /// Every admitted node.
    pub fn node_indexes(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.nodes.keys().copied()
    }

    /// When there is something to do although nothing happens.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.frozen.is_some() {
            return None;
        }
        let lease = self.timers.first().map(|(at, _)| *at);
        let node = self.next_node_wake();
        let trim = self
            .closed
            .first()
            .map(|(at, _)| *at + crate::lease::CLOSED_KEPT);
        let maintenance = self.next_maintenance_wake();
        let flag = self.next_flag_end();
        let health = [self.next_word_end(), self.next_judgement()];
        [lease, node, trim, maintenance, flag, self.next_mending()]
            .into_iter()
            .chain(health)
            .flatten()
            .min()
    }

    /// The ledger record under `key` as it is stored; `None` where there is none.
    pub(crate) fn stored(&self, key: &Key) -> Option<Value> {
        match key {
            Key::Lease(id) => self.leases.get(id).map(record::value),
            Key::Account(name) => self.accounts.get(name).map(record::value),
            Key::Fleet(name) => {
                let index = self.by_name.get(name)?;
                self.nodes.get(index).map(|node| record::value(&node.fleet))
            }
            Key::Policy(number) => self.policies.record(*number).map(record::value),
            Key::Power(prefix) => self.power.get(prefix).map(record::value),
            Key::Maintenance(id) => self.maintenance.get(id).map(record::value),
            Key::Head
            | Key::Log(_)
            | Key::Grants(_)
            | Key::Node(_)
            | Key::Health(_)
            | Key::Acks(_)
            | Key::Live(_) => unreachable!("{key} is not a record of a batch"),
        }
    }

    /// Logs something about a lease and enters the lease as changed by it.
    pub(crate) fn log_lease(&mut self, id: LeaseId, event: EventName, mut entry: Entry) {
        let lease = &self.leases[&id];
        entry.subject.lease_id = Some(id);
        entry.subject.term = Some(lease.term);
        entry.subject.account = Some(lease.spec.account.clone());
        self.draft.log(event, entry);
        self.draft.changed(Key::Lease(id));
    }

    /// Logs something about a node and enters its fleet record as changed by it.
    pub(crate) fn log_node(&mut self, index: NodeIndex, event: EventName, attributes: Attributes) {
        let name = self.nodes[&index].fleet.name.clone();
        let subject = Subject {
            node: Some(name.clone()),
            ..Subject::default()
        };
        self.draft.log(
            event,
            Entry {
                subject,
                attributes,
                ..Entry::default()
            },
        );
        self.draft.changed(Key::Fleet(name));
    }

    /// Gives a lease new terms. The log record that brings them must be the latest of the draft.
    pub(crate) fn renew_term(&mut self, id: LeaseId) {
        let seq = self.draft.seq(&self.head);
        let epoch = self.head.epoch;
        let lease = self
            .leases
            .get_mut(&id)
            .expect("the caller names a lease that exists");
        lease.term = Term {
            epoch,
            generation: lease.term.generation.next(),
        };
        lease.term_seq = seq;
        let term = lease.term;
        self.draft.brings(term);
    }

    /// Sets when a lease is looked at again; never where `at` is absent.
    pub(crate) fn set_timer(&mut self, id: LeaseId, at: Option<Timestamp>) {
        if let Some(old) = self.wakes.remove(&id) {
            self.timers.remove(&(old, id));
        }
        if let Some(at) = at {
            self.wakes.insert(id, at);
            self.timers.insert((at, id));
        }
    }

    /// Leases that are not over.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &LeaseRecord> {
        self.unfinished
            .values()
            .flatten()
            .map(|id| &self.leases[id])
    }

    /// GPUs that an account's leases hold, booked ones too: counted from the ledger each time,
    /// because a counter kept beside it is a counter that can leak.
    pub(crate) fn gpus_of(&self, account: &AccountName) -> u64 {
        let leases = self
            .unfinished
            .get(account)
            .into_iter()
            .flatten()
            .map(|id| &self.leases[id]);
        leases
            .filter(|lease| lease.state.holds_hardware() || lease.state == LeaseState::Settling)
            .map(|lease| {
                let per_node = self.gpus_per_node(lease);
                lease.gpus(per_node) + lease.gpus_leaving(per_node)
            })
            .sum()
    }

    /// GPUs on a node of the lease's SKU; 0 where the SKU is no longer known.
    pub(crate) fn gpus_per_node(&self, lease: &LeaseRecord) -> u8 {
        self.settings
            .skus
            .get(&lease.spec.sku)
            .map_or(0, |sku| sku.gpus)
    }
}
