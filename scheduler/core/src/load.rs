//! Building the state from what is stored, and following what another scheduler commits.

use crate::ahead::Ahead;
use crate::draft::Draft;
use crate::event::Event;
use crate::node::{Brake, Node, Presence, Stranger};
use crate::policy::Policies;
use crate::power::DrawnBelow;
use crate::settings::CoreSettings;
use crate::state::State;
use leasehold_common::account::Account;
use leasehold_common::grant::AckRecord;
use leasehold_common::ids::{LeaseId, MaintenanceId, NodeIndex, NodeName};
use leasehold_common::keys::Key;
use leasehold_common::lease::LeaseRecord;
use leasehold_common::ledger::LedgerHead;
use leasehold_common::maintenance::MaintenanceRecord;
use leasehold_common::node::{FleetRecord, HealthReport, LiveRecord, NodeReport};
use leasehold_common::policy::{Policy, PolicyRecord};
use leasehold_common::power::PowerRecord;
use leasehold_common::record::{self, Record, RecordError};
use leasehold_common::time::Timestamp;
use leasehold_placement::{BookError, Cell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Everything the store has of a cell, read.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The head; absent in a new cell.
    pub head: Option<LedgerHead>,
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Policies.
    pub policies: Vec<PolicyRecord>,
    /// Power budgets.
    pub power: Vec<PowerRecord>,
    /// Maintenance.
    pub maintenance: Vec<MaintenanceRecord>,
    /// Leases.
    pub leases: Vec<LeaseRecord>,
    /// Nodes as admitted.
    pub fleet: Vec<FleetRecord>,
    /// What agents see.
    pub reports: BTreeMap<NodeName, NodeReport>,
    /// How their GPUs are.
    pub health: BTreeMap<NodeName, HealthReport>,
    /// What they enforce.
    pub acks: BTreeMap<NodeName, AckRecord>,
    /// Which were heard of lately.
    pub live: BTreeSet<NodeName>,
    /// What agents wrote that is no record, by node: said in the log, and otherwise ignored.
    pub unreadable: Vec<(NodeName, String)>,
}

/// A store that cannot be loaded, or a commit that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A ledger record cannot be read. Nothing is decided on half a ledger.
    #[error("{key}")]
    Record {
        /// Its key.
        key: Key,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// A maintenance has hardware that something else has.
    #[error("maintenance {maintenance} contradicts the ledger")]
    Kept {
        /// The maintenance.
        maintenance: MaintenanceId,
        /// How.
        #[source]
        source: BookError,
    },
    /// Two leases have the same hardware.
    #[error("lease {lease} contradicts the ledger")]
    Booked {
        /// The lease.
        lease: LeaseId,
        /// How.
        #[source]
        source: BookError,
    },
}

/// What a node says, wherever it is kept.
struct Said<'a> {
    report: &'a mut Option<Box<NodeReport>>,
    health: &'a mut Option<Box<HealthReport>>,
    acks: &'a mut Option<Box<AckRecord>>,
    presence: &'a mut Presence,
}

impl Loaded {
    /// Takes one stored value. A value under a key that is not loaded is passed over.
    ///
    /// # Errors
    /// A ledger record that cannot be read. What an *agent* wrote is never an error here: it is
    /// noted, and that node goes without.
    pub fn take(&mut self, key: &Key, value: &[u8]) -> Result<(), LoadError> {
        fn ledger<R: Record>(key: &Key, value: &[u8]) -> Result<R, LoadError> {
            record::decode(value).map_err(|source| LoadError::Record {
                key: key.clone(),
                source,
            })
        }
        fn agent<R: Record>(
            into: &mut BTreeMap<NodeName, R>,
            unreadable: &mut Vec<(NodeName, String)>,
            node: &NodeName,
            value: &[u8],
        ) {
            match record::decode(value) {
                Ok(record) => drop(into.insert(node.clone(), record)),
                Err(e) => unreadable.push((node.clone(), e.to_string())),
            }
        }
        match key {
            Key::Head => self.head = Some(ledger(key, value)?),
            Key::Account(_) => self.accounts.push(ledger(key, value)?),
            Key::Policy(_) => self.policies.push(ledger(key, value)?),
            Key::Power(_) => self.power.push(ledger(key, value)?),
            Key::Maintenance(_) => self.maintenance.push(ledger(key, value)?),
            Key::Lease(_) => self.leases.push(ledger(key, value)?),
            Key::Fleet(_) => self.fleet.push(ledger(key, value)?),
            Key::Node(n) => agent(&mut self.reports, &mut self.unreadable, n, value),
            Key::Health(n) => agent(&mut self.health, &mut self.unreadable, n, value),
            Key::Acks(n) => agent(&mut self.acks, &mut self.unreadable, n, value),
            Key::Live(node) => match record::decode::<LiveRecord>(value) {
                Ok(_) => drop(self.live.insert(node.clone())),
                Err(e) => self.unreadable.push((node.clone(), e.to_string())),
            },
            Key::Log(_) | Key::Grants(_) => {}
        }
        Ok(())
    }
}

impl State {
    /// The state of a cell in which nothing has been decided yet.
    pub fn new(settings: CoreSettings) -> Self {
        let built_in = Policy {
            turnaround: settings.policy.turnaround,
            ..Policy::default()
        };
        let mut cell = Cell::new();
        for sku in settings.skus.iter() {
            cell.describe(sku.clone());
        }
        cell.adopt(&settings.policy);
        Self {
            settings,
            policies: Policies::new(built_in),
            power: BTreeMap::new(),
            maintenance: BTreeMap::new(),
            maintenance_ends: BTreeSet::new(),
            maintenance_ended: BTreeSet::new(),
            head: LedgerHead::genesis(),
            accounts: BTreeMap::new(),
            leases: BTreeMap::new(),
            nodes: BTreeMap::new(),
            strangers: BTreeMap::new(),
            cell,
            by_name: BTreeMap::new(),
            by_gpu: BTreeMap::new(),
            by_key: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            pending: BTreeSet::new(),
            closed: BTreeSet::new(),
            timers: BTreeSet::new(),
            wakes: BTreeMap::new(),
            flag_ends: BTreeSet::new(),
            word_ends: BTreeSet::new(),
            judgements: BTreeSet::new(),
            drawn: DrawnBelow::default(),
            brake: Brake::default(),
            frozen: None,
            admissions: VecDeque::new(),
            progressed: BTreeSet::new(),
            wanting: BTreeMap::new(),
            ahead: Ahead::unplanned(),
            draft: Draft::default(),
        }
    }

    /// The state that a store's content makes. Nodes without a liveness key get a full TTL and
    /// grace from `now` on: a new leader knows nothing of how long they have been silent.
    ///
    /// # Errors
    /// Leases that contradict each other.
    pub fn load(settings: CoreSettings, loaded: Loaded, now: Timestamp) -> Result<Self, LoadError> {
        let mut state = Self::new(settings);
        if let Some(head) = loaded.head {
            state.head = head;
        }
        for account in loaded.accounts {
            state.insert_account(account);
        }
        for policy in loaded.policies {
            state.insert_policy(policy);
        }
        for budget in loaded.power {
            state.insert_power(budget);
        }
        let Loaded {
            mut reports,
            mut health,
            mut acks,
            live,
            ..
        } = loaded;
        for fleet in loaded.fleet {
            let (name, index) = (fleet.name.clone(), fleet.index);
            state.insert_node(fleet);
            let node = state
                .nodes
                .get_mut(&index)
                .expect("it was inserted a line above");
            node.report = reports.remove(&name).map(Box::new);
            node.health = health.remove(&name).map(Box::new);
            node.acks = acks.remove(&name).map(Box::new);
            node.presence = match live.contains(&name) {
                true => Presence::Here,
                false => Presence::Silent { since: now },
            };
            // A node that is out anyway is no news: counted, a few such nodes would trip the brake
            // at every change of leader.
            if !live.contains(&name) && state.nodes[&index].can_be_lost() {
                state.brake.silent.insert((now, index));
            }
            state.refresh_condition(index);
        }
        for lease in loaded.leases {
            let id = lease.id;
            state
                .insert_lease(lease)
                .map_err(|source| LoadError::Booked { lease: id, source })?;
        }
        state.take_maintenance(loaded.maintenance)?;
        state.cell.recount_passes();
        // What is left was said by nodes that are not admitted; it counts once they are.
        for (name, report) in reports {
            state.strangers.entry(name).or_default().report = Some(Box::new(report));
        }
        for (name, health) in health {
            state.strangers.entry(name).or_default().health = Some(Box::new(health));
        }
        for (name, acks) in acks {
            state.strangers.entry(name).or_default().acks = Some(Box::new(acks));
        }
        for name in live
            .into_iter()
            .filter(|name| !state.by_name.contains_key(name))
        {
            state.strangers.entry(name).or_default().presence = Presence::Here;
        }
        let nodes: Vec<NodeIndex> = state.nodes.keys().copied().collect();
        for index in nodes {
            state.want_mending_on(index);
            state.want_judgement(index);
        }
        state.hold_liveness(now);
        state.progressed = state.unfinished().map(|lease| lease.id).collect();
        Ok(state)
    }

    /// Follows another scheduler: takes the changes of one revision of the store as they were
    /// written, its own records and the agents'.
    ///
    /// # Errors
    /// A record that cannot be read, or one that contradicts the others: the state is to be loaded
    /// anew then.
    pub fn follow_changes(
        &mut self,
        changes: &[(Key, Option<Vec<u8>>)],
        now: Timestamp,
    ) -> Result<(), LoadError> {
        let mut all = Loaded::default();
        // What is planned is for those who decide.
        let had_plans = self.drop_all_plans();
        // Leases that change are taken out first: within one revision, hardware may go from one to
        // another, whatever the order of their keys.
        for (key, value) in changes {
            if let Key::Lease(id) = key {
                self.remove_lease(*id);
            }
            if let Key::Maintenance(id) = key {
                self.remove_maintenance(*id);
            }
            match value {
                Some(value) => all.take(key, value)?,
                None => self.forget(key, now),
            }
        }
        self.head = all.head.unwrap_or_else(|| self.head.clone());
        all.accounts
            .into_iter()
            .for_each(|account| self.insert_account(account));
        all.policies
            .into_iter()
            .for_each(|policy| self.insert_policy(policy));
        all.power
            .into_iter()
            .for_each(|budget| self.insert_power(budget));
        all.fleet
            .into_iter()
            .for_each(|fleet| self.insert_node(fleet));
        for lease in all.leases {
            let id = lease.id;
            self.insert_lease(lease)
                .map_err(|source| LoadError::Booked { lease: id, source })?;
        }
        self.take_maintenance(all.maintenance)?;
        // What agents say comes far more often than what is decided.
        if had_plans || changes.iter().any(|(key, _)| changes_passes(key)) {
            self.cell.recount_passes();
        }
        for (name, report) in all.reports {
            self.said(&name, |said| *said.report = Some(Box::new(report)));
        }
        for (name, health) in all.health {
            self.said(&name, |said| *said.health = Some(Box::new(health)));
        }
        for (name, acks) in all.acks {
            self.said(&name, |said| *said.acks = Some(Box::new(acks)));
        }
        for name in all.live {
            self.said(&name, |said| *said.presence = Presence::Here);
        }
        Ok(())
    }

    fn take_maintenance(&mut self, records: Vec<MaintenanceRecord>) -> Result<(), LoadError> {
        for record in records {
            let maintenance = record.id;
            self.insert_maintenance(record)
                .map_err(|source| LoadError::Kept {
                    maintenance,
                    source,
                })?;
        }
        Ok(())
    }

    fn forget(&mut self, key: &Key, now: Timestamp) {
        match key {
            Key::Node(name) => self.said(name, |said| *said.report = None),
            Key::Health(name) => self.said(name, |said| *said.health = None),
            Key::Acks(name) => self.said(name, |said| *said.acks = None),
            Key::Live(name) => {
                self.said(name, |said| {
                    *said.presence = Presence::Silent { since: now }
                });
            }
            Key::Head
            | Key::Log(_)
            | Key::Lease(_)
            | Key::Account(_)
            | Key::Policy(_)
            | Key::Power(_)
            | Key::Maintenance(_)
            | Key::Fleet(_)
            | Key::Grants(_) => {}
        }
    }

    /// Notes what a node says without deciding anything from it.
    fn said(&mut self, name: &NodeName, note: impl FnOnce(Said<'_>)) {
        if let Some(&index) = self.by_name.get(name) {
            let node = self
                .nodes
                .get_mut(&index)
                .expect("names lead to nodes that exist");
            let Node {
                report,
                health,
                acks,
                presence,
                ..
            } = node;
            note(Said {
                report,
                health,
                acks,
                presence,
            });
            self.refresh_condition(index);
        } else {
            let stranger = self.strangers.entry(name.clone()).or_default();
            let Stranger {
                report,
                health,
                acks,
                presence,
            } = stranger;
            note(Said {
                report,
                health,
                acks,
                presence,
            });
            self.forget_empty_stranger(name);
        }
    }

    /// Everything agents have said, as events: for a new leader, which judges all of it once.
    pub fn said_so_far(&self) -> Vec<Event> {
        let nodes = self.nodes.values();
        nodes
            .flat_map(|node| {
                let name = &node.fleet.name;
                let report = node
                    .report
                    .clone()
                    .map(|r| Event::Report(name.clone(), Some(r)));
                let acks = node
                    .acks
                    .clone()
                    .map(|a| Event::Acks(name.clone(), Some(a)));
                [report, acks].into_iter().flatten()
            })
            .collect()
    }

    /// Every node whose grants should stand in the store: for a new leader, which derives all.
    pub fn nodes_with_grants(&self) -> Vec<NodeIndex> {
        self.nodes
            .iter()
            .filter(|(_, n)| !n.leases.is_empty())
            .map(|(index, _)| *index)
            .collect()
    }
}

/// Whether hours of cleaning can follow from a record.
const fn changes_passes(key: &Key) -> bool {
    match key {
        Key::Lease(_) | Key::Policy(_) | Key::Fleet(_) => true,
        Key::Head
        | Key::Account(_)
        | Key::Power(_)
        | Key::Maintenance(_)
        | Key::Node(_)
        | Key::Health(_)
        | Key::Acks(_)
        | Key::Live(_)
        | Key::Log(_)
        | Key::Grants(_) => false,
    }
}
