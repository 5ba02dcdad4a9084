//! The store's changes as what they mean.

use leasehold_common::ids::NodeName;
use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::record::{self, Record};
use leasehold_core::Event;
use leasehold_store::{Change, Revision, WatchMessage};
use std::collections::BTreeSet;

/// Keys and values of one message, with the keys that went away.
pub(super) type Changes = Vec<(Key, Option<Vec<u8>>)>;

/// Reads a watch over the whole cell.
#[derive(Debug)]
pub(super) struct Feed {
    keys: KeySpace,
    /// Keys that are there, so that a snapshot shows which have gone.
    known: BTreeSet<Key>,
}

/// What a message of the watch comes to.
#[derive(Debug)]
pub(super) enum Fed {
    /// These keys changed.
    Changes(Changes),
    /// What happened in between cannot be told; this is how everything is now.
    Anew {
        /// Every key, and those that are gone.
        changes: Changes,
        /// When the ledger's head was last changed; absent where there is none. Older than what was
        /// seen before in a store that was restored from the past.
        head_modified: Option<Revision>,
    },
    /// The store does not answer.
    ContactLost,
    /// The store answers again.
    ContactBack,
}

impl Feed {
    pub fn new(keys: KeySpace) -> Self {
        Self {
            keys,
            known: BTreeSet::new(),
        }
    }

    pub fn read(&mut self, message: WatchMessage) -> Fed {
        match message {
            WatchMessage::Changes(changes) => Fed::Changes(
                changes
                    .into_iter()
                    .filter_map(|change| self.change(change))
                    .collect(),
            ),
            WatchMessage::Snapshot(listing) => {
                let mut gone = std::mem::take(&mut self.known);
                let mut changes = Changes::new();
                let mut head_modified = None;
                for entry in listing.entries {
                    let Some(key) = self.keys.parse(&entry.key) else {
                        continue;
                    };
                    if key == Key::Head {
                        head_modified = Some(entry.modified);
                    }
                    gone.remove(&key);
                    self.known.insert(key.clone());
                    changes.push((key, Some(entry.value)));
                }
                changes.extend(gone.into_iter().map(|key| (key, None)));
                Fed::Anew {
                    changes,
                    head_modified,
                }
            }
            WatchMessage::ContactLost => Fed::ContactLost,
            WatchMessage::ContactBack => Fed::ContactBack,
        }
    }

    fn change(&mut self, change: Change) -> Option<(Key, Option<Vec<u8>>)> {
        match change {
            Change::Put(entry) => {
                let key = self.keys.parse(&entry.key)?;
                self.known.insert(key.clone());
                Some((key, Some(entry.value)))
            }
            Change::Delete { key, .. } => {
                let key = self.keys.parse(&key)?;
                self.known.remove(&key);
                Some((key, None))
            }
        }
    }
}

/// What an agent's key means to the core; `None` for keys that no agent writes.
pub(super) fn event(key: Key, value: Option<Vec<u8>>) -> Option<Event> {
    match key {
        Key::Node(node) => Some(said(node, value, Event::Report)),
        Key::Health(node) => Some(said(node, value, Event::Health)),
        Key::Acks(node) => Some(said(node, value, Event::Acks)),
        Key::Live(node) => Some(match value.map(|v| record::decode(&v)) {
            None => Event::Live(node, None),
            Some(Ok(live)) => Event::Live(node, Some(live)),
            Some(Err(e)) => Event::Unreadable(node, e.to_string()),
        }),
        Key::Head
        | Key::Log(_)
        | Key::Lease(_)
        | Key::Account(_)
        | Key::Policy(_)
        | Key::Power(_)
        | Key::Maintenance(_)
        | Key::Fleet(_)
        | Key::Grants(_) => None,
    }
}

fn said<R: Record>(
    node: NodeName,
    value: Option<Vec<u8>>,
    event: fn(NodeName, Option<Box<R>>) -> Event,
) -> Event {
    match value.map(|value| record::decode(&value)) {
        None => event(node, None),
        Some(Ok(record)) => event(node, Some(Box::new(record))),
        Some(Err(e)) => Event::Unreadable(node, e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_store::{Entry, Listing};

    fn entry(keys: &KeySpace, key: &Key, modified: i64) -> Entry {
        Entry {
            key: keys.key(key),
            value: b"{}".to_vec(),
            created: Revision(1),
            modified: Revision(modified),
        }
    }

    /// A store that went back says so nowhere but in the age of what it lists.
    #[test]
    fn a_listing_tells_how_old_the_ledger_is_and_what_has_gone() {
        let keys = KeySpace::new(&"c1".parse().unwrap());
        let mut feed = Feed::new(keys.clone());
        let live = Key::Live("h001".parse().unwrap());
        let put = Change::Put(entry(&keys, &live, 40));
        assert!(matches!(
            feed.read(WatchMessage::Changes(vec![put])),
            Fed::Changes(_)
        ));

        let listing = |entries| {
            WatchMessage::Snapshot(Listing {
                revision: Revision(35),
                entries,
            })
        };
        let Fed::Anew {
            changes,
            head_modified,
        } = feed.read(listing(vec![entry(&keys, &Key::Head, 30)]))
        else {
            panic!("a listing is everything anew");
        };
        assert_eq!(head_modified, Some(Revision(30)));
        assert_eq!(changes, [(Key::Head, Some(b"{}".to_vec())), (live, None)]);

        let Fed::Anew { head_modified, .. } = feed.read(listing(Vec::new())) else {
            panic!("a listing is everything anew");
        };
        assert_eq!(head_modified, None);
    }
}
