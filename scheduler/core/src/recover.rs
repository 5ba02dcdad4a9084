//! A store that was restored from the past, and how it is brought up to date.
//!
//! What is known beyond the store is this host's log and what agents say they serve. The log holds
//! every ledger record it caused, so replaying the records after the store's head restores them.
//! The epoch is raised, so that everything granted from now on is newer than anything granted
//! before; and no number that anybody has seen is used again.

use crate::draft::{Draft, Entry};
use crate::event::Batch;
use crate::load::Loaded;
use leasehold_common::api::{Recover, RecoverReport};
use leasehold_common::grant::AckState;
use leasehold_common::ids::{CellName, Epoch, LeaseId, MaintenanceId, NodeName, Seq};
use leasehold_common::keys::Key;
use leasehold_common::lease::Digest;
use leasehold_common::ledger::LedgerHead;
use leasehold_common::log::{Actor, Attributes, EventName, LogRecord};
use leasehold_common::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a recovery does, decided before anything is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Ledger records to write before the closing batch, by key; `None` removes one. Writing them
    /// twice does no harm.
    pub writes: BTreeMap<Key, Option<Value>>,
    /// The batch that closes the recovery: the new head, and the record that says so.
    pub batch: Batch,
    /// What to tell the operator.
    pub report: RecoverReport,
}

/// What is known beyond the store.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The log's records after the store's head, in order.
    pub records: &'a [LogRecord],
    /// Number and hash of the log's last record.
    pub log_head: (Seq, Digest),
}

/// How the store differs from what this host's log and the agents know; empty where it does not.
pub fn differences(loaded: &Loaded, log_head: Option<(Epoch, Seq, Digest)>) -> Vec<String> {
    let head = loaded.head.clone().unwrap_or_else(LedgerHead::genesis);
    let mut differences = Vec::new();
    match log_head {
        Some((epoch, seq, _)) if epoch > head.epoch || seq > head.seq => {
            differences.push(format!(
                "the log of this host ends with record {seq} of epoch {epoch}, the ledger with \
                 record {} of epoch {}",
                head.seq, head.epoch
            ));
        }
        Some((_, seq, hash)) if seq == head.seq && hash != head.log_hash => {
            differences.push(format!(
                "record {seq} is another in the log than in the ledger"
            ));
        }
        Some(_) | None => {}
    }
    for (name, acks) in &loaded.acks {
        let newest = acks
            .leases
            .iter()
            .max_by_key(|(_, ack)| (ack.term.epoch, ack.term_seq));
        if acks.epoch > head.epoch {
            differences.push(format!("{name} has seen epoch {}", acks.epoch));
        } else if let Some((id, ack)) = newest
            && ack.term_seq > head.seq
        {
            differences.push(format!(
                "{name} has terms of lease {id} from record {}",
                ack.term_seq
            ));
        }
    }
    differences
}

/// Decides a recovery.
pub fn plan(
    cell: &CellName,
    loaded: &Loaded,
    known: &Known<'_>,
    wish: &Recover,
    actor: &Actor,
    now: Timestamp,
) -> Plan {
    let before = loaded.head.clone().unwrap_or_else(LedgerHead::genesis);
    let mut writes: BTreeMap<Key, Option<Value>> = BTreeMap::new();
    let mut last = before.now;
    let mut epoch = before.epoch;
    for record in known.records {
        last = last.max(record.at().unwrap_or(last));
        epoch = epoch.max(record.epoch);
        for (key, value) in &record.writes {
            if let Some(key) = Key::parse(key) {
                writes.insert(key, Some(value.clone()).filter(|value| !value.is_null()));
            }
        }
    }
    let seen = Seen::of(loaded, &writes);
    let unknown_leases = unknown_leases(loaded, &writes);
    let (log_seq, log_hash) = known.log_head;
    let mut head = before.clone();
    head.epoch = epoch
        .max(seen.epoch)
        .0
        .checked_add(1)
        .map(Epoch)
        .expect("epochs are few");
    head.log_hash = if log_seq > before.seq {
        log_hash
    } else {
        before.log_hash
    };
    // The closing record is numbered after everything anybody has seen.
    head.seq = before.seq.max(log_seq).max(seen.seq);
    head.next_lease = before.next_lease.max(seen.lease.next());
    head.next_maintenance = before.next_maintenance.max(seen.maintenance.next());
    head.next_node.0 = before.next_node.0.max(seen.next_node);
    let mut draft = Draft::default();
    let attributes = Attributes {
        from: Some(format!("record {} of epoch {}", before.seq, before.epoch)),
        to: Some(format!("epoch {}", head.epoch)),
        reason: wish.reason.clone(),
        actor: Some(actor.clone()),
    };
    draft.log(
        EventName::LedgerRecovered,
        Entry {
            attributes,
            ..Entry::default()
        },
    );
    let restored = writes.keys().map(ToString::to_string).collect();
    let (batch, _) = draft.close(cell, head, now.max(last), |_| None);
    let log = Some((epoch, log_seq, log_hash));
    let report = RecoverReport {
        dry_run: false,
        epoch_before: before.epoch,
        epoch: batch.head.epoch,
        store_seq: before.seq,
        log_seq,
        seq: batch.head.seq,
        restored,
        unknown_leases,
        differences: differences(loaded, log),
    };
    Plan {
        writes,
        batch,
        report,
    }
}

/// The highest numbers anybody has seen.
struct Seen {
    epoch: Epoch,
    seq: Seq,
    lease: LeaseId,
    maintenance: MaintenanceId,
    next_node: u32,
}

impl Seen {
    fn of(loaded: &Loaded, writes: &BTreeMap<Key, Option<Value>>) -> Self {
        let mut seen = Self {
            epoch: Epoch(0),
            seq: Seq(0),
            lease: LeaseId(0),
            maintenance: MaintenanceId(0),
            next_node: 0,
        };
        for acks in loaded.acks.values() {
            seen.epoch = seen.epoch.max(acks.epoch);
            for (id, ack) in &acks.leases {
                seen.lease = seen.lease.max(*id);
                seen.epoch = seen.epoch.max(ack.term.epoch);
                seen.seq = seen.seq.max(ack.term_seq);
            }
        }
        for (key, value) in writes {
            if let Key::Lease(id) = key {
                seen.lease = seen.lease.max(*id);
            }
            if let Key::Maintenance(id) = key {
                seen.maintenance = seen.maintenance.max(*id);
            }
            let index = value
                .as_ref()
                .and_then(|v| v.get("index"))
                .and_then(Value::as_u64);
            if let (Key::Fleet(_), Some(index)) = (key, index) {
                let next = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
                seen.next_node = seen.next_node.max(next);
            }
        }
        seen
    }
}

/// Nodes that serve a lease of which neither the store nor the log knows.
fn unknown_leases(loaded: &Loaded, writes: &BTreeMap<Key, Option<Value>>) -> Vec<NodeName> {
    let stored: BTreeSet<LeaseId> = loaded.leases.iter().map(|lease| lease.id).collect();
    let known = |id: &LeaseId| {
        stored.contains(id) || writes.get(&Key::Lease(*id)).is_some_and(Option::is_some)
    };
    let serves_unknown = |acks: &&leasehold_common::grant::AckRecord| {
        acks.leases.iter().any(|(id, ack)| {
            matches!(ack.state, AckState::Accepted | AckState::Serving) && !known(id)
        })
    };
    loaded
        .acks
        .values()
        .filter(serves_unknown)
        .map(|acks| acks.node.clone())
        .collect()
}
