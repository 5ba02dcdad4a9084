//! The ledger as the checker has it: commit by commit.

use super::drained::Drained;
use super::{Broken, overlap};
use crate::store::{Bytes, Change, Store};
use leasehold_common::account::Account;
use leasehold_common::ids::{AccountName, IdempotencyKey, LeaseId, Seq};
use leasehold_common::keys::Key;
use leasehold_common::lease::{LeaseRecord, LeaseSpec, LeaseState, Shape};
use leasehold_common::ledger::{CommitRecord, LedgerHead};
use leasehold_common::log::EventName;
use leasehold_common::record::Record;
use leasehold_common::time::{Span, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How long a lease that is over must stay.
const KEPT: Span = Span::from_hours(7 * 24);

/// What makes a lease that lease.
type Identity = (Timestamp, LeaseSpec);

/// The picture.
#[derive(Debug, Default)]
pub struct Ledger {
    cursor: usize,
    incarnation: u32,
    head: Option<LedgerHead>,
    accounts: BTreeMap<AccountName, Account>,
    leases: BTreeMap<LeaseId, LeaseRecord>,
    drained: Drained,
    /// What is stored.
    stored: BTreeMap<Key, Bytes>,
    /// What replaying the log gives.
    replayed: BTreeMap<String, Value>,
    /// The writes of every commit, by its last record.
    commits: BTreeMap<Seq, Rc<[(String, Value)]>>,
    known: BTreeMap<LeaseId, Identity>,
    acknowledged: BTreeMap<IdempotencyKey, LeaseId>,
    /// The store was restored and is not recovered yet.
    suspended: bool,
    /// The last record of the file that the store is recovered from.
    recoverable: Seq,
    /// How often a lease was placed, over the whole life.
    pub placed: u64,
}

impl Ledger {
    /// Whether the store is restored and not recovered.
    pub const fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Every lease as it is stored.
    pub const fn leases(&self) -> &BTreeMap<LeaseId, LeaseRecord> {
        &self.leases
    }

    /// The head, as of the last commit.
    pub const fn head(&self) -> Option<&LedgerHead> {
        self.head.as_ref()
    }

    /// The store is being restored from the past: until it is recovered, nothing holds.
    pub fn restored(&mut self, store: &Store) {
        self.suspended = true;
        self.incarnation = store.incarnation();
        self.cursor = store.cursor();
        self.stored.clear();
        let records = store.all().filter(|(key, _)| is_record(key));
        self.stored
            .extend(records.map(|(key, stored)| (key.clone(), Rc::clone(&stored.value))));
    }

    /// A recovery begins, from a log file that reaches so far.
    pub const fn recovers(&mut self, log: Seq) {
        self.recoverable = log;
    }

    /// A client was told that its request is a lease.
    ///
    /// # Errors
    /// It is not there, or it is another one than before.
    pub fn acknowledge(&mut self, key: &IdempotencyKey, id: LeaseId) -> Result<(), Broken> {
        if let Some(before) = self.acknowledged.insert(key.clone(), id)
            && before != id
        {
            return Err(Broken::new(
                "a retry is answered with the same lease",
                format!("key {key} was lease {before} and is now lease {id}"),
            ));
        }
        if !self.suspended && !self.leases.contains_key(&id) {
            return Err(Broken::new(
                "what is acknowledged is stored",
                format!("lease {id} of key {key} is not in the store"),
            ));
        }
        Ok(())
    }

    /// Looks at everything that was written since the last look.
    ///
    /// # Errors
    /// Something that must never be.
    pub fn observe(&mut self, store: &Store) -> Result<(), Broken> {
        assert_eq!(self.incarnation, store.incarnation(), "restores are told");
        let changes = store.since(self.cursor);
        self.cursor = store.cursor();
        for commit in changes.chunk_by(|a, b| a.revision == b.revision) {
            for change in commit.iter().filter(|change| is_record(&change.key)) {
                match &change.value {
                    Some(value) => drop(self.stored.insert(change.key.clone(), Rc::clone(value))),
                    None => drop(self.stored.remove(&change.key)),
                }
            }
            if !commit.iter().any(|change| change.key == Key::Head) {
                continue;
            }
            let recovers = self.suspended && closes_recovery(commit);
            if recovers {
                self.recovered(commit)?;
            } else if !self.suspended {
                self.commit(commit)?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), Broken> {
        let log = changes.iter().find_map(|change| match &change.key {
            Key::Log(_) => change.value.as_ref(),
            _ => None,
        });
        let log: CommitRecord = decode(
            log.ok_or_else(|| Broken::new("every commit has its log", format!("{changes:?}")))?,
        )?;
        let head = changes.iter().find(|change| change.key == Key::Head);
        let head: LedgerHead =
            decode(head.and_then(|c| c.value.as_ref()).ok_or_else(|| {
                Broken::new("the head is never removed", format!("{changes:?}"))
            })?)?;
        self.chained(&head, &log)?;
        let writes = writes(&log);
        for (key, value) in writes.iter() {
            self.replay(key, value);
        }
        self.is_redo(changes, &writes)?;
        self.commits.insert(log.last, writes);
        self.head = Some(head);
        self.take(changes)
    }

    /// The head follows the head before, and the log the log before.
    fn chained(&self, head: &LedgerHead, log: &CommitRecord) -> Result<(), Broken> {
        let genesis = LedgerHead::genesis();
        let before = self.head.as_ref().unwrap_or(&genesis);
        let follows = log.first == before.seq.next() && log.prev == before.log_hash;
        let agrees = head.seq == log.last && head.log_hash == log.hash;
        let forward = head.now >= before.now
            && head.epoch == before.epoch
            && head.next_lease >= before.next_lease
            && head.next_node >= before.next_node;
        if follows && agrees && forward {
            return Ok(());
        }
        Err(Broken::new(
            "the head only moves on, and the log with it",
            format!("{before:?} was followed by {head:?}"),
        ))
    }

    /// What was written is what the log says was written.
    fn is_redo(&self, changes: &[Change], writes: &[(String, Value)]) -> Result<(), Broken> {
        let mut records = 0;
        for change in changes {
            if matches!(change.key, Key::Head | Key::Log(_)) {
                continue;
            }
            records += 1;
            let replayed = self.replayed.get(&change.key.to_string());
            if change.value.as_deref() != replayed.map(text).as_deref() {
                return Err(Broken::new(
                    "replaying the log gives what is stored",
                    format!("{change:?} is stored, {replayed:?} replayed"),
                ));
            }
        }
        let mut named: Vec<&String> = writes.iter().map(|(key, _)| key).collect();
        named.sort_unstable();
        named.dedup();
        if named.len() == records {
            return Ok(());
        }
        Err(Broken::new(
            "replaying the log gives what is stored",
            format!("{records} records were written, the log names {named:?}"),
        ))
    }

    fn replay(&mut self, key: &str, value: &Value) {
        if value.is_null() {
            self.replayed.remove(key);
        } else {
            self.replayed.insert(key.to_owned(), value.clone());
        }
    }

    fn take(&mut self, changes: &[Change]) -> Result<(), Broken> {
        let now = self.head.as_ref().map_or(Timestamp::EPOCH, |head| head.now);
        let mut before = BTreeMap::new();
        let mut changed = Vec::new();
        let drained = self.drained.clone();
        for change in changes {
            if let Some(value) = &change.value {
                self.drained.take(&change.key, value)?;
            }
            match (&change.key, &change.value) {
                (Key::Account(name), Some(value)) => {
                    self.accounts.insert(name.clone(), decode(value)?);
                }
                (Key::Lease(id), Some(value)) => {
                    let lease: LeaseRecord = decode(value)?;
                    self.is_that_lease(&lease)?;
                    if let Some(old) = self.leases.insert(*id, lease) {
                        before.insert(*id, old);
                    }
                    changed.push(*id);
                }
                (Key::Lease(id), None) => {
                    let old = self.leases.remove(id);
                    let closed = old.as_ref().and_then(|old| old.closed);
                    if closed.is_none_or(|closed| now.since(closed) < KEPT) {
                        return Err(Broken::new(
                            "a lease leaves the store only long after it was over",
                            format!("lease {id} was removed at {now}: {old:?}"),
                        ));
                    }
                }
                _ => {}
            }
        }
        let as_before = |id: &LeaseId| before.get(id).cloned();
        let mut whole_before: Option<BTreeMap<LeaseId, LeaseRecord>> = None;
        for id in &changed {
            let lease = &self.leases[id];
            self.moved_on(before.get(id), lease)?;
            drained.nobody_begins(&self.drained, before.get(id), lease)?;
            overlap::alone(&self.leases, lease)?;
            let was_placed = before.get(id).is_some_and(|old| !old.placement.is_empty());
            let segments = |lease: &LeaseRecord| lease.placement.len();
            let has_moved = before
                .get(id)
                .is_none_or(|old| segments(old) < segments(lease));
            if has_moved && !lease.placement.is_empty() {
                self.placed += u64::from(!was_placed);
                let whole = whole_before.get_or_insert_with(|| {
                    let leases = self.leases.iter();
                    leases
                        .filter_map(|(id, lease)| match changed.contains(id) {
                            true => as_before(id).map(|old| (*id, old)),
                            false => Some((*id, lease.clone())),
                        })
                        .collect()
                });
                overlap::is_back(whole, &self.leases, lease)?;
                overlap::is_shed(whole, &self.leases, lease)?;
                self.within_quota(lease)?;
            }
        }
        Ok(())
    }

    fn is_that_lease(&mut self, lease: &LeaseRecord) -> Result<(), Broken> {
        // A lease that gives nodes up wants fewer from then on.
        let spec = LeaseSpec {
            shape: Shape::nodes(0),
            ..lease.spec.clone()
        };
        let identity = (lease.created, spec);
        match self.known.get(&lease.id) {
            None => {
                self.known.insert(lease.id, identity);
                Ok(())
            }
            Some(known) if *known == identity => Ok(()),
            Some(known) => Err(Broken::new(
                "no lease number is used twice",
                format!("lease {} was {known:?} and is {identity:?}", lease.id),
            )),
        }
    }

    fn moved_on(&self, old: Option<&LeaseRecord>, new: &LeaseRecord) -> Result<(), Broken> {
        let Some(old) = old else { return Ok(()) };
        let over = |state: LeaseState| {
            matches!(
                state,
                LeaseState::Closed
                    | LeaseState::Rejected
                    | LeaseState::Lapsed
                    | LeaseState::Cancelled
                    | LeaseState::Failed
            )
        };
        if new.term < old.term || (over(old.state) && new.state != old.state) {
            return Err(Broken::new(
                "terms never go back, and what is over stays over",
                format!(
                    "lease {}: {} {} became {} {}",
                    new.id, old.state, old.term, new.state, new.term
                ),
            ));
        }
        Ok(())
    }

    fn within_quota(&self, lease: &LeaseRecord) -> Result<(), Broken> {
        let account = &lease.spec.account;
        let Some(quota) = self.accounts.get(account).and_then(|a| a.quota_gpus) else {
            return Ok(());
        };
        let of_account = self.leases.values().filter(|l| l.spec.account == *account);
        let held: u64 = of_account
            .filter(|l| l.state.holds_hardware() || l.state == LeaseState::Settling)
            .map(|l| l.gpus(2))
            .sum();
        if held > u64::from(quota) {
            return Err(Broken::new(
                "no account holds more than its quota",
                format!(
                    "{account} holds {held} of {quota} GPUs with lease {}",
                    lease.id
                ),
            ));
        }
        Ok(())
    }

    /// The store has what replaying the whole log gives, and nothing else.
    ///
    /// # Errors
    /// It has not.
    pub fn is_replayed(&self) -> Result<(), Broken> {
        let stored: BTreeMap<String, &Bytes> = self
            .stored
            .iter()
            .map(|(key, value)| (key.to_string(), value))
            .collect();
        let differs = |key: &&String| {
            let replayed = self.replayed.get(*key).map(text);
            stored.get(*key).map(|value| value.as_ref()) != replayed.as_deref()
        };
        if let Some(key) = stored.keys().chain(self.replayed.keys()).find(differs) {
            return Err(Broken::new(
                "replaying the log gives what is stored",
                format!(
                    "{key} is {:?}, was {:?}",
                    stored.get(key),
                    self.replayed.get(key)
                ),
            ));
        }
        Ok(())
    }

    /// The store has been brought up to date: it must be what replaying the files gives.
    fn recovered(&mut self, changes: &[Change]) -> Result<(), Broken> {
        self.suspended = false;
        self.replayed.clear();
        self.commits.retain(|seq, _| *seq <= self.recoverable);
        let commits: Vec<Rc<[(String, Value)]>> = self.commits.values().cloned().collect();
        for (key, value) in commits.iter().flat_map(|writes| writes.iter()) {
            self.replay(key, value);
        }
        self.is_replayed()?;
        let head = changes.iter().find(|change| change.key == Key::Head);
        let head: LedgerHead = decode(head.and_then(|c| c.value.as_ref()).expect("it is there"))?;
        let before = self.head.replace(head.clone());
        let raised = before.is_none_or(|before| head.epoch > before.epoch);
        let next = self
            .acknowledged
            .values()
            .max()
            .copied()
            .unwrap_or_default();
        if !raised || head.seq <= self.recoverable || head.next_lease <= next {
            return Err(Broken::new(
                "a recovery raises the epoch and skips every number seen",
                format!("{head:?}, records up to {}, lease {next}", self.recoverable),
            ));
        }
        self.leases.clear();
        self.accounts.clear();
        self.drained = Drained::default();
        for (key, value) in &self.stored {
            self.drained.take(key, value)?;
            match key {
                Key::Lease(id) => drop(self.leases.insert(*id, decode(value)?)),
                Key::Account(name) => {
                    self.accounts.insert(name.clone(), decode(value)?);
                }
                _ => {}
            }
        }
        // Numbers that nobody has seen may be given again.
        self.known.retain(|id, _| *id < head.next_lease);
        for (key, id) in &self.acknowledged {
            if !self.leases.contains_key(id) && !self.known.contains_key(id) {
                return Err(Broken::new(
                    "what is acknowledged is stored",
                    format!("lease {id} of key {key} was lost in a recovery"),
                ));
            }
        }
        Ok(())
    }
}

const fn is_record(key: &Key) -> bool {
    matches!(
        key,
        Key::Lease(_)
            | Key::Account(_)
            | Key::Fleet(_)
            | Key::Policy(_)
            | Key::Power(_)
            | Key::Maintenance(_)
    )
}

fn writes(log: &CommitRecord) -> Rc<[(String, Value)]> {
    log.records
        .iter()
        .filter_map(|record| record.get("writes")?.as_object())
        .flat_map(|writes| writes.iter().map(|(k, v)| (k.clone(), v.clone())))
        .collect()
}

fn closes_recovery(changes: &[Change]) -> bool {
    changes
        .iter()
        .any(|change| match (&change.key, &change.value) {
            (Key::Log(_), Some(value)) => decode::<CommitRecord>(value).is_ok_and(|log| {
                let name = log
                    .records
                    .first()
                    .and_then(|r| r.get("event_name"))
                    .cloned();
                name == Some(Value::from(EventName::LedgerRecovered.as_str()))
            }),
            _ => false,
        })
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value is writable")
}

/// Not by [`leasehold_common::record::decode`], which also keeps what it does not know: nothing here
/// is of another version, and the checker reads more than anybody.
pub(super) fn decode<R: Record>(value: &[u8]) -> Result<R, Broken> {
    serde_json::from_slice(value)
        .map_err(|e| Broken::new("what is stored reads back", format!("{e:?}")))
}
