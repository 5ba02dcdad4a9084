//! A model of the store: one history of revisions that everybody sees in order.
//!
//! It has what the daemons rely on and nothing else: transactions guarded by the leader's key and
//! by the revision of the ledger's head, watches from a revision, keys that vanish when their
//! writer is silent, and an operator who puts an old snapshot back.

use leasehold_common::ids::NodeName;
use leasehold_common::keys::Key;
use leasehold_common::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Operations a transaction may have, as in etcd by default.
pub const OPERATIONS_MAX: usize = 128;

/// How long the key of a silent leader stays.
pub const LEADER_TTL: Span = Span::from_secs(10);

/// How long the liveness key of a silent agent stays.
pub const LIVE_TTL: Span = Span::from_secs(30);

/// A stored value.
pub type Bytes = Rc<[u8]>;

/// A value with the revision that wrote it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The value.
    pub value: Bytes,
    /// The revision.
    pub revision: u64,
}

/// One key's change.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision it came with; changes of one transaction share it.
    pub revision: u64,
    /// The key.
    pub key: Key,
    /// What it is now; absent where it is gone.
    pub value: Option<Bytes>,
}

/// Who leads: a token that nobody else ever has, which stands for the create revision of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leadership {
    token: u64,
    until: Timestamp,
}

/// A transaction: applied whole where the guards hold, and not at all otherwise.
#[derive(Debug, Clone)]
pub struct Txn {
    /// The writer must still lead.
    pub leader: u64,
    /// The ledger's head must be of this revision; absent where the head is not compared.
    pub head: Option<u64>,
    /// Keys to set.
    pub puts: Vec<(Key, Bytes)>,
    /// Keys to remove.
    pub deletes: Vec<Key>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, with this revision.
    Applied(u64),
    /// A guard did not hold.
    Refused,
}

/// What a snapshot of the store has.
#[derive(Debug, Clone)]
pub struct Snapshot {
    keys: BTreeMap<Key, Stored>,
    revision: u64,
}

/// The store.
#[derive(Debug)]
pub struct Store {
    keys: BTreeMap<Key, Stored>,
    revision: u64,
    history: Vec<Change>,
    /// How often it was restored: a watch of another incarnation is broken.
    incarnation: u32,
    leader: Option<Leadership>,
    sessions: BTreeMap<NodeName, Timestamp>,
    tokens: u64,
}

impl Store {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            revision: 1,
            history: Vec::new(),
            incarnation: 0,
            leader: None,
            sessions: BTreeMap::new(),
            tokens: 0,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &Key) -> Option<&Stored> {
        self.keys.get(key)
    }

    /// Everything, in order of keys.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Stored)> {
        self.keys.iter()
    }

    /// How often it was restored.
    pub const fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Where a watch that has seen everything stands.
    pub const fn cursor(&self) -> usize {
        self.history.len()
    }

    /// What happened since a watch stood at `cursor`.
    pub fn since(&self, cursor: usize) -> &[Change] {
        &self.history[cursor.min(self.history.len())..]
    }

    /// Carries out a transaction.
    ///
    /// # Panics
    /// On one with more operations than a store takes: whoever sends it has not counted.
    pub fn commit(&mut self, txn: &Txn) -> Outcome {
        let operations = txn.puts.len() + txn.deletes.len();
        assert!(
            operations <= OPERATIONS_MAX,
            "a transaction of {operations} operations"
        );
        let head = self.get(&Key::Head).map_or(0, |stored| stored.revision);
        let leads = self.leader.is_some_and(|l| l.token == txn.leader);
        if !leads || txn.head.is_some_and(|expected| expected != head) {
            return Outcome::Refused;
        }
        self.revision += 1;
        for (key, value) in &txn.puts {
            self.set(key.clone(), Some(Rc::clone(value)));
        }
        for key in &txn.deletes {
            self.set(key.clone(), None);
        }
        Outcome::Applied(self.revision)
    }

    /// Writes one key as an agent does: unguarded, its own.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.revision += 1;
        self.set(key, Some(value.into()));
    }

    /// Writes a liveness key, which stays as long as its agent renews it.
    pub fn put_live(&mut self, node: &NodeName, value: Vec<u8>, now: Timestamp) {
        self.sessions.insert(node.clone(), now + LIVE_TTL);
        self.put(Key::Live(node.clone()), value);
    }

    /// Renews a liveness key. Whether it is still there.
    pub fn keep_live(&mut self, node: &NodeName, now: Timestamp) -> bool {
        let Some(until) = self.sessions.get_mut(node) else {
            return false;
        };
        *until = now + LIVE_TTL;
        true
    }

    /// Loses a liveness key although its agent is there.
    pub fn lose_live(&mut self, node: &NodeName) {
        if self.sessions.remove(node).is_some() {
            self.revision += 1;
            self.set(Key::Live(node.clone()), None);
        }
    }

    /// Makes somebody the leader, where nobody is. The token is his alone.
    pub fn campaign(&mut self, now: Timestamp) -> Option<u64> {
        if self.leader.is_some() {
            return None;
        }
        self.revision += 1;
        self.tokens += 1;
        let token = self.tokens;
        self.leader = Some(Leadership {
            token,
            until: now + LEADER_TTL,
        });
        Some(token)
    }

    /// Renews a leader's key.
    pub fn keep_leader(&mut self, token: u64, now: Timestamp) {
        if let Some(leader) = self.leader.as_mut().filter(|l| l.token == token) {
            leader.until = now + LEADER_TTL;
        }
    }

    /// A leader steps down.
    pub fn resign(&mut self, token: u64) {
        if self.leader.is_some_and(|l| l.token == token) {
            self.leader = None;
        }
    }

    /// Whether this token leads.
    pub fn leads(&self, token: u64) -> bool {
        self.leader.is_some_and(|l| l.token == token)
    }

    /// Removes the keys of whoever has been silent too long.
    pub fn expire(&mut self, now: Timestamp) {
        if self.leader.is_some_and(|l| l.until < now) {
            self.leader = None;
        }
        let silent: Vec<NodeName> = self
            .sessions
            .iter()
            .filter(|(_, until)| **until < now)
            .map(|(node, _)| node.clone())
            .collect();
        for node in silent {
            self.lose_live(&node);
        }
    }

    /// A copy of everything now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            keys: self.keys.clone(),
            revision: self.revision,
        }
    }

    /// Puts a snapshot back. Every session is gone with it, and every watch is broken; revisions go
    /// on from the snapshot's, so some are given out twice.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.keys.clone_from(&snapshot.keys);
        self.revision = snapshot.revision;
        self.history.clear();
        self.incarnation += 1;
        self.leader = None;
        self.sessions.clear();
        self.keys.retain(|key, _| !matches!(key, Key::Live(_)));
    }

    fn set(&mut self, key: Key, value: Option<Bytes>) {
        let revision = self.revision;
        match &value {
            Some(value) => {
                let value = Rc::clone(value);
                self.keys.insert(key.clone(), Stored { value, revision });
            }
            None => {
                self.keys.remove(&key);
            }
        }
        self.history.push(Change {
            revision,
            key,
            value,
        });
    }
}

impl Snapshot {
    /// The value of a key.
    pub fn get(&self, key: &Key) -> Option<&Stored> {
        self.keys.get(key)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}
